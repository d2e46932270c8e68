"""RequestApproval: what is written down, what people are told, in this order, and that nobody sees the token."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas import request_approval
from lambdas.adapters import settings
from sluice.payloads.training import ReportedOutcome
from sluice.release.approvals import Approval
from tests.statemachines.answers import DATASET, GATE, JOB, SOURCE
from tests.support.bucket import Bucket
from tests.unit.lambdas.test_handlers import PROJECT_TOML

ARN = "arn:aws:states:us-east-1:123456789012:execution:training:run"
EVENT: dict[str, Any] = {
    "task_token": "the-token",
    "expires_seconds": 3600,
    "model_name": JOB,
    "judgement": 1,
    "judged_champion": None,
    "execution": "run",
    "execution_arn": ARN,
    "source": SOURCE,
    "dataset": DATASET,
    "gate": GATE,
    "skew": None,
    "evaluation_uri": "s3://artifacts/reports/run/evaluation/evaluation.json",
    "model_uri": f"s3://artifacts/models/{JOB}-train/output/model.tar.gz",
    "archive": {"version_id": "v1", "etag": '"e1"'},
    "endpoint_name": "sluice-bank-dev",
}


class World:
    """The table, the bucket, and the messages that were sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dynamodb: Any = boto3.client("dynamodb")
        names = ("endpoint_name", "item")
        self.dynamodb.create_table(
            TableName="releases",
            KeySchema=[
                {"AttributeName": names[0], "KeyType": "HASH"},
                {"AttributeName": names[1], "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            BillingMode="PAY_PER_REQUEST",
        )
        self.bucket = Bucket()
        self.sent: list[tuple[str, ReportedOutcome, str]] = []
        monkeypatch.setattr(request_approval, "S3Artifacts", lambda _name: self.bucket)
        monkeypatch.setattr(request_approval, "publish", self._publish)

    def _publish(self, topic: str, reported: ReportedOutcome, outcome: str) -> None:
        assert self.items(), "whoever is told may answer at once"
        assert "reports/run/report.html" in self.bucket.objects
        self.sent.append((topic, reported, outcome))

    def items(self) -> dict[str, Approval]:
        found = self.dynamodb.scan(TableName="releases")["Items"]
        return {item["item"]["S"]: Approval.of(item) for item in found}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.toml").write_text(PROJECT_TOML)
    for name, value in {
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "PROJECT_FILE": "project/project.toml",
        "ARTIFACTS_BUCKET": "artifacts",
        "TOPIC_ARN": "arn:topic",
        "RELEASES_TABLE": "releases",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    caches = (settings.settings, settings.project, settings.approval_settings)
    for cache in caches:
        cache.cache_clear()
    with mock_aws():
        yield World(monkeypatch)
    for cache in caches:
        cache.cache_clear()


def test_it_is_written_down_and_people_are_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sluice")
    before = datetime.now(UTC)

    answer = request_approval.handler(EVENT, None)

    [(name, approval)] = world.items().items()
    assert name == f"approval#{JOB}"
    assert (approval.token, approval.execution_arn, approval.judged_champion) == ("the-token", ARN, None)
    assert timedelta(0) <= approval.requested_at - before <= timedelta(minutes=1)
    left = approval.expires_at - approval.requested_at
    assert timedelta(seconds=3599) <= left <= timedelta(seconds=3600)
    assert approval.page_uri == "s3://artifacts/reports/run/report.html"
    assert approval.answer is None
    [(topic, reported, outcome)] = world.sent
    assert (topic, outcome) == ("arn:topic", "AwaitingApproval")
    assert f"sluice approve {JOB} --stack sluice-bank-dev" in reported.message
    logged = [json.dumps(record.__dict__, default=str) for record in caplog.records]
    assert logged
    told = [reported.model_dump_json(), json.dumps(answer), repr(approval), *logged]
    told += [body.decode() for body in world.bucket.objects.values()]
    assert not [text for text in told if "the-token" in text]


def test_a_state_that_is_tried_again_is_asked_for_by_its_new_token(world: World) -> None:
    request_approval.handler(EVENT, None)
    request_approval.handler({**EVENT, "task_token": "another"}, None)

    [approval] = world.items().values()
    assert approval.token == "another"


def test_a_later_judgement_leaves_what_was_said_of_the_earlier_one(world: World) -> None:
    request_approval.handler(EVENT, None)
    request_approval.handler({**EVENT, "judgement": 2, "judged_champion": "bank-dev-2"}, None)

    assert {name: each.judged_champion for name, each in world.items().items()} == {
        f"approval#{JOB}": None,
        f"approval#{JOB}-2": "bank-dev-2",
    }


def test_what_another_execution_asks_is_not_written_over(world: World) -> None:
    request_approval.handler(EVENT, None)

    with pytest.raises(Exception, match="another execution has asked for one") as caught:
        request_approval.handler({**EVENT, "execution_arn": f"{ARN}-2"}, None)

    assert type(caught.value).__name__ == "PipelineFailed"
    assert "the-token" not in str(caught.value)
    assert world.items()[f"approval#{JOB}"].execution_arn == ARN
    assert len(world.sent) == 1
