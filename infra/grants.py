"""What a role may do, as a declaration: actions on resources, for one service in this account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from sluice import naming


@dataclass(frozen=True)
class Grant:
    """Actions that a role may take on resources, given as ARNs."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any] | None = None

    def statement(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=list(self.actions),
            resources=list(self.resources),
            conditions=None if self.conditions is None else dict(self.conditions),
        )


def service_role(
    scope: Construct, construct_id: str, *, service: str, description: str, source_arn: str | None = None
) -> iam.Role:
    """Make a role that `service` may assume, for resources of this account alone, and that may do nothing yet.

    `source_arn` is the one resource it is for, where that has a name before it is there: a reference to it would
    make a circle, for it refers to its role.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
    """
    conditions: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
    if source_arn is not None:
        conditions["ArnLike"] = {"aws:SourceArn": source_arn}
    return iam.Role(
        scope,
        construct_id,
        assumed_by=iam.ServicePrincipal(
            f"{service}.amazonaws.com",
            conditions=conditions,
        ),
        description=description,
    )


def allow(role: iam.IRole, grants: Iterable[Grant]) -> None:
    for grant in grants:
        role.add_to_principal_policy(grant.statement())


def arn(service: str, resource: str, name: str, *, separator: str = "/") -> str:
    """Name a resource of this account and region."""
    aws = cdk.Aws
    return f"arn:{aws.PARTITION}:{service}:{aws.REGION}:{aws.ACCOUNT_ID}:{resource}{separator}{name}"


def machine_name(scope: Construct, name: str) -> str:
    """Name a state machine of the stack that `scope` is in, before it is there."""
    return f"{cdk.Stack.of(scope).stack_name}-{name.lower()}"


def jobs(resource: str, project: str, environment: str, *, suffixed: bool) -> str:
    """Name the SageMaker jobs, models or endpoint configurations of one project in one environment.

    The digits are as many `?`: after `*`, `bank` would match `bank-cards`, and a project `bank` in `prod` what a
    project `bank-prod` has in `dev`.
    """
    name = naming.job_prefix(project, environment) + "?" * naming.JOB_DIGITS
    return arn("sagemaker", resource, f"{name}-*" if suffixed else name)


def searches(project: str, environment: str) -> str:
    """Name the tuning jobs of one project in one environment."""
    name = naming.search_prefix(project, environment) + "?" * naming.JOB_DIGITS
    return arn("sagemaker", "hyper-parameter-tuning-job", name)
