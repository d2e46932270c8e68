"""Service tasks: arguments checked and renamed, answers as JSON, errors by AWS's names, stops passed on."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
    state_task_service_aws_sdk,
    state_task_service_callback,
    state_task_service_dynamodb,
    state_task_service_events,
    state_task_service_lambda,
    state_task_service_sfn,
    state_task_service_sns,
    state_task_service_sqs,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_events import (
    SfnFailedEntryCountException,
)

from local.stepfunctions import failures, task_errors
from local.stepfunctions.interpreter import is_within_limit
from local.stepfunctions.shapes import TimeFormat, from_boto, operation_model, to_boto

SYNC_POLL_SECONDS = 0.1
_SERVICE_NAMES = {
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "sagemakerruntime": "sagemaker-runtime",
}
_SERVICES = (
    state_task_service_aws_sdk.StateTaskServiceAwsSdk,
    state_task_service_dynamodb.StateTaskServiceDynamoDB,
    state_task_service_events.StateTaskServiceEvents,
    state_task_service_lambda.StateTaskServiceLambda,
    state_task_service_sfn.StateTaskServiceSfn,
    state_task_service_sns.StateTaskServiceSns,
    state_task_service_sqs.StateTaskServiceSqs,
)


class UnknownHost(BotoCoreError):
    """What a call is sent to has no address."""

    fmt = "Unable to execute HTTP request: {host}: Name or service not known"


def install() -> None:
    service = state_task_service.StateTaskService
    service._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES.update(_SERVICE_NAMES)
    state_task_service_lambda._SUPPORTED_API_PARAM_BINDINGS["invoke"].add("InvocationType")
    state_task.StateTask._eval_parameters = _evaluate_arguments
    state_task.StateTask._eval_state_credentials = _own_account_only(
        state_task.StateTask._eval_state_credentials
    )
    service._normalise_parameters = _normalise_parameters
    service._normalise_response = _normalise_response
    callback = state_task_service_callback.StateTaskServiceCallback
    callback._eval_sync = _wait_for_sync
    callback._eval_wait_for_task_token = _stopping(callback._eval_wait_for_task_token)
    _refuse_results_after_a_stop()
    for cls in _SERVICES:
        _name_errors_as_aws_does(cls)


def failure(task: Any, env: Any, error: str, cause: str) -> Any:
    """A failure of this task, with its resource in the history."""
    return failures.task_failure(
        env, error, cause, resource=task._get_sfn_resource(), resource_type=task._get_sfn_resource_type()
    )


def client_failure(task: Any, env: Any, error: BotoCoreError | ClientError) -> Any:
    """The failure that an AWS call's error becomes."""
    service = task._get_boto_service_name()
    optimized = task.resource.service_name != "aws-sdk" and service in task_errors.OPTIMIZED_SERVICES
    if isinstance(error, ParamValidationError):
        error = task_errors.refusal(service, error)
    if isinstance(error, ClientError):
        described = task_errors.optimized if optimized else task_errors.sdk
        name, cause = described(service, error)
        return failure(task, env, name, cause)
    return failure(task, env, task_errors.unreachable_name(service, optimized=optimized), str(error))


def _own_account_only(evaluate: Any) -> Any:
    """Take the role of a task's Credentials where it is of this account: permissions are not imitated."""

    def _eval_state_credentials(self: Any, env: Any) -> Any:
        credentials = evaluate(self, env)
        account = env.aws_execution_details.account
        if self.credentials and not re.match(rf"arn:[^:]+:iam::{account}:role/", str(credentials.role_arn)):
            cause = (
                f"The role {credentials.role_arn} of the field 'Credentials' is not of the account {account}, "
                f"and the local AWS has no other one."
            )
            raise failures.raising(failures.task_failure(env, failures.RUNTIME, cause))
        return credentials

    return _eval_state_credentials


def _evaluate_arguments(self: Any, env: Any) -> dict[str, Any]:
    arguments: Any = {}
    if self.parargs is not None:
        self.parargs.eval(env=env)
        arguments = env.stack.pop()
    if not isinstance(arguments, dict):
        raise failures.raising(
            failures.task_failure(
                env, failures.RUNTIME, f"A task's arguments must be an object, not {arguments!r}"
            )
        )
    supported = self._get_supported_parameters()
    unknown = [name for name in arguments if supported and name not in supported]
    if unknown:
        cause = f'The field "{unknown[0]}" is not supported by Step Functions'
        raise failures.raising(failures.task_failure(env, failures.RUNTIME, cause))
    if not is_within_limit(arguments):
        cause = (
            f"The state/task '{self.name}' was given arguments with a size exceeding the maximum number of "
            f"bytes service limit."
        )
        raise failures.raising(failures.terminal_failure(env, failures.DATA_LIMIT, cause))
    return arguments


