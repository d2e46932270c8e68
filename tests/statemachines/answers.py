"""What services answer in the executions that tests make: a script for each machine, and its variations."""

from __future__ import annotations

import json
from typing import Any

from tests.statemachines.harness import REGION, AsAsked, Failure, payload

ENDPOINT_NAME = "sluice-bank-dev"

SOURCE = {"bucket": "uploads", "key": "incoming/training/bank.csv", "version_id": "v1"}

EVENTS_SOURCE = {"bucket": "uploads", "key": "incoming/events/today.csv", "version_id": "v2"}

BATCH_SOURCE = {"bucket": "uploads", "key": "incoming/batch/rows.csv", "version_id": "v3"}

# What PrepareBatch answers of a file of a hundred rows, two of which broke the contract.
PREPARED = {
    "version_id": "v3",
    "rows": 100,
    "sent": 98,
    "part_rows": [50, 48],
    "rows_uri": "s3://artifacts/batch-jobs/x/rows/",
    "answers_uri": "s3://artifacts/batch-jobs/x/answers",
    "content_type": "application/jsonlines",
    "accept": "application/jsonlines",
    "instances": 2,
    "reasons": [{"reason": "column 'age': not an integer", "rows": 2, "first": [7, 9]}],
}

DATASET = {
    "dataset_version": "0123456789abcdef",
    "manifest_uri": "s3://artifacts/datasets/0123456789abcdef/manifest.json",
    "parts_uri": "s3://artifacts/datasets/0123456789abcdef/parts.json",
    "rows": 100,
    "rejected_rows": 2,
    "quarantine_uri": "s3://artifacts/quarantine/x/rejected.csv",
    "validation_report_uri": "s3://artifacts/reports/x/validation.json",
}

MODEL_URI = "s3://artifacts/models/bank-dev-1-train/output/model.tar.gz"

CHAMPION_URI = "s3://artifacts/models/bank-dev-0-train/output/model.tar.gz"

# The first digits of sha256("arn:aws:states:us-east-1:123456789012:execution:training:bank-csv-0123456789abcdef").
JOB = "bank-dev-eb865072a4c4f0bc"

GATE = {"promote": True, "rules": [], "metrics": {"roc_auc": 0.9}, "champion_metrics": None}

RUN: dict[str, Any] = {
    "run_id": "0af7651916cd43dd8448eb211c80319c",
    "environment": {
        "MLFLOW_TRACKING_URI": f"arn:aws:sagemaker:{REGION}:123456789012:mlflow-app/app-1",
        "MLFLOW_EXPERIMENT_NAME": "bank-dev",
        "MLFLOW_RUN_ID": "0af7651916cd43dd8448eb211c80319c",
    },
}

REGISTERED = {"name": "bank-dev", "version": "3", "verdict": "promoted", "stage": "staging"}

DEPLOYED = {
    "outcome": "Deployed",
    "endpoint_name": "sluice-bank-dev",
    "endpoint_config_name": "bank-dev-1",
    "reason": None,
    "alias": None,
    "unverified": None,
    "alarm": None,
    "reached": None,
    "figures": None,
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

ARCHIVE = {"version_id": "v1", "etag": '"e1"'}

HEAD = {"VersionId": "v1", "ETag": '"e1"', "ContentLength": 9}
"""What HeadObject answers of the challenger's archive, and of the champion's."""

OVERWRITTEN = {**HEAD, "VersionId": "v2", "ETag": '"e2"'}

NO_ARCHIVE = Failure("S3.NoSuchKeyException", "null (Service: S3, Status Code: 404, Request ID: 1)")

CHAMPION_CHANGED = {
    "outcome": "ChampionChanged",
    "endpoint_name": "sluice-bank-dev",
    "endpoint_config_name": "bank-dev-2",
    "reason": None,
}

ANSWER = {
    "decision": "approved",
    "by": "arn:aws:sts::123456789012:assumed-role/lead/ada",
    "at": "2026-01-01T00:00:00Z",
    "reason": "better for the young",
}

DEPLOYMENT = {
    "model_name": "bank-dev-1",
    "model_uri": MODEL_URI,
    "archive": ARCHIVE,
    "judged_champion": None,
    "approval": None,
    "dataset_version": DATASET["dataset_version"],
}


def endpoint(status: str, name: str = "sluice-bank-dev") -> dict[str, Any]:
    return {"EndpointName": name, "EndpointStatus": status}


def described(status: str, config: str = "bank-dev-1", **more: Any) -> dict[str, Any]:
    return {**endpoint(status), "EndpointConfigName": config, **more}


def as_asked(**more: Any) -> AsAsked:
    return AsAsked(more)


def started(**more: Any) -> AsAsked:
    """What DescribeExecution answers: the input as a text."""
    return AsAsked(more, texts=("Input",))


def materialized(**more: Any) -> AsAsked:
    """What DescribeExecution answers of the materialization, whatever was asked for since it was started."""
    return AsAsked(more, texts=("Input",), of="StartMaterialization")


def predictions(role: str) -> dict[str, Any]:
    """What DescribeTransformJob answers for a job that has ended well."""
    output = {"S3OutputPath": f"s3://artifacts/reports/x/predictions/{role}"}
    return {"TransformJobStatus": "Completed", "TransformOutput": output}


def taken(name: str) -> Failure:
    """What SageMaker says of a job whose name is taken, be it by the job that was asked for before."""
    cause = (
        f"Job name must be unique within an AWS account and region, and a job with this name already exists ({name})"
        " (Service: AmazonSageMaker; Status Code: 400; Error Code: ResourceInUse; Request ID: 1; Proxy: null)"
    )
    return Failure("SageMaker.ResourceInUseException", cause)


ANSWER_LOST = Failure("SageMaker.SdkClientException", "Unable to execute HTTP request: Read timed out")

MODEL_EXISTS = 'Cannot create already existing model "arn:aws:sagemaker:us-east-1:123456789012:model/m".'


def trial(
    number: int, status: str = "Completed", objective: float | None = None, **more: Any
) -> dict[str, Any]:
    """What a list of a tuning job's training jobs says of one."""
    told = {"MetricName": "roc_auc", "Value": objective}
    return {
        "TrainingJobName": f"bank-3fa9c1-eb865072a4c4f0bc-{number:03d}-0123abcd",
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"rate": f"0.{number}"},
        **({} if objective is None else {"FinalHyperParameterTuningJobObjectiveMetric": told}),
        **more,
    }


