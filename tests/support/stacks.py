"""Stacks for tests: deploy resources by change set, look at them through CloudFormation's API."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

Deploy = Callable[..., "Deployed"]
_numbers = itertools.count()


class Deployed:
    """A stack, seen through CloudFormation's API."""

    def __init__(self, server: Any, name: str) -> None:
        self.client = server.client("cloudformation")
        self.name = name

    @property
    def description(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_stacks(StackName=self.name)["Stacks"][0]
        return found

    @property
    def status(self) -> str:
        return str(self.description["StackStatus"])

    @property
    def outputs(self) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self.description.get("Outputs", [])}

    def physical_id(self, logical_id: str) -> str:
        detail: Any = self.client.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])

    def statuses(self, logical_id: str) -> list[str]:
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        return [e["ResourceStatus"] for e in reversed(events) if e["LogicalResourceId"] == logical_id]

    def reason(self, status: str) -> str:
        """Why a resource is in that status."""
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
        found: str = next(
            e["ResourceStatusReason"]
            for e in events
            if e["ResourceStatus"] == status and e["LogicalResourceId"] != self.name
        )
        return found


class Stacks:
    """Deploys resources as stacks, by change set; called again with `to` it updates one."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._client = server.client("cloudformation")
        self._names: list[str] = []

    def __call__(self, resources: dict[str, Any], *, to: Deployed | None = None, **template: Any) -> Deployed:
        parameters = template.pop("given", {})
        name = to.name if to else template.pop("name", f"stack-{next(_numbers)}")
        if not to:
            self._names.append(name)
        change_set = self._client.create_change_set(
            StackName=name,
            ChangeSetName="deploy",
            ChangeSetType="UPDATE" if to else "CREATE",
            TemplateBody=json.dumps({"Resources": resources, **template}),
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        self._client.execute_change_set(ChangeSetName=change_set["Id"])
        return Deployed(self._server, name)

    def close(self) -> None:
        """Delete the stacks, the last one first: it may use what an earlier one exports."""
        for name in reversed(self._names):
            self._client.delete_stack(StackName=name)


def resource(type_name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": type_name, "Properties": properties}


ROLE = resource(
    "AWS::IAM::Role",
    AssumeRolePolicyDocument={
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    },
)
ROLE_ARN = {"Fn::GetAtt": ["Role", "Arn"]}
