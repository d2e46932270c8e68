"""EXPRESS executions: five minutes at most, no names kept, and described only by what StartSyncExecution gives."""

from __future__ import annotations

import math
import time
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions import responses
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import TimeoutSeconds
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from local.stepfunctions import versions

EXPRESS = "EXPRESS"
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-standard-vs-express.html
MOST_SECONDS = 300
_POLL_SECONDS = 0.01
_BILLED_STEP_MILLISECONDS = 100
_BILLED_MEMORY_MB = 64


class StateMachineTypeNotSupported(AWSError):
    """The operation is for the other type of state machine."""

    TYPE = "StateMachineTypeNotSupported"
    STATUS = 400

    def __init__(self) -> None:
        super().__init__("This operation is not supported by this type of state machine")


class ExpressExecution(Execution):
    """An execution that is given up after five minutes."""

    def _get_start_execution_worker(self) -> Any:
        worker = super()._get_start_execution_worker()
        worker.__class__ = _ExpressWorker
        return worker


class _ExpressWorker(ExecutionWorker):
    def _get_evaluation_entrypoint(self) -> Any:
        return limited(super()._get_evaluation_entrypoint())


def install() -> None:
    responses.StepFunctionResponse.start_sync_execution = _start_sync_execution


def limited(program: Any) -> Any:
    """A program that ends after five minutes, or earlier where its definition says so."""
    own = program.timeout_seconds.timeout_seconds if program.timeout_seconds else MOST_SECONDS
    return Program(
        query_language=program.query_language,
        start_at=program.start_at,
        states=program.states,
        timeout_seconds=TimeoutSeconds(timeout_seconds=min(own, MOST_SECONDS)),
        comment=program.comment,
    )


def _start_sync_execution(self: Any) -> ActionResult:
    """Run an EXPRESS execution to its end.

    Raises:
        StateMachineTypeNotSupported: the machine is a STANDARD one.
    """
    backend, arn = self.stepfunction_backend, self._get_param("stateMachineArn")
    if versions.machine_of(backend, arn).type != EXPRESS:
        raise StateMachineTypeNotSupported
    execution = backend.start_execution(
        arn, self._get_param("name"), self._get_param("input"), self._get_param("traceHeader")
    )
    while execution.status == "RUNNING":  # no longer than its program may
        time.sleep(_POLL_SECONDS)
    milliseconds = (execution.stop_date - execution.start_date).total_seconds() * 1000
    steps = math.ceil(milliseconds / _BILLED_STEP_MILLISECONDS)
    answer = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine.arn,
        "name": execution.name,
        "startDate": execution.start_date,
        "stopDate": execution.stop_date,
        "status": execution.status,
        "error": execution.error,
        "cause": execution.cause,
        "input": execution.execution_input,
        "inputDetails": {"included": True},
        "traceHeader": execution.trace_header,
        "billingDetails": {
            "billedMemoryUsedInMB": _BILLED_MEMORY_MB,
            "billedDurationInMilliseconds": steps * _BILLED_STEP_MILLISECONDS,
        },
    }
    if execution.status == "SUCCEEDED":
        answer["output"] = to_json_str(execution.output, separators=(",", ":"))
        answer["outputDetails"] = {"included": True}
    return ActionResult({key: value for key, value in answer.items() if value is not None})
