"""drift: one run at a time, each part by itself, and the lock given back however it ends."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.payloads.drift import JudgeDriftInput, PartToCount, PlanDriftInput
from tests.statemachines.harness import EXECUTION_NAME, SETTINGS, Failure, Harness, Run, payload
from tests.statemachines.scenarios import CHAMPION_URI, DRIFT, HELD, JUDGED, PART, WINDOW

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
    assert [call.state for call in result.calls] == ["AcquireLock"]


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
