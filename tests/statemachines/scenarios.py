"""Named ways through each state machine that, together, reach every state and take every branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.statemachines.harness import REGION, Failure, Script, payload

ENDPOINT_NAME = "sluice-bank-dev"
SOURCE = {"bucket": "uploads", "key": "incoming/training/bank.csv", "version_id": "v1"}
DATASET = {
    "dataset_version": "0123456789abcdef",
    "dataset_uri": "s3://artifacts/datasets/0123456789abcdef/data.parquet",
    "rows": 100,
    "rejected_rows": 2,
    "quarantine_uri": "s3://artifacts/quarantine/x/rejected.csv",
    "validation_report_uri": "s3://artifacts/reports/x/validation.json",
}
MODEL_URI = "s3://artifacts/models/bank-dev-1-train/output/model.tar.gz"
CHAMPION_URI = "s3://artifacts/models/bank-dev-0-train/output/model.tar.gz"
# The first digits of sha256("arn:aws:states:us-east-1:123456789012:execution:training:bank-csv-0123456789abcdef").
JOB = "bank-dev-eb865072a4c4f0bc"
GATE = {"promote": True, "reasons": [], "metrics": {"roc_auc": 0.9}, "champion_metrics": None}
DEPLOYED = {
    "outcome": "Deployed",
    "endpoint_name": "sluice-bank-dev",
    "endpoint_config_name": "bank-dev-1",
    "reason": None,
}
ROLLED_BACK = {
    **DEPLOYED,
    "outcome": "RolledBack",
    "endpoint_config_name": "bank-dev-0",
    "reason": "an alarm",
}
SUMMARY = {"outcome": "as told"}
REPORT = {
    "report_uri": "s3://artifacts/reports/x/report.json",
    "subject": "bank: done",
    "message": "done",
    "error": None,
    "cause": None,
    "summary": SUMMARY,
}
FAILED_REPORT = {**REPORT, "error": "TrainingFailed", "cause": "what, where, why, what to do"}
DEPLOYMENT = {
    "model_name": "bank-dev-1",
    "model_uri": MODEL_URI,
    "dataset_version": DATASET["dataset_version"],
}


@dataclass(frozen=True)
class Scenario:
    """An input, the tasks' outcomes, and where the execution has to end."""

    machine: str
    name: str
    input: dict[str, Any]
    script: Script
    ends_in: str
    own_image: bool = False

    def __str__(self) -> str:
        return f"{self.machine}-{self.name}"


def endpoint(status: str, name: str = "sluice-bank-dev") -> dict[str, Any]:
    return {"EndpointName": name, "EndpointStatus": status}


def described(status: str, config: str = "bank-dev-1", **more: Any) -> dict[str, Any]:
    return {**endpoint(status), "EndpointConfigName": config, **more}


def predictions(role: str) -> dict[str, Any]:
    """What DescribeTransformJob answers for a job that has ended well."""
    output = {"S3OutputPath": f"s3://artifacts/reports/x/predictions/{role}"}
    return {"TransformJobStatus": "Completed", "TransformOutput": output}


TRAINING: dict[str, list[Any]] = {
    "KeepCode": [{"CopyObjectResult": {"ETag": "e"}}],
    "ValidateDataset": [payload(DATASET)],
    "FindChampion": [{}],
    "BuildTrainingSet": [{"ProcessingJobStatus": "Completed"}],
    "TrainModel": [{"ModelArtifacts": {"S3ModelArtifacts": MODEL_URI}}],
    "CreateChallenger": [{"ModelArn": f"arn:aws:sagemaker:{REGION}:123456789012:model/bank-dev-1"}],
    "PredictChallenger": [predictions("challenger")],
    "PredictChampion": [predictions("champion")],
    "EvaluateModel": [{"ProcessingJobStatus": "Completed"}],
    "DecideGate": [payload(GATE)],
    "DeployModel": [{"Status": "SUCCEEDED", "Output": DEPLOYED}],
    "ReportOutcome": [payload(REPORT)],
    "NotifyOutcome": [{"MessageId": "1"}],
}
CHAMPION = {
    "Item": {
        "endpoint_name": {"S": ENDPOINT_NAME},
        "item": {"S": "release"},
        "model_uri": {"S": CHAMPION_URI},
        "model_name": {"S": "bank-dev-0"},
    }
}
REFUSED = {**GATE, "promote": False, "reasons": ["roc_auc 0.7 is below 0.8"]}