TRIALS = [
    trial(1, objective=0.8),
    trial(2, "Failed", FailureReason="AlgorithmError: the rate is too high, exit code: 1"),
    trial(3, objective=0.9),
]

TUNED = {
    "HyperParameterTuningJobName": "bank-3fa9c1-eb865072a4c4f0bc",
    "HyperParameterTuningJobStatus": "Completed",
    "BestTrainingJob": TRIALS[2],
}

# What the integration says of a tuning job that failed: why, only its training jobs tell.
TUNING_FAILED = {
    "HyperParameterTuningJobName": "bank-3fa9c1-eb865072a4c4f0bc",
    "HyperParameterTuningJobStatus": "Failed",
    "FailureReason": "All training jobs failed. Please take a look at the training job failures to get more details.",
}

TRAINING: dict[str, list[Any]] = {
    "KeepCode": [{"CopyObjectResult": {"ETag": "e"}}],
    "ValidateDataset": [payload(DATASET)],
    "FindChampion": [{}],
    "BuildTrainingSet": [{"ProcessingJobStatus": "Completed"}],
    "SearchHyperparameters": [TUNED],
    "ListTrials": [{"TrainingJobSummaries": TRIALS}],
    "DescribeHyperParameterTuningJob": [as_asked(**TUNED)],
    "TrainModel": [{"ModelArtifacts": {"S3ModelArtifacts": MODEL_URI}}],
    "RecordArchive": [HEAD],
    "CheckArchive": [HEAD],
    "FindChampionArchive": [HEAD],
    "CreateChallenger": [{"ModelArn": f"arn:aws:sagemaker:{REGION}:123456789012:model/bank-dev-1"}],
    "PredictChallenger": [predictions("challenger")],
    "PredictChampion": [predictions("champion")],
    "EvaluateModel": [{"ProcessingJobStatus": "Completed"}],
    "OpenRun": [payload(RUN)],
    "DecideGate": [payload(GATE)],
    "AwaitApproval": [ANSWER],
    "RegisterModel": [payload(REGISTERED)],
    "DeployModel": [{"Status": "SUCCEEDED", "Output": DEPLOYED}],
    "ReportOutcome": [payload(REPORT)],
    "NotifyOutcome": [{"MessageId": "1"}],
    **{
        f"Describe{kind}": [as_asked(**{f"{kind}Status": "Completed"})]
        for kind in ("ProcessingJob", "TransformJob", "Model")
    },
    "DescribeTrainingJob": [
        as_asked(TrainingJobStatus="Completed", ModelArtifacts={"S3ModelArtifacts": MODEL_URI})
    ],
    "DescribeExecution": [started(Status="SUCCEEDED", Output=json.dumps(DEPLOYED))],
}

SKEW = {
    "dataset_version": DATASET["dataset_version"],
    "rate": 0.0,
    "views": [
        {
            "view": "transactions",
            "sampled": 9,
            "moved_on": 0,
            "missing": 0,
            "missing_shown": [],
            "differing": 0,
            "features": {},
            "shown": [],
        }
    ],
}

