"""The lock and the record, as DynamoDB itself understands what `deployment` asks of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.statemachines.answers import CHAMPION, CHAMPION_URI, DEPLOYMENT, ENDPOINT, ENDPOINT_NAME, MODEL_URI
from tests.statemachines.harness import ACCOUNT, EXECUTION_NAME, REGION, Harness, Run

SOMEBODY = "arn:aws:states:us-east-1:123456789012:execution:deployment:another"
US = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:deployment:{EXECUTION_NAME}"
LOCK = {"endpoint_name": {"S": ENDPOINT_NAME}, "item": {"S": "lock"}}
RELEASE = {"endpoint_name": {"S": ENDPOINT_NAME}, "item": {"S": "release"}}


class Table:
    """The releases table, keyed as infra/data_stack.py makes it."""

    def __init__(self) -> None:
        self.client: Any = boto3.client("dynamodb", region_name=REGION)
        keys = ("endpoint_name", "item")
        self.client.create_table(
            TableName="releases",
            KeySchema=[
                {"AttributeName": keys[0], "KeyType": "HASH"},
                {"AttributeName": keys[1], "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            BillingMode="PAY_PER_REQUEST",
        )

    def held(self, by: str, *, seconds_left: int) -> None:
        expires = {"N": str(int(time.time()) + seconds_left)}
        self.client.put_item(TableName="releases", Item={**LOCK, "held_by": {"S": by}, "expires_at": expires})

    def item(self, key: dict[str, Any]) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.client.get_item(TableName="releases", Key=key).get("Item")
        return found

    def acquire(self, run: Run) -> bool:
        return self._takes("update_item", run, "AcquireLock")

    def release(self, run: Run) -> bool:
        return self._takes("delete_item", run, "ReleaseLock")

    def record(self, run: Run) -> bool:
        return self._takes("put_item", run, "RecordRelease")

    def _takes(self, operation: str, run: Run, state: str) -> bool:
        [arguments] = run.calls_of(state)
        try:
            getattr(self.client, operation)(**arguments)
        except self.client.exceptions.ConditionalCheckFailedException:
            return False
        return True


@pytest.fixture
def run(harness: Harness) -> Run:
    """A deployment's run, whose calls the tests send to DynamoDB: of a model that was judged against bank-dev-0."""
    return harness.run(
        "deployment", {**DEPLOYMENT, "judged_champion": "bank-dev-0"}, {**ENDPOINT, "FindRelease": [CHAMPION]}
    )


@pytest.fixture
def table(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield Table()


def test_a_free_lock_is_taken_for_as_long_as_the_machine_may_run_and_given_back(
    run: Run, table: Table
) -> None:
    before = int(time.time())
    assert table.acquire(run)

    held = table.item(LOCK)
    assert held is not None
    assert held["held_by"] == {"S": US}
    # The run was a moment before.
    assert 36000 - 60 <= int(held["expires_at"]["N"]) - before <= 36000
    assert datetime.fromisoformat(held["held_since"]["S"]).tzinfo is not None
    assert table.release(run)
    assert table.item(LOCK) is None


def test_a_lock_that_somebody_holds_is_not_taken(run: Run, table: Table) -> None:
    table.held(SOMEBODY, seconds_left=60)

    assert not table.acquire(run)
    held = table.item(LOCK)
    assert held is not None
    assert held["held_by"] == {"S": SOMEBODY}


def test_a_lock_that_expired_is_taken_over(run: Run, table: Table) -> None:
    table.held(SOMEBODY, seconds_left=-60)

    assert table.acquire(run)
    held = table.item(LOCK)
    assert held is not None
    assert held["held_by"] == {"S": US}


def test_our_own_lock_is_taken_again_where_the_first_answer_was_lost(run: Run, table: Table) -> None:
    table.held(US, seconds_left=60)

    assert table.acquire(run)


def test_a_lock_that_somebody_took_over_is_left_to_them(run: Run, table: Table) -> None:
    table.held(SOMEBODY, seconds_left=60)

    assert not table.release(run)
    assert table.item(LOCK) is not None


def test_giving_back_twice_is_no_error(run: Run, table: Table) -> None:
    assert table.release(run)


def released(table: Table, model: str) -> None:
    item = {**RELEASE, "model_name": {"S": model}, "model_uri": {"S": CHAMPION_URI}, "alarm": {"S": "x"}}
    table.client.put_item(TableName="releases", Item=item)


def test_a_release_is_not_written_over_one_that_the_model_was_not_judged_against(
    run: Run, table: Table
) -> None:
    released(table, "bank-dev-2")

    assert not table.record(run)
    recorded = table.item(RELEASE)
    assert recorded is not None
    assert recorded["model_name"] == {"S": "bank-dev-2"}


def test_a_release_is_written_again_where_the_first_answer_was_lost(run: Run, table: Table) -> None:
    released(table, "bank-dev-0")

    assert table.record(run)
    assert table.record(run)
    recorded = table.item(RELEASE)
    assert recorded is not None
    assert recorded["model_name"] == {"S": "bank-dev-1"}


def test_a_first_release_is_not_written_over_anothers_first(harness: Harness, table: Table) -> None:
    first = harness.run("deployment", DEPLOYMENT, ENDPOINT)

    assert table.record(first)
    released(table, "bank-dev-2")
    assert not table.record(first)


def test_a_release_replaces_the_one_before_and_leaves_the_lock(run: Run, table: Table) -> None:
    released(table, "bank-dev-0")
    assert table.acquire(run)

    assert table.record(run)

    recorded = table.item(RELEASE)
    assert recorded is not None
    assert recorded["model_name"] == {"S": "bank-dev-1"}
    assert recorded["model_uri"] == {"S": MODEL_URI}
    assert "alarm" not in recorded
    assert table.item(LOCK) is not None
