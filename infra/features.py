"""The feature plan of a project at synth, and Feast's registry: compiled where Feast is, kept by their sources."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from infra.build import ROOT, whole_file
from sluice.errors import ProjectError, SluiceError
from sluice.features.plan import FeaturePlan
from sluice.features.source import declares_features
from sluice.project import Project

PYTHON = ROOT / ".venv-features" / "bin" / "python"


class PlanError(SluiceError):
    """The plan cannot be made here."""


def feature_plan(project_folder: Path, build_dir: Path = ROOT / "build") -> FeaturePlan | None:
    """Give what features.py declares; None where it declares nothing in Feast's objects. Raises as `plan_file`."""
    file = plan_file(project_folder, build_dir)
    return None if file is None else FeaturePlan.model_validate_json(file.read_text())


def check_gates(project: Project, plan: FeaturePlan | None, project_folder: Path) -> None:
    """Refuse a gate that would never be looked at.

    Raises:
        ProjectError: project.toml bounds the skew, and there is no online store that could be skewed.
    """
    if plan is None and "max_skew" in project.gates.model_fields_set:
        raise ProjectError(
            "gates.max_skew is about the online store, and this project has none",
            where=str(project_folder / "project.toml"),
            why="its features.py declares no features in Feast's objects",
            fix="take max_skew out, or declare features: docs/features.md",
        )


def plan_file(project_folder: Path, build_dir: Path = ROOT / "build") -> Path | None:
    """Compile the definitions of features.py into a file; None where it declares none in Feast's objects.

    Raises:
        ProjectError: what features.py defines cannot be used.
        PlanError: there is no environment with Feast.
    """
    if not declares_features(project_folder):
        return None
    kept = build_dir / "plans" / f"{_digest(project_folder)}.json"
    if not kept.is_file():
        _keep(kept, _compile(project_folder))
    return kept


def registry_file(project_folder: Path, store: str, build_dir: Path = ROOT / "build") -> Path | None:
    """Compile the definitions into Feast's registry, where Feast's project is `store`; None where there are none.

    One start of Feast makes the plan as well. Raises as `plan_file`.
    """
    if not declares_features(project_folder):
        return None
    digest = _digest(project_folder)
    kept = build_dir / "plans" / f"{digest}-{store}.db"
    if not kept.is_file():
        with whole_file(kept) as file:
            plan = _compile(project_folder, store, str(file))
        _keep(build_dir / "plans" / f"{digest}.json", plan)
    return kept


def _keep(kept: Path, plan: str) -> None:
    with whole_file(kept) as file:
        file.write_text(plan)


def _digest(project_folder: Path) -> str:
    """Hash all that a plan depends on: the project's code, and ours that reads it."""
    digest = hashlib.sha256()
    for root, file in _sources(project_folder):
        digest.update(f"{file.relative_to(root).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _sources(project_folder: Path) -> Iterator[tuple[Path, Path]]:
    theirs = [project_folder / "project.toml", *project_folder.rglob("*.py")]
    ours = [
        *(ROOT / "sluice").glob("*.py"),
        *(ROOT / "sluice" / "features").glob("*.py"),
        *(ROOT / "containers" / "features").glob("*.py"),
        ROOT / "containers" / "features" / "requirements.txt",
    ]
    for root, files in ((project_folder, theirs), (ROOT, ours)):
        yield from ((root, file) for file in sorted(files))


def _compile(project_folder: Path, *registry: str) -> str:
    """Give the plan as JSON; `registry` is Feast's project, and the file that its registry is written to."""
    if shutil.which(str(PYTHON)) is None:
        raise PlanError(
            "the environment with Feast is not there",
            where=str(PYTHON),
            why="features.py defines its features in Feast's objects",
            fix="run `make setup`",
        )
    done = subprocess.run(
        [str(PYTHON), "-m", "containers.features", "plan", str(project_folder.resolve()), *registry],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ProjectError(
            "features.py cannot become a feature plan",
            where=str(project_folder),
            why="\n" + done.stderr.strip()[-3000:],
            fix="docs/features.md says what can be defined",
        )
    # What a user's module prints comes before it.
    made: str = done.stdout.strip().splitlines()[-1]
    json.loads(made)
    return made
