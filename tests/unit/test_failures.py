from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.errors import SluiceError
from sluice.payloads.training import StateFailure
from sluice.reporting.failures import explain

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
TUNING = {"HyperParameterTuningJobName": "bank-1", "HyperParameterTuningJobStatus": "Failed"}
TRANSFORM = {"TransformJobName": "bank-1-challenger", "TransformJobStatus": "Failed"}


def told(state: str, cause: Any, error: str = "States.TaskFailed") -> SluiceError:
    text = cause if isinstance(cause, str) else json.dumps(cause)
    return explain(StateFailure(state=state, error=error, cause=text))


OURS = {
    "error": "DataRejected",
    "what": "12 rows rejected",
    "where": "s3://b/k",
    "why": 'age: "x", not a number',
    "fix": "upload again",
}
WIRE = json.dumps(OURS)
TEXT = '12 rows rejected\n  where  s3://b/k\n  why    age: "x", not a number\n  to do  upload again'


@pytest.mark.parametrize(
    ("state", "cause", "error"),
    [
        (
            "ValidateDataset",
            {"errorType": "DataRejected", "errorMessage": WIRE, "stackTrace": ["x"]},
            "DataRejected",
        ),
        # AWS says of every failed processing job's reason only where to look.
        (
            "BuildTrainingSet",
            {
                **PROCESSING,
                "FailureReason": "AlgorithmError: See job logs for more information",
                "ExitMessage": WIRE,
            },
            "States.TaskFailed",
        ),
        (
            "BuildTrainingSet",
            {
                **PROCESSING,
                "FailureReason": "AlgorithmError: See job logs, exit code: 1",
                "ExitMessage": WIRE,
            },
            "States.TaskFailed",
        ),
        ("BuildTrainingSet", {**PROCESSING, "ExitMessage": WIRE}, "States.TaskFailed"),
        (
            "TrainModel",
            {**TRAINING, "FailureReason": f"AlgorithmError: {WIRE}, exit code: 1"},
            "States.TaskFailed",
        ),
        ("TrainModel", {**TRAINING, "FailureReason": f"AlgorithmError: {WIRE}"}, "States.TaskFailed"),
        ("DeployModel", {"ExecutionArn": "arn", "Status": "FAILED", "Cause": WIRE}, "States.TaskFailed"),
        ("TrainModel", OURS, "PipelineFailed"),
    ],
)
def test_an_error_of_ours_is_told_in_its_own_words_wherever_it_was_raised(
    state: str, cause: dict[str, Any], error: str
) -> None:
    found = told(state, cause, error)
    assert (found.name, str(found)) == ("DataRejected", TEXT)


def test_a_processing_job_that_sagemaker_could_not_run_says_why() -> None:
    reason = "ClientError: No S3 objects found under S3 URL s3://b/k"
    found = told("EvaluateModel", {**PROCESSING, "FailureReason": reason, "ExitMessage": "of before"})
    assert found.name == "EvaluationFailed"
    assert reason in str(found)


def test_a_processing_job_that_left_nothing_says_where_to_look() -> None:
    found = told("EvaluateModel", {**PROCESSING, "FailureReason": "AlgorithmError: See job logs"})
    assert found.name == "EvaluationFailed"
    assert "See job logs" in str(found)
    assert "/aws/sagemaker/ProcessingJobs/bank-1-build" in str(found)


def test_an_error_of_no_class_of_ours_is_the_states() -> None:
    wire = json.dumps({"error": "SluiceError", "what": "it does not load"})
    found = told("EvaluateModel", {**PROCESSING, "ExitMessage": wire})
    assert (found.name, str(found)) == ("EvaluationFailed", "it does not load")


def test_an_unforeseen_error_of_a_handler_is_the_pipelines() -> None:
    found = told("DecideGate", {"errorType": "KeyError", "errorMessage": "'x'"}, "KeyError")
    assert found.name == "PipelineFailed"
    assert "DecideGate failed: KeyError" in str(found)
    assert "'x'" in str(found)
    assert "to do" in str(found)


