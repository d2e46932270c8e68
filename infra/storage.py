"""Where data lies: the uploads and artifacts buckets and the table of releases."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct


class Storage(Construct):
    """`uploads` tells EventBridge of every object; `artifacts` holds what the pipeline makes of them."""

    def __init__(self, scope: Construct, construct_id: str, *, keep_data: bool) -> None:
        super().__init__(scope, construct_id)
        self._removal = cdk.RemovalPolicy.RETAIN if keep_data else cdk.RemovalPolicy.DESTROY
        self.uploads = self._bucket("UploadsBucket", keep_old_versions_days=90)
        self.artifacts = self._bucket("ArtifactsBucket", keep_old_versions_days=30)
        # Not `event_bridge_enabled=True`: that configures the bucket through a custom resource, one more
        # Lambda function with rights on every bucket's notifications, for a property CloudFormation has.
        uploads = cast("s3.CfnBucket", self.uploads.node.default_child)
        uploads.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )
        self.releases = dynamodb.Table(
            self,
            "ReleasesTable",
            partition_key=dynamodb.Attribute(name="endpoint_name", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            )
            if keep_data
            else None,
            deletion_protection=keep_data,
            removal_policy=self._removal,
        )

    def _bucket(self, construct_id: str, *, keep_old_versions_days: int) -> s3.Bucket:
        return s3.Bucket(
            self,
            construct_id,
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                    noncurrent_version_expiration=cdk.Duration.days(keep_old_versions_days),
                )
            ],
            removal_policy=self._removal,
        )
