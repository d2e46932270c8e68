"""The unmodified CDK CLI against the local AWS: deploy, deploy again after a change, destroy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import executions, toolchain
from cli.stack import Stack
from sluice import naming
from tests.support.bank import Bank, bank_rows, write_csv, write_project
from tests.support.resources import LOOK_UP, PART_OF_ANOTHER, exists

STACK, DATA = "sluice-shop-local", "sluice-shop-local-data"
CHANGED = ("-c", "outcome_email=somebody@example.com", "-c", "poll_seconds=2")


@dataclass(frozen=True)
class Shop:
    """A second project on the session's local AWS, worked on with the `cdk` command."""

    bank: Bank
    project: Path
    work: Path

    def cdk(self, command: str, *arguments: str, stacks: tuple[str, ...] = ("--all",)) -> str:
        log = self.work / f"{command}.log"
        log.unlink(missing_ok=True)
        toolchain.start_cdk(
            *(command, *stacks, "-c", f"project={self.project}", "-c", "environment=local"),
            *("--output", str(self.work / "cdk.out"), *arguments),
            env=toolchain.tool_env(self.bank.stack.aws_env),
            log=log,
        ).wait()
        return log.read_text()

    def deploy(self, *arguments: str) -> str:
        return self.cdk("deploy", "--require-approval", "never", *arguments)

    def resources(self) -> dict[str, tuple[str, str]]:
        """Type and physical id by logical id, of both stacks."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            each["LogicalResourceId"]: (each["ResourceType"], each["PhysicalResourceId"])
            for stack in (STACK, DATA)
            for page in pages.paginate(StackName=stack)
            for each in page["StackResourceSummaries"]
        }

    def sluice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=self.work,
            env={**os.environ, **self.bank.stack.aws_env, "PYTHONPATH": str(toolchain.ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    def outputs(self) -> dict[str, str]:
        (described,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}

    def physical(self, kind: str, part: str) -> str:
        """The id of the one resource of a type whose logical id contains `part`."""
        (found,) = (
            physical for name, (type_, physical) in self.resources().items() if type_ == kind and part in name
        )
        return found

    def client(self, service: str) -> Any:
        return self.bank.stack.client(service)

    def data_resources(self) -> dict[str, str]:
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in pages.paginate(StackName=DATA)
            for each in page["StackResourceSummaries"]
        }

    def release(self, outputs: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = self.client("dynamodb").get_item(
            TableName=outputs["ReleasesTableName"],
            Key={"endpoint_name": {"S": outputs["EndpointName"]}, "item": {"S": "release"}},
        )["Item"]
        return found

    def definition(self) -> dict[str, Any]:
        arn = self.physical("AWS::StepFunctions::StateMachine", "Training")
        described = self.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
        definition: dict[str, Any] = json.loads(described["definition"])
        return definition


@pytest.fixture(scope="module")
def shop(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    work = tmp_path_factory.mktemp("shop")
    write_project(work / "project", name="shop")
    made = Shop(bank, work / "project", work)
    made.deploy()
    return made


def test_each_resource_is_there_by_its_own_services_word(shop: Shop) -> None:
    resources = shop.resources()
    templates = [
        json.loads((shop.work / "cdk.out" / f"{stack}.template.json").read_text()) for stack in (STACK, DATA)
    ]
    assert resources.keys() == templates[0]["Resources"].keys() | templates[1]["Resources"].keys()
    for type_, physical in resources.values():
        if type_ not in PART_OF_ANOTHER:
            LOOK_UP[type_](shop.client, physical)


def test_buckets_are_what_the_template_says(shop: Shop) -> None:
    s3 = shop.client("s3")
    for part in ("UploadsBucket", "ArtifactsBucket"):
        name = shop.physical("AWS::S3::Bucket", part)
        assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        assert s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
        policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
        assert {"Bool": {"aws:SecureTransport": "false"}} in [
            statement.get("Condition") for statement in policy["Statement"]
        ]
    uploads = shop.physical("AWS::S3::Bucket", "UploadsBucket")
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=uploads)


def test_functions_have_their_settings_and_roles_their_policies(shop: Shop) -> None:
    name = shop.physical("AWS::Lambda::Function", "ValidateDataset")
    configuration = shop.client("lambda").get_function(FunctionName=name)["Configuration"]
    assert (configuration["Timeout"], configuration["MemorySize"]) == (900, 3008)
    assert configuration["Environment"]["Variables"]["ARTIFACTS_BUCKET"] == shop.physical(
        "AWS::S3::Bucket", "ArtifactsBucket"
    )
    role = configuration["Role"].rsplit("/", 1)[-1]
    assert shop.client("iam").list_role_policies(RoleName=role)["PolicyNames"]


def test_the_rule_starts_the_intake(shop: Shop) -> None:
    rule = shop.physical("AWS::Events::Rule", "ObjectCreated").rsplit("/", 1)[-1]
    (target,) = shop.client("events").list_targets_by_rule(Rule=rule)["Targets"]
    assert target["Arn"] == shop.physical("AWS::StepFunctions::StateMachine", "MachinesIntake")
    assert target["DeadLetterConfig"]["Arn"]


def test_alarms_tell_the_alarm_topic(shop: Shop) -> None:
    name = shop.physical("AWS::CloudWatch::Alarm", "TrainingFailed")
    (alarm,) = shop.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert alarm["AlarmActions"] == [shop.physical("AWS::SNS::Topic", "Alarms")]
    assert alarm["TreatMissingData"] == "notBreaching"


def test_a_change_is_deployed_to_what_is_there(shop: Shop) -> None:
    before = shop.resources()
    function = shop.physical("AWS::Lambda::Function", "DecideGate")
    code = shop.client("lambda").get_function(FunctionName=function)["Configuration"]["CodeSha256"]
    before_version = shop.physical("AWS::Lambda::Version", "DecideGate")
    project_file = shop.project / "project.toml"
    changed = project_file.read_text().replace("max_runtime_seconds = 45", "max_runtime_seconds = 46")
    project_file.write_text(changed)

    shop.deploy(*CHANGED)

    begin = shop.definition()["States"]["Begin"]["Assign"]["settings"]
    assert '"max_runtime_seconds": 46' in begin
    after = shop.resources()
    # A version is made anew with each change of its function; the old one stays, and is no longer the stack's.
    kept = {name: each for name, each in before.items() if each[0] != "AWS::Lambda::Version"}
    assert kept.items() <= after.items(), "nothing was replaced"
    added = {type_ for name, (type_, _) in after.items() if name not in before}
    assert added == {"AWS::SNS::Subscription", "AWS::Lambda::Version"}
    new_code = shop.client("lambda").get_function(FunctionName=function)["Configuration"]["CodeSha256"]
    assert new_code != code, "project.toml is part of the bundle"
    old = shop.client("lambda").get_function(FunctionName=before_version)["Configuration"]["CodeSha256"]
    assert old == code, "an execution that began before the change goes on with what it began with"


def test_nothing_changed_is_said_so(shop: Shop) -> None:
    assert "no changes" in shop.deploy(*CHANGED)


def test_an_execution_goes_on_with_what_it_began_with_while_the_project_changes(shop: Shop) -> None:
    """The first one's training waits until the project is another one and deployed."""
    outputs = shop.outputs()
    stack = Stack(outputs, shop.bank.stack.aws_env)
    gate = shop.work / "go-on"
    train = shop.project / "train.py"
    original = train.read_text()
    waiting = f"""
import pathlib, time
def fit_model(model, X, y):
    print("the old code waits", flush=True)
    while not pathlib.Path({str(gate)!r}).exists():
        time.sleep(0.05)
    return model.fit(X, y)
"""
    train.write_text(original + waiting)
    shop.deploy(*CHANGED)
    first = executions.upload(stack, write_csv(shop.work / "first.csv", bank_rows(300)))
    arn = executions.execution_arn(stack, first)
    job = naming.job("shop", "local", arn) + "-train"
    wait_until(lambda: job_is(shop, job, "InProgress"))

    train.write_text(original + "\ndef fit_model(model, X, y):\n    raise ValueError('the new code')\n")
    shop.deploy(*CHANGED)
    gate.touch()
    summary = executions.follow(stack, arn)
    second = executions.upload(stack, write_csv(shop.work / "second.csv", bank_rows(300, seed=2)))
    after = executions.follow(stack, executions.execution_arn(stack, second))

    assert summary["outcome"] == "Deployed"
    assert (after["outcome"], after["error"]) == ("Failed", "TrainingFailed")
    assert "the new code" in after["cause"]
    train.write_text(original)


