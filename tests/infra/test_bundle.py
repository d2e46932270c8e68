from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from infra import bundle, uv
from infra.build import whole_file, whole_folder
from infra.functions import FUNCTIONS, FunctionSpec

MB = 1024 * 1024


def names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.fixture
def validation(for_aws: dict[str, Path]) -> Path:
    """A bundle that holds pyarrow."""
    return for_aws["ValidateDataset"]


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_each_fits_into_lambda(for_aws: dict[str, Path], spec: FunctionSpec) -> None:
    with zipfile.ZipFile(for_aws[spec.name]) as archive:
        assert 0 < sum(entry.file_size for entry in archive.infolist()) <= 250 * MB


def test_each_holds_our_code_the_project_and_its_own_wheels(
    for_aws: dict[str, Path], project_folder: Path
) -> None:
    for path in for_aws.values():
        assert {
            "sluice/errors.py",
            "lambdas/__init__.py",
            "boto3/__init__.py",
            "pydantic/__init__.py",
        } <= names(path)
        with zipfile.ZipFile(path) as archive:
            assert archive.read("project/project.toml") == (project_folder / "project.toml").read_bytes()
    arrow, jinja = "pyarrow/lib.cpython-313-x86_64-linux-gnu.so", "jinja2/__init__.py"
    holds = {name: (arrow in names(path), jinja in names(path)) for name, path in for_aws.items()}
    assert holds == {
        "ValidateDataset": (True, False),
        "DecideGate": (False, False),
        "ReportOutcome": (False, True),
        "RequestApproval": (False, True),
        "OpenRun": (False, False),
        "RegisterModel": (False, False),
        "VerifyModel": (False, False),
        "MoveAlias": (False, False),
        "PlanMaterialization": (True, False),
        "MaterializeView": (True, False),
        "PrepareBatch": (True, False),
        "JoinPredictions": (True, False),
        "MeasureSkew": (True, False),
        "PlanDrift": (False, False),
        "CountCaptures": (True, False),
        "JudgeDrift": (True, True),
        "ReportEnding": (False, True),
        "AnswerRequest": (False, False),
    }


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_none_holds_what_only_the_command_line_needs(for_aws: dict[str, Path], spec: FunctionSpec) -> None:
    packages = {"/".join(name.split("/")[:2]) for name in names(for_aws[spec.name])}
    assert "sluice/payloads" in packages
    assert "sluice/drafting" not in packages
    assert "sluice/costing" not in packages


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_the_wheels_are_those_of_the_lock(for_aws: dict[str, Path], spec: FunctionSpec) -> None:
    locked = dict(
        line.split(" ")[0].split("==")
        for line in uv.export(spec.dependency_group, hashes=False).splitlines()
        if "==" in line
    )
    versions = {
        name.split("-")[0].replace("_", "-").lower(): name.split("-")[1].removesuffix(".dist")
        for name in {each.split("/")[0] for each in names(for_aws[spec.name])}
        if name.endswith(".dist-info")
    }
    assert versions == locked


def test_what_no_handler_needs_is_left_out(validation: Path) -> None:
    found = names(validation)
    assert not [name for name in found if "__pycache__" in name or name.startswith("bin/")]
    assert not [name for name in found if name.startswith(("pyarrow/include/", "pyarrow/tests/"))]
    assert len([name for name in found if name.startswith("pyarrow/libarrow_python.so")]) == 1


def test_no_library_that_was_left_out_is_asked_for(validation: Path) -> None:
    """A library names those it loads in its own bytes, so this needs no Linux to look."""
    with zipfile.ZipFile(validation) as archive:
        libraries = [name for name in archive.namelist() if ".so" in name]
        asked = {
            wanted.decode()
            for name in libraries
            for wanted in re.findall(rb"\0(lib(?:arrow|parquet)\w*\.so\.\d+)\0", archive.read(name))
        }
    assert asked
    assert asked <= {name.rsplit("/", 1)[-1] for name in libraries}


def test_the_local_bundle_is_the_same_without_the_wheels(validation: Path, project_folder: Path) -> None:
    local = names(bundle.build(project_folder, group=None))
    assert local == {
        name for name in names(validation) if name.startswith(("sluice/", "lambdas/", "project/"))
    }


def test_the_same_content_has_the_same_bytes(project_folder: Path, tmp_path: Path) -> None:
    first = bundle.build(project_folder, group=None, build_dir=tmp_path / "a")
    copied = shutil.copytree(project_folder, tmp_path / "elsewhere")
    os.utime(copied / "project.toml", (0, 0))
    second = bundle.build(copied, group=None, build_dir=tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_a_change_is_another_bundle(project_folder: Path, tmp_path: Path) -> None:
    first = bundle.build(project_folder, group=None, build_dir=tmp_path)
    copied = shutil.copytree(project_folder, tmp_path / "changed")
    (copied / "project.toml").write_text((copied / "project.toml").read_text() + "# a comment\n")
    assert bundle.build(copied, group=None, build_dir=tmp_path) != first


def test_too_large_a_bundle_is_refused(
    project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "UNZIPPED_LIMIT", 1000)
    with pytest.raises(bundle.BundleError, match="Lambda allows 250 MB"):
        bundle.build(project_folder, group=None, build_dir=tmp_path)


def test_without_uv_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(uv, "ROOT", tmp_path)
    with pytest.raises(uv.UvError, match="make setup"):
        uv.find()


def _write_half(whole: Callable[[Path], AbstractContextManager[Path]], target: Path) -> None:
    with whole(target) as made:
        (made / "part" if made.is_dir() else made).write_text("half")
        raise RuntimeError


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_what_fails_halfway_is_not_there(
    whole: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError):
        _write_half(whole, tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_whoever_is_second_keeps_what_the_first_made(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "made") as second:
        (second / "file").write_text("the same")
        with whole_folder(tmp_path / "made") as first:
            (first / "file").write_text("the same")
    assert (tmp_path / "made" / "file").read_text() == "the same"


def _python313() -> str | None:
    found = shutil.which("python3.13")
    if found is None:
        return None
    works = subprocess.run([found, "--version"], capture_output=True, check=False)
    return found if works.returncode == 0 else None


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_every_handler_imports_from_its_own_bundle_alone(
    for_aws: dict[str, Path], spec: FunctionSpec, tmp_path: Path
) -> None:
    python = _python313()
    if python is None or os.uname().sysname != "Linux" or os.uname().machine != "x86_64":
        pytest.skip("needs python3.13 on PATH, on Linux x86_64: the wheels are for Lambda's platform")
    with zipfile.ZipFile(for_aws[spec.name]) as archive:
        archive.extractall(tmp_path)
    code = f"import lambdas.{spec.module}, pydantic, boto3"
    # -I: no site-packages of the user's, no PYTHONPATH. What is not in the bundle is not there.
    finished = subprocess.run(
        [python, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert finished.returncode == 0, finished.stderr
