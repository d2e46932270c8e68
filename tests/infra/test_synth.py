from __future__ import annotations

import filecmp
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.build import ROOT
from tests.infra.synthesized import Stacks, plain


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
    name = f"sluice-{Path(project).name}-{environment}"
    assert {f"{name}.template.json", f"{name}-data.template.json"} <= first.keys()


def test_no_template_names_an_account_a_region_or_a_folder_of_this_machine(tmp_path: Path) -> None:
    finished = run_app(tmp_path / "out", project="examples/telco", environment="local")
    assert finished.returncode == 0, finished.stderr
    for stack in ("sluice-telco-local", "sluice-telco-local-data"):
        template = (tmp_path / "out" / f"{stack}.template.json").read_text()
        for private in (str(ROOT), str(Path.home()), "123456789012", "us-east-1", "aws:cdk:path", "arn:aws:"):
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


def test_no_name_is_without_its_environment(prod: Stacks) -> None:
    """What is called by name in an account says which project and environment it is of."""
    named = {
        "StateMachineName",
        "FunctionName",
        "LogGroupName",
        "DashboardName",
        "RoleName",
        "TableName",
        "BucketName",
        "TopicName",
        "QueueName",
        "AlarmName",
        "Name",
    }
    found = []
    for stack in prod.both:
        assert re.fullmatch("sluice-bank-prod(-data)?", stack.stack.stack_name)
        for logical_id, resource in stack.template["Resources"].items():
            for key in named & resource.get("Properties", {}).keys():
                # A version, and a permission, say by reference which function they are of.
                if resource["Type"] not in {"AWS::Lambda::Version", "AWS::Lambda::Permission"}:
                    found.append((logical_id, plain(resource["Properties"][key])))
    assert len(found) >= 10
    assert [each for each in found if "sluice-bank-prod" not in each[1]] == []
