"""The state machines, from statemachines/*.asl.yaml, with what each may call, and the rule that starts the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
import yaml
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.asl import lint, load
from infra.config import DeployConfig
from infra.data_stack import DataStack
from infra.functions import Functions
from infra.grants import Grant, allow, arn, jobs, machine_name, searches, service_role
from infra.images import Images
from infra.logs import log_group
from infra.settings import literal
from sluice import keys, naming
from sluice.errors import SluiceError

# The rules through which Step Functions hears that a `.sync` task has ended; the service makes the names:
# https://docs.aws.amazon.com/step-functions/latest/dg/connect-sagemaker.html
_SYNC_RULES = tuple(
    f"StepFunctionsGetEventsFor{kind}Rule"
    for kind in (
        "SageMakerTrainingJobs",
        "SageMakerTuningJobs",
        "SageMakerProcessingJobs",
        "SageMakerTransformJobs",
        "StepFunctionsExecution",
    )
)


DEPLOYMENTS_NAMESPACE = "Sluice/Deployments"
"""Of what became of deployments, counted by endpoint."""
BATCH_NAMESPACE = "Sluice/Batch"
"""Of the rows of files, predicted and set aside, by endpoint."""


class DefinitionError(SluiceError):
    """A state machine's definition would not do what it says."""


