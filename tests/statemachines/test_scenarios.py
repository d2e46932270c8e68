"""Every state, branch, Retry and Catch of every machine, found in the ASL itself and executed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.validate import ParamValidator

from local.stepfunctions import install_language, validation
from local.stepfunctions.shapes import operation_model, to_boto
from tests.statemachines.harness import MACHINES, Call, Failure, Harness, Run, definition, states
from tests.statemachines.scenarios import SCENARIOS, Scenario

NAMES = sorted(path.name.removesuffix(".asl.json") for path in MACHINES.glob("*.asl.json"))
UNFORESEEN = "SomethingUnforeseen"
# What stands for any other error, where a handler names one of these.
WILDCARDS = {"States.ALL": UNFORESEEN, "States.TaskFailed": UNFORESEEN}
SERVICES = {"states": "stepfunctions"}


_reached: dict[tuple[str, str], tuple[Scenario, Run]] = {}


def run(harness: Harness, scenario: Scenario, **outcomes: list[Any]) -> Run:
    script = {**scenario.script, **outcomes}
    return harness.run(scenario.machine, scenario.input, script, own_image=scenario.own_image)


def scenario_through(harness: Harness, machine: str, state: str) -> tuple[Scenario, Run]:
    """The first scenario whose execution enters a state and gets a result there."""
    if (machine, state) in _reached:
        return _reached[machine, state]
    for scenario in SCENARIOS:
        if scenario.machine != machine:
            continue
        succeeds = any(not isinstance(outcome, Failure) for outcome in scenario.script.get(state, []))
        result = run(harness, scenario)
        if state in result.path and succeeds:
            _reached[machine, state] = scenario, result
            return scenario, result
    pytest.fail(f"no scenario in scenarios.py gets a result from {machine}/{state}: add one")


def handlers(field: str) -> list[Any]:
    """Each error that a Retry or Catch names: machine, state, index of the handler, error."""
    return [
        pytest.param(machine, state, index, error, id=f"{machine}-{state}-{index}-{error}")
        for machine in NAMES
        for state, body in states(machine).items()
        for index, handler in enumerate(body.get(field, []))
        for error in handler["ErrorEquals"]
    ]


@pytest.mark.parametrize("machine", NAMES)
def test_aws_would_accept_the_definition(machine: str) -> None:
    install_language()
    validation.check(definition(machine))
    assert "${" not in definition(machine), "a substitution is missing in the harness"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_scenario_ends_where_it_should(harness: Harness, scenario: Scenario) -> None:
    result = run(harness, scenario)

    assert result.path[-1] == scenario.ends_in
    kind = states(scenario.machine)[scenario.ends_in]["Type"]
    assert result.succeeded == (kind == "Succeed")


@pytest.mark.parametrize("machine", NAMES)
def test_the_scenarios_enter_every_state_and_take_every_branch(harness: Harness, machine: str) -> None:
    entered: set[str] = set()
    taken: set[tuple[str, str]] = set()
    for scenario in SCENARIOS:
        if scenario.machine == machine:
            path = run(harness, scenario).path
            entered |= set(path)
            taken |= set(itertools.pairwise(path))

    assert entered == set(states(machine))
    branches = {
        (name, target)
        for name, state in states(machine).items()
        if state["Type"] == "Choice"
        for target in [state["Default"], *(rule["Next"] for rule in state["Choices"])]
    }
    assert branches <= taken


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_every_call_has_the_shape_its_service_asks_for(harness: Harness, scenario: Scenario) -> None:
    for call in run(harness, scenario).calls:
        shape = _operation(call).input_shape
        report = ParamValidator().validate(to_boto(call.arguments, shape), shape)
        assert not report.has_errors(), f"{call.state}: {report.generate_report()}"


def _operation(call: Call) -> Any:
    parts = call.resource.removeprefix("aws-sdk:").split(":")
    return operation_model(SERVICES.get(parts[0], parts[0]), parts[1].removesuffix(".sync"))


@pytest.mark.parametrize(("machine", "state", "index", "error"), handlers("Retry"))
def test_a_retried_error_is_forgotten_once_the_task_succeeds(
    harness: Harness, machine: str, state: str, index: int, error: str
) -> None:
    retrier = states(machine)[state]["Retry"][index]
    if retrier.get("MaxAttempts") == 0:
        return  # it says not to retry: the test of exhaustion covers it
    scenario, expected = scenario_through(harness, machine, state)
    outcomes = [Failure(WILDCARDS.get(error, error)), *scenario.script[state]]

    result = run(harness, scenario, **{state: outcomes})

    assert result.path == expected.path
    assert (result.succeeded, result.output) == (expected.succeeded, expected.output)
    assert len(result.calls_of(state)) == len(expected.calls_of(state)) + 1
    [(paused, seconds)] = result.pauses
    assert paused == state
    assert 0 <= seconds <= retrier["IntervalSeconds"]


@pytest.mark.parametrize(("machine", "state", "index", "error"), handlers("Retry"))
def test_a_retry_gives_up_after_its_last_attempt(
    harness: Harness, machine: str, state: str, index: int, error: str
) -> None:
    retrier = states(machine)[state]["Retry"][index]
    scenario, _ = scenario_through(harness, machine, state)
    name = WILDCARDS.get(error, error)

    result = run(harness, scenario, **{state: [Failure(name)]})

    assert len(result.calls_of(state)) == retrier["MaxAttempts"] + 1
    assert all(seconds <= retrier.get("MaxDelaySeconds", 600) for _, seconds in result.pauses)
    catcher = _catcher(machine, state, name)
    after = result.path[result.path.index(state) + 1 :]
    assert after[:1] == ([catcher["Next"]] if catcher else [])


@pytest.mark.parametrize(("machine", "state", "index", "error"), handlers("Catch"))
def test_a_caught_error_goes_to_its_handler(
    harness: Harness, machine: str, state: str, index: int, error: str
) -> None:
    scenario, _ = scenario_through(harness, machine, state)

    result = run(harness, scenario, **{state: [Failure(WILDCARDS.get(error, error))]})

    position = result.path.index(state)
    assert result.path[position + 1] == states(machine)[state]["Catch"][index]["Next"]
    assert result.error not in ("States.QueryEvaluationError", "States.Runtime"), result.cause


@pytest.mark.parametrize("machine", NAMES)
def test_every_aws_call_is_retried_with_jitter_and_backoff(machine: str) -> None:
    for name, state in states(machine).items():
        if state["Type"] == "Task":
            retriers = [retrier for retrier in state["Retry"] if retrier.get("MaxAttempts") != 0]
            assert retriers, name
            assert all(retrier["JitterStrategy"] == "FULL" for retrier in retriers), name
            assert all(retrier["BackoffRate"] > 1 for retrier in retriers), name


def _catcher(machine: str, state: str, error: str) -> dict[str, Any] | None:
    for catcher in states(machine)[state].get("Catch", []):
        if error in catcher["ErrorEquals"] or "States.ALL" in catcher["ErrorEquals"]:
            found: dict[str, Any] = catcher
            return found
    return None
