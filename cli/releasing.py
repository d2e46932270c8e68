"""The releases of a stack: what its table and its endpoint say, and the machine that changes both."""

from __future__ import annotations

import json
import uuid
from typing import Any

from botocore.exceptions import ClientError

from cli import executions
from cli.releases_table import ReleasesTable
from cli.stack import Stack
from sluice import naming
from sluice.errors import DeploymentFailed, SluiceError, from_wire
from sluice.payloads.deployment import DeploymentInput, DeploymentResult
from sluice.release.history import HISTORY, MODEL, Ended, ReleasedModel, Seen


class Releases:
    """What was deployed, what serves, and who is at work."""

    def __init__(self, deployed: Stack) -> None:
        self._stack = deployed
        self._table = ReleasesTable(deployed)
        self._states = deployed.client("stepfunctions")
        self._endpoint = deployed.output("EndpointName")
        self._machine = deployed.output("DeploymentArn")

    def ended(self) -> list[Ended]:
        """Give how deployments ended, the newest first."""
        found = [Ended.of(item) for item in self._table.items(HISTORY)]
        return sorted(found, key=lambda each: each.at, reverse=True)

    def models(self) -> list[ReleasedModel]:
        """Give each model that was ever on its way to the endpoint."""
        return [ReleasedModel.of(item) for item in self._table.items(MODEL)]

    def champion(self) -> str | None:
        item = self._table.item("release")
        return None if item is None else str(item["model_name"]["S"])

    def seen(self) -> Seen:
        """Look at everything that `sluice doctor` has something to say about."""
        lock = self._table.item("lock")
        holder = None if lock is None else str(lock["held_by"]["S"])
        endpoint = self._described()
        return Seen(
            serving=endpoint["EndpointConfigName"]
            if endpoint and endpoint["EndpointStatus"] == "InService"
            else None,
            status=None if endpoint is None else endpoint["EndpointStatus"],
            released=self.champion(),
            known=tuple(each.model_name for each in self.models()),
            holder=holder,
            holder_runs=holder is not None and self._runs(holder),
            alarms=tuple(self._alarms()),
        )

    def deploy(self, asked: DeploymentInput | None) -> tuple[str, DeploymentResult]:
        """Run the deployment machine, told state by state; without an input it reconciles.

        Raises:
            DeploymentFailed: it fails.
        """
        body: dict[str, Any] = {"reconcile": True} if asked is None else asked.model_dump(mode="json")
        name = f"{'reconcile' if asked is None else asked.model_name}-{uuid.uuid4().hex[:8]}"
        arn = self._states.start_execution(stateMachineArn=self._machine, name=name, input=json.dumps(body))[
            "executionArn"
        ]
        status, _ = executions.watch(self._stack, arn)
        if status["status"] != "SUCCEEDED":
            raise _failure(status)
        return arn, DeploymentResult.model_validate_json(status["output"])

    def caller(self) -> str:
        return str(self._stack.client("sts").get_caller_identity()["Arn"])

    def _described(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._stack.client("sagemaker").describe_endpoint(
                EndpointName=self._endpoint
            )
        except ClientError as error:
            if "Could not find" in str(error):
                return None
            raise
        return found

    def _runs(self, holder: str) -> bool:
        if ":execution:" not in holder:
            return True
        try:
            status = self._states.describe_execution(executionArn=holder)["status"]
        except self._states.exceptions.ExecutionDoesNotExist:
            return False
        # As the machine sees it, which waits for one that may be redriven.
        return status in ("RUNNING", "PENDING_REDRIVE")

    def _alarms(self) -> list[str]:
        prefix = naming.deployment_alarms(self._stack.output("Project"), self._stack.output("Environment"))
        cloudwatch = self._stack.client("cloudwatch")
        pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
        return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]


def _failure(status: dict[str, Any]) -> SluiceError:
    """Give what an execution failed of: the machine's own words, where it has any."""
    told = from_wire(status.get("cause") or "")
    return told or DeploymentFailed(
        f"the deployment ended as {status['status']}",
        where=status["executionArn"],
        why=f"{status.get('error', '')}: {status.get('cause', '')}",
        fix="the execution's page in the console shows the state",
    )
