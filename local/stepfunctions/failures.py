"""Make the failures that moto's interpreter routes through Retry and Catch."""

from __future__ import annotations

from typing import Any

from moto.stepfunctions.parser.api import (
    EvaluationFailedEventDetails,
    HistoryEventType,
    TaskFailedEventDetails,
)
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

TASK_FAILED = "States.TaskFailed"
RUNTIME = "States.Runtime"
DATA_LIMIT = "States.DataLimitExceeded"
QUERY_EVALUATION = "States.QueryEvaluationError"
TIMEOUT = "States.Timeout"
MAX_PAYLOAD_BYTES = 262_144


class TerminalErrorName(ErrorName):
    """An error that only its own name catches, not States.ALL and not States.TaskFailed."""


class ExecutionStopped(Exception):
    """The execution was stopped or ran out of time while a state was at work: nothing may handle this."""


def task_failure(
    env: Any, error: str, cause: str, *, resource: str | None = None, resource_type: str | None = None
) -> Any:
    """A `TaskFailed` event that Retry and Catch match by `error`."""
    details = TaskFailedEventDetails(error=error, cause=cause)
    if resource is not None:
        details["resource"] = resource
    if resource_type is not None:
        details["resourceType"] = resource_type
    return FailureEvent(
        env=env,
        error_name=named(error),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=details),
    )


def evaluation_failure(env: Any, cause: str) -> Any:
    """An `EvaluationFailed` event: a JSONata expression could not be evaluated."""
    return FailureEvent(
        env=env,
        error_name=named(QUERY_EVALUATION),
        event_type=HistoryEventType.EvaluationFailed,
        event_details=EventDetails(
            evaluationFailedEventDetails=EvaluationFailedEventDetails(
                error=QUERY_EVALUATION, cause=cause, state=env.next_state_name
            )
        ),
    )


def raising(failure: Any) -> Exception:
    """Wrap a failure event so that it can be raised."""
    exception: Exception = FailureEventException(failure_event=failure)
    return exception


def terminal_failure(env: Any, error: str, cause: str) -> Any:
    """A failure that States.ALL does not catch."""
    return FailureEvent(
        env=env,
        error_name=TerminalErrorName(error_name=error),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=TaskFailedEventDetails(error=error, cause=cause)),
    )


def named(error_name: str | None) -> ErrorName:
    """An error by its name, whoever raised it first: a Map gives on what an iteration failed with."""
    return ErrorName(error_name=error_name)
