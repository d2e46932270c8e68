from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.errors import DataRejected
from sluice.payloads.training import StateFailure
from sluice.reporting.failures import Explained, explain

TRAINING = {
    "TrainingJobName": "bank-1-train",
    "TrainingJobStatus": "Failed",
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
PROCESSING = {
    "ProcessingJobName": "bank-1-build",
    "ProcessingJobStatus": "Failed",
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
TRANSFORM = {"TransformJobName": "bank-1-challenger", "TransformJobStatus": "Failed"}


def told(state: str, cause: Any, error: str = "States.TaskFailed") -> Explained:
    text = cause if isinstance(cause, str) else json.dumps(cause)
    return explain(StateFailure(state=state, error=error, cause=text))


def test_an_error_a_handler_raised_is_told_in_its_own_words() -> None:
    error = DataRejected("12 rows rejected", where="s3://b/k", why="age", fix="upload again")
    found = told("ValidateDataset", {"errorType": error.name, "errorMessage": str(error)}, error.name)
    assert found == Explained("DataRejected", str(error))


def test_an_unforeseen_error_of_a_handler_is_the_pipelines() -> None:
    found = told("DecideGate", {"errorType": "KeyError", "errorMessage": "'x'"}, "KeyError")
    assert found.name == "PipelineFailed"
    assert "DecideGate failed: KeyError" in found.text
    assert "'x'" in found.text
    assert "to do" in found.text


@pytest.mark.parametrize(
    ("error", "fix"),
    [("Sandbox.Timedout", "15 minutes"), ("Runtime.ExitError", "memory")],
)
def test_a_function_that_died_says_what_helps(error: str, fix: str) -> None:
    found = told("ValidateDataset", {"errorType": error, "errorMessage": "it ended"}, error)
    assert found.name == "PipelineFailed"
    assert fix in found.text


def test_what_our_container_wrote_is_told_under_its_own_name() -> None:
    text = "the target holds only the class 'no'\n  where  column 'y'\n  to do  upload data"
    reason = f"AlgorithmError: OneClassTarget: {text}, exit code: 1"
    assert told("BuildTrainingSet", {**PROCESSING, "FailureReason": reason}) == Explained(
        "OneClassTarget", text
    )


@pytest.mark.parametrize(
    ("state", "job", "name"),
    [
        ("BuildTrainingSet", PROCESSING, "TrainingSetFailed"),
        ("TrainModel", TRAINING, "TrainingFailed"),
        ("PredictChallenger", TRANSFORM, "EvaluationFailed"),
        ("EvaluateModel", PROCESSING, "EvaluationFailed"),
    ],
)
def test_what_another_container_wrote_is_the_states_failure(
    state: str, job: dict[str, Any], name: str
) -> None:
    found = told(state, {**job, "FailureReason": "AlgorithmError: no such file: x, exit code: 2"})
    assert found.name == name
    assert "no such file: x" in found.text
    assert "exit code" not in found.text
    assert "/aws/sagemaker/" in found.text


@pytest.mark.parametrize(
    ("job", "more", "name"),
    [
        (
            TRAINING,
            {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"},
            "TrainingTimedOut",
        ),
        (
            PROCESSING,
            {"ProcessingJobStatus": "Stopped", "ExitMessage": "longer than MaxRuntimeInSeconds (60)"},
            "TrainingSetFailed",
        ),
    ],
)
def test_a_job_whose_time_is_over_names_its_limit(
    job: dict[str, Any], more: dict[str, Any], name: str
) -> None:
    state = "TrainModel" if job is TRAINING else "BuildTrainingSet"
    found = told(state, {**job, **more})
    assert found.name == name
    assert "60 seconds" in found.text
    assert "max_runtime_seconds" in found.text


def test_a_job_that_somebody_stopped_is_not_called_late() -> None:
    found = told("TrainModel", {**TRAINING, "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"})
    assert found.name == "TrainingFailed"
    assert "somebody stopped the job" in found.text


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("States.TaskFailed", json.dumps({**TRAINING, "FailureReason": "CapacityError: none left"})),
        ("SageMaker.ResourceLimitExceededException", "The account-level service limit is 0 Instances"),
    ],
)
def test_a_quota_is_answered_with_what_to_do_about_it(error: str, cause: str) -> None:
    assert "higher quota" in told("TrainModel", cause, error).text


def test_a_missing_permission_is_answered_with_what_to_do_about_it() -> None:
    found = told(
        "FindChampion", "User is not authorized to perform GetItem", "DynamoDB.AccessDeniedException"
    )
    assert found.name == "PipelineFailed"
    assert "not authorized" in found.text
    assert "deploy the stack again" in found.text


def test_a_failed_deployment_is_told_by_its_own_cause() -> None:
    found = told(
        "DeployModel",
        {"ExecutionArn": "arn:…:deployment:1", "Status": "FAILED", "Cause": "the endpoint is Failed"},
    )
    assert found.name == "DeploymentFailed"
    assert "the endpoint is Failed" in found.text
    assert "arn:…:deployment:1" in found.text


@pytest.mark.parametrize("cause", ["", "no JSON", "[1, 2]", "null", '{"some": "thing"}'])
def test_any_other_cause_is_handed_on(cause: str) -> None:
    found = told("NotifyOutcome", cause, "States.Timeout")
    assert found.name == "PipelineFailed"
    assert "NotifyOutcome failed: States.Timeout" in found.text
    assert (cause or "no cause") in found.text
