"""The contracts of import-linter hold, and bite: for each rule of the house an import that breaks it is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sluice", "cli", "local", "lambdas", "containers", "infra")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the rooms' Python files, to break a rule in."""
    for room in ROOMS:
        for source in (ROOT / room).rglob("*.py"):
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def lint(house: Path) -> tuple[int, str]:
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(cache_dir=None))"
    # With -P the repository's own rooms are not found before those of the copy.
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(house)!r}); {script}"],
        cwd=house,
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.returncode, " ".join((finished.stdout + finished.stderr).split())


def test_the_house_keeps_its_rules(house: Path) -> None:
    status, text = lint(house)

    assert status == 0, text
    assert "0 broken" in text


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("sluice/naming.py", "import lambdas.settings", "side by side"),
        ("lambdas/decide_gate.py", "import containers.failure", "side by side"),
        ("infra/config.py", "import local.server", "side by side"),
        ("sluice/errors.py", "import sluice.project", "inside the domain"),
        ("sluice/datasets/header.py", "import sluice.judging.gates", "inside the domain"),
        ("sluice/datasets/header.py", "import sluice.reporting.page", "inside the domain"),
        ("sluice/batch/given.py", "import sluice.reporting.page", "inside the domain"),
        ("containers/process/score.py", "import containers.compiled.store", "no compiler of models"),
        ("sluice/datasets/header.py", "import sluice.batch.given", "inside the domain"),
        ("sluice/judging/gates.py", "import sluice.drafting.draft", "inside the domain"),
        ("sluice/payloads/base.py", "import sluice.datasets.header", "inside the domain"),
        ("sluice/reporting/page.py", "import sluice.reporting.outcome", "stand in no circle"),
        ("lambdas/decide_gate.py", "import sluice.drafting.draft", "only the command line drafts"),
        ("containers/paths.py", "import sluice.drafting.toml", "only the command line drafts"),
        ("lambdas/decide_gate.py", "import sluice.reproducing.rows", "only the command line compares"),
        ("lambdas/decide_gate.py", "import sluice.costing.prices", "only the command line adds up bills"),
        ("sluice/reproducing/rows.py", "import sluice.judging.gates", "inside the domain"),
        ("sluice/keys.py", "import boto3", "knows no AWS"),
        ("containers/train/training.py", "import containers.serve.app", "images are apart"),
        ("local/server.py", "import sluice.errors", "knows nothing of ours"),
        ("containers/paths.py", "import lightgbm", "boosters"),
        ("cli/main.py", "import aws_cdk", "only infra knows CDK"),
        ("lambdas/decide_gate.py", "import moto", "only local knows moto"),
        ("sluice/surprise.py", "", "inside the domain"),
    ],
)
def test_an_import_that_breaks_a_rule_is_found(house: Path, file: str, line: str, broken: str) -> None:
    path = house / file
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")

    status, text = lint(house)

    assert status == 1, text
    assert broken in text
    assert "1 broken" in text or "2 broken" in text
