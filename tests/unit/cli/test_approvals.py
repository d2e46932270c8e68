"""sluice approvals, approve, reject: what DynamoDB holds, what Step Functions is told, and what a person reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from cli import approving, main, stack
from sluice.release.approvals import Approval

ENDPOINT, TABLE = "sluice-bank-prod", "releases"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:sluice-bank-prod-training:bank-csv-1"
ADA = "arn:aws:sts::123456789012:assumed-role/lead/ada"
POLICY = "arn:aws:iam::123456789012:policy/sluice-bank-prod-approvers"
TOKEN = "AAAAKgAAAAIAAA-the-token"
Run = Callable[..., tuple[int, str, str]]


class States:
    """Step Functions, as far as it is asked: which status executions have, and what was sent by which token."""

    def __init__(self) -> None:
        self.status = "RUNNING"
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.fails: list[Exception] = []

    def describe_execution(self, **_: Any) -> dict[str, Any]:
        return {"status": self.status}

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803 - AWS's name
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append((taskToken, json.loads(output)))


class Sts:
    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": ADA}


class Denying:
    """A service that allows nothing."""

    def __init__(self, code: str = "AccessDeniedException") -> None:
        self._code = code

    def __getattr__(self, operation: str) -> Any:
        def denied(*_: Any, **__: Any) -> Any:
            raise refusal(self._code, "User: ada is not authorized to perform it", operation)

        return denied


def refusal(code: str, message: str = "why", operation: str = "SendTaskSuccess") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class World:
    """A stack whose table is DynamoDB's own idea of one."""

    def __init__(self) -> None:
        self.dynamodb: Any = boto3.client("dynamodb", region_name="us-east-1")
        names = ("endpoint_name", "item")
        self.dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[
                {"AttributeName": names[0], "KeyType": "HASH"},
                {"AttributeName": names[1], "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            BillingMode="PAY_PER_REQUEST",
        )
        self.states: Any = States()
        self.denied: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        clients = {"dynamodb": self.dynamodb, "stepfunctions": self.states, "sts": Sts()}
        return self.denied.get(service, clients[service])

    def asked(
        self,
        model: str = "bank-prod-3f9a",
        judgement: int = 1,
        *,
        seconds_left: int = 3600,
        version: str | None = None,
    ) -> Approval:
        now = datetime.now(UTC)
        approval = Approval(
            endpoint_name=ENDPOINT,
            model_name=model,
            version=version,
            judgement=judgement,
            judged_champion=None if judgement == 1 else "bank-prod-77c0",
            execution_arn=EXECUTION,
            token=f"{TOKEN}-{model}-{judgement}",
            requested_at=now - timedelta(hours=1) + timedelta(seconds=judgement),
            expires_at=now + timedelta(seconds=seconds_left),
            page_uri="s3://artifacts/reports/bank-csv-1/report.html",
            rules=("roc_auc is 0.9, and at least 0.7 was asked for.",),
        )
        self.dynamodb.put_item(TableName=TABLE, Item=approval.item())
        return approval

    def item(self, approval: Approval) -> dict[str, Any]:
        found: dict[str, Any] = self.dynamodb.get_item(TableName=TABLE, Key=approval.key)["Item"]
        return found

    def set(self, approval: Approval, **attributes: str) -> None:
        typed = {name: {"S": value} for name, value in attributes.items()}
        self.dynamodb.put_item(TableName=TABLE, Item={**self.item(approval), **typed})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        made = World()
        outputs = {"ReleasesTableName": TABLE, "EndpointName": ENDPOINT, "ApproversPolicyArn": POLICY}
        deployed = stack.Stack(outputs, {}, name=ENDPOINT)
        monkeypatch.setattr(stack.Stack, "client", lambda _self, service: made.client(service))
        monkeypatch.setattr(stack, "current", lambda _name: deployed)
        yield made


@pytest.fixture
def sluice(world: World, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = main.main(list(arguments))
        told = capsys.readouterr()
        assert TOKEN not in told.out + told.err
        return status, told.out, told.err

    return run


def test_a_model_may_be_called_by_its_version(world: World, sluice: Run) -> None:
    approvals = {version: world.asked(f"bank-prod-{version}f", version=version) for version in ("3", "31")}

    status, _, told = sluice("approvals")
    assert status == 0
    assert [line.split()[1] for line in told.splitlines() if line.split()[:1] == ["bank-prod-31f"]] == ["v31"]
    assert sluice("approve", "v3", "--reason", "as agreed")[0] == 0
    assert [token for token, _ in world.states.sent] == [approvals["3"].token]
    status, _, told = sluice("approve", "v4", "--reason", "as agreed")
    assert status == 1
    assert "no approval was asked for a model 'v4'" in told


@pytest.mark.parametrize(("verb", "decision"), [("approve", "approved"), ("reject", "rejected")])
def test_an_answer_is_written_down_and_sent(world: World, sluice: Run, verb: str, decision: str) -> None:
    approval = world.asked()

    status, _, told = sluice(verb, "bank-prod-3f9a", "--reason", " as agreed ")

    assert status == 0
    assert f"{decision.capitalize()} by {ADA}" in told
    [(token, sent)] = world.states.sent
    assert token == approval.token
    assert (sent["decision"], sent["by"], sent["reason"]) == (decision, ADA, "as agreed")
    item = world.item(approval)
    assert item["decision"] == {"S": decision}
    assert item["decided_by"] == {"S": ADA}
    assert item["reason"] == {"S": "as agreed"}
    at = datetime.fromisoformat(item["decided_at"]["S"])
    assert datetime.fromisoformat(sent["at"]) == at
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert "answered_at" in item


def test_who_said_what_is_written_down_before_it_is_sent(world: World, sluice: Run) -> None:
    approval = world.asked()
    seen = []
    world.states.send_task_success = lambda **_: seen.append(world.item(approval)["decided_by"])

    sluice("approve", "bank", "--reason", "why")

    assert seen == [{"S": ADA}]


def test_the_same_answer_again_completes_what_a_process_left(world: World, sluice: Run) -> None:
    approval = world.asked()
    eve = {"decision": "approved", "decided_by": "eve", "decided_at": "2026-01-01T00:00:00+00:00"}
    world.set(approval, **eve, reason="first")
    assert "answered, but not sent" in sluice("approvals")[2]

    status, _, told = sluice("reject", "bank", "--reason", "no")
    assert (status, "AnsweredAlready" in told, "Approved by eve" in told) == (1, True, True)
    assert world.states.sent == []

    assert sluice("approve", "bank", "--reason", "second")[0] == 0
    [(_, sent)] = world.states.sent
    # It stays the first one's.
    assert (sent["by"], sent["reason"]) == ("eve", "first")
    assert world.item(approval)["decided_by"] == {"S": "eve"}
    assert "answered_at" in world.item(approval)


def test_an_answer_that_had_arrived_is_written_down_as_such(world: World, sluice: Run) -> None:
    approval = world.asked()
    eve = {"decision": "approved", "decided_by": "eve", "decided_at": "2026-01-01T00:00:00+00:00"}
    world.set(approval, **eve, reason="first")
    world.states.status = "SUCCEEDED"
    world.states.fails = [refusal("TaskTimedOut")]

    assert sluice("approve", "bank", "--reason", "second")[0] == 0
    assert "answered_at" in world.item(approval)


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_twice_is_once_too_often(world: World, sluice: Run, verb: str) -> None:
    world.asked()
    assert sluice("approve", "bank", "--reason", "why")[0] == 0

    status, _, told = sluice(verb, "bank", "--reason", "why")

    assert status == 1
    assert "AnsweredAlready: bank-prod-3f9a was answered already" in told
    assert f"Approved by {ADA}" in told
    assert EXECUTION in told
    assert "to do" in told
    assert len(world.states.sent) == 1


def test_of_two_at_once_one_is_told_what_the_other_said(
    world: World, sluice: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = world.asked()
    caller = Sts.get_caller_identity

    def meanwhile(self: Sts) -> dict[str, str]:
        eve = {"decision": "rejected", "decided_by": "eve", "decided_at": "2026-01-01T00:00:00+00:00"}
        world.set(approval, **eve, reason="first")
        return caller(self)

    monkeypatch.setattr(Sts, "get_caller_identity", meanwhile)

    status, _, told = sluice("approve", "bank", "--reason", "why")

    assert (status, "AnsweredAlready" in told, "Rejected by eve" in told) == (1, True, True)
    assert world.item(approval)["decision"] == {"S": "rejected"}
    assert world.states.sent == []


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_an_answer_that_nobody_heard_does_not_stand(world: World, sluice: Run, code: str) -> None:
    approval = world.asked()
    world.states.fails = [refusal(code)]

    status, _, told = sluice("approve", "bank", "--reason", "why")

    assert status == 1
    assert "TooLate: the execution that asked waits no more" in told
    assert "to do" in told
    assert not {"decision", "decided_by", "decided_at", "reason", "answered_at"} & world.item(approval).keys()


def test_a_state_that_was_tried_again_meanwhile_has_another_token(world: World, sluice: Run) -> None:
    approval = world.asked()

    class Renewing(States):
        def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803
            if taskToken == approval.token:
                world.set(approval, task_token=f"{TOKEN}-renewed")
                raise refusal("TaskTimedOut")
            super().send_task_success(taskToken=taskToken, output=output)

    world.states = Renewing()

    assert sluice("approve", "bank", "--reason", "why")[0] == 0
    [(token, _)] = world.states.sent
    assert token == f"{TOKEN}-renewed"


@pytest.mark.parametrize("status", ["ABORTED", "FAILED", "TIMED_OUT", "SUCCEEDED"])
def test_an_execution_that_ended_is_not_answered(world: World, sluice: Run, status: str) -> None:
    approval = world.asked()
    world.states.status = status

    exit_status, _, told = sluice("approve", "bank", "--reason", "why")

    assert exit_status == 1
    assert "TooLate: the execution that asked waits no more" in told
    assert (EXECUTION in told, f"it is {status}" in told, "upload the file again" in told) == (True,) * 3
    assert "decision" not in world.item(approval)
    assert "its execution ended" in sluice("approvals")[2]


def test_after_its_time_nothing_is_answered(world: World, sluice: Run) -> None:
    approval = world.asked(seconds_left=-1)

    status, _, told = sluice("reject", "bank", "--reason", "why")

    assert status == 1
    assert "TooLate: the time to answer is over" in told
    assert f"{approval.expires_at:%Y-%m-%d %H:%M:%S} UTC" in told
    assert "decision" not in world.item(approval)
    assert "nobody answered" in sluice("approvals")[2]


@pytest.mark.parametrize("service", ["dynamodb", "stepfunctions"])
@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
def test_who_may_not_is_told_what_to_ask_for(world: World, sluice: Run, service: str, code: str) -> None:
    world.asked()
    world.denied[service] = Denying(code)

    status, _, told = sluice("approve", "bank", "--reason", "why")

    assert status == 1
    assert "NotAllowed: you may not read or answer the approvals of this stack" in told
    assert (POLICY in told, code in told, "is not authorized" in told) == (True, True, True)
    assert world.states.sent == []


def test_an_answer_that_may_not_be_sent_is_sent_later(world: World, sluice: Run) -> None:
    world.asked()
    world.states.fails = [refusal("AccessDeniedException")]

    assert "NotAllowed" in sluice("approve", "bank", "--reason", "why")[2]
    assert "answered, but not sent" in sluice("approvals")[2]
    assert sluice("approve", "bank", "--reason", "why")[0] == 0


def test_an_answer_has_a_reason(world: World, sluice: Run) -> None:
    world.asked()
    status, _, told = sluice("approve", "bank", "--reason", "  ")
    assert (status, "NoReason" in told, "--reason" in told) == (1, True, True)
    with pytest.raises(SystemExit):
        main.main(["approve", "bank"])


def test_a_model_is_named_by_a_beginning_that_only_it_has(world: World, sluice: Run) -> None:
    world.asked("bank-prod-3f9a")
    world.asked("bank-prod-3f00")

    status, _, told = sluice("approve", "bank-prod-3f", "--reason", "why")
    assert (status, "UnknownApproval" in told) == (1, True)
    assert "bank-prod-3f00, bank-prod-3f9a" in told
    status, _, told = sluice("approve", "nothing", "--reason", "why")
    assert (status, "UnknownApproval" in told, "bank-prod-3f9a" in told) == (1, True, True)
    assert sluice("approve", "bank-prod-3f9", "--reason", "why")[0] == 0
    # One is left that has no answer.
    assert sluice("reject", "bank", "--reason", "why")[0] == 0
    assert [token for token, _ in world.states.sent] == [
        f"{TOKEN}-bank-prod-3f9a-1",
        f"{TOKEN}-bank-prod-3f00-1",
    ]


def test_of_a_model_that_asks_again_the_last_time_is_meant(world: World, sluice: Run) -> None:
    first = world.asked()
    assert sluice("approve", "bank", "--reason", "first")[0] == 0
    second = world.asked(judgement=2)

    assert sluice("reject", "bank-prod-3f9a", "--reason", "not against that one")[0] == 0

    assert world.item(first)["decision"] == {"S": "approved"}
    assert world.item(second)["decision"] == {"S": "rejected"}


def test_what_waits_is_shown_with_what_it_passed_by_and_how_to_answer(world: World, sluice: Run) -> None:
    assert "no approval was asked for" in sluice("approvals")[2]
    world.asked("bank-prod-aaaa", seconds_left=-1)
    approval = world.asked("bank-prod-3f9a", judgement=2)

    status, _, told = sluice("approvals", "--stack", ENDPOINT)

    assert status == 0
    lines = told.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["bank-prod-3f9a", "bank-prod-aaaa"]
    assert f"{approval.expires_at:%Y-%m-%d %H:%M:%S}" in lines[1]
    assert "bank-prod-77c0" in lines[1]
    for part in (
        "judged for the second time",
        "✓ roc_auc is 0.9",
        "report s3://artifacts/reports/bank-csv-1/report.html",
        f'sluice approve bank-prod-3f9a --stack {ENDPOINT} --reason "why"',
        f'sluice reject bank-prod-3f9a --stack {ENDPOINT} --reason "why"',
    ):
        assert part in told
    assert "sluice approve bank-prod-aaaa" not in told
    listed = json.loads(sluice("approvals", "--json")[1])
    assert [each["standing"] for each in listed] == ["waits", "expired"]
    assert "token" not in listed[0]


def test_what_is_answered_is_shown_with_who_and_why(world: World, sluice: Run) -> None:
    world.asked()
    sluice("reject", "bank", "--reason", "unfair to the old")
    told = sluice("approvals")[2]
    assert f"Rejected by {ADA}" in told
    assert "unfair to the old" in told
    [listed] = json.loads(sluice("approvals", "--json")[1])
    assert (listed["standing"], listed["answer"]["by"]) == ("rejected", ADA)


def test_the_release_and_the_lock_are_no_approvals(world: World) -> None:
    for item in ("release", "lock"):
        world.dynamodb.put_item(TableName=TABLE, Item={"endpoint_name": {"S": ENDPOINT}, "item": {"S": item}})
    assert approving.Approvals(stack.current(None)).all() == []
