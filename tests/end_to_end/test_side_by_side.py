"""Two projects and two environments in one account: what is done to one of the four leaves the others as they are.

The names are as alike as they can be: `side` in `dev` begins what `side-dev` has in every environment.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import toolchain
from sluice import naming
from sluice.outcomes import Outcome
from sluice.payloads.deployment import DeploymentResult
from tests.support.bank import Bank, bank_rows, write_project
from tests.support.faults import archive
from tests.support.house import House
from tests.support.local_aws import wait_until
from tests.support.resources import exists, of_stacks

GONE = ("side", "dev")
ALL = [GONE, ("side", "local"), ("side-dev", "local"), ("side-dev", "dev")]
KEPT = [each for each in ALL if each != GONE]


@dataclass(frozen=True)
class Side:
    """One project in one environment, with a model that serves."""

    project: str
    environment: str
    bank: Bank
    folder: Path
    work: Path

    @property
    def stacks(self) -> tuple[str, str]:
        return naming.stack(self.project, self.environment), naming.data_stack(self.project, self.environment)

    @property
    def endpoint(self) -> str:
        return self.bank.stack.outputs["EndpointName"]

    def client(self, service: str) -> Any:
        return self.bank.stack.client(service)

    def resources(self) -> set[tuple[str, str]]:
        """Type and physical id of all that stands for itself."""
        return {(type_, physical) for _, type_, physical in of_stacks(self.client, *self.stacks)}

    def deploy(self, body: bytes, champion: str | None = None) -> str:
        """Bring the endpoint to a model by the machine `deployment`; the model's name."""
        model = naming.job_prefix(self.project, self.environment) + uuid.uuid4().hex[: naming.JOB_DIGITS]
        bucket, key = (
            self.bank.stack.outputs["ArtifactsBucketName"],
            f"models/{model}-train/output/model.tar.gz",
        )
        put = self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        asked = {
            "model_name": model,
            "model_uri": naming.uri(bucket, key),
            "archive": {"version_id": put["VersionId"], "etag": put["ETag"]},
            "judged_champion": champion,
            "dataset_version": "0123456789abcdef",
        }
        states = self.client("stepfunctions")
        arn = states.start_execution(
            stateMachineArn=self.bank.stack.outputs["DeploymentArn"], input=json.dumps(asked)
        )["executionArn"]
        wait_until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", seconds=180)
        found = states.describe_execution(executionArn=arn)
        assert found["status"] == "SUCCEEDED", found
        assert DeploymentResult.model_validate_json(found["output"]).outcome is Outcome.DEPLOYED
        return model

    def answers(self) -> bytes:
        row = ",".join(bank_rows(1)[0][1:5]).encode()
        answer = self.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.endpoint, Body=row, ContentType="text/csv", Accept="text/csv"
        )
        body: bytes = answer["Body"].read()
        return body

    def state(self) -> Mapping[str, Any]:
        """What others are not to change: the endpoint, its release, the alarms, what the roles may do."""
        described = self.client("sagemaker").describe_endpoint(EndpointName=self.endpoint)
        releases = self.client("dynamodb").scan(TableName=self.bank.stack.outputs["ReleasesTableName"])[
            "Items"
        ]
        ours = {physical for type_, physical in self.resources() if type_ == "AWS::CloudWatch::Alarm"}
        pages = self.client("cloudwatch").get_paginator("describe_alarms").paginate()
        alarms = [alarm for page in pages for alarm in page["MetricAlarms"] if alarm["AlarmName"] in ours]
        iam = self.client("iam")
        roles = [physical for type_, physical in self.resources() if type_ == "AWS::IAM::Role"]
        return {
            "resources": self.resources(),
            "endpoint": {
                name: described[name]
                for name in ("EndpointStatus", "EndpointConfigName", "LastModifiedTime", "ProductionVariants")
            },
            # Each hour the machine notes that it has looked.
            "releases": sorted(
                json.dumps(item, sort_keys=True) for item in releases if item["item"]["S"] != "reconciled"
            ),
            "alarms": {alarm["AlarmName"]: alarm["AlarmConfigurationUpdatedTimestamp"] for alarm in alarms},
            "roles": {role: iam.list_role_policies(RoleName=role)["PolicyNames"] for role in roles},
        }

    def destroy(self) -> None:
        """As a person does: what executions made, then both stacks."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "empty", "--stack", self.stacks[0], "--yes"],
            cwd=self.work,
            env=toolchain.tool_env(self.bank.stack.aws_env) | {"PYTHONPATH": str(toolchain.ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        toolchain.start_cdk(
            *("destroy", "--all", "--force"),
            *("-c", f"project={self.folder}", "-c", f"environment={self.environment}"),
            *("--output", str(self.work / "cdk.out")),
            env=toolchain.tool_env(self.bank.stack.aws_env),
            log=self.work / "destroy.log",
        ).wait()


@pytest.fixture(scope="module")
def body(house: House, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive of a model, made of one that was trained: nothing is trained here."""
    return archive(tmp_path_factory.mktemp("model"), house.trained, "answers")