class Machines(Construct):
    """`intake` → `batch` | `events` | `training` → `deployment`.

    Where there are features, `events` and `training` start `materialization`.

    `drift` stands by itself, where traffic is captured: `drift_every` is an hour or a day, or "never" by a schedule.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeployConfig,
        project: str,
        data: DataStack,
        functions: Functions,
        images: Images,
        sagemaker_role: iam.IRole,
        refresh_minutes: int,
        drift_every: str | None,
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self._settings = settings
        self._log_groups: dict[str, logs.LogGroup] = {}
        self._names = (project, config.environment)
        pass_role = Grant(
            ("iam:PassRole",),
            (sagemaker_role.role_arn,),
            {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )
        self.deployment = self._machine("Deployment", {}, [*self._deployment(data, functions), pass_role])
        self._reconcile_hourly(self.deployment)
        self.materialization = self._materialization(functions) if data.features else None
        self.drift = None if drift_every is None else self._drift(data, functions, drift_every)
        after_it = {"deployment": self.deployment}
        if self.materialization is not None:
            after_it["materialization"] = self.materialization
        self.training = self._machine(
            "Training",
            {name: machine.state_machine_arn for name, machine in after_it.items()},
            [*self._training(data, functions, images, list(after_it.values())), pass_role],
        )
        self.events = self._machine("Events", {}, self._events(data, functions))
        self.batch = self._machine("Batch", {}, self._batch(data, functions))
        started = {
            "training": self.training.state_machine_arn,
            "events": self.events.state_machine_arn,
            "batch": self.batch.state_machine_arn,
        }
        if self.materialization is not None:
            self._keep_store_up(self.materialization, functions, refresh_minutes)
        self.intake = self._machine(
            "Intake", started, [Grant(("states:StartExecution",), tuple(started.values()))]
        )
        self.undelivered = self._start_on_upload(data.uploads)
        self.untold = self._report_endings(functions.all["ReportEnding"])

    @property
    def training_log_group(self) -> str:
        return self._log_groups["Training"].log_group_name

    @property
    def all(self) -> dict[str, sfn.StateMachine]:
        machines = {
            "Intake": self.intake,
            "Events": self.events,
            "Batch": self.batch,
            "Training": self.training,
            "Deployment": self.deployment,
        }
        machines |= {"Materialization": self.materialization} if self.materialization else {}
        return machines | ({"Drift": self.drift} if self.drift else {})

    def _machine(self, name: str, machines: Mapping[str, str], grants: Sequence[Grant]) -> sfn.StateMachine:
        role = service_role(
            self,
            f"{name}Role",
            service="states",
            description=f"What the state machine {name} may do",
            source_arn=arn("states", "stateMachine", machine_name(self, name), separator=":"),
        )
        allow(role, grants)
        # Under /aws/vendedlogs/ all groups share one line of the account's log delivery policy, whose
        # length is limited: https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
        group = log_group(self, name, folder="/aws/vendedlogs/states", config=self._config)
        self._log_groups[name] = group
        return sfn.StateMachine(
            self,
            name,
            state_machine_name=machine_name(self, name),
            definition_body=sfn.DefinitionBody.from_string(definition(name.lower())),
            definition_substitutions={
                "Partition": cdk.Aws.PARTITION,
                "Settings": literal({**self._settings, "machines": machines}),
            },
            role=role,
            logs=sfn.LogOptions(destination=group, level=sfn.LogLevel.ALL, include_execution_data=True),
        )

    def _events(self, data: DataStack, functions: Functions) -> list[Grant]:
        called = (functions.states[name] for name in ("ValidateDataset", "ReportOutcome"))
        return [
            # Any version: an execution that began before a redeploy goes on calling the older ones.
            Grant(("lambda:InvokeFunction",), tuple(f"{each.function_arn}:*" for each in called)),
            Grant(("sns:Publish",), (data.outcomes.topic_arn,)),
        ]

    def _batch(self, data: DataStack, functions: Functions) -> list[Grant]:
        called = (functions.states[name] for name in ("PrepareBatch", "JoinPredictions", "ReportOutcome"))
        return [
            Grant(("dynamodb:GetItem",), (data.releases.table_arn,)),
            # Any version: an execution that began before a redeploy goes on calling the older ones.
            Grant(("lambda:InvokeFunction",), tuple(f"{each.function_arn}:*" for each in called)),
            # The job runs as the model's own role: none is passed.
            _job("TransformJob", jobs("transform-job", *self._names, suffixed=True)),
            _hearing_of_jobs(),
            Grant(
                ("cloudwatch:PutMetricData",),
                ("*",),
                {"StringEquals": {"cloudwatch:namespace": BATCH_NAMESPACE}},
            ),
            Grant(("sns:Publish",), (data.outcomes.topic_arn,)),
        ]

    def _materialization(self, functions: Functions) -> sfn.StateMachine:
        states = ("PlanMaterialization", "MaterializeView", "MeasureSkew")
        called = (functions.states[name] for name in states)
        return self._machine(
            "Materialization",
            {},
            [Grant(("lambda:InvokeFunction",), tuple(f"{each.function_arn}:*" for each in called))],
        )

    def _drift(self, data: DataStack, functions: Functions, every: str) -> sfn.StateMachine:
        called = (functions.states[name] for name in ("PlanDrift", "CountCaptures", "JudgeDrift"))
        locked = tuple(f"dynamodb:{verb}Item" for verb in ("Get", "Update", "Delete"))
        machine = self._machine(
            "Drift",
            {},
            [
                # Any version: an execution that began before a redeploy goes on calling the older ones.
                Grant(("lambda:InvokeFunction",), tuple(f"{each.function_arn}:*" for each in called)),
                Grant(locked, (data.releases.table_arn,)),
                # Of the holder of the lock: another run.
                Grant(
                    ("states:DescribeExecution",),
                    (arn("states", "execution", f"{machine_name(self, 'Drift')}:*", separator=":"),),
                ),
            ],
        )
        if every != "never":
            role = service_role(
                self, "DriftRuleRole", service="events", description="Lets the rule look at captured traffic"
            )
            allow(role, [Grant(("states:StartExecution",), (machine.state_machine_arn,))])
            hours = cdk.Duration.hours(1) if every == "hour" else cdk.Duration.days(1)
            events.Rule(
                self,
                "DriftDue",
                description="Captured traffic is held against what the model was judged on",
                schedule=events.Schedule.rate(hours),
                targets=[
                    targets.SfnStateMachine(
                        machine, role=role, input=events.RuleTargetInput.from_object({}), retry_attempts=3
                    )
                ],
            )
        return machine

    def _reconcile_hourly(self, machine: sfn.StateMachine) -> None:
        """Hold the release record against what serves: a deployment that ended between the two told nobody."""
        role = service_role(
            self, "ReconciliationRole", service="events", description="Lets the rule start the reconciliation"
        )
        allow(role, [Grant(("states:StartExecution",), (machine.state_machine_arn,))])
        events.Rule(
            self,
            "ReconciliationDue",
            description="The release record is held against what the endpoint serves",
            schedule=events.Schedule.rate(cdk.Duration.hours(1)),
            targets=[
                targets.SfnStateMachine(
                    machine,
                    role=role,
                    input=events.RuleTargetInput.from_object({"reconcile": True}),
                    retry_attempts=3,
                )
            ],
        )

    def _keep_store_up(self, machine: sfn.StateMachine, functions: Functions, refresh_minutes: int) -> None:
        """Write the online store where no training does it, and on a schedule: windows move on by themselves."""
        role = service_role(
            self,
            "MaterializationRuleRole",
            service="events",
            description="Lets rules start the materialization",
        )
        allow(role, [Grant(("states:StartExecution",), (machine.state_machine_arn,))])
        target = targets.SfnStateMachine(
            machine, role=role, input=events.RuleTargetInput.from_object({}), retry_attempts=10
        )
        events.Rule(
            self,
            "TableMoved",
            description="Events were appended, or a training was stopped, maybe before it started a materialization",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "$or": [
                        {
                            "stateMachineArn": [self.events.state_machine_arn],
                            "status": ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"],
                        },
                        # One that goes on starts its own once it has moved the table, and tells where it cannot.
                        {
                            "stateMachineArn": [self.training.state_machine_arn],
                            "status": ["ABORTED", "TIMED_OUT"],
                        },
                    ]
                },
            ),
            targets=[target],
        )
        if refresh_minutes:
            events.Rule(
                self,
                "Refresh",
                description="Windows move on without new events",
                schedule=events.Schedule.rate(cdk.Duration.minutes(refresh_minutes)),
                targets=[target],
            )
        events.Rule(
            self,
            "SkewDue",
            description="The online store is held against the dataset",
            schedule=events.Schedule.rate(cdk.Duration.hours(6)),
            targets=[targets.LambdaFunction(functions.all["MeasureSkew"], retry_attempts=3)],
        )

    def _training(
        self, data: DataStack, functions: Functions, images: Images, started: Sequence[sfn.StateMachine]
    ) -> list[Grant]:
        code, artifacts = images.project_code, data.artifacts
        called = [
            name
            for name in (
                *(
                    "ValidateDataset",
                    "OpenRun",
                    "DecideGate",
                    "RegisterModel",
                    "RequestApproval",
                    "ReportOutcome",
                ),
            )
            if name in functions.states
        ]
        executions = {
            machine: arn("states", "execution", f"{machine.state_machine_name}:*", separator=":")
            for machine in started
        }
        grants = [
            Grant(("s3:GetObject",), (code.bucket.arn_for_objects(code.s3_object_key),)),
            Grant(("s3:PutObject",), (artifacts.arn_for_objects(keys.code("*")),)),
            *_archives(data),
            # Any version: an execution that began before a redeploy goes on calling the older ones.
            Grant(
                ("lambda:InvokeFunction",),
                tuple(f"{functions.states[name].function_arn}:*" for name in called),
            ),
            Grant(("dynamodb:GetItem",), (data.releases.table_arn,)),
            Grant(("sns:Publish",), (data.outcomes.topic_arn,)),
        ]
        for kind, resource in (
            ("TrainingJob", "training-job"),
            ("ProcessingJob", "processing-job"),
            ("TransformJob", "transform-job"),
        ):
            grants.append(_job(kind, jobs(resource, *self._names, suffixed=True)))
        return [
            *grants,
            Grant(
                (
                    "sagemaker:CreateHyperParameterTuningJob",
                    "sagemaker:DescribeHyperParameterTuningJob",
                    "sagemaker:StopHyperParameterTuningJob",
                    "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
                    "sagemaker:AddTags",
                    "sagemaker:ListTags",
                ),
                (searches(*self._names),),
            ),
            Grant(
                ("sagemaker:CreateModel", "sagemaker:DescribeModel", "sagemaker:AddTags"),
                (jobs("model", *self._names, suffixed=False),),
            ),
            Grant(("states:StartExecution",), tuple(machine.state_machine_arn for machine in started)),
            Grant(("states:DescribeExecution",), tuple(executions.values())),
            # A training that is stopped takes its deployment along, and leaves the store to be written.
            Grant(("states:StopExecution",), (executions[self.deployment],)),
            _hearing_of_jobs(),
        ]

    def _deployment(self, data: DataStack, functions: Functions) -> list[Grant]:
        called = [functions.states[each] for each in ("VerifyModel", "MoveAlias") if each in functions.states]
        model = jobs("model", *self._names, suffixed=False)
        endpoint_config = jobs("endpoint-config", *self._names, suffixed=False)
        endpoint = arn("sagemaker", "endpoint", naming.endpoint(*self._names))
        changed = tuple(f"dynamodb:{verb}Item" for verb in ("Get", "Update", "Put", "Delete"))
        return [
            Grant(changed, (data.releases.table_arn,)),
            *_archives(data),
            Grant(("sagemaker:CreateModel", "sagemaker:DescribeModel"), (model,)),
            Grant(("sagemaker:CreateEndpointConfig", "sagemaker:DescribeEndpointConfig"), (endpoint_config,)),
            # To create with tags is to add tags.
            Grant(("sagemaker:AddTags",), (model, endpoint_config, endpoint)),
            Grant(("sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"), (endpoint, endpoint_config)),
            Grant(("sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"), (endpoint,)),
            # ListEndpoints knows no resources.
            Grant(("sagemaker:ListEndpoints",), ("*",)),
            Grant(("logs:PutRetentionPolicy",), self._endpoint_log_group()),
            # Of the holder of the lock: another deployment.
            Grant(
                ("states:DescribeExecution",),
                (arn("states", "execution", f"{machine_name(self, 'Deployment')}:*", separator=":"),),
            ),
            Grant(("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"), (self._deployment_alarms(),)),
            # Neither a list of alarms nor metrics know resources.
            Grant(("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"), ("*",)),
            Grant(
                ("cloudwatch:PutMetricData",),
                ("*",),
                {"StringEquals": {"cloudwatch:namespace": DEPLOYMENTS_NAMESPACE}},
            ),
            Grant(("lambda:InvokeFunction",), tuple(f"{each.function_arn}:*" for each in called)),
        ]

    def _deployment_alarms(self) -> str:
        """Name the alarms that stand while a model of this project in this environment is deployed."""
        name = f"{naming.deployment_alarms(*self._names)}{'?' * naming.JOB_DIGITS}-*"
        return arn("cloudwatch", "alarm", name, separator=":")

    def _endpoint_log_group(self) -> tuple[str, str]:
        """Name the group in both forms: the reference has it bare, and Logs checks many an action against `:*`."""
        name = f"/aws/sagemaker/Endpoints/{naming.endpoint(*self._names)}"
        return arn("logs", "log-group", name, separator=":"), arn(
            "logs", "log-group", f"{name}:*", separator=":"
        )

    def _start_on_upload(self, uploads: s3.IBucket) -> sqs.Queue:
        """Start the intake on every object; give the queue of the events that could not be delivered."""
        # Every key, not only incoming/training/: ValidateDataset answers a misplaced upload with a report. A
        # filter here would drop it without a word. What a console or a tool makes of a folder (a key that ends in a
        # slash, no bytes) is no upload.
        rule = events.Rule(
            self,
            "ObjectCreated",
            description="An upload starts the intake",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [uploads.bucket_name]},
                    "$or": [
                        {"object": {"key": [{"anything-but": {"suffix": "/"}}]}},
                        {"object": {"size": [{"numeric": [">", 0]}]}},
                    ],
                },
            ),
        )
        role = service_role(
            self,
            "ObjectCreatedRole",
            service="events",
            description="Lets the rule for uploads start the intake",
        )
        allow(role, [Grant(("states:StartExecution",), (self.intake.state_machine_arn,))])
        undelivered = self._queue("UndeliveredUploads")
        rule.add_target(
            targets.SfnStateMachine(
                self.intake,
                role=role,
                input=events.RuleTargetInput.from_object(
                    {
                        "bucket": events.EventField.from_path("$.detail.bucket.name"),
                        "key": events.EventField.from_path("$.detail.object.key"),
                        "version_id": events.EventField.from_path("$.detail.object.version-id"),
                    }
                ),
                dead_letter_queue=undelivered,
                max_event_age=cdk.Duration.hours(24),
                retry_attempts=185,
            )
        )
        return undelivered

    def _report_endings(self, function: lambda_.IFunction) -> sqs.Queue:
        """Tell of the ends that a machine cannot tell of itself; give the queue of the events that were lost."""
        rule = events.Rule(
            self,
            "EndedUntold",
            description="An execution that ended badly is told of, if it could not do so itself",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "stateMachineArn": [
                        self.intake.state_machine_arn,
                        self.events.state_machine_arn,
                        self.batch.state_machine_arn,
                        self.training.state_machine_arn,
                    ],
                    # FAILED as well: some errors no Catch takes, such as States.DataLimitExceeded.
                    "status": ["ABORTED", "TIMED_OUT", "FAILED"],
                },
            ),
        )
        undelivered = self._queue("UndeliveredEndings")
        rule.add_target(
            targets.LambdaFunction(
                function,
                dead_letter_queue=undelivered,
                max_event_age=cdk.Duration.hours(24),
                retry_attempts=185,
            )
        )
        return undelivered

    def _queue(self, name: str) -> sqs.Queue:
        return sqs.Queue(
            self,
            name,
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=cdk.Duration.days(14),
        )


def _job(kind: str, resource: str) -> Grant:
    """Let a machine run jobs of a kind with `.sync`."""
    return Grant(
        (
            f"sagemaker:Create{kind}",
            f"sagemaker:Describe{kind}",
            f"sagemaker:Stop{kind}",
            # A .sync job gets a tag of the service's own.
            "sagemaker:AddTags",
            "sagemaker:ListTags",
        ),
        (resource,),
    )


def _hearing_of_jobs() -> Grant:
    return Grant(
        ("events:PutTargets", "events:PutRule", "events:DescribeRule"),
        tuple(arn("events", "rule", rule) for rule in _SYNC_RULES),
    )


def _archives(data: DataStack) -> tuple[Grant, Grant]:
    """Let a role look which object an archive is; without ListBucket S3 answers 403, not 404, where there is none."""
    return (
        Grant(("s3:ListBucket",), (data.artifacts.bucket_arn,)),
        Grant(("s3:GetObject",), (data.artifacts.arn_for_objects(keys.model("*")),)),
    )


def definition(name: str) -> str:
    """Read a machine and lint it: a dangling `Next` ends the synth, not an execution.

    Raises:
        DefinitionError: it is no YAML, or the linter found something.
    """
    file = load.MACHINES / f"{name}.asl.yaml"
    try:
        machine = load.load(file)
    except (yaml.YAMLError, ValueError) as error:
        raise DefinitionError(f"{file.name} cannot be read", where=str(file), why=str(error)) from error
    findings = lint.lint(machine)
    if findings:
        raise DefinitionError(
            f"{file.name} breaks the rules of infra/asl/lint.py", where=str(file), why="; ".join(findings)
        )
    return load.text(machine)
