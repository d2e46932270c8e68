"""`sluice empty`: takes away what executions made, which the stack does not know: `cdk destroy` can do the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from cli.progress import say, step
from cli.stack import Stack
from sluice import naming
from sluice.errors import SluiceError

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_MOST_AT_ONCE = 1_000


class NotEmptied(SluiceError):
    """Something could not be deleted, or is not to be without another word."""


@dataclass(frozen=True)
class Contents:
    """What there is to delete. Objects are counted by version, delete markers among them."""

    endpoint: str | None
    endpoint_configs: list[str]
    models: list[str]
    objects: dict[str, int]
    """How many, by bucket."""
    uploads: dict[str, int]
    """How many uploads in parts were begun and never finished, by bucket: their parts are paid for."""
    size: int
    """Of all objects, in bytes."""
    records: int
    """Items of the endpoint in the releases table."""

    def __bool__(self) -> bool:
        made = self.endpoint or self.endpoint_configs or self.models or self.records
        return bool(made or any(self.objects.values()) or any(self.uploads.values()))

    def lines(self) -> Iterator[str]:
        if self.endpoint:
            yield f"the endpoint {self.endpoint}"
        for names, what in (
            (self.endpoint_configs, "endpoint configurations"),
            (self.models, "SageMaker models"),
        ):
            if names:
                yield f"{len(names):,} {what}: {names[0]}{' …' if len(names) > 1 else ''}"
        if self.records:
            yield f"{self.records:,} records of the endpoint's releases"
        for bucket, count in self.objects.items():
            yield f"{count:,} object versions in s3://{bucket}"
        for bucket, count in self.uploads.items():
            if count:
                yield f"{count:,} unfinished uploads to s3://{bucket}"
        yield f"{self.size / 1e6:,.1f} MB in all"


class Deployment:
    """One deployed stack, and what its executions left in the account."""

    def __init__(self, stack: Stack) -> None:
        outputs = stack.outputs
        missing = {"Project", "Environment", "EndpointName", "ReleasesTableName"} - outputs.keys()
        if missing:
            raise NotEmptied(
                f"the stack has no output {', '.join(sorted(missing))}",
                where=f"its outputs: {', '.join(sorted(outputs))}",
                fix="name the pipeline's stack, sluice-<project>-<environment>",
            )
        self._endpoint = outputs["EndpointName"]
        self._table = outputs["ReleasesTableName"]
        self._buckets = (outputs["UploadsBucketName"], outputs["ArtifactsBucketName"])
        self._prefix = naming.job_prefix(outputs["Project"], outputs["Environment"])
        self._sagemaker = stack.client("sagemaker")
        self._s3 = stack.client("s3")
        self._dynamodb = stack.client("dynamodb")

    def contents(self) -> Contents:
        """Look for what there is to delete."""
        objects, size = dict.fromkeys(self._buckets, 0), 0
        for bucket in self._buckets:
            for version in self._versions(bucket):
                objects[bucket] += 1
                size += version.get("Size", 0)
        return Contents(
            endpoint=self._endpoint if self._has_endpoint() else None,
            endpoint_configs=list(
                self._named("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName")
            ),
            models=list(self._named("list_models", "Models", "ModelName")),
            objects=objects,
            uploads={bucket: sum(1 for _ in self._uploads(bucket)) for bucket in self._buckets},
            size=size,
            records=len(self._records()),
        )

    def delete(self, contents: Contents) -> None:
        """Delete it: the endpoint first, for what it serves with cannot go before it.

        Raises:
            NotEmptied: S3 refused to delete an object.
        """
        if contents.endpoint:
            with step(f"endpoint {contents.endpoint}"):
                self._sagemaker.delete_endpoint(EndpointName=contents.endpoint)
                self._sagemaker.get_waiter("endpoint_deleted").wait(
                    EndpointName=contents.endpoint, WaiterConfig={"Delay": 5, "MaxAttempts": 120}
                )
        if contents.endpoint_configs or contents.models:
            with step("endpoint configurations and models"):
                for name in contents.endpoint_configs:
                    self._sagemaker.delete_endpoint_config(EndpointConfigName=name)
                for name in contents.models:
                    self._sagemaker.delete_model(ModelName=name)
        if contents.records:
            with step("records of releases"):
                for key in self._records():
                    self._dynamodb.delete_item(TableName=self._table, Key=key)
        for bucket, count in contents.objects.items():
            if count:
                with step(f"s3://{bucket}"):
                    self._empty(bucket, count)
        for bucket, count in contents.uploads.items():
            if count:
                with step(f"unfinished uploads to s3://{bucket}"):
                    for each in list(self._uploads(bucket)):
                        self._s3.abort_multipart_upload(
                            Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"]
                        )

    def _has_endpoint(self) -> bool:
        try:
            self._sagemaker.describe_endpoint(EndpointName=self._endpoint)
        except ClientError as error:
            if "Could not find" in str(error) or error.response["Error"]["Code"] == "ResourceNotFound":
                return False
            raise
        return True

    def _named(self, operation: str, listing: str, field: str) -> Iterator[str]:
        # Sixteen digits and no more: `bank-prod-` begins what a project called bank-prod has in dev, too.
        ours = re.compile(re.escape(self._prefix) + f"[0-9a-f]{{{naming.JOB_DIGITS}}}")
        list_: Callable[..., Any] = getattr(self._sagemaker, operation)
        token: dict[str, str] = {}
        while True:
            page = list_(NameContains=self._prefix, MaxResults=100, **token)
            yield from (each[field] for each in page[listing] if ours.fullmatch(each[field]))
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _records(self) -> list[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="endpoint_name = :name",
            ExpressionAttributeValues={":name": {"S": self._endpoint}},
        )
        try:
            return [
                {"endpoint_name": item["endpoint_name"], "item": item["item"]}
                for page in pages
                for item in page["Items"]
            ]
        except self._dynamodb.exceptions.ResourceNotFoundException:
            return []  # a `cdk destroy` that stopped half-way has taken the table

    def _versions(self, bucket: str) -> Iterator[dict[str, Any]]:
        try:
            for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                yield from page.get("Versions", [])
                yield from page.get("DeleteMarkers", [])
        except self._s3.exceptions.NoSuchBucket:
            return  # and perhaps a bucket that was empty

    def _uploads(self, bucket: str) -> Iterator[dict[str, Any]]:
        try:
            for page in self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
                yield from page.get("Uploads", [])
        except self._s3.exceptions.NoSuchBucket:
            return

    def _empty(self, bucket: str, expected: int) -> None:
        done = 0
        # From the beginning each time: what a page said to go on from is gone.
        while some := list(islice(self._versions(bucket), _MOST_AT_ONCE)):
            objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in some]
            answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise NotEmptied(
                    f"{len(answer['Errors']):,} objects could not be deleted",
                    where=f"s3://{bucket}/{first['Key']}",
                    why=f"{first['Code']}: {first.get('Message', '')}",
                    fix="mend the permission it names and run the command again: it goes on where it stopped",
                )
            done += len(some)
            if expected > _MOST_AT_ONCE:
                say(f"    {done:,} of {expected:,} object versions of {bucket}")