def _normalise_parameters(
    self: Any,
    parameters: dict[str, Any],
    boto_service_name: str | None = None,
    service_action_name: str | None = None,
) -> None:
    operation = operation_model(
        self._get_boto_service_name(boto_service_name), service_action_name or self.resource.api_action
    )
    renamed = to_boto(parameters, operation.input_shape)
    service = operation.service_model.service_name
    if service == "sqs":
        _check_queue_url(renamed.get("QueueUrl"))
    if service == "dynamodb" and isinstance(renamed.get("TableName"), str):
        refused = task_errors.invalid_table_name(renamed["TableName"])
        if refused is not None:
            raise refused
    parameters.clear()
    parameters.update(renamed)


def _check_queue_url(queue_url: Any) -> None:
    """Give up a queue whose URL names no host, as AWS does; moto takes it for a queue's name.

    Raises:
        UnknownHost
    """
    if isinstance(queue_url, str) and not urlsplit(queue_url).netloc:
        raise UnknownHost(host=queue_url)


def _normalise_response(
    self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    if not isinstance(response, dict):
        return
    operation = operation_model(
        self._get_boto_service_name(boto_service_name), service_action_name or self.resource.api_action
    )
    times: TimeFormat = "iso" if self.resource.service_name == "aws-sdk" else "milliseconds"
    translated = from_boto(response, operation.output_shape, times)
    response.clear()
    response.update(translated)


def _wait_for_sync(
    self: Any,  # noqa: ARG001
    env: Any,
    sync_resolver: Any,
    timeout_seconds: Any,  # noqa: ARG001 - moto's signature; the state itself watches its time
    callback_endpoint: Any,
    heartbeat_endpoint: Any,  # noqa: ARG001
) -> Any:
    """Ask until the job or execution has ended, or the task is ended by its token.

    The job or execution is stopped where this state is stopped or times out first; a token leaves it running.
    """
    while env.is_running():
        outcome = callback_endpoint.get_outcome() if callback_endpoint is not None else None
        if outcome is not None:
            return outcome
        result = sync_resolver()
        if result is not None:
            return result
        env.program_state_event.wait(SYNC_POLL_SECONDS)
    cancel = getattr(sync_resolver, "cancel", None)
    if cancel is not None:
        cancel()
    raise failures.ExecutionStopped


def _stopping(wait: Any) -> Any:
    """End the wait for a token with its state; moto's goes on, and the history without its end."""

    def _eval_wait_for_task_token(
        self: Any, env: Any, timeout_seconds: Any, callback_endpoint: Any, heartbeat_endpoint: Any
    ) -> Any:
        if heartbeat_endpoint is not None:
            return wait(self, env, timeout_seconds, callback_endpoint, heartbeat_endpoint)
        while env.is_running():
            outcome = callback_endpoint.wait(timeout=SYNC_POLL_SECONDS)
            if outcome is not None:
                return outcome
        raise failures.ExecutionStopped

    return _eval_wait_for_task_token


def _refuse_results_after_a_stop() -> None:
    after_execution = state_task_service.StateTaskService._after_eval_execution

    def _after_eval_execution(self: Any, env: Any, **arguments: Any) -> None:
        if not env.is_running():
            raise failures.ExecutionStopped
        after_execution(self, env=env, **arguments)

    state_task_service.StateTaskService._after_eval_execution = _after_eval_execution


def _name_errors_as_aws_does(cls: Any) -> None:
    # DynamoDB's own version calls everything AmazonDynamoDBException, an evaluation error as well.
    is_dynamodb = cls is state_task_service_dynamodb.StateTaskServiceDynamoDB
    from_error = state_task_service.StateTaskService._from_error if is_dynamodb else cls._from_error

    def _from_error(self: Any, env: Any, ex: Exception) -> Any:
        if isinstance(ex, FailureEventException):
            return ex.failure_event
        if isinstance(ex, (BotoCoreError, ClientError)):
            return client_failure(self, env, ex)
        if isinstance(ex, SfnFailedEntryCountException):
            cause = json.dumps(ex.cause, sort_keys=True, separators=(",", ":"))
            return failure(self, env, "EventBridge.FailedEntry", cause)
        return from_error(self, env, ex)

    cls._from_error = _from_error
