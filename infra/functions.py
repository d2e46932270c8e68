"""The Lambda functions: one per handler in lambdas/, all from one asset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct


@dataclass(frozen=True)
class _Size:
    memory_mb: int
    timeout_seconds: int
    scratch_mb: int = 512


# Memory buys processor time (1,769 MB is one core), so the small handlers get more than they fill.
_SIZES = {
    # Streams a file of any size: minutes and scratch space at Lambda's limits, and 3,008 MB because that is
    # the most a new account may ask for. The scratch space holds the Parquet file until its hash is known.
    "ValidateDataset": _Size(memory_mb=3008, timeout_seconds=900, scratch_mb=10240),
    "DecideGate": _Size(memory_mb=512, timeout_seconds=30),
    "ReportOutcome": _Size(memory_mb=512, timeout_seconds=60),
}


class Functions(Construct):
    """`ValidateDataset`, `DecideGate` and `ReportOutcome`, with roles that may do nothing yet."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bundle: Path,
        artifacts: s3.IBucket,
        log_retention: logs.RetentionDays,
        log_removal: cdk.RemovalPolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        code = lambda_.Code.from_asset(str(bundle), asset_hash=bundle.stem)
        self.all = {
            name: self._function(name, size, code, artifacts, log_retention, log_removal)
            for name, size in _SIZES.items()
        }
        self.validate_dataset = self.all["ValidateDataset"]
        self.decide_gate = self.all["DecideGate"]
        self.report_outcome = self.all["ReportOutcome"]

    def _function(
        self,
        name: str,
        size: _Size,
        code: lambda_.Code,
        artifacts: s3.IBucket,
        log_retention: logs.RetentionDays,
        log_removal: cdk.RemovalPolicy,
    ) -> lambda_.Function:
        log_group = logs.LogGroup(
            self,
            f"{name}Logs",
            log_group_name=f"/aws/lambda/{cdk.Stack.of(self).stack_name}-{name}",
            retention=log_retention,
            removal_policy=log_removal,
        )
        # A role of our own: the one CDK would make may write to every log group of the account.
        role = iam.Role(
            self,
            f"{name}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What the handler {name} may do",
        )
        return lambda_.Function(
            self,
            name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.X86_64,
            handler=f"lambdas.{snake_case(name)}.handler",
            code=code,
            role=role,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            memory_size=size.memory_mb,
            timeout=cdk.Duration.seconds(size.timeout_seconds),
            ephemeral_storage_size=cdk.Size.mebibytes(size.scratch_mb),
            environment={
                "ARTIFACTS_BUCKET": artifacts.bucket_name,
                "PROJECT_FILE": "project/project.toml",
            },
        )


def snake_case(name: str) -> str:
    """`ValidateDataset` as `validate_dataset`: a state's handler is the module of that name."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