@pytest.fixture(scope="module")
def sides(
    bank: Bank, body: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Side]]:
    """All four, each with a model that serves."""
    root = tmp_path_factory.mktemp("sides")
    found = {}
    for project, environment in ALL:
        folder, work = root / "projects" / project, root / "work" / f"{project}-{environment}"
        folder.parent.mkdir(exist_ok=True)
        if not folder.exists():
            write_project(folder, name=project)
        work.mkdir(parents=True)
        deployed = bank.beside(folder, work, environment)
        found[project, environment] = Side(project, environment, deployed, folder, work)
        found[project, environment].deploy(body)
    yield found
    # Other tests want the machine; what else there is goes with the local AWS.
    sagemaker = bank.stack.client("sagemaker")
    there = {each["EndpointName"] for each in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]}
    for name in there & {side.endpoint for side in found.values()}:
        sagemaker.delete_endpoint(EndpointName=name)


def test_no_name_is_anothers(sides: dict[tuple[str, str], Side]) -> None:
    for one, other in itertools.combinations(sides.values(), 2):
        assert one.resources().isdisjoint(other.resources())
        shared = {
            name for name, value in one.bank.stack.outputs.items() if value == other.bank.stack.outputs[name]
        }
        # Neither a bucket, a table, a machine, a topic nor an MLflow app: only what they are called by.
        assert shared <= {"Project", "Environment"}


def test_a_deployment_in_one_leaves_the_others_as_they_are(
    sides: dict[tuple[str, str], Side], body: bytes
) -> None:
    before = {name: sides[name].state() for name in KEPT}
    side = sides[GONE]
    champion = side.state()["endpoint"]["EndpointConfigName"]

    later = side.deploy(body, champion)

    assert side.state()["endpoint"]["EndpointConfigName"] == later
    assert {name: sides[name].state() for name in KEPT} == before


def test_one_that_is_destroyed_takes_nothing_of_the_others_along(
    sides: dict[tuple[str, str], Side], body: bytes
) -> None:
    before = {name: sides[name].state() for name in KEPT}
    side = sides[GONE]
    resources, sagemaker = side.resources(), side.client("sagemaker")
    models = {each["ModelName"] for each in sagemaker.list_models(MaxResults=100)["Models"]}

    side.destroy()

    assert [each for each in resources if exists(side.client, *each)] == []
    with pytest.raises(ClientError, match="Could not find"):
        sagemaker.describe_endpoint(EndpointName=side.endpoint)
    left = {each["ModelName"] for each in sagemaker.list_models(MaxResults=100)["Models"]}
    gone = models - left
    # Two were deployed there: sixteen digits and no more follow its prefix, `side-dev-local-…` is another's.
    assert len(gone) == 2
    assert all(len(name) == len("side-dev-") + naming.JOB_DIGITS for name in gone)

    assert {name: sides[name].state() for name in KEPT} == before
    for name in KEPT:
        other = sides[name]
        assert [each for each in other.resources() if not exists(other.client, *each)] == []
        assert float(other.answers()) == 0.25
    # And each goes on by itself.
    other = sides["side-dev", "dev"]
    other.deploy(body, other.state()["endpoint"]["EndpointConfigName"])
    assert float(other.answers()) == 0.25
