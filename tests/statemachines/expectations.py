"""What each task does about each error, written down here and not read from the ASL that is tested.

A state that is missing here, a retry too many, too few or of another error, a Catch that leads elsewhere: each fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field

UNFORESEEN = "SomethingUnforeseen"
"""An error that no handler names: what States.ALL and States.TaskFailed stand for."""


@dataclass(frozen=True)
class Task:
    """How often a task is tried again for which error, and where each error leads in the end.

    `caught` maps errors to states; UNFORESEEN stands for all that are not named. Without it the execution fails.
    """

    retried: dict[str, int]
    caught: dict[str, str] = field(default_factory=dict)

    def leads_to(self, error: str) -> str | None:
        return self.caught.get(error, self.caught.get(UNFORESEEN))


def _six(*errors: str) -> dict[str, int]:
    return dict.fromkeys(errors, 6)


_LAMBDA = _six(
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.ClientExecutionTimeoutException",
    "StorageUnavailable",
)
_TRACKED = {**_LAMBDA, **_six("TrackingUnavailable")}
_DYNAMODB = _six(
    "DynamoDB.AmazonDynamoDBException",
    "DynamoDB.SdkClientException",
    "DynamoDB.ProvisionedThroughputExceededException",
    "DynamoDB.ThrottlingException",
)
# The optimized integration and the SDK integration of one service name their errors differently:
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_SAGEMAKER = _six("SageMaker.SdkClientException", "SageMaker.ThrottlingException")
_DESCRIBE = dict.fromkeys(("SageMaker.SageMakerException", *_SAGEMAKER), 4)
_S3 = _six("S3.S3Exception", "S3.SdkClientException")
_LOGS = _six(
    "CloudWatchLogs.CloudWatchLogsException",
    "CloudWatchLogs.OperationAbortedException",
    "CloudWatchLogs.ServiceUnavailableException",
    "CloudWatchLogs.SdkClientException",
)
_CLOUDWATCH = _six("CloudWatch.CloudWatchException", "CloudWatch.SdkClientException")
_SNS = _six("SNS.AmazonSNSException", "SNS.SdkClientException")
_EXECUTIONS = _six("StepFunctions.AWSStepFunctionsException", "StepFunctions.SdkClientException")
_DESCRIBE_EXECUTION = _six("Sfn.SfnException", "Sfn.SdkClientException")

_REPORT = {UNFORESEEN: "ReportOutcome"}
_UNLOCK = {UNFORESEEN: "KeepHistory"}
_GIVE_BACK = {UNFORESEEN: "ReleaseLock"}
# What SageMaker refuses is not repeated blindly: its cause says whether that is of use, see REFUSALS.
_JOB = {
    "SageMaker.AmazonSageMakerException": "WhyRefused",
    "SageMaker.ResourceInUseException": "WhyRefused",
    **_REPORT,
}
_REFUSED = {"SageMaker.SageMakerException": "WhyRefused", **_UNLOCK}
HELD = "DynamoDB.ConditionalCheckFailedException"
STARTED = "StepFunctions.ExecutionAlreadyExistsException"
MISSING = "S3.NoSuchKeyException"
FORGOTTEN = "Sfn.ExecutionDoesNotExistException"

EXPECTED: dict[str, dict[str, Task]] = {
    "intake": {
        "StartTraining": Task({STARTED: 0, UNFORESEEN: 6}, {STARTED: "AlreadyStarted"}),
        "AppendEvents": Task({STARTED: 0, UNFORESEEN: 6}, {STARTED: "AlreadyStarted"}),
        "StartBatch": Task({STARTED: 0, UNFORESEEN: 6}, {STARTED: "AlreadyStarted"}),
    },
    "batch": {
        "FindRelease": Task(_DYNAMODB, _REPORT),
        "PrepareBatch": Task(_LAMBDA, _REPORT),
        "PredictBatch": Task(_SAGEMAKER, {**_JOB, "States.Timeout": "StopTransformJob"}),
        # What is told of the job is told whether it could be stopped or not.
        "StopTransformJob": Task(_DESCRIBE, _REPORT),
        "DescribeTransformJob": Task(_DESCRIBE, _REPORT),
        "JoinPredictions": Task(_LAMBDA, _REPORT),
        # The result is there by then.
        "CountRows": Task(_CLOUDWATCH, _REPORT),
        "ReportOutcome": Task(_LAMBDA, {UNFORESEEN: "NotifyOutcome"}),
        "NotifyOutcome": Task(_SNS, {UNFORESEEN: "Failed"}),
    },
    "events": {
        "ValidateDataset": Task(_LAMBDA, _REPORT),
        "ReportOutcome": Task(_LAMBDA, {UNFORESEEN: "NotifyOutcome"}),
        "NotifyOutcome": Task(_SNS, {UNFORESEEN: "Failed"}),
    },
    "materialization": {
        "PlanMaterialization": Task(_LAMBDA, {UNFORESEEN: "Failed"}),
        "MaterializeView": Task(_LAMBDA, {UNFORESEEN: "ShareFailed"}),
        "MeasureSkew": Task(_LAMBDA, {UNFORESEEN: "Failed"}),
    },
    "drift": {
        "AcquireLock": Task(_DYNAMODB, {HELD: "ReadLock", UNFORESEEN: "Failed"}),
        "ReadLock": Task(_DYNAMODB, {UNFORESEEN: "Failed"}),
        "DescribeHolder": Task(
            {FORGOTTEN: 0, **_DESCRIBE_EXECUTION}, {FORGOTTEN: "DoesHolderRun", UNFORESEEN: "Failed"}
        ),
        "TakeOverLock": Task(_DYNAMODB, {HELD: "Finished", UNFORESEEN: "Failed"}),
        "FindRelease": Task(_DYNAMODB, _GIVE_BACK),
        "PlanDrift": Task(_LAMBDA, _GIVE_BACK),
        "CountCaptures": Task(_LAMBDA, {UNFORESEEN: "PartFailed"}),
        "JudgeDrift": Task(_LAMBDA, _GIVE_BACK),
        "ReleaseLock": Task(_DYNAMODB, {UNFORESEEN: "Failed"}),
    },
    "training": {
        "KeepCode": Task(_S3, _REPORT),
        "ValidateDataset": Task(_LAMBDA, _REPORT),
        "StartMaterialization": Task({STARTED: 0, **_EXECUTIONS}, {STARTED: "BuildTrainingSet", **_REPORT}),
        "FindChampion": Task(_DYNAMODB, _REPORT),
        "BuildTrainingSet": Task(_SAGEMAKER, _JOB),
        "SearchHyperparameters": Task(
            _SAGEMAKER,
            {
                **_JOB,
                **dict.fromkeys(_SAGEMAKER, "ReportOutcome"),
                "SageMaker.ResourceLimitExceededException": "ReportOutcome",
                UNFORESEEN: "ListTrials",
            },
        ),
        "ListTrials": Task(_DESCRIBE, _REPORT),
        "TrainModel": Task(_SAGEMAKER, _JOB),
        "CreateChallenger": Task(_SAGEMAKER, _JOB),
        "PredictChallenger": Task(_SAGEMAKER, _JOB),
        "RecordArchive": Task(_S3, {MISSING: "IsChallengerIntact", **_REPORT}),
        "CheckArchive": Task(_S3, {MISSING: "IsChallengerIntact", **_REPORT}),
        "FindChampionArchive": Task(_S3, {MISSING: "HasOwnImage", **_REPORT}),
        "PredictChampion": Task(
            _SAGEMAKER,
            {
                **_JOB,
                **dict.fromkeys(_SAGEMAKER, "ReportOutcome"),
                "SageMaker.ResourceLimitExceededException": "ReportOutcome",
                UNFORESEEN: "KindOfCall",
            },
        ),
        "EvaluateModel": Task(_SAGEMAKER, _JOB),
        # Whether it may go on is for the project to say.
        "OpenRun": Task(_TRACKED, {UNFORESEEN: "MayItGoUntracked"}),
        "RegisterModel": Task(_TRACKED, {UNFORESEEN: "MayItGoUntracked"}),
        "DecideGate": Task(_LAMBDA, _REPORT),
        "AwaitApproval": Task(_LAMBDA, _REPORT),
        "DeployModel": Task({STARTED: 0, **_EXECUTIONS}, {STARTED: "KindOfCall", **_REPORT}),
        "DescribeProcessingJob": Task(_DESCRIBE, _REPORT),
        "DescribeTrainingJob": Task(_DESCRIBE, _REPORT),
        "DescribeHyperParameterTuningJob": Task(_DESCRIBE, _REPORT),
        "DescribeTransformJob": Task(_DESCRIBE, _REPORT),
        "DescribeModel": Task(_DESCRIBE, _REPORT),
        "DescribeExecution": Task(_DESCRIBE_EXECUTION, _REPORT),
        "ReportOutcome": Task(_TRACKED, {UNFORESEEN: "NotifyOutcome"}),
        "NotifyOutcome": Task(_SNS, {UNFORESEEN: "Failed"}),
    },
    "deployment": {
        "AcquireLock": Task(_DYNAMODB, {HELD: "ReadLock", UNFORESEEN: "Failed"}),
        "ReadLock": Task(_DYNAMODB, {UNFORESEEN: "Failed"}),
        "DescribeHolder": Task(
            {FORGOTTEN: 0, **_DESCRIBE_EXECUTION}, {FORGOTTEN: "DoesHolderRun", UNFORESEEN: "Failed"}
        ),
        "TakeOverLock": Task(_DYNAMODB, {HELD: "MayItWait", UNFORESEEN: "Failed"}),
        "FindServing": Task(_SAGEMAKER, {"SageMaker.SageMakerException": "IsThereNoEndpoint", **_UNLOCK}),
        "FindServed": Task(_DYNAMODB, _UNLOCK),
        "CorrectRecord": Task(_DYNAMODB, _UNLOCK),
        "RememberModel": Task(_DYNAMODB, _UNLOCK),
        "PutAlarm": Task(_CLOUDWATCH, {UNFORESEEN: "AlarmFailed"}),
        # What is told of the two fleets, and what is tidied up, undoes nothing.
        "ReadFigures": Task(_CLOUDWATCH, {UNFORESEEN: "ListAlarms"}),
        "FindAlarm": Task(_CLOUDWATCH, {UNFORESEEN: "HasRolledBack"}),
        "ListAlarms": Task(_CLOUDWATCH, {UNFORESEEN: "KeepLogs"}),
        "RemoveAlarms": Task(_CLOUDWATCH, {UNFORESEEN: "KeepLogs"}),
        "KeepHistory": Task(_DYNAMODB, {UNFORESEEN: "CountOutcome"}),
        "CountOutcome": Task(_CLOUDWATCH, {UNFORESEEN: "ReleaseLock"}),
        "CreateModel": Task(_SAGEMAKER, _REFUSED),
        "CreateEndpointConfig": Task(_SAGEMAKER, _REFUSED),
        "FindEndpoint": Task(_SAGEMAKER, _REFUSED),
        "DeleteEndpoint": Task(_SAGEMAKER, _REFUSED),
        "CreateEndpoint": Task(_SAGEMAKER, _REFUSED),
        "UpdateEndpoint": Task(_SAGEMAKER, _REFUSED),
        "DescribeEndpoint": Task(_SAGEMAKER, _REFUSED),
        "DescribeModel": Task(_DESCRIBE, _UNLOCK),
        "DescribeEndpointConfig": Task(_DESCRIBE, _UNLOCK),
        "FindRelease": Task(_DYNAMODB, _UNLOCK),
        "CheckArchive": Task(_S3, {MISSING: "IsArchiveIntact", **_UNLOCK}),
        "RecordRelease": Task(_DYNAMODB, _UNLOCK),
        # No alarm took it back, and nobody found it wrong.
        "VerifyModel": Task({**_LAMBDA, **_six("EndpointUnavailable")}, {UNFORESEEN: "RecordRelease"}),
        "GoBack": Task(_SAGEMAKER, _REFUSED),
        "RemoveEndpoint": Task(_SAGEMAKER, _UNLOCK),
        # What serves is recorded by then, and is never taken back for the registry's sake.
        "MoveAlias": Task(_TRACKED, {UNFORESEEN: "IsDeployed"}),
        "KeepLogs": Task(_LOGS, _UNLOCK),
        "ReleaseLock": Task(_DYNAMODB, {UNFORESEEN: "Failed"}),
    },
}

_OPTIMIZED = "{} (Service: AmazonSageMaker; Status Code: {}; Error Code: {}; Request ID: 1; Proxy: null)"
_SDK = "{} (Service: SageMaker, Status Code: {}, Request ID: 1)"
TRANSIENT = {
    "training": [
        _OPTIMIZED.format("Rate exceeded", 400, "ThrottlingException"),
        _OPTIMIZED.format("We encountered an internal error.", 500, "InternalFailure"),
        _OPTIMIZED.format("Service Unavailable", 503, "ServiceUnavailable"),
    ],
    "deployment": [
        _SDK.format("Rate exceeded", 400),
        _SDK.format("We encountered an internal error.", 500),
        _SDK.format("Service Unavailable", 503),
    ],
}
"""What is gone in a while: tried again, up to six times."""
FOR_GOOD = {
    "training": [
        _OPTIMIZED.format("Could not access model data at s3://b/k.", 400, "ValidationException"),
        _OPTIMIZED.format("User: arn:u is not authorized to perform it", 400, "AccessDeniedException"),
    ],
    "deployment": [
        _SDK.format("Could not access model data at s3://b/k.", 400),
        _SDK.format("User: arn:u is not authorized to perform it", 400),
    ],
}
"""What stays so, however often it is tried."""
REFUSED_AS = {
    "training": "SageMaker.AmazonSageMakerException",
    "deployment": "SageMaker.SageMakerException",
}
"""What an integration calls all that SageMaker's model has no name for."""
EVERY_ERROR = sorted(
    {
        error
        for tasks in EXPECTED.values()
        for task in tasks.values()
        for error in (*task.retried, *task.caught)
    }
    # What a wider Retry would repeat in vain, or for ever.
    | {"States.Timeout", "States.TaskFailed", "SageMaker.ValidationException", "DataRejected"}
)
