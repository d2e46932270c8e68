from __future__ import annotations

import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.build import ROOT


def run_app(outdir: Path, **context: str) -> subprocess.CompletedProcess[str]:
    """Run the app as the CDK CLI does, with no credentials, no Docker, and a network that answers nothing."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(outdir.parent),
        "UV": os.environ.get("UV", ""),
        "UV_OFFLINE": "1",
        "CDK_DOCKER": "/nowhere/docker",
        "CDK_OUTDIR": str(outdir),
        "CDK_CONTEXT_JSON": json.dumps(context),
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9"),
    }
    return subprocess.run(
        [sys.executable, "-m", "infra.app"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def tree(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("project", "environment"), [("examples/telco", "prod"), ("examples/churn", "local")]
)
@pytest.mark.usefixtures("for_aws")  # the wheels are here, as after `make setup`
def test_twice_is_the_same_byte_for_byte_offline(project: str, environment: str, tmp_path: Path) -> None:
    outputs = []
    for name in ("first", "second"):
        finished = run_app(tmp_path / name, project=project, environment=environment)
        assert finished.returncode == 0, finished.stderr
        outputs.append(tree(tmp_path / name))
    first, second = outputs
    assert first.keys() == second.keys()
    assert [path for path in first if not filecmp.cmp(first[path], second[path], shallow=False)] == []


def test_the_template_names_no_account_no_region_and_no_folder_of_this_machine(tmp_path: Path) -> None:
    finished = run_app(tmp_path / "out", project="examples/telco", environment="local")
    assert finished.returncode == 0, finished.stderr
    template = (tmp_path / "out" / "sluice-telco-local.template.json").read_text()
    for private in (str(ROOT), str(Path.home()), "123456789012", "us-east-1", "aws:cdk:path"):
        assert private not in template


def test_a_mistake_is_told_without_a_traceback(tmp_path: Path) -> None:
    finished = run_app(tmp_path / "out", project="examples/nothing", environment="local")
    assert finished.returncode == 1
    assert "'project'" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_the_cli_runs_the_app_in_its_own_environment() -> None:
    settings = json.loads((ROOT / "cdk.json").read_text())
    assert settings["app"] == ".venv-infra/bin/python -m infra.app"
    assert settings["versionReporting"] is False
    assert settings["pathMetadata"] is False