WRITTEN = {
    "dataset_version": DATASET["dataset_version"],
    "moment": "2026-01-01T00:00:00Z",
    "as_of": 1767225600000001,
    "written": 3,
    "removed": 1,
    "held": 6,
    "superseded": 0,
    "skew": SKEW,
}

WITH_FEATURES: dict[str, list[Any]] = {
    "StartMaterialization": [{"ExecutionArn": "arn", "StartDate": 1}],
    "DescribeExecution": [materialized(Status="SUCCEEDED", Output=json.dumps(WRITTEN))],
}
"""What a training of a project with features does besides."""

EVENTS: dict[str, list[Any]] = {
    name: TRAINING[name] for name in ("ValidateDataset", "ReportOutcome", "NotifyOutcome")
}

SHARE = {
    "execution": "bank-csv-0123456789abcdef",
    "dataset_version": "0123456789abcdef",
    "view": "transactions",
    "number": 0,
    "count": 1,
    "moment": 1767225600000000,
    "as_of": 1767225600000001,
}

PLANNED = {
    "dataset_version": "0123456789abcdef",
    "moment": "2026-01-01T00:00:00Z",
    "as_of": 1767225600000001,
    "shares": [SHARE],
}

MATERIALIZED: dict[str, Any] = {
    "view": "transactions",
    "written": 3,
    "removed": 1,
    "held": 6,
    "superseded": 0,
}

MATERIALIZATION: dict[str, list[Any]] = {
    "PlanMaterialization": [payload(PLANNED)],
    "MaterializeView": [payload(MATERIALIZED)],
    "MeasureSkew": [payload(SKEW)],
}

CHAMPION = {
    "Item": {
        "endpoint_name": {"S": ENDPOINT_NAME},
        "item": {"S": "release"},
        "model_uri": {"S": CHAMPION_URI},
        "model_name": {"S": "bank-dev-0"},
        "archive_version_id": {"S": "v1"},
        "archive_etag": {"S": '"e1"'},
    }
}

RELEASED = {"Item": {**CHAMPION["Item"], "released_at": {"S": "2026-03-01T11:00:00.250Z"}}}

PART = {"window": "bank-csv-0123456789abcdef", "part": 0}

WINDOW: dict[str, Any] = {
    "window": PART["window"],
    "resumed": False,
    "objects": 2,
    "left": 0,
    "parts": [PART],
}

JUDGED: dict[str, Any] = {
    "outcome": "Drifted",
    "window": PART["window"],
    "rows": 800,
    "drifted": ["age"],
    "sentence": "1 of 3 columns moved: age.",
    "verdict_uri": "s3://artifacts/drift/windows/x/verdict.json",
    "report_uri": "s3://artifacts/drift/windows/x/report.html",
}

DRIFT_HOLDER = "arn:aws:states:us-east-1:123456789012:execution:drift:another"

DRIFT: dict[str, list[Any]] = {
    "AcquireLock": [{}],
    # Asked only where it was not to be had.
    "ReadLock": [{"Item": {"held_by": {"S": DRIFT_HOLDER}}}],
    "DescribeHolder": [{"Status": "RUNNING"}],
    "TakeOverLock": [{}],
    "FindRelease": [RELEASED],
    "PlanDrift": [payload(WINDOW)],
    "CountCaptures": [payload({"rows": 800, "records": 801})],
    "JudgeDrift": [payload(JUDGED)],
    "ReleaseLock": [{}],
}

OLD_CHAMPION = {
    "Item": {name: value for name, value in CHAMPION["Item"].items() if not name.startswith("archive_")}
}
"""A release of before archives were recorded."""

NEXT_CHAMPION = {"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-2"}}}

RULE = {
    "name": "minimum.roc_auc",
    "figure": 0.7,
    "limit": 0.8,
    "passed": False,
    "sentence": "roc_auc is 0.7, below the 0.8 that was asked for.",
}

REFUSED = {**GATE, "promote": False, "rules": [RULE]}

HELD = Failure("DynamoDB.ConditionalCheckFailedException", "The conditional request failed")

HOLDER = "arn:aws:states:us-east-1:123456789012:execution:deployment:another"

HELD_LOCK = {"Item": {"held_by": {"S": HOLDER}, "held_since": {"S": "2026-01-01T00:00:00Z"}}}

NO_ENDPOINT = Failure("SageMaker.SageMakerException", 'Could not find endpoint "arn".')

SERVED = {
    "Item": {
        **CHAMPION["Item"],
        "item": {"S": "model#bank-dev-2"},
        "model_name": {"S": "bank-dev-2"},
        "version": {"S": "2"},
    }
}
"""What was written down of a model before the endpoint was brought to it."""

