"""Distributed Map: a Map Run whose children are executions of their own, and what of them may fail."""

from __future__ import annotations

import copy
import datetime
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType, MapRunFailedEventDetails, MapRunStatus
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.state.exec.state_map import (
    max_concurrency,
    state_map,
    tolerated_failure,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    distributed_iteration_component,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor.map_run_record import (
    MapRunRecord,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.parse import preprocessor
from moto.stepfunctions.parser.backend import execution as execution_module
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from local.stepfunctions import express, failures, map_items, map_results
from local.stepfunctions.history_log import open_log

EXCEEDED = "States.ExceedToleratedFailureThreshold"
# AWS runs up to 10,000 children at a time; one here takes some threads of this process.
MOST_AT_A_TIME = 40
_POLL_SECONDS = 0.02


def install() -> None:
    state_map.MapRunRecord = MapRun
    distributed_iteration_component.DistributedIterationComponent._eval_body = _run
    # moto says there that a tolerance has no effect: here it has.
    logging.getLogger(preprocessor.__name__).setLevel(logging.ERROR)
    tolerated_failure.ToleratedFailureCountStringJSONata._eval_tolerated_failure_count = _tolerated_count
    tolerated_failure.ToleratedFailurePercentageStringJSONata._eval_tolerated_failure_percentage = (
        _tolerated_percentage
    )
    preprocessor.Preprocessor.visitTolerated_failure_count_string_jsonata = _visit_tolerated_count
    max_concurrency.MaxConcurrencyJSONata._eval_max_concurrency = _most_at_a_time
    map_items.install()


class ChildExecution(execution_module.Execution):
    """An execution that a Map Run started: it evaluates the processor and shares nothing but its input."""

    def __init__(self, *, program: Any, map_run_arn: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.program = program
        self.map_run_arn = map_run_arn

    def _get_start_execution_worker(self) -> Any:
        worker = super()._get_start_execution_worker()
        worker.__class__ = _ChildWorker
        worker.program = self.program
        return worker


class _ChildWorker(ExecutionWorker):
    program: Any

    def _get_evaluation_entrypoint(self) -> Any:
        return self.program


class Child:
    """An item or a batch, and its execution once it is started."""

    def __init__(self, value: Any, items: int) -> None:
        self.text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        self.items = items
        self.execution: ChildExecution | None = None

    @property
    def status(self) -> str:
        return "PENDING" if self.execution is None else str(self.execution.status)

    @property
    def output(self) -> Any:
        return self.execution.output if self.execution else None

    @property
    def error(self) -> str | None:
        return self.execution.error if self.execution else None

    @property
    def cause(self) -> str | None:
        return self.execution.cause if self.execution else None


class MapRun(MapRunRecord):
    """A Map Run; its counts are those of its children."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.children: list[Child] = []
        self.results_written = False

    def describe(self) -> dict[str, Any]:
        description = {
            "mapRunArn": self.map_run_arn,
            "executionArn": self.execution_arn,
            "status": self.status,
            "startDate": self.start_date,
            "maxConcurrency": self.max_concurrency,
            "toleratedFailurePercentage": self.tolerated_failure_percentage,
            "toleratedFailureCount": self.tolerated_failure_count,
            "itemCounts": self._counts([child.items for child in self.children]),
            "executionCounts": self._counts([1] * len(self.children)),
            "redriveCount": 0,
        }
        return description if self.stop_date is None else {**description, "stopDate": self.stop_date}

    def list_item(self) -> dict[str, Any]:
        item = {
            "executionArn": self.execution_arn,
            "mapRunArn": self.map_run_arn,
            "stateMachineArn": self.map_state_machine_arn,
            "startDate": self.start_date,
        }
        return item if self.stop_date is None else {**item, "stopDate": self.stop_date}

    def is_exceeded(self) -> bool:
        """Whether more failed than is tolerated: any at all where no threshold is set.

        A threshold of 0 counts as not set beside another one.
        https://docs.aws.amazon.com/step-functions/latest/dg/maprun-fail-threshold.html
        """
        failed = sum(child.items for child in self.children if child.status not in _UNFAILED)
        count, percentage = self.tolerated_failure_count, self.tolerated_failure_percentage
        if not count and not percentage:
            return failed > 0
        total = sum(child.items for child in self.children)
        return bool((count and failed > count) or (percentage and failed * 100 > percentage * total))

    def start(self, program: Any, parent: Any, execution_type: str) -> None:
        """Start as many children as may run at a time."""
        running = sum(child.status == "RUNNING" for child in self.children)
        room = min(self.max_concurrency or MOST_AT_A_TIME, MOST_AT_A_TIME) - running
        waiting = (child for child in self.children if child.execution is None)
        for child, _ in zip(waiting, range(room), strict=False):
            execution = _child_execution(self, child.text, program, parent, execution_type)
            execution.start()
            child.execution = execution

    def abort(self) -> None:
        """Stop the children at work; what was not started stays pending."""
        now = datetime.datetime.now(tz=datetime.UTC)
        for child in self.children:
            if child.execution is not None and child.status == "RUNNING":
                child.execution.stop(now, None, "The parent Map Run was stopped.")

    def _counts(self, weights: Sequence[int]) -> dict[str, int]:
        counts = dict.fromkeys(_COUNTS.values(), 0)
        for child, weight in zip(self.children, weights, strict=True):
            counts[_COUNTS[child.status]] += weight
        total = sum(weights)
        return {
            **counts,
            "total": total,
            "resultsWritten": total if self.results_written else 0,
            "failuresNotRedrivable": 0,
            "pendingRedrive": 0,
        }


_UNFAILED = frozenset({"PENDING", "RUNNING", "SUCCEEDED"})
_COUNTS = {
    "PENDING": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "TIMED_OUT": "timedOut",
    "ABORTED": "aborted",
}


def map_runs(execution: Any) -> list[MapRun]:
    """The Map Runs that an execution has started."""
    env = execution.exec_worker.env if execution.exec_worker else None
    return [] if env is None else list(env.map_run_record_pool_manager.get_all())


def child_executions(execution: Any) -> Iterator[ChildExecution]:
    """The executions that an execution's Map Runs have started, and theirs."""
    for run in map_runs(execution):
        for child in list(run.children):
            if child.execution is not None:
                yield child.execution
                yield from child_executions(child.execution)


def _child_execution(
    run: MapRun, text: str, program: Any, parent: Any, execution_type: str
) -> ChildExecution:
    machine = copy.copy(parent.state_machine)
    machine.arn = run.map_state_machine_arn
    machine.name = machine.arn.split(":")[6]
    name = str(uuid.uuid4())
    place = machine.arn.rsplit(":stateMachine:", 1)[0]
    arn = f"{place}:execution:{machine.name}:{name}"
    if execution_type == express.EXPRESS:
        arn = f"{place}:express:{machine.name}:{name}:{uuid.uuid4()}"
    return ChildExecution(
        program=program,
        map_run_arn=run.map_run_arn,
        name=name,
        sm_type=execution_type,
        role_arn=parent.role_arn,
        exec_arn=arn,
        account_id=parent.account_id,
        region_name=parent.region_name,
        state_machine=machine,
        start_date=datetime.datetime.now(tz=datetime.UTC),
        cloud_watch_logging_session=open_log(machine, arn),
        input_data=text,
        trace_header=parent.trace_header,
        activity_store=parent._activity_store,
    )


def _run(self: Any, env: Any) -> None:
    """Evaluate the iterations of a distributed Map; takes moto's evaluation input from the stack."""
    settings = env.stack.pop()
    run: MapRun = settings.map_run_record
    _record(env, HistoryEventType.MapRunStarted, mapRunStartedEventDetails={"mapRunArn": run.map_run_arn})
    try:
        result = _result(self, settings, run, env)
    except FailureEventException as error:
        details = MapRunFailedEventDetails()
        name, cause = error.extract_error_cause_pair() or (None, None)
        if name:
            details["error"] = name
        if cause:
            details["cause"] = cause
        _record(env, HistoryEventType.MapRunFailed, mapRunFailedEventDetails=details)
        run.set_stop(status=MapRunStatus.FAILED)
        raise
    except failures.ExecutionStopped:
        _record(env, HistoryEventType.MapRunAborted)
        run.set_stop(status=MapRunStatus.ABORTED)
        raise
    _record(env, HistoryEventType.MapRunSucceeded)
    run.set_stop(status=MapRunStatus.SUCCEEDED)
    env.stack.append(result)


def _result(component: Any, settings: Any, run: MapRun, env: Any) -> Any:
    extension = component.extension
    items = settings.input_items
    if settings.item_reader:
        items = map_items.read_items(settings.item_reader, env)
    items = map_items.select_items(items, settings.item_selector or settings.parameters, env)
    run.children = [Child(value, count) for value, count in map_items.batch_items(items, extension, env)]
    _wait_for_children(component, run, env)
    written = None
    if extension.writer is not None:
        place = map_items.evaluate(extension, extension.writer, env)
        written = map_results.write(place, run, extension.transformation, env)
    if run.is_exceeded():
        cause = "The specified tolerated failure threshold was exceeded"
        raise failures.raising(failures.task_failure(env, EXCEEDED, cause))
    if written is not None:
        return written
    return map_results.results(run.children, extension.transformation or "COMPACT")


def _wait_for_children(component: Any, run: MapRun, env: Any) -> None:
    parent = env.aws_execution_details.execution
    execution_type = component.extension.execution_type
    program = component._get_iteration_program()
    if execution_type == express.EXPRESS:
        program = express.limited(program)
    while any(child.status in ("PENDING", "RUNNING") for child in run.children):
        if not env.is_running():
            run.abort()
            raise failures.ExecutionStopped
        if run.is_exceeded():
            run.abort()
            return
        run.start(program, parent, execution_type)
        env.program_state_event.wait(_POLL_SECONDS)


def _record(env: Any, event_type: Any, **details: Any) -> None:
    env.event_manager.add_event(
        context=env.event_history_context,
        event_type=event_type,
        event_details=EventDetails(**details) if details else None,
    )


def _number(self: Any, env: Any, field: str, allowed: str, is_allowed: Callable[[Any], bool]) -> Any:
    """The number that a field's JSONata gives.

    Raises:
        FailureEventException: States.QueryEvaluationError: it is another value.
    """
    self.string_jsonata.eval(env=env)
    value = env.stack.pop()
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_allowed(value):
        cause = (
            f"The JSONata expression '{self.string_jsonata.literal_value}' specified for the field '{field}' "
            f"must give {allowed}, not {json.dumps(value)}."
        )
        raise failures.raising(failures.evaluation_failure(env, cause))
    return value


def _visit_tolerated_count(self: Any, ctx: Any) -> Any:
    """Read the count itself: moto takes a count that is an expression for a percentage."""
    string_jsonata = self.visitString_jsonata(ctx=ctx.string_jsonata())
    return tolerated_failure.ToleratedFailureCountStringJSONata(string_jsonata=string_jsonata)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _tolerated_count(self: Any, env: Any) -> Any:
    return _number(self, env, "ToleratedFailureCount", "a whole number of 0 or more", _is_count)


def _tolerated_percentage(self: Any, env: Any) -> Any:
    return _number(
        self,
        env,
        "ToleratedFailurePercentage",
        "a number from 0 to 100",
        lambda value: 0 <= value <= 100,
    )


def _most_at_a_time(self: Any, env: Any) -> Any:
    return _number(self, env, "MaxConcurrency", "a whole number of 0 or more", _is_count)
