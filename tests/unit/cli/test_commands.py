"""What a command that waits for an execution ends with, as a script sees it: its exit status and its JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli import commands, executions, main
from cli import stack as stacks
from cli.local_aws import LocalAws
from cli.stack import Stack

ENDS = [
    ("Deployed", 0),
    ("Appended", 0),
    ("Predicted", 0),
    ("GateRejected", 3),
    ("RolledBack", 4),
    ("ApprovalRejected", 5),
    ("ApprovalExpired", 6),
    ("Failed", 1),
]
ARN = "arn:aws:states:us-east-1:123456789012:execution:training:bank"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, and a stack whose executions and local AWS are not there."""
    stack = Stack({}, {})
    upload = executions.Upload("uploads", "incoming/training/bank.csv", "1")
    monkeypatch.setattr(stacks, "current", lambda _name: stack)
    monkeypatch.setattr(stacks, "deploy", lambda _project, _local, *, wake: stack)
    monkeypatch.setattr(LocalAws, "stop", lambda _self: None)
    monkeypatch.setattr(executions, "upload", lambda _stack, _file, *_: upload)
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
    for text in ("0 Deployed", "0 Appended", "3 GateRejected", "4 RolledBack", "1 Failed"):
        assert text in told


class Client:
    """An S3 that takes what is put, and an STS."""

    def __init__(self) -> None:
        self.put: list[str] = []

    def put_object(self, **request: Any) -> dict[str, str]:
        assert (request["Bucket"], request["Body"].read()) == ("uploads", b"id,at\n1,2026-01-01\n")
        assert request["Metadata"] == {"sluice-by": "arn:aws:iam::1:user/ada"}
        self.put.append(request["Key"])
        return {"VersionId": "1"}

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": "arn:aws:iam::1:user/ada"}


@pytest.mark.parametrize(
    ("arguments", "key", "machine"),
    [
        ([], "incoming/training/today.csv", "training"),
        (["--events"], "incoming/events/today.csv", "events"),
        (["--key", "incoming/events/2026/a.csv"], "incoming/events/2026/a.csv", "events"),
        (["--key", "incoming/training/a.csv"], "incoming/training/a.csv", "training"),
        (["--key", "incoming/batch/a.csv"], "incoming/batch/a.csv", "batch"),
    ],
)
def test_events_go_to_a_place_and_a_machine_of_their_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    key: str,
    machine: str,
) -> None:
    s3 = Client()
    arns = {
        f"{name}Arn": f"arn:aws:states:x:1:stateMachine:{name.lower()}"
        for name in ("Training", "Events", "Batch")
    }
    monkeypatch.setattr(stacks, "current", lambda _name: Stack({"UploadsBucketName": "uploads", **arns}, {}))
    monkeypatch.setattr(Stack, "client", lambda _self, _service: s3)
    file = tmp_path / "today.csv"
    file.write_text("id,at\n1,2026-01-01\n")

    assert main.main(["upload", str(file), *arguments]) == 0

    assert s3.put == [key]
    assert f"arn:aws:states:x:1:execution:{machine}:" in capsys.readouterr().err


def test_a_key_and_events_are_two_ways_to_say_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["upload", "a.csv", "--events", "--key", "incoming/training/a.csv"])
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_what_is_worth_knowing_of_the_data_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    note = "3 of its rows have the key and time of rows that were there, and take their place."
    monkeypatch.setattr(
        executions, "follow", lambda _stack, _arn: {"outcome": "Appended", "notes": [note], "reasons": []}
    )
    main.main(["upload", "bank.csv", "--wait"])
    assert f"  - {note}" in capsys.readouterr().err.splitlines()


def test_a_run_that_nobody_could_approve_does_not_begin(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asking = tmp_path / "asking"
    shutil.copytree(project, asking)
    toml = asking / "project.toml"
    toml.write_text(toml.read_text() + '\n[approval]\nenvironments = ["local", "prod"]\n')

    status = main.main(["run", str(asking), "--data", str(tmp_path / "bank.csv")])

    told = capsys.readouterr().err
    assert status == 1
    assert "nobody can approve a model of this run" in told
    assert str(toml) in told
    assert "sluice up" in told
