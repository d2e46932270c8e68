"""State machines for tests: make them, run them, read what they did, on a local AWS."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.support.local_aws import LocalAws, wait_until

ROLE = "arn:aws:iam::123456789012:role/machine"


class Machines:
    """Machines of one test, on the local AWS."""

    def __init__(self, server: LocalAws) -> None:
        self.server = server
        self.api = server.client("stepfunctions")

    def make(self, states: dict[str, Any], **settings: Any) -> str:
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
        arn: str = self.api.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE, **settings
        )["stateMachineArn"]
        return arn

    def start(self, machine: str, value: Any = None, **settings: Any) -> str:
        text = json.dumps(value if value is not None else {})
        arn: str = self.api.start_execution(stateMachineArn=machine, input=text, **settings)["executionArn"]
        return arn

    def wait(self, execution: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            described: dict[str, Any] = self.api.describe_execution(executionArn=execution)
            return None if described["status"] == "RUNNING" else described

        result: dict[str, Any] = wait_until(ended)
        return result

    def run(self, states: dict[str, Any], value: Any = None) -> dict[str, Any]:
        return self.wait(self.start(self.make(states), value))

    def events(self, execution: str) -> list[str]:
        pages = self.api.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event["type"] for page in pages for event in page["events"]]


def task(resource: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    state = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments}
    return {**state, **({} if "Next" in fields else {"End": True}), **fields}
