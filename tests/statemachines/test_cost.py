"""What `sluice cost` takes for the number of states is what executions enter."""

from __future__ import annotations

import pytest

from sluice.costing import parts
from tests.statemachines.harness import Harness
from tests.statemachines.scenarios import SCENARIOS, Scenario
from tests.statemachines.test_scenarios import run

_POLL = {"WaitForEndpoint", "DescribeEndpoint", "IsServing"}
_LOOKS = ("reconciled", "reconciled-where-alarms-are-left")
_DEPLOYMENTS = ("new-endpoint", "canary")
_TRAININGS = ("first-model", "with-champion", "features", "own-image-with-champion", "search")


def named(machine: str, *names: str) -> list[Scenario]:
    found = [each for each in SCENARIOS if each.machine == machine and (each.name in names or not names)]
    assert len(found) >= len(names)
    return found


@pytest.mark.parametrize(
    ("scenarios", "most"),
    [
        (named("intake"), parts.INTAKE_STATES),
        (named("training", *_TRAININGS), parts.TRAINING_STATES),
        (named("deployment", *_DEPLOYMENTS), parts.DEPLOYMENT_STATES),
        (named("deployment", *_LOOKS), parts.RECONCILIATION_STATES),
        (named("materialization", "one-share"), parts.MATERIALIZATION_STATES),
    ],
    ids=["intake", "training", "deployment", "reconciliation", "materialization"],
)
def test_an_execution_enters_no_more_states_than_are_counted_and_not_many_fewer(
    harness: Harness, scenarios: list[Scenario], most: int
) -> None:
    # A deployment asks the endpoint again and again, which is counted by its time.
    polled = scenarios[0].name in _DEPLOYMENTS
    entered = [
        sum(not (polled and state in _POLL) for state in run(harness, scenario).path)
        for scenario in scenarios
    ]

    assert max(entered) <= most
    assert max(entered) >= 0.75 * most


def test_a_look_at_the_endpoint_is_as_many_states_as_are_counted() -> None:
    assert len(_POLL) == parts.POLL_STATES
