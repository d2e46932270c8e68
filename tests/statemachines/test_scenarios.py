"""Every state and branch of every machine is executed, and every error at every task, against expectations.py."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.validate import ParamValidator

from infra.asl import load
from local.stepfunctions import install_language, validation
from local.stepfunctions.shapes import operation_model, to_boto
from tests.statemachines.expectations import EVERY_ERROR, EXPECTED, UNFORESEEN
from tests.statemachines.harness import Call, Failure, Harness, Run, definition, states
from tests.statemachines.scenarios import SCENARIOS, Scenario

NAMES = load.names()
SERVICES = {"cloudwatchlogs": "logs", "states": "stepfunctions", "sfn": "stepfunctions"}


_reached: dict[tuple[str, str], tuple[Scenario, Run]] = {}


def run(harness: Harness, scenario: Scenario, **outcomes: list[Any]) -> Run:
    script = {**scenario.script, **outcomes}
    return harness.run(
        scenario.machine,
        scenario.input,
        script,
        own_image=scenario.own_image,
        features=scenario.features,
        search=scenario.search,
        spot=scenario.spot,
        approval=scenario.approval,
        guarded=scenario.guarded,
        on_failure=scenario.on_failure,
    )


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


def every_error() -> list[Any]:
    """Each task with each error that any task is expected to know, and some that none should."""
    return [
        pytest.param(machine, state, error, id=f"{machine}-{state}-{error}")
        for machine, tasks in EXPECTED.items()
        for state in tasks
        for error in EVERY_ERROR
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
    calls = run(harness, scenario).calls
    assert calls
    for call in calls:
        shape = _operation(call).input_shape
        report = ParamValidator().validate(to_boto(call.arguments, shape), shape)
        assert not report.has_errors(), f"{call.state}: {report.generate_report()}"


def _operation(call: Call) -> Any:
    parts = call.resource.removeprefix("aws-sdk:").split(":")
    operation = parts[1].removesuffix(".sync").removesuffix(".waitForTaskToken")
    return operation_model(SERVICES.get(parts[0], parts[0]), operation)


@pytest.mark.parametrize("machine", NAMES)
def test_what_is_expected_of_tasks_is_written_down_for_each(machine: str) -> None:
    assert set(EXPECTED[machine]) == {
        name for name, state in states(machine).items() if state["Type"] == "Task"
    }


@pytest.mark.parametrize(("machine", "state", "error"), every_error())
def test_an_error_that_stays_is_tried_so_often_and_then_leads_there(
    harness: Harness, machine: str, state: str, error: str
) -> None:
    task = EXPECTED[machine][state]
    scenario, _ = scenario_through(harness, machine, state)

    result = run(harness, scenario, **{state: [Failure(error)]})

    times = task.retried.get(error, task.retried.get(UNFORESEEN, 0) if error != "States.Timeout" else 0)
    assert len(result.calls_of(state)) == times + 1
    assert all(0 <= seconds <= 600 for _, seconds in result.pauses)
    after = result.path[result.path.index(state) + 1 :]
    target = task.leads_to(error)
    assert after[:1] == ([target] if target else [])
    if target is None:
        assert (result.succeeded, result.error) == (False, error)
    assert result.error not in ("States.QueryEvaluationError", "States.Runtime"), result.cause


@pytest.mark.parametrize(
    ("machine", "state", "error"),
    [
        pytest.param(machine, state, error, id=f"{machine}-{state}-{error}")
        for machine, tasks in EXPECTED.items()
        for state, task in tasks.items()
        for error, times in task.retried.items()
        if times
    ],
)
def test_a_retried_error_is_forgotten_once_the_task_succeeds(
    harness: Harness, machine: str, state: str, error: str
) -> None:
    scenario, expected = scenario_through(harness, machine, state)
    outcomes = [Failure(error), *scenario.script[state]]

    result = run(harness, scenario, **{state: outcomes})

    assert result.path == expected.path
    assert (result.succeeded, result.output) == (expected.succeeded, expected.output)
    assert len(result.calls_of(state)) == len(expected.calls_of(state)) + 1
    [seconds] = [seconds for paused, seconds in result.pauses if paused == state]
    assert 0 <= seconds <= 2.0


@pytest.mark.parametrize("machine", NAMES)
def test_pauses_grow_and_vary(machine: str) -> None:
    retriers = [
        (name, retrier)
        for name, state in states(machine).items()
        for retrier in state.get("Retry", [])
        if retrier.get("MaxAttempts") != 0
    ]
    assert retriers
    for name, retrier in retriers:
        assert retrier["JitterStrategy"] == "FULL", name
        assert retrier["BackoffRate"] > 1, name
        assert retrier["IntervalSeconds"] >= 1, name
