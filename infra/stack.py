"""The one stack of a project in an environment: composes the constructs, holds every grant between them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import bundle
from infra.config import DeployConfig
from infra.functions import Functions
from infra.images import Images
from infra.observability import Observability, Topics
from infra.pipeline import Pipeline, hyperparameters_literal
from infra.storage import Storage
from sluice.project import Project

_RETENTION = {
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
    365: logs.RetentionDays.ONE_YEAR,
}
# The rules through which Step Functions hears that a `.sync` task has ended; the service makes the names:
# https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
_TRAINING_EVENTS = "StepFunctionsGetEventsForSageMakerTrainingJobsRule"
_PROCESSING_EVENTS = "StepFunctionsGetEventsForSageMakerProcessingJobsRule"
_TRANSFORM_EVENTS = "StepFunctionsGetEventsForSageMakerTransformJobsRule"
_EXECUTION_EVENTS = "StepFunctionsGetEventsForStepFunctionsExecutionRule"


class PipelineStack(cdk.Stack):
    """`sluice-<project>-<environment>`. It names no account and no region: one template for any of them."""

    def __init__(
        self, scope: Construct, construct_id: str, *, config: DeployConfig, project: Project
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description=f"Sluice: {project.name}, {config.environment}",
            tags={"sluice:project": project.name, "sluice:environment": config.environment},
            termination_protection=config.keep_data,
        )
        log_removal = cdk.RemovalPolicy.RETAIN if config.keep_data else cdk.RemovalPolicy.DESTROY
        log_retention = _RETENTION[config.log_retention_days]
        self.project_name = project.name
        self.endpoint_name = construct_id
        self.storage = Storage(self, "Storage", keep_data=config.keep_data)
        self.functions = Functions(
            self,
            "Functions",
            bundle=bundle.build(config.project_folder, wheels=config.lambda_wheels),
            artifacts=self.storage.artifacts,
            log_retention=log_retention,
            log_removal=log_removal,
        )
        self.images = Images(
            self,
            "Images",
            project_folder=config.project_folder,
            model_image=project.model.image,
            require_native=config.require_native,
        )
        self.sagemaker_role = iam.Role(
            self,
            "SageMakerRole",
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
            description="What jobs and endpoints may do",
        )
        self.topics = Topics(
            self, "Topics", outcome_email=config.outcome_email, alarm_email=config.alarm_email
        )
        self.pipeline = Pipeline(
            self,
            "Pipeline",
            uploads=self.storage.uploads,
            substitutions=self._substitutions(config, project),
            log_retention=log_retention,
            log_removal=log_removal,
        )
        self.observability = Observability(
            self,
            "Observability",
            alarm_topic=self.topics.alarms,
            machines={
                "Intake": self.pipeline.intake,
                "Training": self.pipeline.training,
                "Deployment": self.pipeline.deployment,
            },
            functions=self.functions.all,
            undelivered=self.pipeline.undelivered,
            endpoint_name=self.endpoint_name,
        )
        self._grant_functions()
        self._grant_jobs()
        self._grant_upload_rule()
        self._grant_intake()
        self._grant_training()
        self._grant_deployment()
        self._outputs()

    def _substitutions(self, config: DeployConfig, project: Project) -> dict[str, str]:
        """What `${Name}` in the definitions stands for; a number lands inside `{% … %}`."""
        return {
            "ProjectName": project.name,
            "EndpointName": self.endpoint_name,
            "ArtifactsBucket": self.storage.artifacts.bucket_name,
            "ReleasesTable": self.storage.releases.table_name,
            "TopicArn": self.topics.outcomes.topic_arn,
            "SageMakerRoleArn": self.sagemaker_role.role_arn,
            "ProcessImageUri": self.images.process_uri,
            "TrainImageUri": self.images.train_uri,
            "ServeImageUri": self.images.serve_uri,
            "HasOwnImage": "false" if project.model.image is None else "true",
            "CodeUri": self.images.code_uri,
            "Hyperparameters": hyperparameters_literal(project.model.hyperparameters),
            "MaxRuntimeSeconds": str(project.model.max_runtime_seconds),
            "ProcessingInstanceType": config.processing_instance_type,
            "TrainingInstanceType": project.model.instance_type,
            "ServingInstanceType": project.serving.instance_type,
            "ServingInstanceCount": str(project.serving.instance_count),
            "PollSeconds": str(config.poll_seconds),
            **{f"{name}Arn": function.function_arn for name, function in self.functions.all.items()},
        }

    def _grant_functions(self) -> None:
        uploads, artifacts = self.storage.uploads, self.storage.artifacts
        for function in self.functions.all.values():
            _allow(
                function,
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                [function.log_group.log_group_arn],
            )
            # Without it S3 answers 403, not 404, for an object that is not there.
            _allow(function, ["s3:ListBucket"], [artifacts.bucket_arn])
        validate = self.functions.validate_dataset
        _allow(validate, ["s3:ListBucket", "s3:ListBucketVersions"], [uploads.bucket_arn])
        _allow(validate, ["s3:GetObject", "s3:GetObjectVersion"], [uploads.arn_for_objects("*")])
        _allow(
            validate,
            ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            [artifacts.arn_for_objects(f"{prefix}/*") for prefix in ("datasets", "quarantine", "reports")],
        )
        _allow(self.functions.decide_gate, ["s3:GetObject"], [artifacts.arn_for_objects("reports/*")])
        _allow(
            self.functions.report_outcome,
            ["s3:GetObject", "s3:PutObject"],
            [artifacts.arn_for_objects("reports/*")],
        )
        _allow(
            self.functions.report_outcome,
            ["s3:GetObject"],
            [artifacts.arn_for_objects("training-sets/*"), artifacts.arn_for_objects("quarantine/*")],
        )

    def _grant_jobs(self) -> None:
        """What the project's own code may do while it trains or serves."""
        role, artifacts, code = self.sagemaker_role, self.storage.artifacts, self.images.project_code
        _allow(role, ["s3:ListBucket"], [artifacts.bucket_arn])
        _allow(role, ["s3:GetObject"], [artifacts.arn_for_objects("*")])
        _allow(
            role,
            ["s3:PutObject", "s3:AbortMultipartUpload"],
            [artifacts.arn_for_objects(f"{prefix}/*") for prefix in ("training-sets", "models", "reports")],
        )
        _allow(role, ["s3:GetObject"], [code.bucket.arn_for_objects(code.s3_object_key)])
        _allow(
            role,
            ["s3:ListBucket"],
            [code.bucket.bucket_arn],
            conditions={"StringEquals": {"s3:prefix": code.s3_object_key}},
        )
        for repository in self.images.repositories:
            repository.grant_pull(role)
        _allow(
            role,
            [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            [self._arn("logs", "log-group", "/aws/sagemaker/*", separator=":")],
        )
        # PutMetricData knows no resources; the namespaces are those of SageMaker's instances.
        _allow(
            role,
            ["cloudwatch:PutMetricData"],
            ["*"],
            conditions={"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        )

    def _grant_upload_rule(self) -> None:
        _allow(self.pipeline.start_role, ["states:StartExecution"], [self.pipeline.intake.state_machine_arn])

    def _grant_intake(self) -> None:
        _allow(self.pipeline.intake, ["states:StartExecution"], [self.pipeline.training.state_machine_arn])

    def _grant_training(self) -> None:
        machine, deployment = self.pipeline.training, self.pipeline.deployment
        _allow(
            machine,
            ["lambda:InvokeFunction"],
            [function.function_arn for function in self.functions.all.values()],
        )
        _allow(machine, ["dynamodb:GetItem"], [self.storage.releases.table_arn])
        _allow(machine, ["sns:Publish"], [self.topics.outcomes.topic_arn])
        for kind, resource in (
            ("TrainingJob", "training-job"),
            ("ProcessingJob", "processing-job"),
            ("TransformJob", "transform-job"),
        ):
            _allow(
                machine,
                [
                    f"sagemaker:Create{kind}",
                    f"sagemaker:Describe{kind}",
                    f"sagemaker:Stop{kind}",
                    "sagemaker:AddTags",
                ],
                [self._arn("sagemaker", resource, f"{self.project_name}-*")],
            )
        _allow(
            machine, ["sagemaker:CreateModel"], [self._arn("sagemaker", "model", f"{self.project_name}-*")]
        )
        self._pass_sagemaker_role(machine)
        _allow(machine, ["states:StartExecution"], [deployment.state_machine_arn])
        _allow(
            machine,
            ["states:DescribeExecution", "states:StopExecution"],
            [self._arn("states", "execution", f"{deployment.state_machine_name}:*", separator=":")],
        )
        _allow(
            machine,
            ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
            [
                self._arn("events", "rule", rule)
                for rule in (_TRAINING_EVENTS, _PROCESSING_EVENTS, _TRANSFORM_EVENTS, _EXECUTION_EVENTS)
            ],
        )

    def _grant_deployment(self) -> None:
        machine = self.pipeline.deployment
        _allow(machine, ["dynamodb:UpdateItem"], [self.storage.releases.table_arn])
        model = self._arn("sagemaker", "model", f"{self.project_name}-*")
        endpoint_config = self._arn("sagemaker", "endpoint-config", f"{self.project_name}-*")
        endpoint = self._arn("sagemaker", "endpoint", self.endpoint_name)
        _allow(machine, ["sagemaker:CreateModel"], [model])
        _allow(machine, ["sagemaker:CreateEndpointConfig"], [endpoint_config])
        _allow(machine, ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"], [endpoint, endpoint_config])
        _allow(machine, ["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"], [endpoint])
        # ListEndpoints knows no resources.
        _allow(machine, ["sagemaker:ListEndpoints"], ["*"])
        self._pass_sagemaker_role(machine)

    def _pass_sagemaker_role(self, machine: iam.IGrantable) -> None:
        _allow(
            machine,
            ["iam:PassRole"],
            [self.sagemaker_role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )

    def _arn(self, service: str, resource: str, name: str, *, separator: str = "/") -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}{separator}{name}"

    def _outputs(self) -> None:
        for name, value in {
            "UploadsBucketName": self.storage.uploads.bucket_name,
            "ArtifactsBucketName": self.storage.artifacts.bucket_name,
            "ReleasesTableName": self.storage.releases.table_name,
            "IntakeArn": self.pipeline.intake.state_machine_arn,
            "TrainingArn": self.pipeline.training.state_machine_arn,
            "DeploymentArn": self.pipeline.deployment.state_machine_arn,
            "EndpointName": self.endpoint_name,
            "TopicArn": self.topics.outcomes.topic_arn,
            "AlarmTopicArn": self.topics.alarms.topic_arn,
        }.items():
            cdk.CfnOutput(self, name, value=value)


def _allow(
    grantee: iam.IGrantable,
    actions: list[str],
    resources: list[str],
    *,
    conditions: dict[str, object] | None = None,
) -> None:
    grantee.grant_principal.add_to_principal_policy(
        iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions)
    )
