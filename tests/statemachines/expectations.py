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
)
_DYNAMODB = _six(
    "DynamoDB.AmazonDynamoDBException",
    "DynamoDB.SdkClientException",
    "DynamoDB.ProvisionedThroughputExceededException",
    "DynamoDB.ThrottlingException",
)
# The optimized integration and the SDK integration of one service name their errors differently:
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_JOBS = _six(
    "SageMaker.AmazonSageMakerException", "SageMaker.SdkClientException", "SageMaker.ThrottlingException"
)
_SAGEMAKER = _six(
    "SageMaker.SageMakerException", "SageMaker.SdkClientException", "SageMaker.ThrottlingException"
)
_S3 = _six("S3.S3Exception", "S3.SdkClientException")
_LOGS = _six(
    "CloudWatchLogs.CloudWatchLogsException",
    "CloudWatchLogs.OperationAbortedException",
    "CloudWatchLogs.ServiceUnavailableException",
    "CloudWatchLogs.SdkClientException",
)
_SNS = _six("SNS.AmazonSNSException", "SNS.SdkClientException")
_EXECUTIONS = _six("StepFunctions.AWSStepFunctionsException", "StepFunctions.SdkClientException")

_REPORT = {UNFORESEEN: "ReportOutcome"}
_UNLOCK = {UNFORESEEN: "ReleaseLock"}
HELD = "DynamoDB.ConditionalCheckFailedException"
STARTED = "StepFunctions.ExecutionAlreadyExistsException"

EXPECTED: dict[str, dict[str, Task]] = {
    "intake": {
        "StartTraining": Task({STARTED: 0, UNFORESEEN: 6}, {STARTED: "AlreadyStarted"}),
    },
    "training": {
        "KeepCode": Task(_S3, _REPORT),
        "ValidateDataset": Task(_LAMBDA, _REPORT),
        "FindChampion": Task(_DYNAMODB, _REPORT),
        "BuildTrainingSet": Task(_JOBS, _REPORT),
        "TrainModel": Task(_JOBS, _REPORT),
        "CreateChallenger": Task(_JOBS, _REPORT),
        "PredictChallenger": Task(_JOBS, _REPORT),
        "PredictChampion": Task(
            _JOBS,
            {
                **dict.fromkeys(_JOBS, "ReportOutcome"),
                "SageMaker.ResourceLimitExceededException": "ReportOutcome",
                UNFORESEEN: "EvaluateModel",
            },
        ),
        "EvaluateModel": Task(_JOBS, _REPORT),
        "DecideGate": Task(_LAMBDA, _REPORT),
        "DeployModel": Task(_EXECUTIONS, _REPORT),
        "ReportOutcome": Task(_LAMBDA, {UNFORESEEN: "NotifyOutcome"}),
        "NotifyOutcome": Task(_SNS, {UNFORESEEN: "Failed"}),
    },
    "deployment": {
        "AcquireLock": Task({HELD: 120, **_DYNAMODB}, {HELD: "Failed", UNFORESEEN: "Failed"}),
        "CreateModel": Task(_SAGEMAKER, _UNLOCK),
        "CreateEndpointConfig": Task(_SAGEMAKER, _UNLOCK),
        "FindEndpoint": Task(_SAGEMAKER, _UNLOCK),
        "DeleteEndpoint": Task(_SAGEMAKER, _UNLOCK),
        "CreateEndpoint": Task(_SAGEMAKER, _UNLOCK),
        "UpdateEndpoint": Task(_SAGEMAKER, _UNLOCK),
        "DescribeEndpoint": Task(_SAGEMAKER, _UNLOCK),
        "RecordRelease": Task(_DYNAMODB, _UNLOCK),
        "KeepLogs": Task(_LOGS, _UNLOCK),
        "ReleaseLock": Task(_DYNAMODB, {UNFORESEEN: "Failed"}),
    },
}
FIRST_PAUSE_SECONDS = {HELD: 5.0}
"""The longest pause before the first retry, where it is not two seconds."""
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
