"""The language where moto's interpreter is not AWS: JSONata, error matching, waiting, Choice, limits."""

from __future__ import annotations

import datetime
import json
import logging
import time
from typing import Any

from moto.stepfunctions.parser.asl.component.common.error_name import error_equals_decl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import (
    EvalTimeoutError,
    TimeoutSecondsJSONata,
)
from moto.stepfunctions.parser.asl.component.program import program
from moto.stepfunctions.parser.asl.component.state import state as state_module
from moto.stepfunctions.parser.asl.component.state.choice import state_choice
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    inline_iteration_component,
    iteration_worker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import (
    state_task_activitiy,
    state_task_lambda,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
    state_task_service_callback,
    state_task_service_lambda,
)
from moto.stepfunctions.parser.asl.component.state.fail import state_fail
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import wait_function
from moto.stepfunctions.parser.asl.eval import environment
from moto.stepfunctions.parser.asl.eval.program_state import ProgramRunning
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from local.stepfunctions import failures
from local.stepfunctions.jsonata import QueryEvaluationError, evaluate

# moto lets no error be called `States.` that it did not make itself: what an iteration or a branch failed with
# became a States.Runtime at the Map or Parallel around it.
_NAMING_MODULES = (
    branches_decl,
    iteration_worker,
    state_fail,
    state_task_activitiy,
    state_task_lambda,
    state_task_service_callback,
    state_task_service_lambda,
)
_STOP_CHECK_SECONDS = 0.2


def install() -> None:
    # It logs each failure at each level of the definition's tree; the execution's history has it once.
    logging.getLogger("moto.stepfunctions.parser.asl.component.eval_component").setLevel(logging.CRITICAL)
    logging.getLogger(program.__name__).addFilter(
        lambda record: failures.ExecutionStopped.__name__ not in record.getMessage()
    )
    string_expression.StringJSONata._eval_body = _evaluate_jsonata
    error_equals_decl.ErrorEqualsDecl._eval_body = _match_error
    retrier_decl.RetrierDecl._eval_body = _retry
    wait_function.WaitFunction._wait_interval = _wait
    TimeoutSecondsJSONata._eval_seconds = _evaluate_limit
    state_choice.StateChoice._eval_state = _choose
    state_choice.StateChoice._eval_state_output = _leave_choice
    for module in (state_module, state_task_service, state_task_lambda):
        module.is_within_size_quota = is_within_limit
    for module in _NAMING_MODULES:
        module.CustomErrorName = failures.named
    state_module.StateData = _state_data
    _stop_the_other_iterations()
    _record_evaluation_failures()
    _let_a_stop_stand()


def is_within_limit(value: Any) -> bool:
    """Whether a state's input or output has at most 262,144 bytes as JSON."""
    text = json.dumps(json.loads(to_json_str(value)), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode()) <= failures.MAX_PAYLOAD_BYTES


def jsonata_variables(env: Any) -> dict[str, Any]:
    """The variables in scope, and `$states` as JSON."""
    store = env.variable_store
    states = {
        key: value for key, value in env.states._states_data.items() if value is not None or key == "input"
    }
    return {**store._outer_scope, **store._inner_scope, "states": json.loads(to_json_str(states))}


