"""Log groups: how long they keep, and names that never meet those of a stack that was there before."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import DeployConfig

_RETENTION = {
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
    365: logs.RetentionDays.ONE_YEAR,
}


def log_group(scope: Construct, name: str, *, folder: str, config: DeployConfig) -> logs.LogGroup:
    """Make the log group of a function or a machine, `<folder>/<stack>-<name>-<eight digits of the stack's id>`.

    In `prod` it outlives the stack. A stack that is made again has another id, so its groups are not "already there".
    """
    stack = cdk.Stack.of(scope)
    stack_uuid = cdk.Fn.select(2, cdk.Fn.split("/", cdk.Aws.STACK_ID))
    digits = cdk.Fn.select(0, cdk.Fn.split("-", stack_uuid))
    return logs.LogGroup(
        scope,
        f"{name}Logs",
        log_group_name=f"{folder}/{stack.stack_name}-{name}-{digits}",
        retention=_RETENTION[config.profile.log_retention_days],
        removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
        if config.profile.keep_data
        else cdk.RemovalPolicy.DESTROY,
    )