ALARM = {
    "AlarmName": "sluice-bank-dev-bank-dev-1-errors",
    "StateValue": "OK",
    "StateReason": "Threshold Crossed",
    "StateUpdatedTimestamp": "2026-01-01T00:00:00Z",
}

FIRED = {**ALARM, "StateValue": "ALARM"}

LEFT = {**ALARM, "AlarmName": "sluice-bank-dev-bank-dev-0123456789abcdef-errors"}
"""As models are called that no test has named."""

FIGURES = {
    "MetricDataResults": [
        {"Id": "new_requests", "Values": [3, 4]},
        {"Id": "new_p99", "Values": [3, 4]},
        {"Id": "old_requests", "Values": []},
    ]
}


def holder(status: str) -> dict[str, Any]:
    """What is told of the execution that holds the lock."""
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:deployment"
    moment = "2026-01-01T00:00:00Z"
    return {"ExecutionArn": HOLDER, "StateMachineArn": machine, "Status": status, "StartDate": moment}


ENDPOINT: dict[str, list[Any]] = {
    "AcquireLock": [{}],
    "ReadLock": [HELD_LOCK],
    "DescribeHolder": [holder("ABORTED")],
    "TakeOverLock": [{}],
    "FindServing": [NO_ENDPOINT],
    "FindRelease": [{}],
    "FindServed": [SERVED],
    "CorrectRecord": [{}],
    "RememberModel": [{}],
    "PutAlarm": [{}],
    "ReadFigures": [FIGURES],
    "FindAlarm": [{"MetricAlarms": [ALARM], "CompositeAlarms": []}],
    "ListAlarms": [{"MetricAlarms": [LEFT]}],
    "RemoveAlarms": [{}],
    "KeepHistory": [{}],
    "CountOutcome": [{}],
    "CheckArchive": [HEAD],
    "CreateModel": [{"ModelArn": f"arn:aws:sagemaker:{REGION}:123456789012:model/bank-dev-1"}],
    "CreateEndpointConfig": [{"EndpointConfigArn": "arn"}],
    "DescribeModel": [as_asked()],
    "DescribeEndpointConfig": [as_asked()],
    "FindEndpoint": [{"Endpoints": []}],
    "CreateEndpoint": [{"EndpointArn": "arn"}],
    "UpdateEndpoint": [{"EndpointArn": "arn"}],
    "DeleteEndpoint": [{}],
    "DescribeEndpoint": [described("Creating"), described("InService")],
    "RecordRelease": [{}],
    "VerifyModel": [payload({"verdict": "same", "rows": 20, "difference": None})],
    "GoBack": [{"EndpointArn": "arn"}],
    "RemoveEndpoint": [{}],
    "MoveAlias": [payload({"version": "3", "replaced": "2"})],
    "KeepLogs": [{}],
    "ReleaseLock": [{}],
}

DIFFERENT = payload({"verdict": "different", "rows": 20, "difference": "row 1 of 20: 0.5 for 0.25"})

GONE_BACK = [
    described("InService"),
    described("Updating", "bank-dev-1"),
    described("InService", "bank-dev-0"),
]

GUARDED: dict[str, list[Any]] = {
    **ENDPOINT,
    "FindServing": [described("InService", "bank-dev-0")],
    "FindRelease": [CHAMPION],
    "FindEndpoint": [{"Endpoints": [endpoint("InService")]}],
}


def shifting(share: float) -> dict[str, Any]:
    """What DescribeEndpoint answers while the new model has a share of the traffic."""
    variant = {"VariantName": "AllTraffic", "CurrentWeight": share, "DesiredWeight": 1.0}
    summary = {"EndpointConfigName": "bank-dev-1", "ProductionVariants": [variant]}
    return described("Updating", "bank-dev-0", PendingDeploymentSummary=summary)


PREDICTED = {
    "predictions_uri": "s3://artifacts/batch/x/predictions.csv",
    "rows": 100,
    "predicted": 98,
    "set_aside": 2,
    "reasons": PREPARED["reasons"],
    "model_name": "bank-dev-0",
    "model_uri": CHAMPION_URI,
    "instances": 2,
}

BATCH: dict[str, list[Any]] = {
    "FindRelease": [CHAMPION],
    "PrepareBatch": [payload(PREPARED)],
    "PredictBatch": [{"TransformJobStatus": "Completed"}],
    "DescribeTransformJob": [as_asked(TransformJobStatus="Completed")],
    "StopTransformJob": [{}],
    "JoinPredictions": [payload(PREDICTED)],
    "CountRows": [{}],
    "ReportOutcome": [payload(REPORT)],
    "NotifyOutcome": [{"MessageId": "1"}],
}
