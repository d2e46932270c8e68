"""Lints Amazon States Language for what AWS's own check and cfn-lint let through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluice import errors
from sluice.outcomes import CHAMPION_CHANGED, RECONCILED, DriftOutcome, Outcome

# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_STATES_ERRORS = frozenset(
    f"States.{name}"
    for name in (
        "ALL",
        "BranchFailed",
        "DataLimitExceeded",
        "ExceedToleratedFailureThreshold",
        "HeartbeatTimeout",
        "Http.Socket",
        "IntrinsicFailure",
        "ItemReaderFailed",
        "NoChoiceMatched",
        "ParameterPathFailure",
        "Permissions",
        "QueryEvaluationError",
        "ResultPathMatchFailure",
        "ResultWriterFailed",
        "Runtime",
        "TaskFailed",
        "Timeout",
    )
)
# The services the pipelines call: an integration's errors are `<Service>.<Exception>`.
# `Sfn` is what the SDK integration calls Step Functions.
_SERVICES = frozenset(
    {"CloudWatch", "CloudWatchLogs", "DynamoDB", "Lambda", "S3", "SNS", "SageMaker", "Sfn", "StepFunctions"}
)
_RESOURCE = "arn:${Partition}:states:::"
_ENDS = ("Succeed", "Fail")


def lint(machine: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a machine, one text for each finding, none for a sound one.

    Checked: StartAt and every transition resolve; every state is reachable and can reach an end; every Task
    has a time limit, a Retry with backoff and jitter and a Catch, and the machine has a time limit; every error
    named in a Retry, a Catch or a Fail is a class of `sluice.errors` or an error AWS documents; `States.ALL`
    stands alone and last; an integration's ARN names no partition; an `outcome` is one of `sluice.outcomes`.
    """
    limit = [] if "TimeoutSeconds" in machine else ["machine: has no TimeoutSeconds: it may run for a year"]
    return [*limit, *_machine(machine, "machine")]


def _machine(machine: Mapping[str, Any], where: str) -> Iterator[str]:
    states: Mapping[str, Any] = machine.get("States", {})
    start = machine.get("StartAt")
    if not isinstance(start, str) or start not in states:
        yield f"{where}: StartAt {start!r} is no state"
        return
    for name, state in states.items():
        yield from _transitions(name, state, states)
        if state["Type"] == "Task":
            yield from _task(name, state)
        if state["Type"] == "Fail":
            yield from _fail(name, state)
        yield from _errors_equal(name, state)
        yield from _outcomes(name, state)
        for inner in _inner_machines(state):
            yield from _machine(inner, name)
    yield from _paths(start, states)


def _transitions(name: str, state: Mapping[str, Any], states: Mapping[str, Any]) -> Iterator[str]:
    for label, target in _targets(state):
        if target not in states:
            yield f"{name}: {label} {target!r} is no state"
    if state["Type"] == "Choice":
        if "Default" not in state:
            yield f"{name}: a Choice without a Default fails on what no rule matches"
    elif state["Type"] not in _ENDS and ("Next" in state) == bool(state.get("End")):
        yield f"{name}: needs either Next or End"


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for label in ("Next", "Default"):
        if label in state:
            yield label, state[label]
    for rule in state.get("Choices", []):
        yield "a choice's Next", rule.get("Next")
    for catcher in state.get("Catch", []):
        yield "a Catch's Next", catcher.get("Next")


def _inner_machines(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from state.get("Branches", [])
    for key in ("ItemProcessor", "Iterator"):
        if key in state:
            yield state[key]


def _task(name: str, state: Mapping[str, Any]) -> Iterator[str]:
    if "TimeoutSeconds" not in state:
        yield f"{name}: a Task without TimeoutSeconds: it may wait for the machine's whole time"
    if not state["Resource"].startswith(_RESOURCE):
        yield f"{name}: Resource {state['Resource']!r} does not begin with {_RESOURCE!r}"
    if not state.get("Catch"):
        yield f"{name}: a Task without a Catch"
    # A retrier with MaxAttempts 0 exempts its errors from the next one; it retries nothing.
    retriers = [each for each in state.get("Retry", []) if each.get("MaxAttempts") != 0]
    if not retriers:
        yield f"{name}: a Task without a Retry"
    for retrier in retriers:
        for key in ("BackoffRate", "JitterStrategy"):
            if key not in retrier:
                yield f"{name}: the Retry of {', '.join(retrier['ErrorEquals'])} has no {key}"


def _fail(name: str, state: Mapping[str, Any]) -> Iterator[str]:
    error = state.get("Error", "")
    if not error:
        yield f"{name}: a Fail without an Error"
    elif not error.startswith("{%") and not _is_known(error):
        yield f"{name}: Error {error!r} is no class of sluice.errors"


def _outcomes(name: str, state: Mapping[str, Any]) -> Iterator[str]:
    for holder in (state, *state.get("Catch", []), *state.get("Choices", [])):
        outcome = holder.get("Assign", {}).get("outcome")
        known = {*Outcome, *DriftOutcome, CHAMPION_CHANGED, RECONCILED}
        if isinstance(outcome, str) and not outcome.startswith("{%") and outcome not in known:
            yield f"{name}: assigns the outcome {outcome!r}, which sluice.outcomes does not know"


def _errors_equal(name: str, state: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("Retry", "Catch"):
        handlers = state.get(kind, [])
        for position, handler in enumerate(handlers):
            named = handler.get("ErrorEquals", [])
            for error in named:
                if not _is_known(error):
                    yield (
                        f"{name}: {kind} names {error!r}, which is neither a class of sluice.errors nor an "
                        "error AWS documents"
                    )
            if "States.ALL" in named and (len(named) > 1 or position + 1 < len(handlers)):
                yield f"{name}: States.ALL must stand alone in the last {kind}"


def _is_known(error: str) -> bool:
    service, dot, exception = error.partition(".")
    if not dot:
        return errors.by_name(error) is not None
    return error in _STATES_ERRORS or (service in _SERVICES and bool(exception))


def _paths(start: str, states: Mapping[str, Any]) -> Iterator[str]:
    forward = {name: {target for _, target in _targets(state)} for name, state in states.items()}
    backward: dict[str, set[str]] = {name: set() for name in states}
    for name, targets in forward.items():
        for target in targets & states.keys():
            backward[target].add(name)
    reachable = _closure({start}, forward)
    ends = {name for name, state in states.items() if state["Type"] in _ENDS or state.get("End")}
    ending = _closure(ends, backward)
    for name in states:
        if name not in reachable:
            yield f"{name}: cannot be reached from {start}"
        if name not in ending:
            yield f"{name}: never comes to an end"


def _closure(seeds: set[str], edges: Mapping[str, set[str]]) -> set[str]:
    found, pending = set(seeds), list(seeds)
    while pending:
        for target in edges.get(pending.pop(), set()) - found:
            found.add(target)
            pending.append(target)
    return found
