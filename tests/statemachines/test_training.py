"""training: what each state asks, and what people hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sluice.payloads.training import DecideGateInput, ReportOutcomeInput, ValidateDatasetInput
from tests.statemachines.harness import EXECUTION_NAME, SUBSTITUTIONS, Failure, Harness, Run, payload, states
from tests.statemachines.scenarios import (
    CHAMPION,
    CHAMPION_URI,
    DATASET,
    FAILED_REPORT,
    MODEL_URI,
    REFUSED,
    REPORT,
    SOURCE,
    SUMMARY,
    TRAINING,
)

# The states between Begin and ReportOutcome any failure of which is reported.
WORK = [
    name
    for name, state in states("training").items()
    for catcher in state.get("Catch", [])
    if catcher["Next"] == "ReportOutcome" and catcher["ErrorEquals"] == ["States.ALL"]
]
OWN_IMAGE = {"CreateChallenger", "PredictChallenger"}


def train(harness: Harness, /, **outcomes: Sequence[Any]) -> Run:
    """Run training; as for a project with its own image where an outcome is of a state that only it has."""
    own_image = bool(OWN_IMAGE & outcomes.keys())
    return harness.run("training", SOURCE, {**TRAINING, **outcomes}, own_image=own_image)


def train_image(harness: Harness, /, **outcomes: Sequence[Any]) -> Run:
    return harness.run("training", SOURCE, {**TRAINING, **outcomes}, own_image=True)


def report(result: Run) -> ReportOutcomeInput:
    [arguments] = result.calls_of("ReportOutcome")
    return ReportOutcomeInput.model_validate(arguments["Payload"])


def inputs(result: Run) -> dict[str, str]:
    """What EvaluateModel is given: name -> S3 URI."""
    [arguments] = result.calls_of("EvaluateModel")
    return {item["InputName"]: item["S3Input"]["S3Uri"] for item in arguments["ProcessingInputs"]}


def test_a_model_that_passes_is_deployed_and_reported(harness: Harness) -> None:
    result = train(harness)

    assert (result.succeeded, result.output) == (True, SUMMARY)
    told = report(result)
    assert told.outcome == "Deployed"
    assert told.execution == EXECUTION_NAME
    assert told.source == SOURCE
    assert told.dataset is not None
    assert told.dataset.dataset_version == DATASET["dataset_version"]
    assert told.model_uri == MODEL_URI
    assert told.failure is None
    [deployment] = result.calls_of("DeployModel")
    assert deployment["StateMachineArn"] == SUBSTITUTIONS["DeploymentArn"]
    assert deployment["Input"]["model_uri"] == MODEL_URI
    assert deployment["Input"]["dataset_version"] == DATASET["dataset_version"]
    assert deployment["Name"] == deployment["Input"]["name"]


def test_the_functions_are_asked_what_they_accept(harness: Harness) -> None:
    result = train(harness)

    [validate] = result.calls_of("ValidateDataset")
    assert ValidateDatasetInput.model_validate(validate["Payload"]).version_id == SOURCE["version_id"]
    [decide] = result.calls_of("DecideGate")
    evaluation = f"s3://artifacts/reports/{EXECUTION_NAME}/evaluation/evaluation.json"
    assert DecideGateInput.model_validate(decide["Payload"]).evaluation_uri == evaluation


def test_a_console_execution_needs_no_version(harness: Harness) -> None:
    typed = {"bucket": "uploads", "key": "incoming/training/bank.csv"}
    result = harness.run("training", typed, TRAINING)

    [validate] = result.calls_of("ValidateDataset")
    assert ValidateDatasetInput.model_validate(validate["Payload"]).version_id is None
    assert report(result).source["version_id"] is None


def test_the_first_model_is_judged_alone(harness: Harness) -> None:
    result = train(harness)

    [arguments] = result.calls_of("EvaluateModel")
    assert arguments["Environment"] == {"CHALLENGER_URI": MODEL_URI}
    assert set(inputs(result)) == {"test", "code", "challenger"}


def test_the_champion_is_judged_on_the_same_rows(harness: Harness) -> None:
    result = train(harness, FindChampion=[CHAMPION])

    [arguments] = result.calls_of("EvaluateModel")
    assert arguments["Environment"] == {"CHALLENGER_URI": MODEL_URI, "CHAMPION_URI": CHAMPION_URI}
    assert inputs(result)["champion"] == CHAMPION_URI
    assert inputs(result)["challenger"] == MODEL_URI
    assert inputs(result)["test"] == f"s3://artifacts/training-sets/{EXECUTION_NAME}/test/"


def test_a_lock_without_a_release_is_no_champion(harness: Harness) -> None:
    locked = {"Item": {"endpoint_name": {"S": "bank"}, "lock_owner": {"S": "somebody"}}}

    assert "champion" not in inputs(train(harness, FindChampion=[locked]))


def test_a_model_of_an_own_image_is_judged_by_its_containers_answers(harness: Harness) -> None:
    result = train_image(harness)

    [made] = result.calls_of("CreateChallenger")
    assert made["PrimaryContainer"] == {"Image": SUBSTITUTIONS["ServeImageUri"], "ModelDataUrl": MODEL_URI}
    [job] = result.calls_of("PredictChallenger")
    assert job["ModelName"] == made["ModelName"]
    source = job["TransformInput"]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == f"s3://artifacts/training-sets/{EXECUTION_NAME}/test/test.csv"
    output = job["TransformOutput"]["S3OutputPath"]
    assert output == f"s3://artifacts/reports/{EXECUTION_NAME}/predictions/challenger"
    assert inputs(result)["challenger"] == "s3://artifacts/reports/x/predictions/challenger/"
    assert set(inputs(result)) == {"test", "code", "challenger"}
    assert "PredictChampion" not in result.path
    [deployment] = result.calls_of("DeployModel")
    assert deployment["Input"]["name"] == made["ModelName"]
    assert deployment["Input"]["has_model"] is True


def test_a_model_of_training_code_is_judged_by_its_archive(harness: Harness) -> None:
    result = train(harness, FindChampion=[CHAMPION])

    assert not (OWN_IMAGE | {"PredictChampion"}) & set(result.path)
    [deployment] = result.calls_of("DeployModel")
    assert deployment["Input"]["has_model"] is False


def test_the_champion_of_an_own_image_answers_to_the_same_rows(harness: Harness) -> None:
    result = train_image(harness, FindChampion=[CHAMPION])

    [challenger], [champion] = result.calls_of("PredictChallenger"), result.calls_of("PredictChampion")
    assert champion["ModelName"] == "bank-0"
    assert champion["TransformInput"] == challenger["TransformInput"]
    assert champion["TransformOutput"]["S3OutputPath"].endswith("/predictions/champion")
    [evaluation] = result.calls_of("EvaluateModel")
    assert evaluation["Environment"] == {"CHALLENGER_URI": MODEL_URI, "CHAMPION_URI": CHAMPION_URI}
    assert inputs(result)["champion"] == "s3://artifacts/reports/x/predictions/champion/"


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (
            '{"TransformJobStatus":"Failed","FailureReason":"ClientError: it takes 4 columns","ModelName":"b"}',
            "ClientError: it takes 4 columns",
        ),
        ("x" * 1000, "x" * 256),  # as much as a processing job's environment takes
        ("", "States.TaskFailed"),
    ],
)
def test_a_champion_that_does_not_answer_cannot_be_judged(harness: Harness, cause: str, told: str) -> None:
    failed = Failure("States.TaskFailed", cause)
    result = train_image(harness, FindChampion=[CHAMPION], PredictChampion=[failed])

    [evaluation] = result.calls_of("EvaluateModel")
    assert evaluation["Environment"]["CHAMPION_URI"] == CHAMPION_URI
    assert evaluation["Environment"]["CHAMPION_ERROR"] == told
    assert "champion" not in inputs(result)


def test_an_api_that_fails_does_not_spare_the_challenger_the_comparison(harness: Harness) -> None:
    denied = Failure("SageMaker.AmazonSageMakerException", "AccessDenied")
    result = train_image(
        harness, FindChampion=[CHAMPION], PredictChampion=[denied], ReportOutcome=[payload(FAILED_REPORT)]
    )

    assert "EvaluateModel" not in result.path
    failure = report(result).failure
    assert failure is not None
    assert (failure.state, failure.cause) == ("PredictChampion", "AccessDenied")


def test_jobs_of_one_execution_share_a_name_that_fits_sagemaker(harness: Harness) -> None:
    result = train_image(harness, FindChampion=[CHAMPION])

    names = [
        result.calls_of(state)[0][field]
        for state, field in [
            ("BuildTrainingSet", "ProcessingJobName"),
            ("TrainModel", "TrainingJobName"),
            ("CreateChallenger", "ModelName"),
            ("PredictChallenger", "TransformJobName"),
            ("PredictChampion", "TransformJobName"),
            ("EvaluateModel", "ProcessingJobName"),
        ]
    ]
    assert len(set(names)) == len(names)
    longest_project = 24
    assert all(len(name) - len("bank") + longest_project <= 63 for name in names)


def test_hyperparameters_and_limits_reach_the_job_as_they_should(harness: Harness) -> None:
    [job] = train(harness).calls_of("TrainModel")

    assert job["HyperParameters"] == {"max_iter": "150"}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert job["Environment"] == {"DATASET_VERSION": DATASET["dataset_version"]}


def test_a_refused_model_is_an_outcome_not_a_failure(harness: Harness) -> None:
    result = train(harness, DecideGate=[payload(REFUSED)])

    assert result.succeeded
    assert "DeployModel" not in result.path
    told = report(result)
    assert told.outcome == "GateRejected"
    assert told.gate is not None
    assert told.gate.reasons == REFUSED["reasons"]


@pytest.mark.parametrize("state", WORK)
def test_a_failure_is_handed_to_the_report_with_its_state(harness: Harness, state: str) -> None:
    result = train(
        harness,
        **{state: [Failure("States.TaskFailed", '{"FailureReason": "why"}')]},
        ReportOutcome=[payload(FAILED_REPORT)],
    )

    told = report(result)
    assert told.outcome == "Failed"
    assert told.failure is not None
    assert told.failure.model_dump() == {
        "state": state,
        "error": "States.TaskFailed",
        "cause": '{"FailureReason": "why"}',
    }
    assert result.path[-4:] == ["ReportOutcome", "NotifyOutcome", "HasFailed", "Failed"]
    assert (result.error, result.cause) == (FAILED_REPORT["error"], FAILED_REPORT["cause"])


@pytest.mark.parametrize("state", WORK)
def test_a_failure_without_a_cause_is_reported_too(harness: Harness, state: str) -> None:
    result = train(harness, **{state: [Failure("Broken", "")]}, ReportOutcome=[payload(FAILED_REPORT)])

    failure = report(result).failure
    assert failure is not None
    assert (failure.error, failure.cause) == ("Broken", "")


@pytest.mark.parametrize("state", ["", *WORK, "ReportOutcome"])
def test_people_are_told_once(harness: Harness, state: str) -> None:
    outcomes: dict[str, list[Any]] = {"ReportOutcome": [payload(FAILED_REPORT if state else REPORT)]}
    if state:
        outcomes[state] = [Failure("Broken", "why")]

    result = train(harness, **outcomes)

    assert len(result.calls_of("NotifyOutcome")) == 1


def test_the_message_is_the_report_and_its_outcome_can_be_filtered_on(harness: Harness) -> None:
    [message] = train(harness).calls_of("NotifyOutcome")

    assert message["TopicArn"] == SUBSTITUTIONS["TopicArn"]
    assert (message["Subject"], message["Message"]) == (REPORT["subject"], REPORT["message"])
    assert message["MessageAttributes"]["outcome"]["StringValue"] == "Deployed"


def test_without_a_report_the_first_failure_is_the_one_people_hear_of(harness: Harness) -> None:
    result = train(
        harness,
        TrainModel=[Failure("TrainingBroke", "a hook raised")],
        ReportOutcome=[Failure("ReportBroke")],
    )

    assert (result.error, result.cause) == ("TrainingBroke", "a hook raised")
    [message] = result.calls_of("NotifyOutcome")
    assert "a hook raised" in message["Message"]
    assert "ReportBroke" in message["Message"]
    assert len(message["Subject"]) <= 100


def test_a_deployed_model_whose_report_fails_is_a_failure(harness: Harness) -> None:
    result = train(harness, ReportOutcome=[Failure("ReportBroke", "no access")])

    assert result.error == "PipelineFailed"
    assert result.cause is not None
    assert "no access" in result.cause


def test_a_notification_that_cannot_be_sent_fails_the_execution_and_keeps_the_first_cause(
    harness: Harness,
) -> None:
    unsent = Failure("SNS.NotFoundException", "no such topic")
    result = train(
        harness,
        TrainModel=[Failure("TrainingBroke")],
        ReportOutcome=[payload(FAILED_REPORT)],
        NotifyOutcome=[unsent],
    )

    assert result.error == FAILED_REPORT["error"]
    assert result.cause is not None
    assert result.cause.startswith(str(FAILED_REPORT["cause"]))
    assert "no such topic" in result.cause
    assert train(harness, NotifyOutcome=[unsent]).error == "PipelineFailed"
