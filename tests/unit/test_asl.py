from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from infra import asl

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = sorted((ROOT / "statemachines").glob("*.asl.json"))

RETRY = {
    "ErrorEquals": ["Lambda.TooManyRequestsException"],
    "IntervalSeconds": 2,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}
CATCH = {"ErrorEquals": ["States.ALL"], "Next": "Failed"}
SOUND: dict[str, Any] = {
    "StartAt": "Work",
    "States": {
        "Work": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Retry": [RETRY],
            "Catch": [CATCH],
            "Next": "IsGood",
        },
        "IsGood": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $good %}", "Next": "Done"}],
            "Default": "Failed",
        },
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail", "Error": "PipelineFailed"},
    },
}


def broken(path: str, value: Any) -> dict[str, Any]:
    """SOUND with `value` at a dotted path; None deletes what is there."""
    machine = copy.deepcopy(SOUND)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target: Any = machine
    for part in parents:
        target = target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return machine


def without(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != key}


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.name)
def test_the_state_machines_are_sound(path: Path) -> None:
    assert asl.lint(json.loads(path.read_text())) == []


def test_a_sound_machine_has_no_findings() -> None:
    assert asl.lint(SOUND) == []


@pytest.mark.parametrize(
    ("path", "value", "finding"),
    [
        ("StartAt", "Nowhere", "machine: StartAt 'Nowhere' is no state"),
        ("States.Work.Next", "Nowhere", "Work: Next 'Nowhere' is no state"),
        ("States.Work.Catch.0.Next", "Nowhere", "Work: a Catch's Next 'Nowhere' is no state"),
        ("States.IsGood.Choices.0.Next", "Nowhere", "IsGood: a choice's Next 'Nowhere' is no state"),
        ("States.IsGood.Default", "Nowhere", "IsGood: Default 'Nowhere' is no state"),
        ("States.IsGood.Default", None, "IsGood: a Choice without a Default"),
        ("States.Work.Next", None, "Work: needs either Next or End"),
        ("States.Work.End", True, "Work: needs either Next or End"),
        ("States.Island", {"Type": "Pass", "End": True}, "Island: cannot be reached from Work"),
        ("States.Done", {"Type": "Wait", "Seconds": 1, "Next": "Done"}, "Done: never comes to an end"),
        ("States.Work.Catch", None, "Work: a Task without a Catch"),
        ("States.Work.Catch", [], "Work: a Task without a Catch"),
        ("States.Work.Retry", None, "Work: a Task without a Retry"),
        (
            "States.Work.Retry",
            [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 0}],
            "Work: a Task without a Retry",
        ),
        ("States.Work.Retry", [without(RETRY, "BackoffRate")], "has no BackoffRate"),
        ("States.Work.Retry", [without(RETRY, "JitterStrategy")], "has no JitterStrategy"),
        ("States.Work.Catch.0.ErrorEquals", ["DataRejcted"], "Catch names 'DataRejcted'"),
        ("States.Work.Retry.0.ErrorEquals", ["States.Timeouts"], "Retry names 'States.Timeouts'"),
        ("States.Work.Retry.0.ErrorEquals", ["Lamda.ServiceException"], "names 'Lamda.ServiceException'"),
        ("States.Work.Catch.0.ErrorEquals", ["Any"], "Catch names 'Any'"),
        ("States.Work.Catch", [CATCH, CATCH], "States.ALL must stand alone in the last Catch"),
        (
            "States.Work.Catch.0.ErrorEquals",
            ["States.ALL", "DataRejected"],
            "States.ALL must stand alone in the last Catch",
        ),
        ("States.Failed.Error", "Broken", "Failed: Error 'Broken' is no class of sluice.errors"),
        ("States.Failed.Error", None, "Failed: a Fail without an Error"),
    ],
)
def test_each_rule_finds_what_breaks_it(path: str, value: Any, finding: str) -> None:
    assert finding in "\n".join(asl.lint(broken(path, value)))


@pytest.mark.parametrize("error", ["DataRejected", "States.Timeout", "SageMaker.ThrottlingException"])
def test_known_errors_may_be_caught(error: str) -> None:
    machine = broken("States.Work.Catch", [{"ErrorEquals": [error], "Next": "Failed"}, CATCH])
    assert asl.lint(machine) == []


def test_the_inside_of_a_map_and_of_a_parallel_is_linted_too() -> None:
    inner = broken("States.Work.Next", "Nowhere")
    for nested in (
        {"Type": "Map", "ItemProcessor": inner, "End": True},
        {"Type": "Parallel", "Branches": [SOUND, inner], "End": True},
    ):
        machine = {"StartAt": "All", "States": {"All": nested}}
        assert "Work: Next 'Nowhere' is no state" in asl.lint(machine)
