"""training: what each state asks, and what people hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sluice import keys, naming
from sluice.payloads.registry import RegisteredModel
from sluice.payloads.tracking import OpenRunInput, RegisterModelInput
from sluice.payloads.training import DecideGateInput, ReportOutcomeInput, ValidateDatasetInput
from tests.statemachines.answers import (
    CHAMPION,
    CHAMPION_URI,
    DATASET,
    FAILED_REPORT,
    GATE,
    JOB,
    MODEL_URI,
    NO_ARCHIVE,
    REFUSED,
    REGISTERED,
    REPORT,
    ROLLED_BACK,
    RUN,
    SOURCE,
    SUMMARY,
    TRAINING,
    as_asked,
)
from tests.statemachines.harness import EXECUTION_NAME, SETTINGS, Failure, Harness, Run, payload, states

# The states any failure of which is reported.
WORK = [
    "KeepCode",
    "ValidateDataset",
    "FindChampion",
    "BuildTrainingSet",
    "TrainModel",
    "RecordArchive",
    "CheckArchive",
    "CreateChallenger",
    "PredictChallenger",
    "EvaluateModel",
    "DecideGate",
    "DeployModel",
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
    assert told.source.model_dump(exclude={"uri"}) == SOURCE
    assert told.dataset is not None
    assert told.dataset.dataset_version == DATASET["dataset_version"]
    assert told.model_uri == MODEL_URI
    assert told.failure is None
    [deployment] = result.calls_of("DeployModel")
    assert deployment["StateMachineArn"] == "arn:aws:states:us-east-1:123456789012:stateMachine:deployment"
    assert deployment["Input"]["model_uri"] == MODEL_URI
    assert deployment["Input"]["dataset_version"] == DATASET["dataset_version"]
    assert deployment["Name"] == deployment["Input"]["model_name"]


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
    assert report(result).source.version_id is None


@pytest.mark.parametrize(
    ("typed", "dataset"),
    [({}, None), ({"dataset": "current"}, "current"), ({"dataset": "0123456789abcdef"}, "0123456789abcdef")],
)
def test_an_execution_without_an_upload_trains_on_a_dataset_that_is_there(
    harness: Harness, typed: dict[str, Any], dataset: str | None
) -> None:
    result = harness.run("training", typed, TRAINING)

    [validate] = result.calls_of("ValidateDataset")
    asked = ValidateDatasetInput.model_validate(validate["Payload"])
    assert (asked.bucket, asked.key, asked.dataset, asked.mode) == (None, None, dataset, "replace")
    assert report(result).source.key is None
    assert result.output == SUMMARY


def test_the_job_is_given_the_parts_and_the_manifest_that_orders_them(harness: Harness) -> None:
    [build] = train(harness).calls_of("BuildTrainingSet")
    given = {
        each["InputName"]: (each["S3Input"]["S3Uri"], each["S3Input"]["S3DataType"])
        for each in build["ProcessingInputs"]
    }
    assert given["dataset"] == (DATASET["parts_uri"], "ManifestFile")
    assert given["manifest"] == (DATASET["manifest_uri"], "S3Prefix")


@pytest.mark.parametrize(
    "offline",
    [{}, {"ATHENA_DATABASE": "features"}, {"ATHENA_DATABASE": "features", "ATHENA_EXECUTION": "{job}"}],
)
def test_the_job_is_told_of_its_offline_store_and_is_never_told_nothing(
    harness: Harness, offline: dict[str, str]
) -> None:
    [build] = harness.run("training", SOURCE, TRAINING, offline=offline).calls_of("BuildTrainingSet")
    told = {name: value.replace("{job}", JOB) for name, value in offline.items()}
    assert build["Environment"] == {"DATASET_VERSION": DATASET["dataset_version"], **told}


def test_the_first_model_is_judged_alone(harness: Harness) -> None:
    result = train(harness)

    [arguments] = result.calls_of("EvaluateModel")
    assert arguments["Environment"] == {"CHALLENGER_MODEL_URI": MODEL_URI}
    assert set(inputs(result)) == {"held_out", "code", "challenger"}


def test_the_champion_is_judged_on_the_same_rows(harness: Harness) -> None:
    result = train(harness, FindChampion=[CHAMPION])

    [arguments] = result.calls_of("EvaluateModel")
    assert arguments["Environment"] == {"CHALLENGER_MODEL_URI": MODEL_URI, "CHAMPION_MODEL_URI": CHAMPION_URI}
    assert inputs(result)["champion"] == CHAMPION_URI
    assert inputs(result)["challenger"] == MODEL_URI
    assert inputs(result)["held_out"] == f"s3://artifacts/training-sets/{EXECUTION_NAME}/held_out/"


def test_a_lock_without_a_release_is_no_champion(harness: Harness) -> None:
    result = train(harness)

    [asked] = result.calls_of("FindChampion")
    assert asked["Key"] == {"endpoint_name": {"S": "sluice-bank-dev"}, "item": {"S": "release"}}
    assert asked["ConsistentRead"] is True


def test_a_model_of_an_own_image_is_judged_by_its_containers_answers(harness: Harness) -> None:
    result = train_image(harness)

    [made] = result.calls_of("CreateChallenger")
    assert made["PrimaryContainer"] == {"Image": SETTINGS["images"]["serve"], "ModelDataUrl": MODEL_URI}
    [job] = result.calls_of("PredictChallenger")
    assert job["ModelName"] == made["ModelName"]
    source = job["TransformInput"]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == f"s3://artifacts/training-sets/{EXECUTION_NAME}/held_out/held_out.csv"
    output = job["TransformOutput"]["S3OutputPath"]
    assert output == f"s3://artifacts/reports/{EXECUTION_NAME}/predictions/challenger"
    assert inputs(result)["challenger"] == "s3://artifacts/reports/x/predictions/challenger/"
    assert set(inputs(result)) == {"held_out", "code", "challenger"}
    assert "PredictChampion" not in result.path
    [deployment] = result.calls_of("DeployModel")
    assert deployment["Input"]["model_name"] == made["ModelName"]
    assert deployment["Input"]["has_model"] is True


def test_a_model_of_training_code_is_judged_by_its_archive(harness: Harness) -> None:
    result = train(harness, FindChampion=[CHAMPION])

    assert not (OWN_IMAGE | {"PredictChampion"}) & set(result.path)
    [deployment] = result.calls_of("DeployModel")
    assert deployment["Input"]["has_model"] is False


def test_the_champion_of_an_own_image_answers_to_the_same_rows(harness: Harness) -> None:
    result = train_image(harness, FindChampion=[CHAMPION])

    [challenger], [champion] = result.calls_of("PredictChallenger"), result.calls_of("PredictChampion")
    assert champion["ModelName"] == "bank-dev-0"
    assert champion["TransformInput"] == challenger["TransformInput"]
    assert champion["TransformOutput"]["S3OutputPath"].endswith("/predictions/champion")
    [evaluation] = result.calls_of("EvaluateModel")
    assert evaluation["Environment"] == {
        "CHALLENGER_MODEL_URI": MODEL_URI,
        "CHAMPION_MODEL_URI": CHAMPION_URI,
    }
    assert inputs(result)["champion"] == "s3://artifacts/reports/x/predictions/champion/"


@pytest.mark.parametrize(
    ("described", "told"),
    [
        (
            {"TransformJobStatus": "Failed", "FailureReason": 'ClientError: it takes "4" columns, not 5'},
            'ClientError: it takes "4" columns, not 5',
        ),
        # As much as a processing job's environment takes.
        ({"TransformJobStatus": "Failed", "FailureReason": "x" * 1000}, "x" * 256),
        ({"TransformJobStatus": "Stopped"}, "its job is Stopped"),
    ],
)
@pytest.mark.parametrize("error", ["States.TaskFailed", "States.Timeout", "Unforeseen"])
def test_a_champion_that_does_not_answer_cannot_be_judged(
    harness: Harness, error: str, described: dict[str, str], told: str
) -> None:
    result = train_image(
        harness,
        FindChampion=[CHAMPION],
        PredictChampion=[Failure(error, "whatever it says")],
        DescribeTransformJob=[as_asked(TransformJobStatus="Stopping"), as_asked(**described)],
    )

    [evaluation] = result.calls_of("EvaluateModel")
    assert evaluation["Environment"]["CHAMPION_MODEL_URI"] == CHAMPION_URI
    assert evaluation["Environment"]["CHAMPION_ERROR"] == told
    assert "champion" not in inputs(result)
    assert result.succeeded


def test_a_champion_whose_archive_is_gone_cannot_be_judged(harness: Harness) -> None:
    result = train(harness, FindChampion=[CHAMPION], FindChampionArchive=[NO_ARCHIVE])

    [asked] = result.calls_of("FindChampionArchive")
    assert asked == {"Bucket": "artifacts", "Key": "models/bank-dev-0-train/output/model.tar.gz"}
    [evaluation] = result.calls_of("EvaluateModel")
    assert evaluation["Environment"]["CHAMPION_MODEL_URI"] == CHAMPION_URI
    assert evaluation["Environment"]["CHAMPION_ERROR"] == "its archive is not there any more"
    assert "champion" not in inputs(result)


def test_a_champion_whose_sagemaker_model_is_gone_cannot_be_judged(harness: Harness) -> None:
    gone = Failure(
        "SageMaker.AmazonSageMakerException", 'Could not find model "arn:aws:sagemaker:x:1:model/m".'
    )
    result = train_image(harness, FindChampion=[CHAMPION], PredictChampion=[gone])

    [evaluation] = result.calls_of("EvaluateModel")
    assert evaluation["Environment"]["CHAMPION_ERROR"] == "its SageMaker model is not there any more"
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
    assert all(len(name) - len("bank-dev") + longest_project + len("-local") <= 63 for name in names)


def test_hyperparameters_and_limits_reach_the_job_as_they_should(harness: Harness) -> None:
    [job] = train(harness).calls_of("TrainModel")

    assert job["HyperParameters"] == {"max_iter": "150", "loss": 'log "loss"'}
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert job["Environment"] == {
        "DATASET_VERSION": DATASET["dataset_version"],
        "SPOT": "false",
        **RUN["environment"],
    }


def test_a_run_is_opened_before_the_training_that_logs_into_it(harness: Harness) -> None:
    result = train(harness)

    [asked] = result.calls_of("OpenRun")
    told = OpenRunInput.model_validate(asked["Payload"])
    assert (told.model_name, told.dataset_version) == (JOB, DATASET["dataset_version"])
    assert told.execution_arn.endswith(f":execution:training:{EXECUTION_NAME}")
    assert told.hyperparameters == SETTINGS["hyperparameters"]
    assert told.images == SETTINGS["images"]
    assert (told.code, told.feature_plan, told.commit) == ("assets/code.zip", "0123456789abcdef", None)
    assert result.path.index("OpenRun") < result.path.index("TrainModel")


def test_every_model_that_was_judged_is_registered(harness: Harness) -> None:
    for gate in (GATE, REFUSED):
        result = train(harness, DecideGate=[payload(gate)])

        [asked] = result.calls_of("RegisterModel")
        told = RegisterModelInput.model_validate(asked["Payload"])
        assert (told.run_id, told.model_name, told.model_uri) == (RUN["run_id"], JOB, MODEL_URI)
        assert told.gate.promote is gate["promote"]
        assert report(result).run_id == RUN["run_id"]
        assert report(result).registered == RegisteredModel.model_validate(REGISTERED)


def test_a_deployment_is_told_the_version_whose_alias_it_moves(harness: Harness) -> None:
    assert train(harness).calls_of("DeployModel")[0]["Input"]["version"] == "3"


@pytest.mark.parametrize("state", ["OpenRun", "RegisterModel"])
def test_without_tracking_an_execution_fails_or_goes_on_by_policy(harness: Harness, state: str) -> None:
    down = {state: [Failure("TrackingUnavailable", '{"error": "x"}')]}
    script = {**TRAINING, **down, "ReportOutcome": [payload(FAILED_REPORT)]}

    failed = harness.run("training", SOURCE, script, on_failure="fail")
    went_on = harness.run("training", SOURCE, {**TRAINING, **down}, on_failure="continue")

    told = report(failed)
    assert told.outcome == "Failed"
    assert told.failure is not None
    assert (told.failure.state, told.failure.error) == (state, "TrackingUnavailable")
    assert told.untracked is None
    assert "DeployModel" not in failed.path
    told = report(went_on)
    assert (told.outcome, told.failure) == ("Deployed", None)
    assert told.untracked is not None
    assert told.untracked.state == state
    assert told.registered is None
    assert went_on.calls_of("DeployModel")[0]["Input"]["version"] is None
    # Its own calls have nowhere to go, or land in the run that is open.
    [job] = went_on.calls_of("TrainModel")
    assert ("MLFLOW_RUN_ID" in job["Environment"]) is (state == "RegisterModel")


def test_a_project_that_keeps_no_runs_asks_for_none(harness: Harness) -> None:
    result = harness.run("training", SOURCE, TRAINING, on_failure=None)

    assert result.succeeded
    assert not {"OpenRun", "RegisterModel"} & set(result.path)
    assert result.calls_of("TrainModel")[0]["Environment"] == {
        "DATASET_VERSION": DATASET["dataset_version"],
        "SPOT": "false",
    }


def test_jobs_are_called_as_the_domain_says_and_the_model_like_its_configuration(harness: Harness) -> None:
    result = train_image(harness, FindChampion=[CHAMPION])
    execution = f"arn:aws:states:us-east-1:123456789012:execution:training:{EXECUTION_NAME}"

    assert naming.job("bank", "dev", execution) == JOB
    assert result.calls_of("TrainModel")[0]["TrainingJobName"] == f"{JOB}-train"
    assert result.calls_of("CreateChallenger")[0]["ModelName"] == JOB
    assert result.calls_of("DeployModel")[0]["Input"]["model_name"] == JOB


def test_things_lie_where_the_domain_says(harness: Harness) -> None:
    result = train_image(harness)
    [build], [job], [evaluate] = (
        result.calls_of(state) for state in ("BuildTrainingSet", "TrainModel", "EvaluateModel")
    )

    def outputs(arguments: dict[str, Any]) -> dict[str, str]:
        return {
            each["OutputName"]: each["S3Output"]["S3Uri"].removeprefix("s3://artifacts/")
            for each in arguments["ProcessingOutputConfig"]["Outputs"]
        }

    folder = f"training-sets/{EXECUTION_NAME}"
    assert outputs(build) == {
        "train": f"{folder}/train",
        "held_out": f"{folder}/held_out",
        "summary": f"{folder}/summary",
    }
    assert outputs(evaluate) == {
        "evaluation": f"reports/{EXECUTION_NAME}/evaluation",
        "model": f"models/{JOB}-train/output",
    }
    assert job["OutputDataConfig"] == {"S3OutputPath": "s3://artifacts/models"}
    channels = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in job["InputDataConfig"]
    }
    assert channels == {
        "train": f"s3://artifacts/{folder}/train/",
        "code": f"s3://artifacts/{folder}/code/project.zip",
    }
    places = keys.places(EXECUTION_NAME, JOB)
    given = {name: uri.removeprefix("s3://artifacts/") for name, uri in SETTINGS["places"].items()}
    assert keys.places("{execution}", "{job}") == given
    assert places["model"] == f"models/{JOB}-train/output"


def test_the_code_is_kept_before_anything_else_happens(harness: Harness) -> None:
    result = train(harness)

    assert result.path[:4] == ["Begin", "NameThings", "KeepCode", "ValidateDataset"]
    [copy] = result.calls_of("KeepCode")
    assert copy == {
        "CopySource": "assets/code.zip",
        "Bucket": "artifacts",
        "Key": f"training-sets/{EXECUTION_NAME}/code/project.zip",
    }
    kept = f"s3://artifacts/training-sets/{EXECUTION_NAME}/code/project.zip"
    assert inputs(result)["code"] == kept
    [build] = result.calls_of("BuildTrainingSet")
    (code,) = (each for each in build["ProcessingInputs"] if each["InputName"] == "code")
    assert code["S3Input"]["S3Uri"] == kept


def test_a_job_is_given_up_an_hour_after_its_own_limit() -> None:
    limits = dict.fromkeys(
        ("BuildTrainingSet", "PredictChallenger", "PredictChampion", "EvaluateModel"),
        "{% $settings.max_runtime_seconds + 3600 %}",
    )
    # The wait for a spot instance counts; what a search may take follows from its trials.
    limits["TrainModel"] = "{% $settings.max_wait_seconds + 3600 %}"
    limits["SearchHyperparameters"] = "{% $settings.search.limit_seconds %}"
    assert {name: states("training")[name]["TimeoutSeconds"] for name in limits} == limits


def test_a_rollback_is_an_outcome_not_a_failure(harness: Harness) -> None:
    result = train(harness, DeployModel=[{"Status": "SUCCEEDED", "Output": ROLLED_BACK}])

    assert result.succeeded
    told = report(result)
    assert told.outcome == "RolledBack"
    assert told.deployment is not None
    assert (told.deployment.endpoint_config_name, told.deployment.reason) == ("bank-dev-0", "an alarm")
    [message] = result.calls_of("NotifyOutcome")
    assert message["MessageAttributes"]["outcome"]["StringValue"] == "RolledBack"


def test_a_refused_model_is_an_outcome_not_a_failure(harness: Harness) -> None:
    result = train(harness, DecideGate=[payload(REFUSED)])

    assert result.succeeded
    assert "DeployModel" not in result.path
    told = report(result)
    assert told.outcome == "GateRejected"
    assert told.gate is not None
    assert [rule.model_dump() for rule in told.gate.rules] == REFUSED["rules"]


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

    assert message["TopicArn"] == SETTINGS["topic_arn"]
    assert (message["Subject"], message["Message"]) == (REPORT["subject"], REPORT["message"])
    assert message["MessageAttributes"]["outcome"]["StringValue"] == "Deployed"


RAW = '{"errorMessage":"secret","errorType":"KeyError","stackTrace":["  File x"]}'


@pytest.mark.parametrize("cause", [RAW, "a hook raised"])
def test_without_a_report_the_first_failure_is_the_one_people_hear_of(harness: Harness, cause: str) -> None:
    result = train(
        harness,
        ValidateDataset=[Failure("ValidationBroke", cause)],
        ReportOutcome=[Failure("ReportBroke", RAW)],
    )

    assert result.error == "ValidationBroke"
    [message] = result.calls_of("NotifyOutcome")
    for text in (str(result.cause), message["Message"]):
        for part in ("ValidateDataset", "ValidationBroke", "ReportOutcome failed: ReportBroke"):
            assert part in text
        assert "stackTrace" not in text
        assert "{" not in text
    assert EXECUTION_NAME in message["Message"]
    assert len(message["Subject"]) <= 100


def test_a_deployed_model_whose_report_fails_is_a_failure(harness: Harness) -> None:
    result = train(harness, ReportOutcome=[Failure("ReportBroke", RAW)])

    assert result.error == "PipelineFailed"
    for text in (str(result.cause), result.calls_of("NotifyOutcome")[0]["Message"]):
        assert "Deployed" in text
        assert "ReportBroke" in text
        assert "stackTrace" not in text


def test_the_report_is_told_how_often_it_was_tried_and_what_served_before(harness: Harness) -> None:
    busy = Failure("StorageUnavailable", "{}")
    result = train(harness, FindChampion=[CHAMPION], ReportOutcome=[*[busy] * 6, payload(REPORT)])

    asked = [ReportOutcomeInput.model_validate(each["Payload"]) for each in result.calls_of("ReportOutcome")]
    assert [each.retries for each in asked] == [0, 1, 2, 3, 4, 5, 6]
    assert {each.released for each in asked} == {"bank-dev-0"}
    assert result.succeeded


def test_a_first_model_replaces_nothing(harness: Harness) -> None:
    assert report(train(harness)).released is None


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
