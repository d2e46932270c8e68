"""`sluice empty` deletes all that executions made, and nothing that is another project's."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from cli import commands, emptying
from cli import stack as stacks
from cli.stack import Stack

DIGITS = "0123456789abcdef"
OURS = [f"bank-dev-{DIGITS}", "bank-dev-fedcba9876543210"]
THEIRS = [
    f"bank-prod-{DIGITS}",
    f"bank-cards-dev-{DIGITS}",
    f"my-bank-dev-{DIGITS}",
    f"bank-dev-local-{DIGITS}",  # a project called bank-dev
    f"bank-dev-{DIGITS}-old",
    "bank-dev-by-hand",
]


class Account:
    """An account with the stack of the project `bank` in one environment, and other people's things."""

    def __init__(self) -> None:
        self.s3: Any = boto3.client("s3")
        self.sagemaker: Any = boto3.client("sagemaker")
        self.dynamodb: Any = boto3.client("dynamodb")
        for bucket in ("uploads", "artifacts"):
            self.s3.create_bucket(Bucket=bucket)
            self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        keys: Any = {"endpoint_name": "HASH", "item": "RANGE"}
        self.dynamodb.create_table(
            TableName="releases",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        self.stack = Stack(
            {
                "Project": "bank",
                "Environment": "dev",
                "EndpointName": "sluice-bank-dev",
                "ReleasesTableName": "releases",
                "UploadsBucketName": "uploads",
                "ArtifactsBucketName": "artifacts",
            },
            {},
        )

    def fill(self, names: list[str]) -> None:
        role = "arn:aws:iam::123456789012:role/sagemaker"
        for name in names:
            self.sagemaker.create_model(
                ModelName=name, ExecutionRoleArn=role, PrimaryContainer={"Image": "image"}
            )
            variant = {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InstanceType": "ml.t2.medium",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": 1.0,
            }
            self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def left(self) -> dict[str, Any]:
        configs = self.sagemaker.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]
        return {
            "models": [each["ModelName"] for each in self.sagemaker.list_models()["Models"]],
            "configs": [each["EndpointConfigName"] for each in configs],
            "endpoints": [each["EndpointName"] for each in self.sagemaker.list_endpoints()["Endpoints"]],
            "objects": sum(
                len(page.get("Versions", [])) + len(page.get("DeleteMarkers", []))
                for bucket in ("uploads", "artifacts")
                for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
            ),
            "records": self.dynamodb.scan(TableName="releases")["Count"],
        }


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        made = Account()
        monkeypatch.setattr(stacks, "current", lambda _name: made.stack)
        yield made


def empty(*, yes: bool = True, prod: bool = False) -> int:
    return commands.empty(argparse.Namespace(stack="sluice-bank-dev", yes=yes, prod=prod))


def test_more_objects_than_one_request_takes_go_with_their_versions_and_markers(account: Account) -> None:
    for i in range(1_100):
        account.s3.put_object(Bucket="artifacts", Key=f"reports/{i}", Body=b"x")
    for body in (b"one", b"two"):
        account.s3.put_object(Bucket="uploads", Key="incoming/training/a.csv", Body=body)
    account.s3.delete_object(Bucket="uploads", Key="incoming/training/a.csv")
    assert account.left()["objects"] == 1_103

    assert empty() == 0

    assert account.left()["objects"] == 0
    for bucket in ("uploads", "artifacts"):
        account.s3.delete_bucket(Bucket=bucket)


def test_uploads_that_were_never_finished_are_aborted(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    for bucket, key in (("uploads", "incoming/training/a.csv"), ("uploads", "b"), ("artifacts", "c")):
        begun = account.s3.create_multipart_upload(Bucket=bucket, Key=key)
        account.s3.upload_part(Bucket=bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x")

    assert empty(yes=False) == 1
    assert "2 unfinished uploads to s3://uploads" in capsys.readouterr().err
    assert len(account.s3.list_multipart_uploads(Bucket="uploads")["Uploads"]) == 2

    assert empty() == 0

    for bucket in ("uploads", "artifacts"):
        assert not account.s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert empty() == 0
    assert "there is nothing to delete" in capsys.readouterr().err


def test_what_is_anothers_stays(account: Account) -> None:
    account.fill([*OURS, *THEIRS])
    account.sagemaker.create_endpoint(EndpointName="sluice-bank-dev", EndpointConfigName=OURS[0])
    account.sagemaker.create_endpoint(EndpointName="sluice-bank-dev-2", EndpointConfigName=THEIRS[0])
    for endpoint in ("sluice-bank-dev", "sluice-bank-prod"):
        for item in ("release", "lock"):
            account.dynamodb.put_item(
                TableName="releases", Item={"endpoint_name": {"S": endpoint}, "item": {"S": item}}
            )

    assert empty() == 0

    left = account.left()
    assert sorted(left["models"]) == sorted(THEIRS)
    assert sorted(left["configs"]) == sorted(THEIRS)
    assert left["endpoints"] == ["sluice-bank-dev-2"]
    assert left["records"] == 2


def test_without_yes_it_says_what_it_would_delete_and_deletes_nothing(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    account.fill(OURS)
    account.s3.put_object(Bucket="artifacts", Key="reports/1", Body=b"x" * 1_500_000)
    before = account.left()

    assert empty(yes=False) == 1

    assert account.left() == before
    told = capsys.readouterr().err
    for text in (
        "2 SageMaker models",
        "2 endpoint configurations",
        "1 object versions in s3://artifacts",
        "1.5 MB",
        "nothing was deleted; add --yes",
    ):
        assert text in told


@pytest.mark.usefixtures("account")
def test_where_nothing_is_left_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert empty() == 0
    assert "there is nothing to delete" in capsys.readouterr().err


def test_prod_wants_another_word(account: Account) -> None:
    account.stack.outputs["Environment"] = "prod"
    account.s3.put_object(Bucket="artifacts", Key="reports/1", Body=b"x")

    with pytest.raises(emptying.NotEmptied, match="this is a prod stack"):
        empty()
    assert account.left()["objects"] == 1

    assert empty(prod=True) == 0
    assert account.left()["objects"] == 0


def test_what_a_destroy_that_stopped_half_way_left_is_emptied_too(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pipeline's stack is gone, and the table; a bucket was not empty."""

    def current(name: str) -> Stack:
        if name != "sluice-bank-dev-data":
            raise stacks.NoStack("there is no such stack")
        return account.stack

    monkeypatch.setattr(stacks, "current", current)
    account.s3.put_object(Bucket="artifacts", Key="reports/1", Body=b"x")
    account.s3.delete_bucket(Bucket="uploads")
    account.dynamodb.delete_table(TableName="releases")

    assert empty() == 0

    assert "Versions" not in account.s3.list_object_versions(Bucket="artifacts")


def test_a_stack_that_is_not_the_pipelines_is_told_so(account: Account) -> None:
    del account.stack.outputs["EndpointName"]
    with pytest.raises(emptying.NotEmptied) as caught:
        empty()
    assert "the stack has no output EndpointName" in str(caught.value)
    assert "sluice-<project>-<environment>" in str(caught.value)