def test_the_pipeline_can_go_and_come_back_and_nothing_is_lost(shop: Shop) -> None:
    outputs, data = shop.outputs(), shop.data_resources()
    release = shop.release(outputs)
    assert release["model_name"]["S"].startswith("shop-local-")
    objects = shop.client("s3").list_objects_v2(Bucket=outputs["ArtifactsBucketName"])["KeyCount"]
    assert objects > 0

    shop.cdk("destroy", "--force", stacks=(STACK,))
    with pytest.raises(ClientError, match="does not exist"):
        shop.client("cloudformation").describe_stacks(StackName=STACK)
    shop.deploy(*CHANGED)

    assert shop.outputs()["ArtifactsBucketName"] == outputs["ArtifactsBucketName"]
    assert shop.data_resources() == data, "buckets, table, topics and subscriptions are the same"
    assert shop.release(shop.outputs()) == release
    assert shop.client("s3").list_objects_v2(Bucket=outputs["ArtifactsBucketName"])["KeyCount"] == objects


def test_a_full_bucket_stands_in_the_way_until_it_is_emptied(shop: Shop) -> None:
    resources = shop.resources()
    with pytest.raises(toolchain.ToolFailed):
        shop.cdk("destroy", "--force")
    with pytest.raises(ClientError, match="does not exist"):
        shop.outputs()

    done = shop.sluice("empty", "--stack", STACK, "--yes")
    assert done.returncode == 0, done.stderr
    shop.cdk("destroy", "--force")

    for name in (STACK, DATA):
        with pytest.raises(ClientError, match="does not exist"):
            shop.client("cloudformation").describe_stacks(StackName=name)
    left = []
    for type_, physical in resources.values():
        if type_ not in PART_OF_ANOTHER and exists(shop.client, type_, physical):
            left.append((type_, physical))
    assert left == []
    sagemaker = shop.client("sagemaker")
    # The bank's are there still, and are to be.
    names = [each["ModelName"] for each in sagemaker.list_models()["Models"]]
    names += [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]
    assert [name for name in names if "shop" in name] == []


def job_is(shop: Shop, name: str, status: str) -> bool:
    found = shop.client("sagemaker").list_training_jobs(NameContains=name)["TrainingJobSummaries"]
    return [each["TrainingJobStatus"] for each in found] == [status]


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.1)
