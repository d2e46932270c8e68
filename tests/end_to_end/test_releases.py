"""Models that wait for somebody's word, and two that are ready at once, through Step Functions on the local AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli import executions, main
from sluice import keys, naming
from sluice.payloads.documents import Report
from tests.support.bank import Bank, bank_rows, write_csv, write_project
from tests.support.local_aws import wait_until

APPROVAL = '\n[approval]\nenvironments = ["local"]\n'
# Any first model will do: how good a later one has to be, the champion decides.
GATES = "minimum = { roc_auc = 0.7 }", "minimum = { roc_auc = 0.0 }"
Sluice = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def house(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A project that asks before a model serves, and wants a gain that is shown."""
    work = tmp_path_factory.mktemp("house")
    write_project(work / "project", name="house", lenient=False)
    toml = work / "project" / "project.toml"
    toml.write_text(toml.read_text().replace(*GATES) + APPROVAL)
    return bank.beside(work / "project", work)


@pytest.fixture
def sluice(house: Bank, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sluice:
    """The command line, as somebody types it where this stack runs."""
    monkeypatch.setattr("cli.stack.current", lambda _name: house.stack)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main.main(list(arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


class Trained:
    """An execution that was started, as its own services tell of it."""

    def __init__(self, house: Bank, folder: Path, name: str, **rows: Any) -> None:
        self.house = house
        file = write_csv(folder / f"{name}.csv", bank_rows(600, **rows))
        self.arn = executions.execution_arn(house.stack, executions.upload(house.stack, file))
        self.model = naming.job("house", "local", self.arn)

    @property
    def execution(self) -> str:
        return self.arn.rsplit(":", 1)[-1]

    @property
    def _states(self) -> Any:
        return self.house.stack.client("stepfunctions")

    def entered(self, arn: str | None = None) -> list[str]:
        states = self._states
        try:
            pages = states.get_paginator("get_execution_history").paginate(executionArn=arn or self.arn)
            return [
                event["stateEnteredEventDetails"]["name"]
                for page in pages
                for event in page["events"]
                if "stateEnteredEventDetails" in event
            ]
        except states.exceptions.ExecutionDoesNotExist:
            return []

    def deployment(self, judgement: int = 1) -> str:
        machine = self.house.stack.outputs["DeploymentArn"].replace(":stateMachine:", ":execution:")
        return f"{machine}:{self.model}{'' if judgement == 1 else f'-{judgement}'}"

    def asks(self, judgement: int = 1) -> dict[str, Any]:
        """Wait until it asks to be approved; give what is written down of that."""
        again = "" if judgement == 1 else f"-{judgement}"
        wait_until(
            lambda: item(self.house, f"approval#{self.model}{again}") or self._status() != "RUNNING",
            seconds=120,
        )
        found = item(self.house, f"approval#{self.model}{again}")
        assert found is not None, self.ends()
        return found

    def _status(self) -> str:
        states = self._states
        try:
            status: str = states.describe_execution(executionArn=self.arn)["status"]
        except states.exceptions.ExecutionDoesNotExist:
            return "RUNNING"
        return status

    def ends(self) -> dict[str, Any]:
        return executions.follow(self.house.stack, self.arn)

    def report(self) -> Report:
        s3, bucket = self.house.stack.client("s3"), self.house.stack.outputs["ArtifactsBucketName"]
        body = s3.get_object(Bucket=bucket, Key=keys.report(self.execution))["Body"].read()
        return Report.model_validate_json(body)

    def page(self) -> str:
        s3, bucket = self.house.stack.client("s3"), self.house.stack.outputs["ArtifactsBucketName"]
        text: str = s3.get_object(Bucket=bucket, Key=keys.page(self.execution))["Body"].read().decode()
        return text


def item(house: Bank, name: str) -> dict[str, Any] | None:
    key = {"endpoint_name": {"S": house.stack.outputs["EndpointName"]}, "item": {"S": name}}
    found: dict[str, Any] | None = (
        house.stack.client("dynamodb")
        .get_item(TableName=house.stack.outputs["ReleasesTableName"], Key=key, ConsistentRead=True)
        .get("Item")
    )
    return found


def released(house: Bank) -> str | None:
    found = item(house, "release")
    return None if found is None else found["model_name"]["S"]


def hold_lock(house: Bank, by: str) -> None:
    house.stack.client("dynamodb").put_item(
        TableName=house.stack.outputs["ReleasesTableName"],
        Item={
            "endpoint_name": {"S": house.stack.outputs["EndpointName"]},
            "item": {"S": "lock"},
            "held_by": {"S": by},
            "expires_at": {"N": str(int(time.time()) + 600)},
        },
    )


@contextmanager
def seconds_to_answer(house: Bank, seconds: int) -> Iterator[None]:
    """Let approvals of executions that begin now expire sooner than a project.toml can say."""
    states, arn = house.stack.client("stepfunctions"), house.stack.outputs["TrainingArn"]
    definition = states.describe_state_machine(stateMachineArn=arn)["definition"]
    week = '\\"expires_seconds\\": 604800'
    assert week in definition
    sooner = definition.replace(week, week.replace("604800", str(seconds)))
    states.update_state_machine(stateMachineArn=arn, definition=sooner)
    try:
        yield
    finally:
        states.update_state_machine(stateMachineArn=arn, definition=definition)


def test_a_model_that_waits_is_listed_told_of_and_rejected(
    house: Bank, sluice: Sluice, tmp_path: Path
) -> None:
    trained = Trained(house, tmp_path, "rejected", seed=31)
    token = trained.asks()["task_token"]["S"]
    assert house.endpoint_config() is None

    # The token is written down before people are told.
    wait_until(lambda: house.notifications(trained.arn))
    [message] = house.notifications(trained.arn)
    assert message["Subject"].startswith("Sluice house: AwaitingApproval")
    assert message["MessageAttributes"]["outcome"]["Value"] == "AwaitingApproval"
    for verb in ("approve", "reject"):
        assert (
            f'sluice {verb} {trained.model} --stack sluice-house-local --reason "why"' in message["Message"]
        )
    assert keys.page(trained.execution) in message["Message"]
    assert "waits for approval" in trained.page()
    assert trained.report().outcome is None
    status, _, listed = sluice("approvals")
    assert status == 0
    for part in (trained.model, "waits", "✓ Judged on", f"sluice approve {trained.model}"):
        assert part in listed
    [asked] = json.loads(sluice("approvals", "--json")[1])
    assert (asked["standing"], asked["answer"]) == ("waits", None)
    status, _, told = sluice("approve", "another", "--reason", "why")
    assert (status, "UnknownApproval" in told, trained.model in told) == (1, True, True)

    status, _, told = sluice("reject", trained.model[:-6], "--reason", "not on a Friday")
    assert status == 0, told
    summary = trained.ends()

    assert summary["outcome"] == "ApprovalRejected", summary
    caller = house.stack.client("sts").get_caller_identity()["Arn"]
    approval = trained.report().approval
    assert approval is not None
    assert (approval.decision, approval.by, approval.reason) == ("rejected", caller, "not on a Friday")
    assert "not approved" in trained.page()
    assert (released(house), house.endpoint_config()) == (None, None)
    status, _, told = sluice("approve", trained.model, "--reason", "yet")
    assert (status, "AnsweredAlready" in told, f"Rejected by {caller}" in told) == (1, True, True)
    listed = sluice("approvals")[2] + sluice("approvals", "--json")[1]
    assert f"Rejected by {caller}" in listed
    everything = [listed, trained.page(), trained.report().model_dump_json(), json.dumps(summary)]
    everything += [json.dumps(each) for each in house.notifications(trained.arn)]
    assert not [text for text in everything if token in text]


def test_nobody_answers(house: Bank, sluice: Sluice, tmp_path: Path) -> None:
    with seconds_to_answer(house, 2):
        trained = Trained(house, tmp_path, "expired", seed=32)
        trained.asks()
        summary = trained.ends()

    assert summary["outcome"] == "ApprovalExpired", summary
    assert "approval expired" in trained.page()
    assert (released(house), house.endpoint_config()) == (None, None)
    status, _, told = sluice("approve", trained.model, "--reason", "at last")
    assert (status, "TooLate" in told, "the time to answer is over" in told) == (1, True, True)
    assert "nobody answered" in sluice("approvals")[2]


def test_the_execution_that_asked_was_stopped(house: Bank, sluice: Sluice, tmp_path: Path) -> None:
    trained = Trained(house, tmp_path, "stopped", seed=33)
    trained.asks()
    house.stack.client("stepfunctions").stop_execution(executionArn=trained.arn)

    status, _, told = sluice("approve", trained.model, "--reason", "good")
    assert (status, "TooLate" in told, "ABORTED" in told) == (1, True, True)
    assert "its execution ended" in sluice("approvals")[2]


def test_an_archive_that_was_written_over_while_it_waited_is_not_deployed(
    house: Bank, sluice: Sluice, tmp_path: Path
) -> None:
    trained = Trained(house, tmp_path, "tampered", seed=34)
    trained.asks()
    bucket, key = house.stack.outputs["ArtifactsBucketName"], keys.model(trained.model)
    house.stack.client("s3").put_object(Bucket=bucket, Key=key, Body=b"another model")

    assert sluice("approve", trained.model, "--reason", "good")[0] == 0
    summary = trained.ends()

    assert (summary["outcome"], summary["error"]) == ("Failed", "ArchiveChanged"), summary
    assert f"s3://{bucket}/{key}" in summary["cause"]
    assert "to do" in summary["cause"]
    assert (released(house), house.endpoint_config()) == (None, None)
    assert item(house, "lock") is None


def test_of_two_that_are_ready_at_once_the_better_one_serves(
    house: Bank, sluice: Sluice, tmp_path: Path
) -> None:
    """Both are judged where there is no champion, both are approved, and both stand before the lock."""
    worse = Trained(house, tmp_path, "worse", seed=21, noise=0.9)
    better = Trained(house, tmp_path, "better", seed=22)
    for each in (worse, better):
        assert each.asks()["judged_champion"] == {"NULL": True}
    hold_lock(house, "somebody")
    for each in (worse, better):
        assert sluice("approve", each.model, "--reason", "try it")[0] == 0
        wait_until(lambda each=each: "AcquireLock" in each.entered(each.deployment()))  # type: ignore[misc]

    # The worse one comes first.
    hold_lock(house, worse.deployment())
    summary = worse.ends()
    assert summary["outcome"] == "Deployed", summary
    assert released(house) == house.endpoint_config() == worse.model

    # The better one was approved as a first model. Now there is a champion: it is judged, and asks, again.
    asked = better.asks(2)
    assert asked["judged_champion"] == {"S": worse.model}
    assert "CreateEndpointConfig" not in better.entered(better.deployment())
    assert released(house) == house.endpoint_config() == worse.model
    assert sluice("approve", better.model, "--reason", "better than that")[0] == 0
    summary = better.ends()
    assert summary["outcome"] == "Deployed", summary
    assert summary["champion_metrics"]
    assert released(house) == house.endpoint_config() == better.model
    assert better.entered().count("TrainModel") == 1
    report = better.report()
    assert report.judgement == 2
    assert any("judged 2 times" in reason for reason in report.reasons)


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        # What the champion of the test before was trained on: the same model, bit for bit.
        ("again", {"seed": 22}, "do not differ"),
        ("crippled", {"seed": 23, "noise": 1.0}, "roc_auc"),
    ],
)
def test_neither_the_same_rows_again_nor_a_crippled_model_takes_the_champions_place(
    house: Bank, tmp_path: Path, name: str, rows: dict[str, Any], said: str
) -> None:
    champion = released(house)
    assert champion is not None
    trained = Trained(house, tmp_path, name, **rows)
    summary = trained.ends()

    assert summary["outcome"] == "GateRejected", summary
    assert any(said in reason for reason in summary["reasons"]), summary["reasons"]
    assert item(house, f"approval#{trained.model}") is None
    assert released(house) == house.endpoint_config() == champion
    registered, version = summary["model_version"].split()
    kept = house.mlflow(f"model-versions/get?name={registered}&version={version}")["model_version"]
    tags = {each["key"]: each["value"] for each in kept["tags"]}
    assert (tags["verdict"], tags["stage"]) == ("rejected", "experimental")
    alias = house.mlflow(f"registered-models/alias?name={registered}&alias=champion")["model_version"]
    assert {each["key"]: each["value"] for each in alias["tags"]}["model_name"] == champion
