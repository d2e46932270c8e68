"""Named ways through each state machine that, together, reach every state and take every branch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.statemachines.expectations import FOR_GOOD, REFUSED_AS, TRANSIENT
from tests.statemachines.harness import REGION, AsAsked, Failure, Script, payload

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


@dataclass(frozen=True)
class Scenario:
    """An input, the tasks' outcomes, and where the execution has to end."""

    machine: str
    name: str
    input: dict[str, Any]
    script: Script
    ends_in: str
    own_image: bool = False
    features: bool = False
    search: bool = False
    spot: bool = False
    approval: bool = False
    guarded: bool = False
    on_failure: str | None = "fail"

    def __str__(self) -> str:
        return f"{self.machine}-{self.name}"


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


def _guarded(name: str, **outcomes: list[Any]) -> Scenario:
    asked = {**DEPLOYMENT, "judged_champion": "bank-dev-0"}
    return Scenario("deployment", name, asked, {**GUARDED, **outcomes}, "Finished", guarded=True)


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


def _training(name: str, ends_in: str, /, *, own_image: bool = False, **outcomes: Any) -> Scenario:
    return Scenario("training", name, SOURCE, {**TRAINING, **outcomes}, ends_in, own_image)


def _with_search(name: str, ends_in: str, /, **outcomes: Any) -> Scenario:
    return Scenario("training", name, SOURCE, {**TRAINING, **outcomes}, ends_in, search=True)


def _asking(name: str, ends_in: str, /, *, own_image: bool = False, **outcomes: Any) -> Scenario:
    """A training of a project that asks for approvals."""
    return Scenario("training", name, SOURCE, {**TRAINING, **outcomes}, ends_in, own_image, approval=True)


def _with_features(name: str, ends_in: str, /, **outcomes: Any) -> Scenario:
    script = {**TRAINING, **WITH_FEATURES, **outcomes}
    return Scenario("training", name, SOURCE, script, ends_in, features=True)


def _deployment(name: str, ends_in: str, **outcomes: list[Any]) -> Scenario:
    return Scenario("deployment", name, DEPLOYMENT, {**ENDPOINT, **outcomes}, ends_in)


def _batch(name: str, ends_in: str, /, **outcomes: Any) -> Scenario:
    return Scenario("batch", name, BATCH_SOURCE, {**BATCH, **outcomes}, ends_in)


