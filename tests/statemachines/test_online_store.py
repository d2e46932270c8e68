"""training of a project with features: the store follows the table beside the jobs, and the gate is told of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from sluice import naming
from sluice.payloads.training import DecideGateInput, ReportOutcomeInput
from sluice.reporting.failures import explain
from tests.statemachines.answers import (
    FAILED_REPORT,
    JOB,
    SKEW,
    SOURCE,
    TRAINING,
    WITH_FEATURES,
    WRITTEN,
    materialized,
)
from tests.statemachines.harness import EXECUTION_NAME, SETTINGS, Failure, Harness, Run, payload

EXECUTION = f"arn:aws:states:us-east-1:123456789012:execution:training:{EXECUTION_NAME}"
STARTED_ALREADY = Failure("StepFunctions.ExecutionAlreadyExistsException")


def train(harness: Harness, /, **outcomes: Sequence[Any]) -> Run:
    return harness.run("training", SOURCE, {**TRAINING, **WITH_FEATURES, **outcomes}, features=True)


def told(result: Run) -> ReportOutcomeInput:
    [arguments] = result.calls_of("ReportOutcome")
    return ReportOutcomeInput.model_validate(arguments["Payload"])


def test_the_store_is_written_as_soon_as_the_table_has_moved_under_a_name_that_a_retry_meets(
    harness: Harness,
) -> None:
    result = train(harness)

    at = result.path.index("ValidateDataset")
    assert result.path[at : at + 5] == [
        "ValidateDataset",
        "HasOnlineStore",
        "StartMaterialization",
        "BuildTrainingSet",
        "HasSearch",
    ]
    [asked] = result.calls_of("StartMaterialization")
    assert asked["StateMachineArn"] == "arn:aws:states:us-east-1:123456789012:stateMachine:materialization"
    assert asked["Name"] == JOB == naming.job("bank", "dev", EXECUTION)
    # No version: of two uploads that meet, whoever is written last writes the later one.
    assert asked["Input"] == {"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": EXECUTION}


def test_the_gate_is_told_what_the_materialization_found(harness: Harness) -> None:
    result = train(harness)

    assert result.succeeded
    at = result.path.index("EvaluateModel")
    assert result.path[at : at + 7] == [
        "EvaluateModel",
        "IsStoreJudged",
        "DescribeExecution",
        "IsItOurs",
        "HasItEnded",
        "GoOn",
        "DecideGate",
    ]
    [described] = result.calls_of("DescribeExecution")
    assert described["ExecutionArn"] == (
        f"arn:aws:states:us-east-1:123456789012:execution:materialization:{JOB}"
    )
    [decide] = result.calls_of("DecideGate")
    gate = DecideGateInput.model_validate(decide["Payload"])
    assert gate.skew is not None
    assert gate.skew.model_dump() == SKEW
    assert told(result).skew == gate.skew


def test_a_store_that_is_still_being_written_is_waited_for(harness: Harness) -> None:
    running = materialized(Status="RUNNING")

    result = train(harness, DescribeExecution=[running, running, *WITH_FEATURES["DescribeExecution"]])

    assert result.succeeded
    assert len(result.calls_of("DescribeExecution")) == 3
    # As often as a deployment is looked at, however long the project's jobs may run.
    assert result.waits == [SETTINGS["poll_seconds"]] * 2
    assert told(result).skew is not None


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_a_materialization_that_failed_fails_the_execution_with_its_cause(
    harness: Harness, status: str
) -> None:
    wire = json.dumps(
        {"error": "OnlineTableMissing", "what": "no table", "where": "DynamoDB", "why": "", "fix": "deploy"}
    )
    cause = json.dumps({"errorType": "OnlineTableMissing", "errorMessage": wire})
    ended = materialized(Status=status, Error="OnlineTableMissing", Cause=cause, ExecutionArn="arn:of:it")

    result = train(harness, DescribeExecution=[ended], ReportOutcome=[payload(FAILED_REPORT)])

    assert not result.succeeded
    assert not {"DecideGate", "DeployModel"} & set(result.path)
    failure = told(result).failure
    assert failure is not None
    assert failure.state == "StartMaterialization"
    error = explain(failure)
    assert (error.name, error.what, error.fix) == ("OnlineTableMissing", "no table", "deploy")


def test_a_materialization_that_ended_before_its_start_was_heard_of_is_the_one(harness: Harness) -> None:
    result = train(harness, StartMaterialization=[STARTED_ALREADY])

    assert result.succeeded
    assert len(result.calls_of("StartMaterialization")) == 1
    assert told(result).skew is not None


def test_anothers_materialization_of_that_name_is_not_taken_for_it(harness: Harness) -> None:
    others = {"Status": "SUCCEEDED", "Output": json.dumps(WRITTEN)}
    described = {**others, "StateMachineArn": "arn", "Name": JOB, "Input": "{}"}

    result = train(
        harness,
        StartMaterialization=[STARTED_ALREADY],
        DescribeExecution=[described],
        ReportOutcome=[payload(FAILED_REPORT)],
    )

    assert not result.succeeded
    failure = told(result).failure
    assert failure is not None
    assert "its name is taken" in failure.cause
    assert "DecideGate" not in result.path


def test_what_fails_is_handed_to_the_report_with_its_state(harness: Harness) -> None:
    state = "StartMaterialization"
    result = train(harness, **{state: [Failure("Broken", "why")]}, ReportOutcome=[payload(FAILED_REPORT)])

    failure = told(result).failure
    assert failure is not None
    assert failure.model_dump() == {"state": state, "error": "Broken", "cause": "why"}
    assert len(result.calls_of("NotifyOutcome")) == 1


def test_a_lost_deployment_is_still_followed_where_there_are_features(harness: Harness) -> None:
    deployed = TRAINING["DescribeExecution"][0]
    result = train(
        harness,
        DeployModel=[STARTED_ALREADY],
        DescribeExecution=[*WITH_FEATURES["DescribeExecution"], deployed],
    )

    assert result.succeeded
    assert told(result).skew is not None
    assert told(result).outcome == "Deployed"


def test_a_project_without_features_has_none_of_it(harness: Harness) -> None:
    result = harness.run("training", SOURCE, TRAINING)

    assert result.succeeded
    assert not {"StartMaterialization", "DescribeExecution"} & set(result.path)
    [decide] = result.calls_of("DecideGate")
    assert DecideGateInput.model_validate(decide["Payload"]).skew is None
    assert told(result).skew is None
