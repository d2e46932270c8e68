"""Whether a project declares its features in Feast's objects is seen without running features.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import ProjectError
from sluice.features.source import declares_features


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("import feast\n", True),
        ("from feast import Entity\nraise RuntimeError('not run')\n", True),
        ("import feast.types as t\n", True),
        ("def f():\n    from feast.types import Int64\n", True),
        ("import pandas as pd\ndef build_features(table):\n    return table\n", False),
        ("from feasting import feast\n", False),
        ("from .feast import x\n", False),
        ("# import feast\n'import feast'\n", False),
    ],
)
def test_what_declares_imports_feast(tmp_path: Path, text: str, does: bool) -> None:
    (tmp_path / "features.py").write_text(text)
    assert declares_features(tmp_path) is does


def test_a_project_without_features_py_declares_none(tmp_path: Path) -> None:
    assert not declares_features(tmp_path)


def test_what_is_no_python_is_said(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("def f(:\n")
    with pytest.raises(ProjectError, match=r"features.py is no Python"):
        declares_features(tmp_path)
