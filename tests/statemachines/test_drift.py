"""drift: one run at a time, each part by itself, and the lock given back however it ends."""

from __future__ import annotations

import time
from typing import Any

import pytest
from moto import mock_aws

from sluice.payloads.drift import JudgeDriftInput, PartToCount, PlanDriftInput
from tests.statemachines.answers import CHAMPION_URI, DRIFT, DRIFT_HOLDER, HELD, JUDGED, PART, WINDOW
from tests.statemachines.harness import EXECUTION_NAME, SETTINGS, Failure, Harness, Run, payload
from tests.statemachines.test_lock import Table

LOCK = {"endpoint_name": {"S": SETTINGS["endpoint_name"]}, "item": {"S": "drift-lock"}}


def drift(harness: Harness, **outcomes: list[Any]) -> Run:
    return harness.run("drift", {}, {**DRIFT, **outcomes})


def test_the_champions_traffic_is_looked_at_since_it_was_released(harness: Harness) -> None:
    result = drift(harness)

    assert result.succeeded, result.cause
    [asked] = result.calls_of("PlanDrift")
    assert asked["FunctionName"] == SETTINGS["functions"]["PlanDrift"]
    plan = PlanDriftInput.model_validate(asked["Payload"])
    assert (plan.execution, plan.model_name, plan.model_uri) == (EXECUTION_NAME, "bank-dev-0", CHAMPION_URI)
    assert plan.released_at is not None
    assert plan.released_at.isoformat() == "2026-03-01T11:00:00.250000+00:00"
    [judge] = result.calls_of("JudgeDrift")
    assert JudgeDriftInput.model_validate(judge["Payload"]).window == WINDOW["window"]
    assert result.output == JUDGED


def test_each_part_is_counted_by_one_call(harness: Harness) -> None:
    parts = [{**PART, "part": number} for number in range(3)]

    result = drift(harness, PlanDrift=[payload({**WINDOW, "parts": parts})])

    given = sorted(
        (each["Payload"] for each in result.calls_of("CountCaptures")), key=lambda each: each["part"]
    )
    assert given == parts
    for each in given:
        PartToCount.model_validate(each)


def test_a_window_without_a_part_is_judged_too(harness: Harness) -> None:
    quiet = {**JUDGED, "outcome": "NoTraffic", "rows": 0, "drifted": []}
    result = drift(harness, PlanDrift=[payload({**WINDOW, "parts": []})], JudgeDrift=[payload(quiet)])

    assert not result.calls_of("CountCaptures")
    assert result.output == quiet


def test_before_the_first_release_nothing_is_judged(harness: Harness) -> None:
    nothing = [payload({**WINDOW, "window": None, "parts": []})]
    result = drift(harness, FindRelease=[{}], PlanDrift=nothing)

    [asked] = result.calls_of("PlanDrift")
    assert PlanDriftInput.model_validate(asked["Payload"]).model_uri is None
    assert not result.calls_of("JudgeDrift")
    assert result.output == {"outcome": "NoTraffic"}
    assert len(result.calls_of("ReleaseLock")) == 1


def test_a_second_run_leaves_the_first_alone(harness: Harness) -> None:
    result = drift(harness, AcquireLock=[HELD])

    assert result.output == {"outcome": "AlreadyRunning"}
    assert [call.state for call in result.calls] == ["AcquireLock", "ReadLock", "DescribeHolder"]
    assert result.calls_of("DescribeHolder") == [{"ExecutionArn": DRIFT_HOLDER}]


@pytest.mark.parametrize("end", [{"Status": "ABORTED"}, Failure("Sfn.ExecutionDoesNotExistException")])
def test_what_a_run_that_was_stopped_has_left_is_taken_over_at_once(harness: Harness, end: Any) -> None:
    result = drift(harness, AcquireLock=[HELD], DescribeHolder=[end])

    [taken] = result.calls_of("TakeOverLock")
    assert taken["ConditionExpression"].startswith("held_by = :holder ")
    assert taken["ExpressionAttributeValues"][":holder"] == {"S": DRIFT_HOLDER}
    assert (result.output, len(result.calls_of("ReleaseLock"))) == (JUDGED, 1)


def test_of_two_that_take_it_over_one_leaves_it(harness: Harness) -> None:
    stopped: dict[str, list[Any]] = {
        "AcquireLock": [HELD],
        "DescribeHolder": [{"Status": "ABORTED"}],
        "TakeOverLock": [HELD],
    }
    assert drift(harness, **stopped).output == {"outcome": "AlreadyRunning"}


def test_the_lock_is_the_endpoints_and_expires_with_the_machines_time(harness: Harness) -> None:
    result = drift(harness)

    [taken], [given] = result.calls_of("AcquireLock"), result.calls_of("ReleaseLock")
    assert taken["Key"] == given["Key"] == LOCK
    values = taken["ExpressionAttributeValues"]
    assert int(values[":expires"]["N"]) - int(values[":now"]["N"]) == 10800
    assert given["ExpressionAttributeValues"][":execution"] == values[":execution"]
    assert given["ConditionExpression"].endswith("held_by = :execution")


@pytest.mark.parametrize("state", ["FindRelease", "PlanDrift", "CountCaptures", "JudgeDrift"])
def test_what_fails_gives_the_lock_back_and_fails_in_its_own_words(harness: Harness, state: str) -> None:
    result = drift(harness, **{state: [Failure("NoReference", "train again")]})

    assert (result.succeeded, result.error, result.cause) == (False, "NoReference", "train again")
    assert result.path[-3:] == ["ReleaseLock", "HasFailed", "Failed"]


def test_of_two_failures_the_first_is_told(harness: Harness) -> None:
    result = drift(
        harness, JudgeDrift=[Failure("WindowLost", "why")], ReleaseLock=[Failure("DynamoDB.Broken", "late")]
    )
    assert (result.error, result.cause) == ("WindowLost", "why")
    assert drift(harness, ReleaseLock=[Failure("DynamoDB.Broken", "late")]).error == "DynamoDB.Broken"


def test_dynamodb_gives_the_lock_to_one_and_takes_it_back_from_that_one(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = drift(harness)
    taking_over = drift(harness, AcquireLock=[HELD], DescribeHolder=[{"Status": "ABORTED"}])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        table = Table()

        def hold(by: str, seconds: int) -> None:
            expires = {"N": str(int(time.time()) + seconds)}
            item = {**LOCK, "held_by": {"S": by}, "expires_at": expires}
            table.client.put_item(TableName="releases", Item=item)

        assert table.acquire(run)
        assert table.acquire(run), "a call whose answer was lost is repeated"
        assert table.release(run)
        assert table.item(LOCK) is None
        hold(DRIFT_HOLDER, 100)
        assert not table.acquire(run)
        assert not table.release(run)
        hold(DRIFT_HOLDER, -100)
        assert table.acquire(run)
        hold("a third one", 100)
        assert not table._takes("update_item", taking_over, "TakeOverLock")
        hold(DRIFT_HOLDER, 100)
        assert table._takes("update_item", taking_over, "TakeOverLock")
