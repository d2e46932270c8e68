"""The state machines, from statemachines/*.asl.json, and the rule that starts the first on an upload."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra import asl
from infra.build import ROOT
from sluice.errors import SluiceError

STATE_MACHINES = ROOT / "statemachines"
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


class DefinitionError(SluiceError):
    """A state machine's definition would not do what it says."""


class Pipeline(Construct):
    """`intake` → `training` → `deployment`, each with a role of its own that may do nothing yet."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        uploads: s3.IBucket,
        substitutions: Mapping[str, str],
        log_retention: logs.RetentionDays,
        log_removal: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self._log_retention = log_retention
        self._log_removal = log_removal
        self.deployment = self._machine("Deployment", substitutions)
        known = {**substitutions, "DeploymentArn": self.deployment.state_machine_arn}
        self.training = self._machine("Training", known)
        known["TrainingArn"] = self.training.state_machine_arn
        self.intake = self._machine("Intake", known)
        self._start_on_upload(uploads)

    def _machine(self, name: str, substitutions: Mapping[str, str]) -> sfn.StateMachine:
        text = definition(name)
        wanted = placeholders(text)
        stack = cdk.Stack.of(self).stack_name
        role = iam.Role(
            self,
            f"{name}Role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description=f"What the state machine {name} may do",
        )
        log_group = logs.LogGroup(
            self,
            f"{name}Logs",
            # Under /aws/vendedlogs/ all groups share one line of the account's log delivery policy, whose
            # length is limited: https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
            log_group_name=f"/aws/vendedlogs/states/{stack}-{name}",
            retention=self._log_retention,
            removal_policy=self._log_removal,
        )
        return sfn.StateMachine(
            self,
            name,
            state_machine_name=f"{stack}-{name.lower()}",
            definition_body=sfn.DefinitionBody.from_string(text),
            definition_substitutions={key: substitutions[key] for key in sorted(wanted)},
            role=role,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=True),
        )

    def _start_on_upload(self, uploads: s3.IBucket) -> None:
        # Every key, not only incoming/training/: ValidateDataset answers a misplaced upload with a report. A
        # filter here would drop it without a word.
        rule = events.Rule(
            self,
            "ObjectCreated",
            description="An upload starts the intake",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [uploads.bucket_name]}},
            ),
        )
        self.start_role = iam.Role(
            self,
            "ObjectCreatedRole",
            assumed_by=iam.ServicePrincipal("events.amazonaws.com"),
            description="Lets the rule for uploads start the intake",
        )
        self.undelivered = sqs.Queue(
            self,
            "UndeliveredUploads",
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=cdk.Duration.days(14),
        )
        rule.add_target(
            targets.SfnStateMachine(
                self.intake,
                role=self.start_role,
                input=events.RuleTargetInput.from_object(
                    {
                        "bucket": events.EventField.from_path("$.detail.bucket.name"),
                        "key": events.EventField.from_path("$.detail.object.key"),
                        "version_id": events.EventField.from_path("$.detail.object.version-id"),
                    }
                ),
                dead_letter_queue=self.undelivered,
                max_event_age=cdk.Duration.hours(24),
                retry_attempts=185,
            )
        )


def definition(name: str) -> str:
    """Read a machine's ASL and lint it: a dangling `Next` ends the synth, not an execution.

    Raises:
        DefinitionError: the linter found something.
    """
    path = STATE_MACHINES / f"{name.lower()}.asl.json"
    text = path.read_text()
    findings = asl.lint(json.loads(text))
    if findings:
        raise DefinitionError(
            f"{path.name} breaks the rules of infra/asl.py", where=str(path), why="; ".join(findings)
        )
    return text


def placeholders(text: str) -> set[str]:
    return set(_PLACEHOLDER.findall(text))


def hyperparameters_literal(hyperparameters: Mapping[str, Any]) -> str:
    """Write hyperparameters as `"{% ${Hyperparameters} %}"` in the ASL takes them: JSONata in a JSON string.

    SageMaker takes strings only, and `containers/train` reads each as JSON if it is JSON. So a string stays
    as it is, unless it would be read as something else: then it is quoted, as JSON like any other value.
    """
    strings = {
        name: value if isinstance(value, str) and not _looks_like_json(value) else json.dumps(value)
        for name, value in hyperparameters.items()
    }
    # A JSON object is a JSONata object literal; the outer dumps escapes it for the string it is put into.
    return json.dumps(json.dumps(strings))[1:-1]


def _looks_like_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return text in {"True", "False"}
    return True