def iso_time(moment: datetime.datetime) -> str:
    """A time as the Context object has it: ISO 8601 in UTC, with milliseconds and a Z."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def evaluate_template(template: Any, env: Any) -> Any:
    """A JSONata payload template: every expression in it replaced by its value.

    Raises:
        FailureEventException: States.QueryEvaluationError.
    """
    if isinstance(template, dict):
        return {key: evaluate_template(value, env) for key, value in template.items()}
    if isinstance(template, list):
        return [evaluate_template(value, env) for value in template]
    if isinstance(template, str) and template.startswith("{%") and template.endswith("%}"):
        return _evaluate(template[2:-2].strip(), env)
    return template


def _evaluate(expression: str, env: Any) -> Any:
    try:
        return evaluate(expression, jsonata_variables(env))
    except QueryEvaluationError as error:
        raise failures.raising(failures.evaluation_failure(env, str(error))) from error


def _evaluate_jsonata(self: Any, env: Any) -> None:
    env.stack.append(_evaluate(self.expression, env))


def _state_data(EnteredTime: str, Name: str) -> dict[str, Any]:  # noqa: N803 - moto calls it by these names
    entered = iso_time(datetime.datetime.fromisoformat(EnteredTime))
    return {"EnteredTime": entered, "Name": Name}


def _stop_the_other_iterations() -> None:
    """What else an inline Map has at work when an iteration fails is aborted, as in a Parallel."""
    iterate = inline_iteration_component.InlineIterationComponent._eval_body

    def _eval_body(self: Any, env: Any) -> None:
        try:
            iterate(self, env)
        except FailureEventException:
            now = datetime.datetime.now(tz=datetime.UTC)
            for frame in list(env._frames):
                frame.set_stop(stop_date=now, cause=None, error=None)
            raise

    inline_iteration_component.InlineIterationComponent._eval_body = _eval_body


def _match_error(self: Any, env: Any) -> None:
    error = env.stack.pop()
    name = error.error_name if error is not None else None
    wanted = {item.error_name for item in self.error_names}
    matches = name in wanted
    # AWS documents that States.ALL does not catch States.DataLimitExceeded, and was recorded to catch it where
    # a task's result is too long. What a state is given, or gives on, is what the documentation speaks of.
    if name != failures.RUNTIME and not isinstance(error, failures.TerminalErrorName):
        matches = matches or "States.ALL" in wanted
        matches = matches or (failures.TASK_FAILED in wanted and name != failures.TIMEOUT)
    env.stack.append(matches)


def _retry(self: Any, env: Any) -> None:
    self.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    self.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for part in (self.interval_seconds, self.backoff_rate, self.max_delay_seconds, self.jitter_strategy):
        part.eval(env=env)
    pause(env, env.stack.pop())
    env.stack.append(RetrierOutcome.Executed)


def _wait(self: Any, env: Any, wait_seconds: float) -> None:  # noqa: ARG001 - moto's signature
    # moto's waits for a signal that is missed when the stop comes between the check and the wait.
    pause(env, wait_seconds)


def pause(env: Any, seconds: float) -> None:
    """Wait in a Wait state, or between two attempts.

    Raises:
        ExecutionStopped: the execution was stopped meanwhile.
    """
    deadline = time.monotonic() + seconds
    while env.is_running() and (remaining := deadline - time.monotonic()) > 0:
        env.program_state_event.wait(min(remaining, _STOP_CHECK_SECONDS))
    if not env.is_running():
        raise failures.ExecutionStopped


def _evaluate_limit(self: Any, env: Any) -> int:
    """The value of a TimeoutSeconds that is an expression: a positive integer.

    https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#jsonata-error-handling
    """
    self.string_jsonata.eval(env=env)
    seconds = env.stack.pop()
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
        cause = f"TimeoutSeconds must be a positive integer; the expression gave {seconds!r}."
        raise failures.raising(failures.evaluation_failure(env, cause))
    return seconds


def _choose(self: Any, env: Any) -> None:
    """Take the first rule that holds. None stands for the default: a rule may lead to the same state."""
    for rule in self.choices_decl.rules:
        rule.eval(env)
        result = env.stack.pop()
        if not isinstance(result, bool):
            raise failures.raising(
                failures.evaluation_failure(env, f"A Choice's Condition gave {result!r}, not true or false.")
            )
        if result:
            env.stack.append(rule.next_stmt.name)
            return
    if self.default_state is None:
        raise failures.raising(
            failures.task_failure(
                env, "States.NoChoiceMatched", f"No rule of the Choice '{self.name}' holds."
            )
        )
    env.stack.append(None)


def _leave_choice(self: Any, env: Any) -> None:
    next_state = env.stack.pop()
    if next_state is None:
        if self.assign_decl:
            self.assign_decl.eval(env=env)
        if self.output:
            self.output.eval(env=env)
        next_state = self.default_state.state_name
    if self._is_language_query_jsonpath():
        if self.output_path:
            self.output_path.eval(env=env)
        else:
            env.states.reset(input_value=env.stack.pop())
    env.next_state_name = next_state


def _record_evaluation_failures() -> None:
    """Write EvaluationFailed to the history for states without a Retry and Catch of their own, too."""
    evaluate_state = state_module.CommonStateField._eval_body

    def _eval_body(self: Any, env: Any) -> None:
        try:
            evaluate_state(self, env)
        except FailureEventException as exception:
            failure = exception.failure_event
            is_evaluation = failure.error_name is not None and (
                failure.error_name.error_name == failures.QUERY_EVALUATION
            )
            if is_evaluation and not isinstance(self, execute_state.ExecutionState):
                env.event_manager.add_event(
                    context=env.event_history_context,
                    event_type=failure.event_type,
                    event_details=failure.event_details,
                )
            raise

    state_module.CommonStateField._eval_body = _eval_body


def _let_a_stop_stand() -> None:
    """Whatever the state at work does once its execution is over: it stays stopped or timed out."""
    set_error = environment.Environment.set_error
    evaluate_with_timeout = execute_state.ExecutionState._evaluate_with_timeout
    from_error = execute_state.ExecutionState._from_error

    def _set_error(self: Any, error: Any) -> None:
        if isinstance(self._program_state, ProgramRunning) or self._program_state is None:
            set_error(self, error)

    def _evaluate_with_timeout(self: Any, env: Any) -> None:
        try:
            evaluate_with_timeout(self, env)
        except Exception as error:
            if not env.is_running():
                raise failures.ExecutionStopped from error
            if isinstance(error, failures.ExecutionStopped):
                # The state's own TimeoutSeconds ended its frame, and the task noticed before this thread did.
                raise EvalTimeoutError from error
            raise
        if not env.is_running():
            raise failures.ExecutionStopped

    def _from_error(self: Any, env: Any, ex: Exception) -> Any:
        if isinstance(ex, failures.ExecutionStopped):
            raise ex
        return from_error(self, env, ex)

    environment.Environment.set_error = _set_error
    execute_state.ExecutionState._evaluate_with_timeout = _evaluate_with_timeout
    execute_state.ExecutionState._from_error = _from_error
