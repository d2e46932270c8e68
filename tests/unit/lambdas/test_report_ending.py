"""An end that the state machine cannot tell of: read from its history, reported, and told once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas import report_ending
from lambdas.adapters import endpoints, messages, settings
from lambdas.adapters.mlflow import MlflowTracker
from sluice import naming
from sluice.errors import TrackingUnavailable
from sluice.outcomes import Outcome
from sluice.payloads.documents import Report
from sluice.payloads.training import EndpointSeen, ReportedOutcome
from tests.support.bucket import Bucket
from tests.support.mlflow import URI, Mlflow
from tests.unit.lambdas.test_handlers import PROJECT_TOML

NAME = "a-csv-0123"
ARN = f"arn:aws:states:us-east-1:123456789012:execution:training:{NAME}"
INPUT = {"bucket": "uploads", "key": "incoming/training/a.csv", "version_id": "v1"}
VALIDATION = {
    "source": {
        "uri": "s3://uploads/incoming/training/a.csv",
        "version_id": "v1",
        "etag": "e",
        "execution": NAME,
    },
    "dataset_version": "0123456789abcdef",
    "error": None,
    "rows": 98,
    "rejected_rows": 2,
    "rejected_share": 0.02,
    "reasons": {},
    "classes": {},
    "columns": {},
}


def event(status: str, **detail: Any) -> dict[str, Any]:
    """An event as AWS sends it: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html."""
    return {
        "version": "0",
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": "123456789012",
        "time": "2026-02-26T19:42:21Z",
        "region": "us-east-1",
        "resources": [ARN],
        "detail": {
            "executionArn": ARN,
            "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:training",
            "name": NAME,
            "status": status,
            "startDate": 1551225271984,
            "stopDate": 1551225291984,
            "input": json.dumps(INPUT),
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": None,
            "error": None,
            "cause": None,
            **detail,
        },
    }


def entered(name: str, kind: str = "TaskStateEntered") -> dict[str, Any]:
    return {"type": kind, "stateEnteredEventDetails": {"name": name}}


TRAINING = [{"type": "ExecutionStarted"}, entered("Begin"), entered("TrainModel"), {"type": "TaskSubmitted"}]
NOTIFYING = [entered("ReportOutcome"), {"type": "TaskSucceeded"}, entered("NotifyOutcome")]


class StepFunctions:
    """Histories, newest event first, a few events a page."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.events = events

    def get_paginator(self, operation: str) -> StepFunctions:
        assert operation == "get_execution_history"
        return self

    def paginate(self, *, executionArn: str, reverseOrder: bool, **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert executionArn == ARN
        assert reverseOrder
        events = self.events[::-1]
        for start in range(0, len(events), 2):
            yield {"events": events[start : start + 2]}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.toml").write_text(PROJECT_TOML)
    for name, value in {
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "PROJECT_FILE": "project/project.toml",
        "ARTIFACTS_BUCKET": "artifacts",
        "TOPIC_ARN": "arn:topic",
        "ENDPOINT_NAME": "sluice-bank-prod",
    }.items():
        monkeypatch.setenv(name, value)
    caches = (settings.settings, settings.project, settings.ending_settings, settings.tracking_settings)
    for cache in caches:
        cache.cache_clear()
    yield World(monkeypatch)
    for cache in caches:
        cache.cache_clear()


class World:
    """What the handler reaches, and the messages that it sent: topic, subject, text, outcome."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bucket = Bucket()
        self.states = StepFunctions(TRAINING)
        self.sent: list[tuple[str, ReportedOutcome, str]] = []
        monkeypatch.setattr(report_ending, "S3Artifacts", lambda _name: self.bucket)
        monkeypatch.setattr(boto3, "client", lambda service: {"stepfunctions": self.states}[service])
        monkeypatch.setattr(report_ending, "publish", lambda *message: self.sent.append(message))
        monkeypatch.setattr(
            endpoints, "look", lambda name: EndpointSeen(name=name, status="InService", config="bank-prod-7")
        )

    def report(self) -> Report:
        return Report.model_validate_json(self.bucket.objects[f"reports/{NAME}/report.json"])


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("ABORTED", "ExecutionAborted", "the execution was aborted in TrainModel"),
        ("TIMED_OUT", "ExecutionTimedOut", "the execution was ended in TrainModel: its time was over"),
        ("FAILED", "PipelineFailed", "the execution failed in TrainModel, and could not tell of it itself"),
    ],
)
def test_an_end_has_a_report_and_a_message(world: World, status: str, error: str, words: str) -> None:
    world.bucket.write(f"reports/{NAME}/validation.json", json.dumps(VALIDATION).encode(), "")

    assert report_ending.handler(event(status), None) == {"told": True}

    report = world.report()
    assert (report.outcome, report.error, report.execution_arn) == (Outcome.FAILED, error, ARN)
    assert (report.dataset_version, report.rows, report.rejected_rows) == ("0123456789abcdef", 98, 2)
    assert report.source.uri == "s3://uploads/incoming/training/a.csv"
    assert report.failure is not None
    assert report.failure.state == "TrainModel"
    [(topic, message, outcome)] = world.sent
    assert (topic, outcome) == ("arn:topic", "Failed")
    assert message.subject == f"Sluice bank: {error}"
    seen = "The endpoint sluice-bank-prod was looked at: it is in service on bank-prod-7."
    page = world.bucket.objects[f"reports/{NAME}/report.html"].decode()
    for text in (words, seen):
        assert text in message.message
        assert text in page
    assert "to do" in message.message


def test_who_stopped_it_may_have_said_why(world: World) -> None:
    report_ending.handler(event("ABORTED", error="WrongFile", cause="that was last year's"), None)
    assert "WrongFile: that was last year's" in world.sent[0][1].message
    world.bucket = Bucket()
    report_ending.handler(event("ABORTED"), None)
    assert "somebody stopped it, and gave no reason" in world.sent[1][1].message


def test_an_event_that_comes_twice_is_told_once(world: World) -> None:
    assert report_ending.handler(event("ABORTED"), None) == {"told": True}
    assert report_ending.handler(event("ABORTED"), None) == {"told": False}
    assert len(world.sent) == 1


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED"])
@pytest.mark.parametrize(
    "after",
    [
        [],
        [entered("HasFailed", "ChoiceStateEntered")],
        [entered("HasFailed"), entered("Failed", "FailStateEntered")],
    ],
)
def test_what_the_execution_told_itself_is_not_told_again(
    world: World, status: str, after: list[Any]
) -> None:
    world.states.events = [*TRAINING, *NOTIFYING, {"type": "TaskSucceeded"}, *after]
    world.bucket.write(f"reports/{NAME}/report.json", b"its own", "")

    assert report_ending.handler(event(status), None) == {"told": False}

    assert world.sent == []
    assert world.bucket.objects == {f"reports/{NAME}/report.json": b"its own"}


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([*TRAINING, *NOTIFYING], "NotifyOutcome"),
        ([*TRAINING, *NOTIFYING, {"type": "TaskFailed"}, entered("Failed", "FailStateEntered")], "Failed"),
        ([*TRAINING, {"type": "TaskSucceeded"}, entered("HasOwnImage", "ChoiceStateEntered")], "HasOwnImage"),
        ([{"type": "ExecutionStarted"}], "its beginning"),
    ],
)
def test_what_the_execution_could_not_tell_is_told(world: World, events: list[Any], state: str) -> None:
    world.states.events = events
    assert report_ending.handler(event("ABORTED"), None) == {"told": True}
    assert f"aborted in {state}" in world.sent[0][1].message


@pytest.mark.parametrize("given", [None, "", "no JSON", "[]", "5", '{"key": ["odd"]}'])
def test_an_input_that_says_nothing_does_not_stand_in_the_way(world: World, given: str | None) -> None:
    assert report_ending.handler(event("ABORTED", input=given), None) == {"told": True}
    assert world.report().source.uri is None


def test_a_message_that_cannot_be_sent_is_tried_again_by_lambda(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ConnectionError("no topic")

    monkeypatch.setattr(report_ending, "publish", fail)
    with pytest.raises(ConnectionError):
        report_ending.handler(event("ABORTED"), None)
    assert f"reports/{NAME}/told.json" not in world.bucket.objects


@pytest.mark.usefixtures("aws")
def test_the_message_is_one_of_sns() -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name="outcomes")["TopicArn"]
    queue = sqs.create_queue(QueueName="mail")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    reported = ReportedOutcome(report_uri=None, subject="Sluice bank: X", message="text", summary={})

    messages.publish(topic, reported, Outcome.FAILED)

    [received] = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(received["Body"])
    assert (body["Subject"], body["Message"]) == ("Sluice bank: X", "text")
    assert body["MessageAttributes"]["outcome"] == {"Type": "String", "Value": "Failed"}


@pytest.mark.usefixtures("aws")
def test_an_endpoint_is_looked_at() -> None:
    assert endpoints.look("none") == EndpointSeen(name="none")

    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName="m", ExecutionRoleArn="arn:aws:iam::1:role/r", PrimaryContainer={"Image": "i"}
    )
    variant: Any = {
        "VariantName": "AllTraffic",
        "ModelName": "m",
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert endpoints.look("e") == EndpointSeen(name="e", status="InService", config="c")


def test_an_endpoint_that_cannot_be_looked_at_is_said_to_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:1")
    seen = endpoints.look("e")
    assert (seen.status, seen.config) == (None, None)
    assert seen.problem is not None
    assert "127.0.0.1:1" in seen.problem


def test_of_a_model_that_was_judged_again_the_last_evaluation_is_told(world: World) -> None:
    model = {"metrics": {"roc_auc": 0.9}, "model_uri": "s3://artifacts/models/m"}
    for folder, rows in ((NAME, 10), (f"{NAME}/judgement-2", 20)):
        evaluation = {"problem": "binary", "held_out_rows": rows, "challenger": model, "champion": None}
        key = f"reports/{folder}/evaluation/evaluation.json"
        world.bucket.write(key, json.dumps(evaluation).encode(), "")

    report_ending.handler(event("ABORTED"), None)

    evaluated = world.report().evaluation
    assert evaluated is not None
    assert evaluated.held_out_rows == 20


@pytest.mark.parametrize(
    ("status", "ending"), [("ABORTED", "KILLED"), ("TIMED_OUT", "FAILED"), ("FAILED", "FAILED")]
)
def test_no_run_stays_open_of_an_execution_that_could_not_tell(
    world: World, monkeypatch: pytest.MonkeyPatch, status: str, ending: str
) -> None:
    server = tracked(monkeypatch)
    run = MlflowTracker(server, server.where).begin("bank-prod", naming.job("bank", "prod", ARN))

    report_ending.handler(event(status), None)

    assert server.runs[run]["info"]["status"] == ending
    assert world.report().notes == []


def test_an_execution_that_came_to_no_run_has_none_to_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tracked(monkeypatch)

    report_ending.handler(event("ABORTED"), None)

    assert server.runs == {}
    assert len(world.sent) == 1


def test_people_are_told_of_an_end_though_the_tracking_server_is_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked(monkeypatch).fails = TrackingUnavailable("it is down")

    report_ending.handler(event("ABORTED"), None)

    [note] = world.report().notes
    assert note.endswith("could not be ended, and may look as if it were running: it is down.")
    assert len(world.sent) == 1


def tracked(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    for name, value in {
        "TRACKING_URI": URI,
        "TRACKING_EXPERIMENT": "bank-prod",
        "TRACKING_ENVIRONMENT": "prod",
    }.items():
        monkeypatch.setenv(name, value)
    server = Mlflow()
    tracker = MlflowTracker(server, URI)
    monkeypatch.setattr(report_ending, "tracker", lambda: tracker)
    return server
