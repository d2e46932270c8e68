"""local/README.md names what there is."""

from __future__ import annotations

import re

from tests.support.local_aws import ROOT

TEXT = (ROOT / "local" / "README.md").read_text()


def test_every_test_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:tests/)?[\w/]*test_\w+\.py)`", TEXT))
    assert len(named) > 12
    missing = [
        name for name in named if not (ROOT / name).exists() and not (ROOT / "tests/local" / name).exists()
    ]
    assert missing == []


def test_every_module_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:\w+/)?\w+(?:/|\.py))`", TEXT)) - set(re.findall(r"`(test_\w+\.py)`", TEXT))
    missing = [name for name in named if not list((ROOT / "local").rglob(name.removesuffix("/")))]
    assert missing == []


def test_every_test_of_the_room_is_named() -> None:
    own = {path.name for path in (ROOT / "tests" / "local").glob("test_*.py")} - {"test_readme.py"}
    assert [name for name in sorted(own) if name not in TEXT] == []
