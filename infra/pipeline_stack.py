"""The stack of what can be made again: functions, images, roles, state machines, alarms. It holds all the outputs."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.api import Api
from infra.approvers import APPROVERS_OUTPUT, Approvers
from infra.config import DeployConfig
from infra.data_stack import DataStack
from infra.functions import Functions
from infra.grants import Grant, allow, arn, service_role
from infra.images import Images
from infra.machines import Machines
from infra.observability import Observability
from infra.offline import Offline
from infra.settings import machine_settings, tracking_settings
from infra.tracking import Tracking
from sluice import keys, naming
from sluice.features.plan import FeaturePlan
from sluice.project import Project


class PipelineStack(cdk.Stack):
    """`sluice-<project>-<environment>`. It names no account and no region: one template for any of them."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeployConfig,
        project: Project,
        plan: FeaturePlan | None,
        by_athena: FeaturePlan | None = None,
        data: DataStack,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"Sluice: {project.name}, {config.environment}",
            tags={"sluice:project": project.name, "sluice:environment": config.environment},
        )
        endpoint_name = naming.endpoint(project.name, config.environment)
        asks_for_approval = project.approval.expires_seconds(config.environment) is not None
        captures = project.capture.percent > 0
        self.tracking = Tracking.of(project, config, data)
        self.functions = Functions(
            self,
            "Functions",
            config=config,
            data=data,
            endpoint_name=endpoint_name,
            asks_for_approval=asks_for_approval,
            searches=project.search is not None,
            captures=captures,
            tracking=self.tracking,
            api=project.api,
        )
        self.images = Images(
            self,
            "Images",
            project_folder=config.project,
            plan=plan,
            model_image=project.model.image,
            require_native=config.profile.require_native,
        )
        self.sagemaker_role = self._sagemaker_role(data)
        allow(self.sagemaker_role, self.tracking.grants)
        if captures:
            captured = data.artifacts.arn_for_objects(f"{keys.captures(endpoint_name)}/*")
            allow(self.sagemaker_role, [Grant(("s3:PutObject",), (captured,))])
        self.offline = None
        if by_athena is not None:
            self.offline = Offline(
                self, "Offline", config=config, project=project, plan=by_athena, artifacts=data.artifacts
            )
            allow(self.sagemaker_role, self.offline.grants)
        self.machines = Machines(
            self,
            "Machines",
            config=config,
            project=project.name,
            data=data,
            functions=self.functions,
            images=self.images,
            sagemaker_role=self.sagemaker_role,
            refresh_minutes=project.online.refresh_minutes,
            drift_every=project.drift.every if captures else None,
            settings=machine_settings(
                config=config,
                project=project,
                data=data,
                images=self.images,
                sagemaker_role_arn=self.sagemaker_role.role_arn,
                functions=self.functions.version_arns,
                offline=self.offline.settings if self.offline else {},
                tracking=tracking_settings(project, config, plan) if self.tracking.uri else None,
            ),
        )
        self.approvers = (
            Approvers(self, "Approvers", data=data, machines=self.machines) if asks_for_approval else None
        )
        self.api = (
            Api(
                self,
                "Api",
                config=config,
                project=project,
                table=project.api,
                function=self.functions.all["AnswerRequest"],
            )
            if project.api is not None
            else None
        )
        self.observability = Observability(
            self,
            "Observability",
            alarm_topic=data.alarms,
            machines=self.machines.all,
            functions=self.functions.all,
            training_log_group=self.machines.training_log_group,
            undelivered=self.machines.undelivered,
            untold=self.machines.untold,
            endpoint_name=endpoint_name,
            captures=captures,
            online_store=naming.online_store(project.name, config.environment) if data.features else "",
            api_name=self.api.name if self.api else "",
        )
        for name, value in {
            "Project": project.name,
            "Environment": config.environment,
            "EndpointName": endpoint_name,
            "UploadsBucketName": data.uploads.bucket_name,
            "ArtifactsBucketName": data.artifacts.bucket_name,
            "ReleasesTableName": data.releases.table_name,
            "TopicArn": data.outcomes.topic_arn,
            "AlarmTopicArn": data.alarms.topic_arn,
            "IntakeArn": self.machines.intake.state_machine_arn,
            "EventsArn": self.machines.events.state_machine_arn,
            "BatchArn": self.machines.batch.state_machine_arn,
            **(
                {
                    "MaterializationArn": self.machines.materialization.state_machine_arn,
                    "MeasureSkewFunction": self.functions.all["MeasureSkew"].function_name,
                }
                if self.machines.materialization
                else {}
            ),
            **({"DriftArn": self.machines.drift.state_machine_arn} if self.machines.drift else {}),
            **({APPROVERS_OUTPUT: self.approvers.policy.managed_policy_arn} if self.approvers else {}),
            **({"ApiUrl": self.api.url} if self.api else {}),
            **({"ApiKeyId": self.api.key.ref} if self.api and self.api.key else {}),
            **(
                {"ApiCallersPolicyArn": self.api.callers.managed_policy_arn}
                if self.api and self.api.callers
                else {}
            ),
            **({"TrackingUri": self.tracking.uri} if self.tracking.uri else {}),
            "TrainingArn": self.machines.training.state_machine_arn,
            "DeploymentArn": self.machines.deployment.state_machine_arn,
        }.items():
            cdk.CfnOutput(self, name, value=value)

    def _sagemaker_role(self, data: DataStack) -> iam.Role:
        """What jobs and endpoints may do, and with them the project's own code."""
        role = service_role(
            self, "SageMakerRole", service="sagemaker", description="What jobs and endpoints may do"
        )
        artifacts = data.artifacts
        predictions = f"{keys.REPORTS}/*/predictions/*"
        if data.features:
            allow(role, [Grant(("dynamodb:BatchGetItem",), data.feature_arns)])
        allow(
            role,
            [
                Grant(("s3:ListBucket",), (artifacts.bucket_arn,)),
                Grant(
                    ("s3:GetObject",),
                    tuple(
                        map(
                            artifacts.arn_for_objects,
                            (
                                f"{keys.STORED}/*",
                                keys.parts("*"),
                                keys.manifest("*"),
                                f"{keys.TRAINING_SETS}/*",
                                f"{keys.MODELS}/*",
                                f"{keys.CHECKPOINTS}/*",
                                # What the project's own calls keep, and look for.
                                f"{keys.TRACKING}/*",
                                predictions,
                                keys.batch_rows("*", "*", ".*"),
                            ),
                        )
                    ),
                ),
                Grant(
                    ("s3:PutObject", "s3:AbortMultipartUpload"),
                    tuple(
                        map(
                            artifacts.arn_for_objects,
                            (
                                keys.train("*"),
                                keys.folder(keys.held_out("*")) + "/*",
                                keys.training_set("*"),
                                f"{keys.MODELS}/*",
                                f"{keys.SEARCHES}/*",
                                f"{keys.CHECKPOINTS}/*",
                                f"{keys.TRACKING}/*",
                                keys.evaluation("*"),
                                predictions,
                                keys.folder(keys.batch_answers("*", keys.batch_rows("*", "*", ""))) + "/*",
                            ),
                        )
                    ),
                ),
                Grant(
                    (
                        "logs:CreateLogGroup",
                        "logs:CreateLogStream",
                        "logs:DescribeLogStreams",
                        "logs:PutLogEvents",
                    ),
                    (arn("logs", "log-group", "/aws/sagemaker/*", separator=":"),),
                ),
                # SageMaker looks at the alarms of a deployment as this role.
                Grant(("cloudwatch:DescribeAlarms",), ("*",)),
                # PutMetricData knows no resources; the namespaces are those of SageMaker's instances.
                Grant(
                    ("cloudwatch:PutMetricData",),
                    ("*",),
                    {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
                ),
            ],
        )
        for repository in self.images.repositories:
            repository.grant_pull(role)
        return role