ENDPOINT: dict[str, list[Any]] = {
    "AcquireLock": [{}],
    "CreateModel": [{"ModelArn": f"arn:aws:sagemaker:{REGION}:123456789012:model/bank-dev-1"}],
    "CreateEndpointConfig": [{"EndpointConfigArn": "arn"}],
    "FindEndpoint": [{"Endpoints": []}],
    "CreateEndpoint": [{"EndpointArn": "arn"}],
    "UpdateEndpoint": [{"EndpointArn": "arn"}],
    "DeleteEndpoint": [{}],
    "DescribeEndpoint": [described("Creating"), described("InService")],
    "RecordRelease": [{}],
    "KeepLogs": [{}],
    "ReleaseLock": [{}],
}


def _training(name: str, ends_in: str, /, *, own_image: bool = False, **outcomes: list[Any]) -> Scenario:
    return Scenario("training", name, SOURCE, {**TRAINING, **outcomes}, ends_in, own_image)


def _deployment(name: str, ends_in: str, **outcomes: list[Any]) -> Scenario:
    return Scenario("deployment", name, DEPLOYMENT, {**ENDPOINT, **outcomes}, ends_in)


SCENARIOS = [
    Scenario("intake", "new", SOURCE, {"StartTraining": [{"ExecutionArn": "arn"}]}, "Started"),
    Scenario(
        "intake",
        "again",
        SOURCE,
        {"StartTraining": [Failure("StepFunctions.ExecutionAlreadyExistsException")]},
        "AlreadyStarted",
    ),
    _training("first-model", "Finished"),
    _training("with-champion", "Finished", FindChampion=[CHAMPION]),
    _training("rolled-back", "Finished", DeployModel=[{"Status": "SUCCEEDED", "Output": ROLLED_BACK}]),
    _training("refused", "Finished", DecideGate=[payload(REFUSED)]),
    _training(
        "failed", "Failed", TrainModel=[Failure("States.TaskFailed")], ReportOutcome=[payload(FAILED_REPORT)]
    ),
    _training("own-image", "Finished", own_image=True),
    _training("own-image-with-champion", "Finished", own_image=True, FindChampion=[CHAMPION]),
    _training(
        "own-image-champion-does-not-answer",
        "Finished",
        own_image=True,
        FindChampion=[CHAMPION],
        PredictChampion=[Failure("States.TaskFailed", '{"FailureReason":"AlgorithmError"}')],
    ),
    _deployment("new-endpoint", "Finished"),
    Scenario("deployment", "model-made-already", {**DEPLOYMENT, "has_model": True}, ENDPOINT, "Finished"),
    _deployment(
        "existing-endpoint",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        DescribeEndpoint=[described("Updating", "bank-dev-0"), described("InService")],
    ),
    _deployment(
        "busy-endpoint",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("Updating")]}, {"Endpoints": [endpoint("InService")]}],
    ),
    _deployment(
        "broken-endpoint",
        "Finished",
        FindEndpoint=[
            {"Endpoints": [endpoint("Failed")]},
            {"Endpoints": [endpoint("Deleting")]},
            {"Endpoints": []},
        ],
    ),
    _deployment(
        "another-name", "Finished", FindEndpoint=[{"Endpoints": [endpoint("InService", "sluice-bank-dev-2")]}]
    ),
    _deployment(
        "rolled-back",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("InService"), endpoint("Failed", "sluice-bank-dev-2")]}],
        DescribeEndpoint=[described("RollingBack", "bank-dev-0"), described("InService", "bank-dev-0")],
    ),
    _deployment(
        "rollback-failed", "Failed", FindEndpoint=[{"Endpoints": [endpoint("UpdateRollbackFailed")]}]
    ),
    _deployment(
        "never-healthy",
        "Failed",
        DescribeEndpoint=[described("Creating"), described("Failed", FailureReason="ping timed out")],
    ),
]
