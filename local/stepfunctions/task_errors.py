"""What a failed AWS call is called in a state machine: the names Retry and Catch match on."""

from __future__ import annotations

import re
import uuid
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from local.stepfunctions.shapes import service_model

# Service -> (prefix, name of an error the service's model does not list, the service's name in causes).
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_OPTIMIZED = {
    "dynamodb": ("DynamoDB", "AmazonDynamoDBException", "AmazonDynamoDBv2"),
    "lambda": ("Lambda", "AWSLambdaException", "AWSLambda"),
    "sagemaker": ("SageMaker", "AmazonSageMakerException", "AmazonSageMaker"),
    "sns": ("SNS", "AmazonSNSException", "AmazonSNS"),
    "sqs": ("SQS", "AmazonSQSException", "AmazonSQS"),
    "events": ("EventBridge", "AmazonEventBridgeException", "AmazonEventBridge"),
    "stepfunctions": ("StepFunctions", "AWSStepFunctionsException", "AWSStepFunctions"),
}
_NULL_ARGUMENT = re.compile(
    r"""Missing required parameter in input: "(\w+)"|Invalid type for parameter (\w+), value: None,"""
)
_TABLE_NAME = re.compile("[a-zA-Z0-9_.-]+")
OPTIMIZED_SERVICES = frozenset(_OPTIMIZED)
# The answer to a HEAD has no body that could name the error; AWS's SDK for Java takes the one that is modelled.
_OF_HEADS = {("HeadObject", "404"): "NoSuchKey"}


def optimized(service: str, error: ClientError) -> tuple[str, str]:
    """Name and cause of an optimized integration's error, as in `SageMaker.AmazonSageMakerException`."""
    prefix, unmodelled, cause_name = _OPTIMIZED[service]
    metadata = error.response.get("ResponseMetadata", {})
    details = [
        f"Service: {cause_name}",
        f"Status Code: {metadata.get('HTTPStatusCode')}",
        f"Error Code: {_code(error)}",
        f"Request ID: {metadata.get('RequestId')}",
        "Proxy: null",
    ]
    return f"{prefix}.{_modelled(service, _code(error)) or unmodelled}", _cause(error, "; ".join(details))


def sdk(service: str, error: ClientError) -> tuple[str, str]:
    """Name and cause of an `aws-sdk` integration's error, as in `SageMaker.SageMakerException`."""
    prefix = sdk_prefix(service)
    metadata = error.response.get("ResponseMetadata", {})
    details = [
        f"Service: {prefix}",
        f"Status Code: {metadata.get('HTTPStatusCode')}",
        f"Request ID: {metadata.get('RequestId')}",
    ]
    code = _OF_HEADS.get((error.operation_name, _code(error)), _code(error))
    name = _modelled(service, code) or f"{prefix}Exception"
    return f"{prefix}.{name}", _cause(error, ", ".join(details))


def refusal(service: str, error: ParamValidationError) -> ClientError:
    """What the service itself would answer for arguments that botocore does not even send."""
    missing = _null_arguments(str(error))
    if missing and service == "sqs":
        message = f"The request must contain the parameter {missing[0]}."
        return _refused(message, "MissingParameter")
    if not missing:
        return _refused(str(error))
    return _refused(
        _violations("Value null at '{}' failed to satisfy constraint: Member must not be null", missing)
    )


def invalid_table_name(name: str) -> ClientError | None:
    """What DynamoDB answers for a table's name that none can have, or None; moto looks for the table."""
    if name.startswith("arn:") or _TABLE_NAME.fullmatch(name):
        return None
    return _refused(
        f"1 validation error detected: Value '{name}' at 'tableName' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {_TABLE_NAME.pattern}"
    )


def _violations(constraint: str, names: list[str]) -> str:
    plural = "error" if len(names) == 1 else "errors"
    found = "; ".join(constraint.format(f"{name[:1].lower()}{name[1:]}") for name in names)
    return f"{len(names)} validation {plural} detected: {found}"


def _refused(message: str, code: str = "ValidationException") -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": str(uuid.uuid4())},
    }
    return ClientError(answer, "")


def _null_arguments(report: str) -> list[str]:
    """The arguments that are missing or null, where that is all that botocore finds."""
    lines = report.splitlines()[1:]
    found = [_NULL_ARGUMENT.match(line) for line in lines]
    return [match[1] or match[2] for match in found if match] if all(found) else []


def unreachable_name(service: str, *, optimized: bool) -> str:
    """Name the failure of a call that never got an answer, as in `SageMaker.SdkClientException`."""
    return f"{_OPTIMIZED[service][0] if optimized else sdk_prefix(service)}.SdkClientException"


def sdk_prefix(service: str) -> str:
    """The AWS SDK for Java's name of a service: `dynamodb` is `DynamoDb`, `stepfunctions` is `Sfn`."""
    service_id = str(service_model(service).service_id)
    humps = re.sub(r"([A-Z])([A-Z]+)(?![a-z])", lambda match: match[1] + match[2].lower(), service_id)
    return humps.replace(" ", "")


def _cause(error: ClientError, details: str) -> str:
    return f"{error.response['Error'].get('Message', '')} ({details})"


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))


def _modelled(service: str, code: str) -> str | None:
    """The exception class of a code that the service's model lists, or None."""
    for shape in service_model(service).error_shapes:
        if code in (shape.name, shape.metadata.get("error", {}).get("code")):
            return shape.name if shape.name.endswith("Exception") else f"{shape.name}Exception"
    return None
