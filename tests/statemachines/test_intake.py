"""intake: one execution for each uploaded object version, of the machine that its prefix is for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.stepfunctions.jsonata import evaluate
from sluice import keys
from sluice.naming import EXECUTION_NAME_MAX, execution_name
from tests.statemachines.answers import SOURCE
from tests.statemachines.harness import SETTINGS, Failure, Harness, Run, states

# S3 keys are UTF-8: no lone surrogates.
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
ODD_KEYS = st.sampled_from(
    [
        "incoming/training/ä b+c.csv",
        "incoming/training/",
        "bank.csv",
        "a//b",
        "x/" + "y" * 200,
        'it\'s "so"\\n',
    ]
)


@given(bucket=TEXT, key=st.one_of(TEXT, ODD_KEYS), version_id=TEXT)
def test_the_name_is_the_one_that_clients_compute(bucket: str, key: str, version_id: str) -> None:
    expression = states("intake")["StartTraining"]["Arguments"]["Name"][2:-2]
    for other in ("AppendEvents", "StartBatch"):
        assert states("intake")[other]["Arguments"]["Name"][2:-2] == expression
    uploaded = {"bucket": bucket, "key": key, "version_id": version_id}

    name = evaluate(expression, {"states": {"input": uploaded}})

    assert name == execution_name(bucket, key, version_id)
    assert len(name) <= EXECUTION_NAME_MAX


def start(harness: Harness, *outcomes: Any) -> Run:
    return harness.run("intake", SOURCE, {"StartTraining": outcomes})


def test_an_upload_starts_training_with_what_the_event_said(harness: Harness) -> None:
    result = start(harness, {"ExecutionArn": "arn"})

    assert result.succeeded
    assert result.calls_of("StartTraining") == [
        {
            "StateMachineArn": SETTINGS["machines"]["training"],
            "Name": execution_name(SOURCE["bucket"], SOURCE["key"], SOURCE["version_id"]),
            "Input": SOURCE,
        }
    ]


def test_a_second_event_for_the_same_version_is_no_failure_and_no_retry(harness: Harness) -> None:
    result = start(harness, Failure("StepFunctions.ExecutionAlreadyExistsException"))

    assert result.succeeded
    assert result.path == ["Begin", "WhichUpload", "StartTraining", "AlreadyStarted"]
    assert len(result.calls) == 1


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("incoming/events/today.csv", "AppendEvents"),
        ("incoming/events/2026/03/today.csv", "AppendEvents"),
        ("incoming/events/", "AppendEvents"),
        ("incoming/batch/today.csv", "StartBatch"),
        ("incoming/batch/2026/03/today.csv", "StartBatch"),
        ("incoming/batch", "StartTraining"),
        ("incoming/events/incoming/batch/a.csv", "AppendEvents"),
        ("incoming/training/events.csv", "StartTraining"),
        ("incoming/training/incoming/events/a.csv", "StartTraining"),
        ("incoming/events", "StartTraining"),
        ("incoming/Events/a.csv", "StartTraining"),
        ("x", "StartTraining"),
    ],
)
def test_what_lies_among_events_is_appended_rows_are_predicted_and_all_else_is_trainings(
    harness: Harness, key: str, state: str
) -> None:
    answers = {each: [{"ExecutionArn": "arn"}] for each in ("StartTraining", "AppendEvents", "StartBatch")}
    uploaded = {"bucket": "uploads", "key": key, "version_id": "v1"}

    result = harness.run("intake", uploaded, answers)

    assert result.path == ["Begin", "WhichUpload", state, "Started"]
    [asked] = result.calls_of(state)
    machine = {"AppendEvents": "events", "StartBatch": "batch"}.get(state, "training")
    assert asked == {
        "StateMachineArn": SETTINGS["machines"][machine],
        "Name": execution_name("uploads", key, "v1"),
        "Input": uploaded,
    }


def test_the_prefixes_are_the_domains() -> None:
    assert SETTINGS["events_prefix"] == keys.INCOMING_EVENTS
    assert SETTINGS["batch_prefix"] == keys.INCOMING_BATCH


def test_a_start_that_keeps_failing_fails_the_execution(harness: Harness) -> None:
    result = start(harness, Failure("StepFunctions.AWSStepFunctionsException", "throttled"))

    assert (result.error, result.cause) == ("StepFunctions.AWSStepFunctionsException", "throttled")


def test_an_event_without_a_version_fails_and_says_what_is_missing(harness: Harness) -> None:
    result = harness.run("intake", {"bucket": "b", "key": "k"}, {"StartTraining": [{}]})

    assert result.error == "States.QueryEvaluationError"
    assert result.cause is not None
    assert "version_id" in result.cause
    assert not result.calls
