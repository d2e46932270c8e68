"""Executions and machines as the API shows them: names, idempotency, limits, stopping, history."""

from __future__ import annotations

import copy
import datetime
import json
import logging
import threading
import time
import uuid
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions import models, responses
from moto.stepfunctions.exceptions import (
    ExecutionAlreadyExists,
    InvalidExecutionInput,
    ValidationException,
)
from moto.stepfunctions.parser import models as parser_models
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval import program_state
from moto.stepfunctions.parser.backend import execution as execution_module
from moto.stepfunctions.parser.backend import execution_worker

from local import execution_changes
from local.stepfunctions import failures, validation
from local.stepfunctions.history_log import open_log


class StateMachineAlreadyExists(AWSError):
    """There is another machine of that name, with another definition or role."""

    TYPE = "StateMachineAlreadyExists"
    STATUS = 400


_START_LOCK = threading.Lock()
_STOP_DEADLINE_SECONDS = 5
_LOG = logging.getLogger(__name__)


def install() -> None:
    # Machines that CloudFormation makes come from this name: they have to run as well.
    models.stepfunctions_backends = parser_models.stepfunctions_parser_backends
    backend = parser_models.StepFunctionsParserBackend
    backend._validate_definition = staticmethod(validation.check)
    backend.create_state_machine = _idempotent_create(backend.create_state_machine)
    backend.start_execution = _start_execution
    execution_module.Execution.stop = _stop
    execution_module.BaseExecutionWorkerCommunication._reflect_execution_status = _reflect
    worker = execution_worker.ExecutionWorker
    worker._execution_logic = _fail_on_crash(worker._execution_logic)
    api = responses.StepFunctionResponse
    api.describe_execution = _describe_execution
    api.stop_execution = _stop_execution
    api.get_execution_history = _get_execution_history
    api.send_task_failure = _send_task_failure


def _idempotent_create(create: Any) -> Any:
    def create_state_machine(self: Any, name: str, definition: str, roleArn: str, **settings: Any) -> Any:  # noqa: N803
        existing = self._revision_by_name(name)
        if existing is not None and (existing.definition, existing.roleArn) != (definition, roleArn):
            raise StateMachineAlreadyExists(f"State Machine Already Exists: '{existing.arn}'")
        return create(self, name=name, definition=definition, roleArn=roleArn, **settings)

    return create_state_machine


def _start_execution(
    self: Any,
    state_machine_arn: str,
    name: str | None = None,
    execution_input: str | None = None,
    trace_header: Any = None,
) -> Any:
    """Start an execution, or give the running one of the same name and input.

    Raises:
        ExecutionAlreadyExists: the name was used, for another input or by an execution that has ended.
        InvalidExecutionInput: the input is not JSON.
        ValidationException: the input is too long.
    """
    machine = self.describe_state_machine(state_machine_arn)
    text = "{}" if execution_input is None else execution_input
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from error
    if len(text.encode()) > failures.MAX_PAYLOAD_BYTES:
        raise ValidationException(
            f"1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have "
            f"length less than or equal to {failures.MAX_PAYLOAD_BYTES}"
        )
    if name is not None:
        self._validate_name(name)
    name = name or str(uuid.uuid4())
    with _START_LOCK:
        existing = next((item for item in machine.executions if item.name == name), None)
        if existing is not None:
            if existing.status == "RUNNING" and existing.input_data == value:
                return existing
            raise ExecutionAlreadyExists(f"Execution Already Exists: '{existing.execution_arn}'")
        execution = _new_execution(self, machine, name, text, trace_header)
        execution.start()
        machine.executions.append(execution)
    execution_changes.started(execution)
    return execution


def _new_execution(backend: Any, machine: Any, name: str, text: str, trace_header: Any) -> Any:
    # A later update of the machine must not change a running execution: it keeps a copy without the
    # executions (they hold threads) and with the same backend.
    snapshot = copy.deepcopy(machine, {id(machine.executions): [], id(machine.backend): machine.backend})
    place = f"{backend.partition}:states:{backend.region_name}:{backend.account_id}"
    arn = f"arn:{place}:execution:{machine.name}:{name}"
    return execution_module.Execution(
        name=name,
        sm_type=snapshot.sm_type,
        role_arn=snapshot.roleArn,
        exec_arn=arn,
        account_id=backend.account_id,
        region_name=backend.region_name,
        state_machine=snapshot,
        start_date=datetime.datetime.now(tz=datetime.UTC),
        cloud_watch_logging_session=open_log(snapshot, arn),
        input_data=text,
        trace_header=trace_header,
        activity_store={},
    )


