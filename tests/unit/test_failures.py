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


LIMIT = (
    "The account-level service limit '{}' is 0 Instances, with current utilization of 0 Instances and a request "
    "delta of 1 Instances. (Service: AmazonSageMaker; Status Code: 400; Error Code: ResourceLimitExceeded)"
)


@pytest.mark.parametrize(
    ("state", "quota", "setting"),
    [
        ("BuildTrainingSet", "ml.m5.large for processing job usage", "-c processing_instance_type="),
        ("EvaluateModel", "Number of instances across all processing jobs", "-c processing_instance_type="),
        ("TrainModel", "ml.m5.large for training job usage", "[model] in project.toml"),
        ("PredictChallenger", "ml.m5.large for transform job usage", "-c transform_instance_type="),
        ("PredictChampion", "ml.m5.large for transform job usage", "-c transform_instance_type="),
        ("DeployModel", "ml.t2.medium for endpoint usage", "[serving] in project.toml"),
    ],
)
def test_a_quota_names_itself_and_the_setting_that_chooses_the_instances(
    state: str, quota: str, setting: str
) -> None:
    for cause in (
        LIMIT.format(quota),
        {"ExecutionArn": "arn:…:deployment:1", "Status": "FAILED", "Cause": LIMIT.format(quota)},
    ):
        text = told(state, cause, "SageMaker.ResourceLimitExceededException").text
        to_do = text[text.index("to do") :]
        assert f"'{quota}'" in to_do
        assert setting in to_do
        assert "sluice preflight" in to_do
        assert text.count("instance_type") == 1


def test_the_quota_that_is_named_decides_not_the_state() -> None:
    text = told("DeployModel", LIMIT.format("training-job/ml.p2.xlarge")).text
    assert "[model] in project.toml" in text


@pytest.mark.parametrize(
    ("state", "reason", "setting"),
    [
        ("TrainModel", "CapacityError: Unable to provision requested ML compute capacity.", "[model]"),
        ("BuildTrainingSet", "ClientError: InsufficientInstanceCapacity", "processing_instance_type"),
    ],
)
def test_without_capacity_another_type_or_another_hour_helps(state: str, reason: str, setting: str) -> None:
    job = {"TrainModel": TRAINING, "BuildTrainingSet": PROCESSING}[state]
    text = told(state, {**job, "FailureReason": reason}).text
    assert setting in text
    assert "later" in text
    assert "quota" not in text


def test_a_limit_of_another_service_is_no_matter_of_instances() -> None:
    text = told("NotifyOutcome", "Rate limit: too much", "SNS.LimitExceededException").text
    assert "ask AWS for more" in text
    assert "instance_type" not in text


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
