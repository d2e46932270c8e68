"""Executions from their start to their end: names, idempotency, limits, stopping."""

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
from moto.stepfunctions import models
from moto.stepfunctions.exceptions import (
    ExecutionAlreadyExists,
    InvalidExecutionInput,
    ValidationException,
)
from moto.stepfunctions.parser import models as parser_models
from moto.stepfunctions.parser.api import ExecutionAbortedEventDetails, ExecutionStatus, HistoryEventType
from moto.stepfunctions.parser.asl.eval import program_state
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails, ExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.backend import execution as execution_module
from moto.stepfunctions.parser.backend import execution_worker

from local import execution_changes
from local.stepfunctions import express, failures, interpreter, validation, versions
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
    backend.update_state_machine = _checked_update(backend.update_state_machine)
    backend.start_execution = _start_execution
    execution_module.Execution.stop = _stop
    execution_module.BaseExecutionWorkerCommunication._reflect_execution_status = _reflect
    worker = execution_worker.ExecutionWorker
    worker._execution_logic = _fail_on_crash(worker._execution_logic)
    worker._get_evaluation_environment = _with_context(worker._get_evaluation_environment)
    execution_module.Execution._get_start_aws_execution_details = _aws_details
    execution_module.Execution.get_start_execution_details = _execution_details


def _idempotent_create(create: Any) -> Any:
    def create_state_machine(self: Any, name: str, definition: str, roleArn: str, **settings: Any) -> Any:  # noqa: N803
        if settings.get("sm_type") == express.EXPRESS:
            validation.check(definition, express.EXPRESS)
        existing = self._revision_by_name(name)
        if existing is not None and (existing.definition, existing.roleArn) != (definition, roleArn):
            raise StateMachineAlreadyExists(f"State Machine Already Exists: '{existing.arn}'")
        return create(self, name=name, definition=definition, roleArn=roleArn, **settings)

    return create_state_machine


def _checked_update(update: Any) -> Any:
    def update_state_machine(self: Any, arn: str, definition: str | None = None, **settings: Any) -> Any:
        if definition is not None and self.describe_state_machine(arn).type == express.EXPRESS:
            validation.check(definition, express.EXPRESS)
        return update(self, arn=arn, definition=definition, **settings)

    return update_state_machine


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
    target = versions.target_of(self, state_machine_arn)
    machine = target.machine
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
    if machine.type == express.EXPRESS:
        # Neither its name nor the execution is kept: there is no operation that would ask for it.
        execution = _new_execution(self, target, name, text, trace_header)
        execution.start()
        return execution
    with _START_LOCK:
        existing = next((item for item in machine.executions if item.name == name), None)
        if existing is not None:
            if existing.status == "RUNNING" and existing.input_data == value:
                return existing
            raise ExecutionAlreadyExists(f"Execution Already Exists: '{existing.execution_arn}'")
        execution = _new_execution(self, target, name, text, trace_header)
        execution.start()
        machine.executions.append(execution)
    execution_changes.started(execution)
    return execution


def _new_execution(backend: Any, target: versions.Target, name: str, text: str, trace_header: Any) -> Any:
    machine = target.machine
    # A later update of the machine must not change a running execution: it keeps a copy without the
    # executions (they hold threads) and with the same backend.
    snapshot = copy.deepcopy(machine, {id(machine.executions): [], id(machine.backend): machine.backend})
    snapshot.definition, snapshot.roleArn = target.source.definition, target.source.roleArn
    snapshot.loggingConfiguration = target.source.loggingConfiguration
    place = f"{backend.partition}:states:{backend.region_name}:{backend.account_id}"
    arn = f"arn:{place}:execution:{machine.name}:{name}"
    kind = execution_module.Execution
    if machine.type == express.EXPRESS:
        arn = f"arn:{place}:express:{machine.name}:{name}:{uuid.uuid4()}"
        kind = express.ExpressExecution
    execution = kind(
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
        activity_store=backend.activities,
    )
    execution.version_arn = None if target.version is None else target.version.arn
    execution.alias_arn = target.alias_arn
    return execution


def _aws_details(self: Any) -> Any:
    details = AWSExecutionDetails(account=self.account_id, region=self.region_name, role_arn=self.role_arn)
    # Every frame of the interpreter has these details: a Map finds the execution it starts children for.
    details.execution = self
    return details


def _execution_details(self: Any) -> Any:
    return ExecutionDetails(
        arn=self.exec_arn,
        name=self.name,
        role_arn=self.role_arn,
        inpt=self.input_data,
        start_time=interpreter.iso_time(self.start_date),
    )


def _with_context(make_environment: Any) -> Any:
    """Complete the Context object: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html."""

    def _get_evaluation_environment(self: Any) -> Any:
        env = make_environment(self)
        env.states.context_object.context_object_data["Execution"]["RedriveCount"] = 0
        return env

    return _get_evaluation_environment


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


def _note_abort(env: Any, execution: Any) -> None:
    env.event_history_context.source_event_id = 0
    details = ExecutionAbortedEventDetails(error=execution.error, cause=execution.cause)
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=HistoryEventType.ExecutionAborted,
        event_details=EventDetails(executionAbortedEventDetails=details),
    )


def _fail_on_crash(execution_logic: Any) -> Any:
    """A bug in the interpreter fails the execution; without this it would stay RUNNING for ever."""

    def _execution_logic(self: Any) -> None:
        try:
            execution_logic(self)
        except Exception as error:
            execution = self._execution_communication.execution
            if execution.exec_status == ExecutionStatus.ABORTED:
                # Stopped between two steps of the interpreter's own beginning: its history has to end all the same.
                _note_abort(self.env, execution)
                return
            _LOG.exception("%s crashed", execution.exec_arn)
            execution.stop_date = datetime.datetime.now(tz=datetime.UTC)
            execution.error, execution.cause = failures.RUNTIME, f"{type(error).__name__}: {error}"
            execution.exec_status = ExecutionStatus.FAILED
            execution_changes.ended(execution)

    return _execution_logic