def _stop(self: Any, stop_date: datetime.datetime, error: str | None, cause: str | None) -> None:
    """Abort a running execution. The state at work may need a while to notice; the status changes now."""
    if self.exec_status != ExecutionStatus.RUNNING:
        return
    worker = self.exec_worker
    deadline = time.monotonic() + _STOP_DEADLINE_SECONDS
    while worker.env is None or not worker.env.is_running():
        if self.exec_status != ExecutionStatus.RUNNING:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{self.exec_arn} did not start within {_STOP_DEADLINE_SECONDS} s")
        time.sleep(0.01)
    self.stop_date, self.error, self.cause = stop_date, error, cause
    self.exec_status = ExecutionStatus.ABORTED
    execution_changes.ended(self)
    worker.stop(stop_date=stop_date, error=error, cause=cause)


def _reflect(self: Any) -> None:
    """Give an execution its end. The status comes last: whoever sees it sees the rest as well."""
    execution = self.execution
    if execution.exec_status != ExecutionStatus.RUNNING:
        return
    state = execution.exec_worker.env.program_state()
    execution.stop_date = datetime.datetime.now(tz=datetime.UTC)
    if isinstance(state, program_state.ProgramEnded):
        execution.output = execution.exec_worker.env.states.get_input()
        execution.exec_status = ExecutionStatus.SUCCEEDED
    elif isinstance(state, program_state.ProgramError):
        execution.error, execution.cause = state.error.get("error"), state.error.get("cause")
        execution.exec_status = ExecutionStatus.FAILED
    elif isinstance(state, program_state.ProgramTimedOut):
        execution.exec_status = ExecutionStatus.TIMED_OUT
    else:
        raise RuntimeError(f"{execution.exec_arn} ended in the state {type(state).__name__}")
    execution_changes.ended(execution)


def _fail_on_crash(execution_logic: Any) -> Any:
    """A bug in the interpreter fails the execution; without this it would stay RUNNING for ever."""

    def _execution_logic(self: Any) -> None:
        try:
            execution_logic(self)
        except Exception as error:
            execution = self._execution_communication.execution
            _LOG.exception("%s crashed", execution.exec_arn)
            execution.stop_date = datetime.datetime.now(tz=datetime.UTC)
            execution.error, execution.cause = failures.RUNTIME, f"{type(error).__name__}: {error}"
            execution.exec_status = ExecutionStatus.FAILED
            execution_changes.ended(execution)

    return _execution_logic


def _describe_execution(self: Any) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    return ActionResult(
        {key: value for key, value in execution.to_describe_output().items() if value is not None}
    )


def _stop_execution(self: Any) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    now = datetime.datetime.now(tz=datetime.UTC)
    execution.stop(now, self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date or now})


def _get_execution_history(self: Any) -> ActionResult:
    arn = self._get_param("executionArn")
    events = self.stepfunction_backend.get_execution_history(arn)["events"]
    if self._get_bool_param("reverseOrder"):
        events = events[::-1]
    if self._get_bool_param("includeExecutionData") is False:
        events = [_without_data(event) for event in events]
    start = int(self._get_param("nextToken") or 0)
    end = start + (self._get_int_param("maxResults") or 100)
    answer = {"events": events[start:end]}
    if end < len(events):
        answer["nextToken"] = str(end)
    return ActionResult(answer)


def _without_data(event: dict[str, Any]) -> dict[str, Any]:
    hidden = {"input", "output", "parameters"}
    return {
        key: {name: item for name, item in value.items() if name not in hidden}
        if isinstance(value, dict)
        else value
        for key, value in event.items()
    }


def _send_task_failure(self: Any) -> EmptyResult:
    self.stepfunction_backend.send_task_failure(
        self._get_param("taskToken"), error=self._get_param("error"), cause=self._get_param("cause")
    )
    return EmptyResult()
