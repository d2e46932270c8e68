"""The API's answers about executions, Map Runs and task tokens, and what it refuses by name."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions import responses
from moto.stepfunctions.exceptions import ExecutionDoesNotExist, ResourceNotFound, ValidationException
from moto.stepfunctions.parser import models as parser_models

from local.stepfunctions import express, validation, versions
from local.stepfunctions.distributed_map import ChildExecution, MapRun, child_executions, map_runs

_PAGE = 100


class InvalidOutput(AWSError):
    """SendTaskSuccess was given what is no JSON."""

    TYPE = "InvalidOutput"
    STATUS = 400


class NotImitated(AWSError):
    """The local AWS does not do this; the message names the operation."""

    TYPE = "UnsupportedOperation"
    STATUS = 400


# Operation -> why it is not done. What is not here and not moto's either is moto's own refusal.
_REFUSED = {
    "redrive_execution": ("RedriveExecution", "start a new execution"),
    "test_state": ("TestState", "run the state in a state machine of its own"),
}


def install() -> None:
    backend = parser_models.StepFunctionsParserBackend
    backend.describe_execution = _with_children(backend.describe_execution)
    backend._get_executions = _executions
    backend.describe_map_run = _describe_map_run
    backend.list_map_runs = _list_map_runs
    backend.update_map_run = _update_map_run
    backend.send_task_success = _json_only(backend.send_task_success)
    api = responses.StepFunctionResponse
    api.describe_execution = _describe_execution
    api.describe_state_machine_for_execution = _describe_machine_of
    api.validate_state_machine_definition = _validate_definition
    api.list_executions = _list_executions
    api.stop_execution = _stop_execution
    api.get_execution_history = _get_execution_history
    api.send_task_failure = _send_task_failure
    for method, (operation, advice) in _REFUSED.items():
        setattr(api, method, _refusal(operation, advice))


def refused(what: str, advice: str) -> NotImitated:
    return NotImitated(f"{what} is not imitated by the local AWS (local/README.md): {advice}.")


def _refusal(operation: str, advice: str) -> Callable[[Any], ActionResult]:
    def refuse(self: Any) -> ActionResult:  # noqa: ARG001 - a method of moto's
        raise refused(operation, advice)

    return refuse


def _executions(self: Any, execution_status: Any = None) -> list[Any]:
    """Every execution, the children of Map Runs too: a task token may be theirs."""
    return [
        execution
        for execution in _all_executions(self)
        if (execution_status is None or execution_status == execution.status)
        and execution.exec_worker is not None
        and execution.exec_worker.env is not None
    ]


def _all_executions(backend: Any) -> Iterator[Any]:
    for machine in list(backend.state_machines):
        for execution in list(machine.executions):
            yield execution
            yield from child_executions(execution)


def _with_children(describe: Any) -> Any:
    def describe_execution(self: Any, execution_arn: str) -> Any:
        if "/" not in execution_arn:  # a child's has its Map Run's label
            return describe(self, execution_arn)
        for execution in _all_executions(self):
            if execution.exec_arn == execution_arn:
                return execution
        raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{execution_arn}'")

    return describe_execution


def _map_run(backend: Any, arn: str) -> MapRun:
    for execution in _all_executions(backend):
        for run in map_runs(execution):
            if run.map_run_arn == arn:
                return run
    raise ResourceNotFound(arn)


def _describe_map_run(self: Any, map_run_arn: str) -> dict[str, Any]:
    return _map_run(self, map_run_arn).describe()


def _list_map_runs(self: Any, execution_arn: str) -> dict[str, Any]:
    execution = self.describe_execution(execution_arn)
    return {"mapRuns": [run.list_item() for run in map_runs(execution)]}


def _update_map_run(
    self: Any,
    map_run_arn: str,
    max_concurrency: int | None,
    tolerated_failure_count: int | None,
    tolerated_failure_percentage: float | None,
) -> None:
    _map_run(self, map_run_arn).update(
        max_concurrency=max_concurrency,
        tolerated_failure_count=tolerated_failure_count,
        tolerated_failure_percentage=tolerated_failure_percentage,
    )


def _json_only(send: Any) -> Any:
    def send_task_success(self: Any, task_token: str, outcome: str) -> Any:
        try:
            json.loads(outcome)
        except ValueError as error:
            raise InvalidOutput(f"Invalid Output: '{error}'") from error
        return send(self, task_token, outcome)

    return send_task_success


def _describe_execution(self: Any) -> ActionResult:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    answer = {**execution.to_describe_output(), **_qualifiers(execution), **_redrive(execution)}
    return ActionResult(_present(answer))


def _redrive(execution: Any) -> dict[str, Any]:
    """Whether AWS would redrive it; here RedriveExecution says that it is not imitated."""
    status = execution.status
    if status in ("RUNNING", "SUCCEEDED"):
        reason = f"Execution is {status} and cannot be redriven"
        return {"redriveCount": 0, "redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}
    by_map_run = isinstance(execution, ChildExecution)
    return {"redriveCount": 0, "redriveStatus": "REDRIVABLE_BY_MAP_RUN" if by_map_run else "REDRIVABLE"}


def _qualifiers(execution: Any) -> dict[str, Any]:
    """The version, alias or Map Run that an execution was started by."""
    if isinstance(execution, ChildExecution):
        return {"mapRunArn": execution.map_run_arn}
    return {"stateMachineVersionArn": execution.version_arn, "stateMachineAliasArn": execution.alias_arn}


def _present(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if value is not None}


def _describe_machine_of(self: Any) -> ActionResult:
    """The machine as it was when the execution was started."""
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    machine = execution.state_machine
    return ActionResult(
        {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "definition": machine.definition,
            "roleArn": machine.roleArn,
            "updateDate": machine.update_date,
            "loggingConfiguration": machine.loggingConfiguration,
            "tracingConfiguration": machine.tracingConfiguration,
            "encryptionConfiguration": machine.encryptionConfiguration,
            **(_qualifiers(execution) if isinstance(execution, ChildExecution) else {}),
        }
    )


def _list_executions(self: Any) -> ActionResult:
    """The executions of a machine, a version, an alias or a Map Run, the newest first."""
    machine_arn, map_run_arn = self._get_param("stateMachineArn"), self._get_param("mapRunArn")
    if (machine_arn is None) == (map_run_arn is None):
        raise ValidationException("Give either a stateMachineArn or a mapRunArn")
    if map_run_arn is None:
        target = versions.target_of(self.stepfunction_backend, machine_arn)
        if target.machine.type == express.EXPRESS:
            raise express.StateMachineTypeNotSupported
        executions = [
            execution
            for execution in target.machine.executions
            if machine_arn in (target.machine.arn, execution.version_arn, execution.alias_arn)
        ]
    else:
        run = _map_run(self.stepfunction_backend, map_run_arn)
        executions = [child.execution for child in run.children if child.execution is not None]
    wanted = self._get_param("statusFilter")
    chosen = [execution for execution in executions if wanted in (None, execution.status)]
    chosen.sort(key=lambda execution: execution.start_date, reverse=True)
    start = int(self._get_param("nextToken") or 0)
    end = start + (self._get_int_param("maxResults") or _PAGE)
    listed = [_present({**item.to_execution_list_item(), **_qualifiers(item)}) for item in chosen[start:end]]
    answer: dict[str, Any] = {"executions": listed}
    if end < len(chosen):
        answer["nextToken"] = str(end)
    return ActionResult(answer)


def _validate_definition(self: Any) -> ActionResult:
    """What CreateStateMachine would refuse, without creating anything."""
    diagnostics = [
        _present(
            {"severity": "ERROR", "code": problem.code, "message": problem.message, "location": problem.place}
        )
        for problem in validation.problems_of(
            self._get_param("definition"), self._get_param("type") or "STANDARD"
        )
    ]
    most = self._get_int_param("maxResults") or _PAGE
    return ActionResult(
        {
            "result": "FAIL" if diagnostics else "OK",
            "diagnostics": diagnostics[:most],
            "truncated": len(diagnostics) > most,
        }
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
    end = start + (self._get_int_param("maxResults") or _PAGE)
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
