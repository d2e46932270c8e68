"""The unmodified CDK CLI against the local AWS: deploy, deploy again after a change, destroy."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import toolchain

from .conftest import Bank, write_project

STACK = "sluice-shop-local"
CHANGED = ("-c", "outcome_email=somebody@example.com", "-c", "poll_seconds=2")

# How each resource is asked for through its own service; a type that is missing here fails the test.
LOOK_UP: dict[str, Callable[[Any, str], Any]] = {
    "AWS::S3::Bucket": lambda client, name: client("s3").head_bucket(Bucket=name),
    "AWS::S3::BucketPolicy": lambda client, name: client("s3").get_bucket_policy(Bucket=name),
    "AWS::DynamoDB::Table": lambda client, name: client("dynamodb").describe_table(TableName=name),
    "AWS::Lambda::Function": lambda client, name: client("lambda").get_function(FunctionName=name),
    "AWS::StepFunctions::StateMachine": lambda client, arn: client("stepfunctions").describe_state_machine(
        stateMachineArn=arn
    ),
    "AWS::IAM::Role": lambda client, name: client("iam").get_role(RoleName=name),
    "AWS::Logs::LogGroup": lambda client, name: _one(
        client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    ),
    "AWS::SNS::Topic": lambda client, arn: client("sns").get_topic_attributes(TopicArn=arn),
    "AWS::SNS::Subscription": lambda client, arn: client("sns").get_subscription_attributes(
        SubscriptionArn=arn
    ),
    "AWS::SQS::Queue": lambda client, url: client("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["All"]
    ),
    "AWS::Events::Rule": lambda client, name: client("events").describe_rule(Name=name.rsplit("/", 1)[-1]),
    "AWS::CloudWatch::Alarm": lambda client, name: _one(
        client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    ),
    "AWS::CloudWatch::Dashboard": lambda client, name: client("cloudwatch").get_dashboard(DashboardName=name),
}
# They have no identity of their own: what they belong to shows them.
PART_OF_ANOTHER = {"AWS::IAM::Policy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::CDK::Metadata"}


class Absent(Exception):
    """A listing does not have it."""


def _one(found: list[Any]) -> Any:
    if len(found) != 1:
        raise Absent
    return found[0]


@dataclass(frozen=True)
class Shop:
    """A second project on the session's local AWS, worked on with the `cdk` command."""

    bank: Bank
    project: Path
    work: Path

    def cdk(self, command: str, *arguments: str) -> str:
        log = self.work / f"{command}.log"
        log.unlink(missing_ok=True)
        toolchain.start_cdk(
            *(command, "--all", "-c", f"project={self.project}", "-c", "environment=local"),
            *("--output", str(self.work / "cdk.out"), *arguments),
            env=toolchain.tool_env(self.bank.stack.aws_env),
            log=log,
        ).wait()
        return log.read_text()

    def deploy(self, *arguments: str) -> str:
        return self.cdk("deploy", "--require-approval", "never", *arguments)

    def resources(self) -> dict[str, tuple[str, str]]:
        """Type and physical id by logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            each["LogicalResourceId"]: (each["ResourceType"], each["PhysicalResourceId"])
            for page in pages.paginate(StackName=STACK)
            for each in page["StackResourceSummaries"]
        }

    def physical(self, kind: str, part: str) -> str:
        """The id of the one resource of a type whose logical id contains `part`."""
        (found,) = (
            physical for name, (type_, physical) in self.resources().items() if type_ == kind and part in name
        )
        return found

    def client(self, service: str) -> Any:
        return self.bank.stack.client(service)

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
    template = json.loads((shop.work / "cdk.out" / f"{STACK}.template.json").read_text())
    assert resources.keys() == template["Resources"].keys()
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
    assert target["Arn"] == shop.physical("AWS::StepFunctions::StateMachine", "PipelineIntake")
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
    project_file = shop.project / "project.toml"
    changed = project_file.read_text().replace("max_runtime_seconds = 45", "max_runtime_seconds = 46")
    project_file.write_text(changed)

    shop.deploy(*CHANGED)

    train = shop.definition()["States"]["TrainModel"]["Arguments"]
    assert train["StoppingCondition"] == {"MaxRuntimeInSeconds": "{% 46 %}"}
    after = shop.resources()
    assert before.items() <= after.items(), "nothing was replaced"
    subscription = {type_ for name, (type_, _) in after.items() if name not in before}
    assert subscription == {"AWS::SNS::Subscription"}
    new_code = shop.client("lambda").get_function(FunctionName=function)["Configuration"]["CodeSha256"]
    assert new_code != code, "project.toml is part of the bundle"


def test_nothing_changed_is_said_so(shop: Shop) -> None:
    assert "no changes" in shop.deploy(*CHANGED)


def test_destroy_leaves_nothing(shop: Shop) -> None:
    resources = shop.resources()
    shop.cdk("destroy", "--force")
    with pytest.raises(ClientError, match="does not exist"):
        shop.client("cloudformation").describe_stacks(StackName=STACK)
    left = []
    for type_, physical in resources.values():
        if type_ in PART_OF_ANOTHER:
            continue
        try:
            LOOK_UP[type_](shop.client, physical)
        except (ClientError, Absent):
            continue
        left.append((type_, physical))
    assert left == []