SCENARIOS = [
    Scenario("intake", "new", SOURCE, {"StartTraining": [{"ExecutionArn": "arn"}]}, "Started"),
    Scenario(
        "intake",
        "again",
        SOURCE,
        {"StartTraining": [Failure("StepFunctions.ExecutionAlreadyExistsException")]},
        "AlreadyStarted",
    ),
    Scenario("intake", "events", EVENTS_SOURCE, {"AppendEvents": [{"ExecutionArn": "arn"}]}, "Started"),
    Scenario(
        "intake",
        "events-again",
        EVENTS_SOURCE,
        {"AppendEvents": [Failure("StepFunctions.ExecutionAlreadyExistsException")]},
        "AlreadyStarted",
    ),
    Scenario("events", "appended", EVENTS_SOURCE, EVENTS, "Finished"),
    Scenario(
        "events",
        "refused",
        EVENTS_SOURCE,
        {**EVENTS, "ValidateDataset": [Failure("DataRejected")], "ReportOutcome": [payload(FAILED_REPORT)]},
        "Failed",
    ),
    Scenario("intake", "batch", BATCH_SOURCE, {"StartBatch": [{"ExecutionArn": "arn"}]}, "Started"),
    Scenario(
        "intake",
        "batch-again",
        BATCH_SOURCE,
        {"StartBatch": [Failure("StepFunctions.ExecutionAlreadyExistsException")]},
        "AlreadyStarted",
    ),
    _batch("predicted", "Finished"),
    _batch("nothing-released", "Failed", FindRelease=[{}], ReportOutcome=[payload(FAILED_REPORT)]),
    _batch(
        "none-good",
        "Finished",
        PrepareBatch=[payload({**PREPARED, "sent": 0, "part_rows": [], "instances": 0})],
    ),
    _batch(
        "refused",
        "Failed",
        PrepareBatch=[Failure("SchemaMismatch")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _batch(
        "answer-lost",
        "Finished",
        PredictBatch=[ANSWER_LOST, taken("PredictBatch")],
        DescribeTransformJob=[
            as_asked(TransformJobStatus="InProgress"),
            as_asked(TransformJobStatus="Completed"),
        ],
    ),
    _batch(
        "its-job-has-failed",
        "Failed",
        PredictBatch=[ANSWER_LOST, taken("PredictBatch")],
        DescribeTransformJob=[as_asked(TransformJobStatus="Failed", FailureReason="AlgorithmError: x")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _batch(
        "anothers-job",
        "Failed",
        PredictBatch=[ANSWER_LOST, taken("PredictBatch")],
        DescribeTransformJob=[as_asked(ModelName="another", TransformJobStatus="Completed")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _batch(
        "throttled",
        "Finished",
        PredictBatch=[
            Failure(REFUSED_AS["training"], TRANSIENT["training"][0]),
            {"TransformJobStatus": "Completed"},
        ],
    ),
    _batch(
        "not-allowed",
        "Failed",
        PredictBatch=[Failure(REFUSED_AS["training"], FOR_GOOD["training"][1])],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _batch(
        "too-slow", "Failed", PredictBatch=[Failure("States.Timeout")], ReportOutcome=[payload(FAILED_REPORT)]
    ),
    Scenario("materialization", "one-share", {}, MATERIALIZATION, "Finished"),
    Scenario(
        "materialization",
        "a-share-fails",
        {},
        {**MATERIALIZATION, "MaterializeView": [Failure("OnlineTableMissing", "the table is not there")]},
        "Failed",
    ),
    Scenario(
        "materialization",
        "no-dataset-yet",
        {},
        {"PlanMaterialization": [payload({**PLANNED, "dataset_version": None, "shares": []})]},
        "Finished",
    ),
    Scenario("drift", "judged", {}, DRIFT, "Finished"),
    Scenario("drift", "already-running", {}, {**DRIFT, "AcquireLock": [HELD]}, "Finished"),
    Scenario(
        "drift", "given-back-meanwhile", {}, {**DRIFT, "AcquireLock": [HELD], "ReadLock": [{}]}, "Finished"
    ),
    Scenario(
        "drift",
        "left-by-one-that-was-stopped",
        {},
        {**DRIFT, "AcquireLock": [HELD], "DescribeHolder": [{"Status": "ABORTED"}]},
        "Finished",
    ),
    Scenario(
        "drift",
        "nothing-released",
        {},
        {**DRIFT, "FindRelease": [{}], "PlanDrift": [payload({**WINDOW, "window": None, "parts": []})]},
        "Finished",
    ),
    Scenario(
        "drift",
        "a-part-fails",
        {},
        {**DRIFT, "CountCaptures": [Failure("NoReference", "it was deleted")]},
        "Failed",
    ),
    _training("first-model", "Finished"),
    Scenario("training", "of-the-current-dataset", {}, TRAINING, "Finished"),
    _training("with-champion", "Finished", FindChampion=[CHAMPION]),
    _training("rolled-back", "Finished", DeployModel=[{"Status": "SUCCEEDED", "Output": ROLLED_BACK}]),
    _training("refused", "Finished", DecideGate=[payload(REFUSED)]),
    _training(
        "failed", "Failed", TrainModel=[Failure("States.TaskFailed")], ReportOutcome=[payload(FAILED_REPORT)]
    ),
    Scenario("training", "spot", SOURCE, TRAINING, "Finished", spot=True),
    _with_search("search", "Finished"),
    _with_search(
        "search-of-many-pages",
        "Finished",
        ListTrials=[
            {"TrainingJobSummaries": TRIALS[:2], "NextToken": "more"},
            {"TrainingJobSummaries": TRIALS[2:]},
        ],
    ),
    _with_search(
        "search-failed",
        "Failed",
        SearchHyperparameters=[Failure("States.TaskFailed", json.dumps(TUNING_FAILED))],
        ListTrials=[{"TrainingJobSummaries": TRIALS[1:2]}],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _with_search(
        "search-without-a-best",
        "Failed",
        SearchHyperparameters=[{name: TUNED[name] for name in TUNED if name != "BestTrainingJob"}],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _with_search(
        "answer-lost-SearchHyperparameters",
        "Finished",
        SearchHyperparameters=[ANSWER_LOST, taken("SearchHyperparameters")],
        DescribeHyperParameterTuningJob=[
            as_asked(**{**TUNED, "HyperParameterTuningJobStatus": "InProgress"}),
            as_asked(**TUNED),
        ],
    ),
    _with_search(
        "its-search-has-failed",
        "Failed",
        SearchHyperparameters=[ANSWER_LOST, taken("SearchHyperparameters")],
        DescribeHyperParameterTuningJob=[as_asked(**TUNING_FAILED)],
        ListTrials=[{"TrainingJobSummaries": TRIALS[1:2]}],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _with_search(
        "throttled-SearchHyperparameters",
        "Finished",
        SearchHyperparameters=[Failure(REFUSED_AS["training"], TRANSIENT["training"][0]), TUNED],
    ),
    _with_search(
        "answer-lost-BuildTrainingSet-before-a-search",
        "Finished",
        BuildTrainingSet=[ANSWER_LOST, taken("BuildTrainingSet")],
    ),
    _with_features("features", "Finished"),
    _with_features(
        "features-are-still-being-written",
        "Finished",
        DescribeExecution=[materialized(Status="RUNNING"), *WITH_FEATURES["DescribeExecution"]],
    ),
    _with_features(
        "features-were-not-written",
        "Failed",
        DescribeExecution=[materialized(Status="FAILED", Error="OnlineTableMissing", Cause="why")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _with_features(
        "features-were-written-before-the-answer-came",
        "Finished",
        StartMaterialization=[Failure("StepFunctions.ExecutionAlreadyExistsException")],
    ),
    Scenario("training", "untracked", SOURCE, TRAINING, "Finished", on_failure=None),
    *(
        Scenario(
            "training",
            f"tracking-is-down-in-{state}-{on_failure}",
            SOURCE,
            {
                **TRAINING,
                state: [Failure("TrackingUnavailable", "{}")],
                **({"ReportOutcome": [payload(FAILED_REPORT)]} if on_failure == "fail" else {}),
            },
            "Failed" if on_failure == "fail" else "Finished",
            on_failure=on_failure,
        )
        for state in ("OpenRun", "RegisterModel")
        for on_failure in ("fail", "continue")
    ),
    _training("own-image", "Finished", own_image=True),
    _training("own-image-with-champion", "Finished", own_image=True, FindChampion=[CHAMPION]),
    _training(
        "own-image-champion-does-not-answer",
        "Finished",
        own_image=True,
        FindChampion=[CHAMPION],
        PredictChampion=[Failure("States.TaskFailed", '{"TransformJobStatus":"Failed"}')],
        DescribeTransformJob=[as_asked(TransformJobStatus="Failed", FailureReason="AlgorithmError: no")],
    ),
    _training(
        "champion-archive-missing", "Finished", FindChampion=[CHAMPION], FindChampionArchive=[NO_ARCHIVE]
    ),
    _training(
        "champion-archive-overwritten",
        "Finished",
        own_image=True,
        FindChampion=[CHAMPION],
        FindChampionArchive=[OVERWRITTEN],
    ),
    _training(
        "archive-overwritten",
        "Failed",
        CheckArchive=[OVERWRITTEN],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _training("archive-gone", "Failed", RecordArchive=[NO_ARCHIVE], ReportOutcome=[payload(FAILED_REPORT)]),
    _asking("approved", "Finished"),
    _asking("approval-rejected", "Finished", AwaitApproval=[{**ANSWER, "decision": "rejected"}]),
    _asking("approval-expired", "Finished", AwaitApproval=[Failure("States.Timeout", "")]),
    *(
        _asking(
            f"champion-changed{'-own-image' if own_image else ''}",
            "Finished",
            own_image=own_image,
            FindChampion=[{}, NEXT_CHAMPION],
            DeployModel=[
                {"Status": "SUCCEEDED", "Output": CHAMPION_CHANGED},
                {"Status": "SUCCEEDED", "Output": DEPLOYED},
            ],
        )
        for own_image in (False, True)
    ),
    _training(
        "champion-kept-changing",
        "Failed",
        DeployModel=[{"Status": "SUCCEEDED", "Output": CHAMPION_CHANGED}],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _training(
        "own-image-champion-model-missing",
        "Finished",
        own_image=True,
        FindChampion=[CHAMPION],
        PredictChampion=[Failure("SageMaker.AmazonSageMakerException", 'Could not find model "arn".')],
    ),
    *(
        _training(
            f"answer-lost-{state}",
            "Finished",
            own_image="Challenger" in state or "Champion" in state,
            **{
                "FindChampion": [CHAMPION],
                state: [ANSWER_LOST, taken(state)],
                f"Describe{kind}": [
                    as_asked(**{f"{kind}Status": "InProgress"}),
                    as_asked(**{f"{kind}Status": "Completed"}, **more),
                ],
            },
        )
        for state, kind, more in (
            ("BuildTrainingSet", "ProcessingJob", {}),
            ("TrainModel", "TrainingJob", {"ModelArtifacts": {"S3ModelArtifacts": MODEL_URI}}),
            ("PredictChallenger", "TransformJob", {}),
            ("PredictChampion", "TransformJob", {}),
            ("EvaluateModel", "ProcessingJob", {}),
        )
    ),
    _training(
        "answer-lost-CreateChallenger",
        "Finished",
        own_image=True,
        CreateChallenger=[ANSWER_LOST, Failure("SageMaker.AmazonSageMakerException", MODEL_EXISTS)],
    ),
    _training(
        "answer-lost-DeployModel",
        "Finished",
        DeployModel=[Failure("StepFunctions.ExecutionAlreadyExistsException")],
        DescribeExecution=[
            started(Status="RUNNING"),
            started(Status="SUCCEEDED", Output=json.dumps(DEPLOYED)),
        ],
    ),
    _training(
        "its-job-has-failed",
        "Failed",
        TrainModel=[ANSWER_LOST, taken("TrainModel")],
        DescribeTrainingJob=[as_asked(TrainingJobStatus="Failed", FailureReason="AlgorithmError: x")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _training(
        "anothers-job",
        "Failed",
        TrainModel=[ANSWER_LOST, taken("TrainModel")],
        DescribeTrainingJob=[as_asked(HyperParameters={}, TrainingJobStatus="Completed")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    *(
        _training(
            f"throttled-{state}",
            "Finished",
            own_image=own_image,
            FindChampion=[CHAMPION],
            **{
                state: [Failure(REFUSED_AS["training"], TRANSIENT["training"][0]), *TRAINING[state]],
            },
        )
        for state, own_image in (
            ("BuildTrainingSet", False),
            ("TrainModel", False),
            ("CreateChallenger", True),
            ("PredictChallenger", True),
            ("PredictChampion", True),
            ("EvaluateModel", False),
        )
    ),
    _training(
        "not-allowed",
        "Failed",
        TrainModel=[Failure(REFUSED_AS["training"], FOR_GOOD["training"][1])],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _deployment("new-endpoint", "Finished"),
    _deployment("champion-changed", "Finished", FindRelease=[CHAMPION]),
    _deployment("lock-of-one-that-ended", "Finished", AcquireLock=[HELD, {}]),
    _deployment(
        "lock-of-one-that-is-forgotten",
        "Finished",
        AcquireLock=[HELD],
        DescribeHolder=[Failure("Sfn.ExecutionDoesNotExistException")],
    ),
    _deployment("lock-given-back-meanwhile", "Finished", AcquireLock=[HELD, {}], ReadLock=[{}]),
    _deployment(
        "lock-of-a-person",
        "Finished",
        AcquireLock=[HELD, {}],
        ReadLock=[{"Item": {"held_by": {"S": "arn:ada"}}}],
    ),
    _deployment(
        "lock-of-one-that-runs",
        "Finished",
        AcquireLock=[HELD, HELD, {}],
        DescribeHolder=[holder("RUNNING")],
    ),
    _deployment("lock-held-for-ever", "Failed", AcquireLock=[HELD], DescribeHolder=[holder("RUNNING")]),
    _deployment(
        "throttled-FindServing",
        "Finished",
        FindServing=[Failure(REFUSED_AS["deployment"], TRANSIENT["deployment"][0]), NO_ENDPOINT],
    ),
    _deployment("lock-taken-over-by-another", "Finished", AcquireLock=[HELD, {}], TakeOverLock=[HELD]),
    _deployment(
        "left-apart-by-one-that-was-stopped",
        "Finished",
        FindServing=[described("Updating", "bank-dev-0"), described("InService", "bank-dev-2")],
        FindRelease=[CHAMPION],
    ),
    _deployment(
        "changed-by-hand",
        "Failed",
        FindServing=[described("InService", "by-hand")],
        FindRelease=[CHAMPION],
        FindServed=[{}],
    ),
    _deployment(
        "not-allowed-to-look",
        "Failed",
        FindServing=[Failure(REFUSED_AS["deployment"], FOR_GOOD["deployment"][1])],
    ),
    _deployment(
        "serves-already",
        "Finished",
        FindServing=[described("InService")],
        FindRelease=[{"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-1"}}}],
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        DescribeEndpoint=[described("InService")],
    ),
    Scenario(
        "deployment",
        "rollback",
        {**DEPLOYMENT, "judged_champion": "bank-dev-0", "rollback": {"by": "arn:ada", "reason": "worse"}},
        {
            **ENDPOINT,
            "FindServing": [described("InService", "by-hand")],
            "FindRelease": [CHAMPION],
            "FindEndpoint": [{"Endpoints": [endpoint("InService")]}],
        },
        "Finished",
    ),
    _guarded("canary", DescribeEndpoint=[shifting(0.5), described("InService")]),
    _guarded("alarmed-between-two-looks", DescribeEndpoint=[described("InService", "bank-dev-0")]),
    _guarded(
        "alarmed",
        DescribeEndpoint=[
            shifting(0.5),
            described("RollingBack", "bank-dev-0"),
            described("InService", "bank-dev-0", FailureReason="the alarm went off"),
        ],
        FindAlarm=[{"MetricAlarms": [FIRED], "CompositeAlarms": []}],
    ),
    _guarded("answers-otherwise", VerifyModel=[DIFFERENT], DescribeEndpoint=GONE_BACK),
    _guarded(
        "answers-otherwise-and-the-answer-was-lost",
        VerifyModel=[DIFFERENT],
        GoBack=[ANSWER_LOST, Failure(REFUSED_AS["deployment"], 'Cannot update in-progress endpoint "arn".')],
        DescribeEndpoint=GONE_BACK,
    ),
    _guarded(
        "throttled-GoBack",
        VerifyModel=[DIFFERENT],
        GoBack=[Failure(REFUSED_AS["deployment"], TRANSIENT["deployment"][0]), {"EndpointArn": "arn"}],
        DescribeEndpoint=GONE_BACK,
    ),
    Scenario(
        "deployment",
        "answers-otherwise-and-does-not-go-back",
        {**DEPLOYMENT, "judged_champion": "bank-dev-0"},
        {**GUARDED, "VerifyModel": [DIFFERENT], "DescribeEndpoint": [described("InService")]},
        "Failed",
    ),
    _deployment("first-answers-otherwise", "Failed", VerifyModel=[DIFFERENT]),
    Scenario(
        "deployment",
        "answers-otherwise-after-an-attempt-that-was-cut-off",
        {**DEPLOYMENT, "judged_champion": "bank-dev-0"},
        {
            **ENDPOINT,
            "FindServing": [described("InService")],
            "FindRelease": [{"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-1"}}}],
            "FindEndpoint": [{"Endpoints": [endpoint("InService")]}],
            "VerifyModel": [DIFFERENT],
            "DescribeEndpoint": [described("InService"), described("InService", "bank-dev-0")],
        },
        "Finished",
    ),
    _deployment(
        "first-answers-otherwise-after-an-attempt-that-was-cut-off",
        "Failed",
        FindServing=[described("InService")],
        FindRelease=[{"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-1"}}}],
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        VerifyModel=[DIFFERENT],
        DescribeEndpoint=[described("InService")],
    ),
    _deployment("not-looked-at", "Finished", VerifyModel=[Failure("EndpointUnavailable", "{}")]),
    Scenario("deployment", "reconciled", {"reconcile": True}, ENDPOINT, "Finished"),
    Scenario(
        "deployment",
        "reconciled-where-alarms-are-left",
        {"reconcile": True},
        GUARDED,
        "Finished",
        guarded=True,
    ),
    Scenario(
        "deployment",
        "reconciled-by-whoever-deploys",
        {"reconcile": True},
        {**ENDPOINT, "AcquireLock": [HELD], "DescribeHolder": [holder("RUNNING")]},
        "Finished",
    ),
    _guarded("alarms-gone", ListAlarms=[{"MetricAlarms": []}]),
    Scenario(
        "deployment",
        "no-alarm",
        {**DEPLOYMENT, "judged_champion": "bank-dev-0"},
        {**GUARDED, "PutAlarm": [Failure("CloudWatch.LimitExceededException")]},
        "Failed",
        guarded=True,
    ),
    _deployment("archive-overwritten", "Failed", CheckArchive=[OVERWRITTEN]),
    _deployment("archive-gone", "Failed", CheckArchive=[NO_ARCHIVE]),
    Scenario(
        "deployment",
        "asked-by-an-older-training",
        {name: value for name, value in DEPLOYMENT.items() if name != "judged_champion"},
        ENDPOINT,
        "Failed",
    ),
    Scenario("deployment", "registered", {**DEPLOYMENT, "version": "3"}, ENDPOINT, "Finished"),
    Scenario(
        "deployment",
        "registry-does-not-follow",
        {**DEPLOYMENT, "version": "3"},
        {**ENDPOINT, "MoveAlias": [Failure("TrackingUnavailable", "{}")]},
        "Finished",
    ),
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
        "answer-lost-CreateModel",
        "Finished",
        CreateModel=[ANSWER_LOST, Failure(REFUSED_AS["deployment"], MODEL_EXISTS)],
        DescribeModel=[as_asked(CreationTime="2026-01-01T00:00:00Z")],
    ),
    _deployment(
        "answer-lost-CreateEndpointConfig",
        "Finished",
        CreateEndpointConfig=[
            ANSWER_LOST,
            Failure(REFUSED_AS["deployment"], 'Cannot create already existing endpoint configuration "arn".'),
        ],
    ),
    _deployment(
        "answer-lost-CreateEndpoint",
        "Finished",
        CreateEndpoint=[
            ANSWER_LOST,
            Failure(REFUSED_AS["deployment"], 'Cannot create already existing endpoint "arn".'),
        ],
    ),
    _deployment(
        "answer-lost-UpdateEndpoint",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        UpdateEndpoint=[
            ANSWER_LOST,
            Failure(REFUSED_AS["deployment"], 'Cannot update in-progress endpoint "arn".'),
        ],
        DescribeEndpoint=[
            described(
                "Updating", "bank-dev-0", PendingDeploymentSummary={"EndpointConfigName": "bank-dev-1"}
            ),
            described("InService"),
        ],
    ),
    _deployment(
        "updated-by-another",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        UpdateEndpoint=[
            Failure(REFUSED_AS["deployment"], 'Cannot update in-progress endpoint "arn".'),
            {"EndpointArn": "arn"},
        ],
        DescribeEndpoint=[
            described("Updating", "bank-dev-0", PendingDeploymentSummary={"EndpointConfigName": "anothers"}),
            described("InService"),
        ],
    ),
    _deployment(
        "answer-lost-DeleteEndpoint",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("Failed")]}, {"Endpoints": []}],
        DeleteEndpoint=[ANSWER_LOST, Failure(REFUSED_AS["deployment"], 'Could not find endpoint "arn".')],
    ),
    _deployment(
        "anothers-model",
        "Failed",
        CreateModel=[Failure(REFUSED_AS["deployment"], MODEL_EXISTS)],
        DescribeModel=[as_asked(PrimaryContainer={"Image": "another"})],
    ),
    *(
        _deployment(
            f"throttled-{state}",
            "Finished",
            **{
                "FindEndpoint": [{"Endpoints": endpoints} for endpoints in found] or [{"Endpoints": []}],
                state: [
                    Failure(REFUSED_AS["deployment"], TRANSIENT["deployment"][0]),
                    *([{"Endpoints": []}] if state == "FindEndpoint" else ENDPOINT[state]),
                ],
            },
        )
        for state, found in (
            ("CreateModel", []),
            ("CreateEndpointConfig", []),
            ("FindEndpoint", []),
            ("DeleteEndpoint", [[endpoint("Failed")], []]),
            ("CreateEndpoint", []),
            ("UpdateEndpoint", [[endpoint("InService")]]),
            ("DescribeEndpoint", []),
        )
    ),
    _deployment(
        "not-allowed", "Failed", CreateModel=[Failure(REFUSED_AS["deployment"], FOR_GOOD["deployment"][1])]
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
