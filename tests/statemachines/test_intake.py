"""intake: one training execution for each uploaded object version."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local.stepfunctions.jsonata import evaluate
from sluice.naming import EXECUTION_NAME_MAX, execution_name
from tests.statemachines.harness import SETTINGS, Failure, Harness, Run, states
from tests.statemachines.scenarios import SOURCE

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
    assert result.path == ["Begin", "StartTraining", "AlreadyStarted"]
    assert len(result.calls) == 1


def test_a_start_that_keeps_failing_fails_the_execution(harness: Harness) -> None:
    result = start(harness, Failure("StepFunctions.AWSStepFunctionsException", "throttled"))

    assert (result.error, result.cause) == ("StepFunctions.AWSStepFunctionsException", "throttled")


def test_an_event_without_a_version_fails_and_says_what_is_missing(harness: Harness) -> None:
    result = harness.run("intake", {"bucket": "b", "key": "k"}, {"StartTraining": [{}]})

    assert result.error == "States.QueryEvaluationError"
    assert result.cause is not None
    assert "version_id" in result.cause
    assert not result.calls