@pytest.mark.parametrize(
    ("error", "fix"),
    [("Sandbox.Timedout", "15 minutes"), ("Runtime.ExitError", "memory")],
)
def test_a_function_that_died_says_what_helps(error: str, fix: str) -> None:
    found = told("ValidateDataset", {"errorType": error, "errorMessage": "it ended"}, error)
    assert found.name == "PipelineFailed"
    assert fix in str(found)


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
    said = {"FailureReason": "AlgorithmError: no such file: x, exit code: 2"}
    if job is PROCESSING:
        said = {"FailureReason": "AlgorithmError: See job logs", "ExitMessage": "no such file: x"}
    found = told(state, {**job, **said})
    assert found.name == name
    assert "no such file: x" in str(found)
    assert "exit code" not in str(found)
    assert "/aws/sagemaker/" in str(found)


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
            {
                "ProcessingJobStatus": "Stopped",
                "ProcessingStartTime": 1_700_000_000_000,
                "ProcessingEndTime": 1_700_000_061_000,
            },
            "TrainingSetFailed",
        ),
        (
            PROCESSING,
            {
                "ProcessingJobStatus": "Stopped",
                "ProcessingStartTime": "2026-01-01T00:00:00Z",
                "ProcessingEndTime": "2026-01-01T00:01:00.5Z",
            },
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
    assert "60 seconds" in str(found)
    assert "max_runtime_seconds" in str(found)


@pytest.mark.parametrize(
    "times", [{}, {"TrainingStartTime": 1_700_000_000_000, "TrainingEndTime": 1_700_000_030_000}]
)
def test_a_job_that_somebody_stopped_is_not_called_late(times: dict[str, int]) -> None:
    stopped = {**TRAINING, "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped", **times}
    found = told("TrainModel", stopped)
    assert found.name == "TrainingFailed"
    assert "somebody stopped the job" in str(found)


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
        text = str(told(state, cause, "SageMaker.ResourceLimitExceededException"))
        to_do = text[text.index("to do") :]
        assert f"'{quota}'" in to_do
        assert setting in to_do
        assert "sluice preflight" in to_do
        assert text.count("instance_type") == 1


def test_the_quota_that_is_named_decides_not_the_state() -> None:
    text = str(told("DeployModel", LIMIT.format("training-job/ml.p2.xlarge")))
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
    text = str(told(state, {**job, "FailureReason": reason}))
    assert setting in text
    assert "later" in text
    assert "quota" not in text


def test_a_limit_of_another_service_is_no_matter_of_instances() -> None:
    text = str(told("NotifyOutcome", "Rate limit: too much", "SNS.LimitExceededException"))
    assert "ask AWS for more" in text
    assert "instance_type" not in text


def test_a_missing_permission_is_answered_with_what_to_do_about_it() -> None:
    found = told(
        "FindChampion", "User is not authorized to perform GetItem", "DynamoDB.AccessDeniedException"
    )
    assert found.name == "PipelineFailed"
    assert "not authorized" in str(found)
    assert "deploy the stack again" in str(found)


def test_a_failed_deployment_is_told_by_its_own_cause() -> None:
    found = told(
        "DeployModel",
        {"ExecutionArn": "arn:…:deployment:1", "Status": "FAILED", "Cause": "the endpoint is Failed"},
    )
    assert found.name == "DeploymentFailed"
    assert "the endpoint is Failed" in str(found)
    assert "arn:…:deployment:1" in str(found)


@pytest.mark.parametrize("cause", ["", "no JSON", "[1, 2]", "null", '{"some": "thing"}'])
def test_any_other_cause_is_handed_on(cause: str) -> None:
    found = told("NotifyOutcome", cause, "States.Timeout")
    assert found.name == "PipelineFailed"
    assert "NotifyOutcome failed: States.Timeout" in str(found)
    assert (cause or "no cause") in str(found)


@pytest.mark.parametrize(
    ("cause", "parts"),
    [
        (
            "User: arn:u is not authorized to perform: sagemaker:CreateModel",
            ["not authorized", "deploy the stack again"],
        ),
        (
            "The account-level service limit is 0",
            ["service limit", "ask AWS for more", "[serving] in project.toml"],
        ),
        ("it has 'quotes', \"quotes\" and\nlines", ["it has 'quotes', \"quotes\" and\nlines"]),
    ],
)
def test_a_deployment_that_failed_in_a_state_keeps_that_states_failure(cause: str, parts: list[str]) -> None:
    inner = {"state": "CreateModel", "error": "SageMaker.SageMakerException", "cause": cause}
    found = told(
        "DeployModel", {"ExecutionArn": "arn:…:deployment:1", "Status": "FAILED", "Cause": json.dumps(inner)}
    )
    assert found.name == "DeploymentFailed"
    for part in ("CreateModel failed: SageMaker.SageMakerException", "arn:…:deployment:1", *parts):
        assert part in str(found)
    assert "{" not in str(found)


@pytest.mark.parametrize(
    ("said", "name", "words"),
    [
        # As a Lambda function's error comes out of the machine that called it.
        ({"Cause": json.dumps({"errorType": "X", "errorMessage": WIRE})}, None, ()),
        ({"Cause": WIRE}, None, ()),
        ({"Error": "States.Timeout"}, "PipelineFailed", ("States.Timeout", "sluice materialize --wait")),
        ({}, "PipelineFailed", ("it is FAILED", "were not written to the online store")),
        ({"Cause": "no JSON"}, "PipelineFailed", ("no JSON",)),
    ],
)
def test_features_that_were_not_written_are_told_in_the_functions_words(
    said: dict[str, str], name: str | None, words: tuple[str, ...]
) -> None:
    error = told("StartMaterialization", {"ExecutionArn": "arn:of:it", "Status": "FAILED", **said})
    if name is None:
        assert (error.name, str(error)) == ("DataRejected", TEXT)
        return
    assert (error.name, error.where) == (name, "execution arn:of:it")
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize(
    ("cause", "what", "where", "why"),
    [
        # Of a search whose trials all failed, the first of them.
        (
            {**TRAINING, "FailureReason": f"AlgorithmError: {WIRE}, exit code: 1"},
            "12 rows rejected",
            "s3://b/k",
            'age: "x", not a number',
        ),
        (
            {**TUNING, "FailureReason": "No training job succeeded after 5 attempts."},
            "SearchHyperparameters failed",
            "tuning job bank-1",
            "No training job succeeded after 5 attempts.",
        ),
        (
            {**TUNING, "HyperParameterTuningJobStatus": "Stopped"},
            "SearchHyperparameters was stopped",
            "tuning job bank-1",
            "somebody stopped the job",
        ),
    ],
)
def test_a_search_is_explained_by_its_trial_or_by_itself(
    cause: dict[str, Any], what: str, where: str, why: str
) -> None:
    error = told("SearchHyperparameters", cause)
    assert (error.what, error.where, error.why) == (what, where, why)
    if "Reason" in str(cause) and where.startswith("tuning"):
        assert "/aws/sagemaker/TrainingJobs/bank-1" in error.fix


def test_a_search_without_instances_says_what_to_ask_for() -> None:
    quota = "The account-level service limit 'ml.m5.large for training job usage' is 0 Instances"
    error = told("SearchHyperparameters", quota, "SageMaker.ResourceLimitExceededException")
    assert "instance_type under [model]" in error.fix
