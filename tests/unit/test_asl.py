from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from yaml import YAMLError

from infra.asl import lint, load

RETRY = {
    "ErrorEquals": ["Lambda.TooManyRequestsException"],
    "IntervalSeconds": 2,
    "BackoffRate": 2,
    "JitterStrategy": "FULL",
}
CATCH = {"ErrorEquals": ["States.ALL"], "Next": "Failed"}
SOUND: dict[str, Any] = {
    "TimeoutSeconds": 60,
    "StartAt": "Work",
    "States": {
        "Work": {
            "Type": "Task",
            "Resource": "arn:${Partition}:states:::lambda:invoke",
            "TimeoutSeconds": 10,
            "Assign": {"outcome": "Deployed"},
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


@pytest.mark.parametrize("name", ["intake", "events", "training", "deployment"])
def test_the_state_machines_are_sound(name: str) -> None:
    assert lint.lint(load.load(load.MACHINES / f"{name}.asl.yaml")) == []


def test_a_sound_machine_has_no_findings() -> None:
    assert lint.lint(SOUND) == []


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
        ("TimeoutSeconds", None, "machine: has no TimeoutSeconds"),
        ("States.Work.TimeoutSeconds", None, "Work: a Task without TimeoutSeconds"),
        (
            "States.Work.Resource",
            "arn:aws:states:::lambda:invoke",
            "Work: Resource 'arn:aws:states:::lambda:invoke' does not begin with",
        ),
        ("States.Work.Assign.outcome", "Deplyed", "Work: assigns the outcome 'Deplyed'"),
        (
            "States.Work.Catch.0",
            {**CATCH, "Assign": {"outcome": "Broken"}},
            "Work: assigns the outcome 'Broken'",
        ),
        (
            "States.IsGood.Choices.0.Assign",
            {"outcome": "Rolledback"},
            "IsGood: assigns the outcome 'Rolledback'",
        ),
        ("States.Failed.Error", "Broken", "Failed: Error 'Broken' is no class of sluice.errors"),
        ("States.Failed.Error", None, "Failed: a Fail without an Error"),
    ],
)
def test_each_rule_finds_what_breaks_it(path: str, value: Any, finding: str) -> None:
    assert finding in "\n".join(lint.lint(broken(path, value)))


@pytest.mark.parametrize("error", ["DataRejected", "States.Timeout", "SageMaker.ThrottlingException"])
def test_known_errors_may_be_caught(error: str) -> None:
    machine = broken("States.Work.Catch", [{"ErrorEquals": [error], "Next": "Failed"}, CATCH])
    assert lint.lint(machine) == []


def test_the_inside_of_a_map_and_of_a_parallel_is_linted_too() -> None:
    inner = broken("States.Work.Next", "Nowhere")
    for nested in (
        {"Type": "Map", "ItemProcessor": inner, "End": True},
        {"Type": "Parallel", "Branches": [SOUND, inner], "End": True},
    ):
        machine = {"TimeoutSeconds": 60, "StartAt": "All", "States": {"All": nested}}
        assert "Work: Next 'Nowhere' is no state" in lint.lint(machine)


def written(folder: Path, text: str) -> dict[str, Any]:
    file = folder / "machine.asl.yaml"
    file.write_text(text)
    return load.load(file)


def test_what_anchors_name_is_put_in_and_left_out_of_the_machine(tmp_path: Path) -> None:
    machine = written(
        tmp_path,
        """
x-backoff: &backoff {IntervalSeconds: 2, MaxAttempts: 6}
x-retry: &retry
  ErrorEquals: [SNS.SdkClientException]
  <<: *backoff
StartAt: Tell
States:
  Tell:
    Type: Task
    Retry: [*retry]
    Arguments:
      Message: >-
        {% 'one line, ' &
        'however long' %}
""",
    )

    assert machine == {
        "StartAt": "Tell",
        "States": {
            "Tell": {
                "Type": "Task",
                "Retry": [
                    {"ErrorEquals": ["SNS.SdkClientException"], "IntervalSeconds": 2, "MaxAttempts": 6}
                ],
                "Arguments": {"Message": "{% 'one line, ' & 'however long' %}"},
            }
        },
    }
    assert json.loads(load.text(machine)) == machine


def test_a_state_that_stands_twice_is_refused_and_not_the_last_one_taken(tmp_path: Path) -> None:
    with pytest.raises(YAMLError, match=r"the key 'A' stands there twice(.|\n)*machine.asl.yaml\", line 4"):
        written(tmp_path, "States:\n  A: {Type: Pass}\n  B: {Type: Pass}\n  A: {Type: Fail}\n")


@pytest.mark.parametrize("text", ["on", "no", "y", "2026-01-31", "Off", "True"])
def test_a_word_stays_a_word(tmp_path: Path, text: str) -> None:
    assert written(tmp_path, f"Comment: {text}\n") == {"Comment": text}


def test_a_machine_is_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a state machine is a mapping"):
        written(tmp_path, "- A\n")


@pytest.mark.parametrize("name", ["intake", "events", "training", "deployment"])
def test_a_machine_wants_two_things_filled_in_and_no_more(name: str) -> None:
    text = load.text(load.load(load.MACHINES / f"{name}.asl.yaml"))

    assert load.substitutions(text) == {"Partition", "Settings"}
    assert text.count("${Settings}") == 1
