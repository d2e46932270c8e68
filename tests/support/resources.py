"""How each resource of a stack is asked for through its own service: CloudFormation's word is no proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

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
    "AWS::Lambda::Version": lambda client, arn: client("lambda").get_function(FunctionName=arn),
    "AWS::SageMaker::MlflowApp": lambda client, arn: client("sagemaker").describe_mlflow_app(Arn=arn),
    "AWS::CloudWatch::Dashboard": lambda client, name: client("cloudwatch").get_dashboard(DashboardName=name),
}
# They have no identity of their own: what they belong to shows them.
PART_OF_ANOTHER = {
    "AWS::IAM::Policy",
    "AWS::Lambda::Permission",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::CDK::Metadata",
}


class Absent(Exception):
    """A listing does not have it."""


def _one(found: list[Any]) -> Any:
    if len(found) != 1:
        raise Absent
    return found[0]


def of_stacks(client: Any, *names: str) -> Iterator[tuple[str, str, str]]:
    """Give stack, type and physical id of each resource that stands for itself."""
    pages = client("cloudformation").get_paginator("list_stack_resources")
    for name in names:
        for page in pages.paginate(StackName=name):
            for each in page["StackResourceSummaries"]:
                if each["ResourceType"] not in PART_OF_ANOTHER:
                    yield name, each["ResourceType"], each["PhysicalResourceId"]


def exists(client: Any, type_name: str, physical_id: str) -> bool:
    """Whether the resource's own service has it."""
    try:
        LOOK_UP[type_name](client, physical_id)
    except (ClientError, Absent):
        return False
    return True
