"""Errors inside an inline Map or a Parallel, caught by name outside of it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.support.local_aws import LocalAws, wait_until
from tests.support.machines import Machines, task


class TestErrorsFromInside:
    """A `States.` error of an iteration or branch stays what it was at the state around it."""

    def outer(self, kind: str, states: dict[str, Any], **fields: Any) -> dict[str, Any]:
        branch = {"StartAt": next(iter(states)), "States": states}
        inside: dict[str, Any] = (
            {"ItemProcessor": branch, "Items": [1]} if kind == "Map" else {"Branches": [branch]}
        )
        return {"Type": kind, **inside, **fields}

    @pytest.mark.parametrize("kind", ["Map", "Parallel"])
    @pytest.mark.parametrize(
        ("inner", "error"),
        [
            ({"Type": "Pass", "Output": "{% $missing %}", "End": True}, "States.QueryEvaluationError"),
            (
                {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "Inner"}]},
                "States.NoChoiceMatched",
            ),
            ({"Type": "Fail", "Error": "States.Timeout"}, "States.Timeout"),
            ({"Type": "Fail", "Error": "States.TaskFailed"}, "States.TaskFailed"),
            ({"Type": "Fail", "Error": "My.Own"}, "My.Own"),
        ],
    )
    @pytest.mark.parametrize("caught_as", ["the name", "States.ALL"])
    def test_it_can_be_caught(
        self, machines: Machines, kind: str, inner: dict[str, Any], error: str, caught_as: str
    ) -> None:
        catch = {
            "ErrorEquals": [error if caught_as == "the name" else caught_as],
            "Output": "{% $states.errorOutput.Error %}",
            "Next": "End",
        }
        outer = self.outer(kind, {"Inner": inner}, Catch=[catch], Next="End")

        ended = machines.run({"Outer": outer, "End": {"Type": "Succeed"}})

        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        assert json.loads(ended["output"]) == error

    @pytest.mark.parametrize("kind", ["Map", "Parallel"])
    def test_uncaught_it_ends_the_execution_by_its_name(self, machines: Machines, kind: str) -> None:
        inner = {"Type": "Pass", "Output": "{% $missing %}", "End": True}

        ended = machines.run({"Outer": self.outer(kind, {"Inner": inner}, End=True)})

        assert (ended["status"], ended["error"]) == ("FAILED", "States.QueryEvaluationError")

    @pytest.mark.parametrize("kind", ["Map", "Parallel"])
    def test_a_runtime_error_is_caught_outside_as_little_as_inside(
        self, machines: Machines, kind: str
    ) -> None:
        inner = task("lambda:invoke", {"FunctionName": "f", "Bogus": 1})
        catch = {"ErrorEquals": ["States.ALL"], "Next": "End"}
        outer = self.outer(kind, {"Inner": inner}, Catch=[catch], Next="End")

        ended = machines.run({"Outer": outer, "End": {"Type": "Succeed"}})

        assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")

    @pytest.mark.parametrize("kind", ["Map", "Parallel"])
    def test_it_can_be_tried_again(self, machines: Machines, kind: str) -> None:
        inner = {"Type": "Fail", "Error": "States.Timeout"}
        retry = {"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 1}
        execution = machines.start(
            machines.make({"Outer": self.outer(kind, {"Inner": inner}, Retry=[retry], End=True)})
        )

        assert machines.wait(execution)["error"] == "States.Timeout"
        assert machines.events(execution).count("FailStateEntered") == 2

    @pytest.mark.parametrize("kind", ["Map", "Parallel"])
    @pytest.mark.parametrize("where", ["inside", "outside"])
    def test_an_approval_that_times_out_can_be_handled(
        self, machines: Machines, local_aws: LocalAws, kind: str, where: str
    ) -> None:
        queue = local_aws.client("sqs").create_queue(QueueName=f"q-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        catch = {
            "ErrorEquals": ["States.Timeout"],
            "Output": "{% $states.errorOutput.Error %}",
            "Next": "Inner end" if where == "inside" else "End",
        }
        ask = task(
            "sqs:sendMessage.waitForTaskToken",
            {"QueueUrl": queue, "MessageBody": "{% $states.context.Task.Token %}"},
            TimeoutSeconds=1,
            Next="Inner end",
            **({"Catch": [catch]} if where == "inside" else {}),
        )
        inner = {"Ask": ask, "Inner end": {"Type": "Succeed"}}
        handled = {"Catch": [catch]} if where == "outside" else {}
        outer = self.outer(kind, inner, Next="End", **handled)

        ended = machines.run({"Outer": outer, "End": {"Type": "Succeed"}})

        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        expected = ["States.Timeout"] if where == "inside" else "States.Timeout"
        assert json.loads(ended["output"]) == expected

    def test_the_other_iterations_are_aborted(self, machines: Machines) -> None:
        processor = {
            "StartAt": "Check",
            "States": {
                "Check": {
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% $states.input = 'bad' %}", "Next": "Fail"}],
                    "Default": "Wait",
                },
                "Fail": {"Type": "Fail", "Error": "Broken"},
                "Wait": {"Type": "Wait", "Seconds": 600, "End": True},
            },
        }
        catch = {"ErrorEquals": ["Broken"], "Next": "End"}
        states = {
            "Map": {"Type": "Map", "ItemProcessor": processor, "Catch": [catch], "Next": "End"},
            "End": {"Type": "Succeed"},
        }
        execution = machines.start(machines.make(states), ["good", "bad"])

        assert machines.wait(execution)["status"] == "SUCCEEDED"
        wait_until(lambda: "MapIterationAborted" in machines.events(execution))
