"""What a command that waits for an execution ends with, as a script sees it: its exit status and its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import commands, executions, main
from cli import stack as stacks
from cli.local_aws import LocalAws
from cli.stack import Stack

ENDS = [("Deployed", 0), ("GateRejected", 3), ("RolledBack", 4), ("Failed", 1)]
ARN = "arn:aws:states:us-east-1:123456789012:execution:training:bank"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, and a stack whose executions and local AWS are not there."""
    stack = Stack({}, {})
    upload = executions.Upload("uploads", "incoming/training/bank.csv", "1")
    monkeypatch.setattr(stacks, "current", lambda _name: stack)
    monkeypatch.setattr(stacks, "deploy", lambda _project, _local: stack)
    monkeypatch.setattr(LocalAws, "stop", lambda _self: None)
    monkeypatch.setattr(executions, "upload", lambda _stack, _file, _key=None: upload)
    monkeypatch.setattr(executions, "execution_arn", lambda _stack, _upload: ARN)
    monkeypatch.setattr(commands, "_predict_held_out", lambda _stack, _summary: [{"prediction": "yes"}])
    monkeypatch.setenv("SLUICE_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bank.csv").write_text("age,y\n1,yes\n")
    return Path(__file__).parents[3] / "examples" / "telco"


def ends_with(monkeypatch: pytest.MonkeyPatch, outcome: str) -> None:
    summary: dict[str, Any] = {"outcome": outcome, "execution_arn": ARN}
    if outcome == "Failed":
        summary |= {"error": "TooFewRows", "cause": "there are 3"}
    monkeypatch.setattr(executions, "follow", lambda _stack, _arn: summary)


@pytest.mark.parametrize(("outcome", "status"), ENDS)
def test_run_ends_with_the_status_of_the_outcome(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: str,
    status: int,
) -> None:
    ends_with(monkeypatch, outcome)

    assert main.main(["run", str(project), "--data", "bank.csv", "--json"]) == status

    told = json.loads(capsys.readouterr().out)
    assert told["outcome"] == outcome
    # Only what was deployed can be asked.
    assert ("predictions" in told) == (outcome == "Deployed")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("outcome", "status"), ENDS)
def test_upload_ends_with_it_where_it_waits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outcome: str, status: int
) -> None:
    ends_with(monkeypatch, outcome)

    assert main.main(["upload", "bank.csv", "--wait"]) == status
    assert outcome in capsys.readouterr().err.splitlines()

    assert main.main(["upload", "bank.csv"]) == 0


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("outcome", "status"), ENDS)
def test_demo_ends_with_it(monkeypatch: pytest.MonkeyPatch, outcome: str, status: int) -> None:
    ends_with(monkeypatch, outcome)
    monkeypatch.setattr("cli.commands.subprocess.run", lambda _argv, **_options: None)

    assert main.main(["demo"]) == status


@pytest.mark.parametrize("command", ["run", "upload", "demo"])
def test_help_lists_the_statuses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main([command, "--help"])

    told = " ".join(capsys.readouterr().out.split())
    for text in ("0 Deployed", "3 GateRejected", "4 RolledBack", "1 Failed"):
        assert text in told
