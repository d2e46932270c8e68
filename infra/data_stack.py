"""The stack of what cannot be made again: the buckets, the table of releases, the topics people subscribed to.

docs/decisions/0010 says why nothing in it is protected against deletion and nothing in it is lost.
"""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config import DeployConfig
from infra.grants import Grant, allow, arn, service_role
from sluice import keys, naming
from sluice.features.plan import FeaturePlan


class DataStack(cdk.Stack):
    """`uploads` tells EventBridge of every object; `artifacts` holds what the pipeline makes of them.

    `outcomes` gets one message for each training execution, `alarms` is for who runs the pipeline. Two topics, or a
    failed training would be told twice to the same people: as an outcome and as an alarm.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeployConfig,
        project: str,
        plan: FeaturePlan | None,
        expires_offline: bool = False,
        keeps_runs: bool = True,
        captures_days: int = 0,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"Sluice: the data of {project}, {config.environment}",
            tags={"sluice:project": project, "sluice:environment": config.environment},
        )
        self.project = project
        self._keep_data = config.profile.keep_data
        self.uploads = self._bucket("UploadsBucket", keep_old_versions_days=90)
        self.artifacts = self._bucket("ArtifactsBucket", keep_old_versions_days=30)
        # A job on spot instances may wait and run for 28 days.
        expiring = {keys.SEARCHES: 7, keys.CHECKPOINTS: 30, keys.BATCH_JOBS: 7} | (
            {keys.OFFLINE: 7} if expires_offline else {}
        )
        if captures_days:
            expiring[keys.CAPTURES] = captures_days
        for folder, days in expiring.items():
            self.artifacts.add_lifecycle_rule(
                prefix=f"{folder}/",
                expiration=cdk.Duration.days(days),
                noncurrent_version_expiration=cdk.Duration.days(1),
            )
        # Not `event_bridge_enabled=True`: that configures the bucket through a custom resource, one more
        # Lambda function with rights on every bucket's notifications, for a property CloudFormation has.
        uploads = cast("s3.CfnBucket", self.uploads.node.default_child)
        uploads.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )
        self.releases = self._releases()
        store = naming.online_store(project, config.environment)
        self.features = [self._view_table(store, view.name) for view in plan.views] if plan else []
        # Named, not referred to: the other stack's reference would be an export, which cannot go while that stack has
        # it, and so a view could never leave.
        self.feature_arns = tuple(
            arn("dynamodb", "table", naming.online_table(store, view.name))
            for view in (plan.views if plan else ())
        )
        self.tracking_arn = self._mlflow_app(config.environment).attr_arn if keeps_runs else None
        self.outcomes = self._topic("Outcomes", config.outcome_email)
        self.alarms = self._topic("Alarms", config.alarm_email)
        # `enforce_ssl` brings a topic policy, and that replaces the default one, which lets alarms publish.
        self.alarms.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsMayPublish",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.alarms.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
            )
        )

        # For `sluice empty`, which is wanted most where the pipeline's own stack is gone already.
        for name, value in {
            "Project": project,
            "Environment": config.environment,
            "EndpointName": naming.endpoint(project, config.environment),
            "UploadsBucketName": self.uploads.bucket_name,
            "ArtifactsBucketName": self.artifacts.bucket_name,
            "ReleasesTableName": self.releases.table_name,
        }.items():
            cdk.CfnOutput(self, name, value=value)

    @property
    def _removal(self) -> cdk.RemovalPolicy:
        return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if self._keep_data else cdk.RemovalPolicy.DESTROY

    def _releases(self) -> dynamodb.Table:
        """One item for each thing there is to know of an endpoint: `release`, `lock`; later history and approvals."""
        return dynamodb.Table(
            self,
            "ReleasesTable",
            partition_key=dynamodb.Attribute(name="endpoint_name", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="item", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=self._recovery(),
            removal_policy=self._removal,
        )

    def _mlflow_app(self, environment: str) -> sagemaker.CfnMlflowApp:
        """Keep runs and registered models; their files lie in the artifacts bucket."""
        role = service_role(
            self, "MlflowRole", service="sagemaker", description="What the MLflow app may do: its files"
        )
        files = self.artifacts.arn_for_objects(f"{keys.TRACKING}/*")
        allow(
            role,
            [
                Grant(("s3:ListBucket",), (self.artifacts.bucket_arn,)),
                Grant(
                    ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"), (files,)
                ),
            ],
        )
        app = sagemaker.CfnMlflowApp(
            self,
            "MlflowApp",
            name=naming.data_stack(self.project, environment),
            artifact_store_uri=naming.uri(self.artifacts.bucket_name, keys.TRACKING),
            role_arn=role.role_arn,
        )
        app.apply_removal_policy(self._removal)
        # The app looks for its bucket when it is made.
        app.node.add_dependency(role)
        return app

    def _view_table(self, store: str, view: str) -> dynamodb.Table:
        """A view's items under the name that Feast looks for them by. Of a view that is removed the table stays."""
        return dynamodb.Table(
            self,
            f"View{view}",
            table_name=naming.online_table(store, view),
            partition_key=dynamodb.Attribute(name="entity_id", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            point_in_time_recovery_specification=self._recovery(),
            removal_policy=self._removal,
        )

    def _recovery(self) -> dynamodb.PointInTimeRecoverySpecification | None:
        if not self._keep_data:
            return None
        return dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True)

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

    def _topic(self, name: str, email: str | None) -> sns.Topic:
        # Not encrypted with a key: alarms cannot publish under the AWS-managed one, and the messages hold
        # figures and S3 URIs, not rows.
        topic = sns.Topic(self, name, enforce_ssl=True)
        if email:
            topic.add_subscription(subscriptions.EmailSubscription(email))
        return topic
