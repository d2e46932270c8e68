"""AWS::CloudWatch and AWS::Logs: alarms, dashboards and log groups."""

from __future__ import annotations

from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType
from local.cloudformation.service_type import Calls, Identity, Tagging, service_type

_ALARM_ARN = "arn:aws:cloudwatch:{region}:{account}:alarm:{id}"
_ALARM_IDENTITY = Identity("AlarmName", arn=_ALARM_ARN, attributes={"Arn": _ALARM_ARN}, longest=255)
_TAGGING = Tagging("ResourceARN", "tag_resource", "untag_resource")


def _put(operation: str, delete: str, delete_by: str) -> Calls:
    """CloudWatch creates and updates by the same operation."""
    return Calls("cloudwatch", operation, delete, delete_by, update=operation)


ALARM = service_type(
    "AWS::CloudWatch::Alarm",
    properties="ActionsEnabled AlarmActions AlarmDescription AlarmName ComparisonOperator DatapointsToAlarm "
    "Dimensions EvaluateLowSampleCountPercentile EvaluationPeriods ExtendedStatistic InsufficientDataActions "
    "MetricName Metrics Namespace OKActions Period Statistic Threshold ThresholdMetricId TreatMissingData Unit",
    calls=_put("put_metric_alarm", "delete_alarms", "AlarmNames"),
    identity=_ALARM_IDENTITY,
    tagging=_TAGGING,
)

COMPOSITE_ALARM = service_type(
    "AWS::CloudWatch::CompositeAlarm",
    properties="ActionsEnabled ActionsSuppressor ActionsSuppressorExtensionPeriod "
    "ActionsSuppressorWaitPeriod AlarmActions AlarmDescription AlarmName AlarmRule "
    "InsufficientDataActions OKActions",
    calls=_put("put_composite_alarm", "delete_alarms", "AlarmNames"),
    identity=_ALARM_IDENTITY,
    tagging=_TAGGING,
)

DASHBOARD = service_type(
    "AWS::CloudWatch::Dashboard",
    properties="DashboardBody DashboardName",
    calls=_put("put_dashboard", "delete_dashboards", "DashboardNames"),
    identity=Identity("DashboardName", arn="arn:aws:cloudwatch::{account}:dashboard/{id}", longest=255),
    no_effect={"Tags": "moto keeps no tags of dashboards"},
)


def _create_group(operation: Operation) -> Resource:
    name = operation.name("LogGroupName", longest=512)
    settings = operation.pick("KmsKeyId", "LogGroupClass", "Tags")
    operation.call("logs", "create_log_group", {"LogGroupName": name, **settings})
    operation.exists(name)
    return _retain(operation, name)


def _update_group(operation: Operation) -> Resource:
    group = _retain(operation, operation.physical_id)
    arn = group.attributes["Arn"].removesuffix(":*")
    operation.retag("logs", {"resourceArn": arn}, "tag_resource", "untag_resource")
    return group


def _retain(operation: Operation, name: str) -> Resource:
    if operation.changed("RetentionInDays"):
        if "RetentionInDays" in operation.properties:
            retention = operation.pick("RetentionInDays")
            operation.call("logs", "put_retention_policy", {"LogGroupName": name, **retention})
        else:
            operation.client("logs").delete_retention_policy(logGroupName=name)
    return Resource(name, {"Arn": operation.arn("logs", f"log-group:{name}:*")})


LOG_GROUP = ResourceType(
    name="AWS::Logs::LogGroup",
    create=_create_group,
    update=_update_group,
    delete=lambda operation: operation.client("logs").delete_log_group(logGroupName=operation.physical_id),
    applied=frozenset({"LogGroupName", "RetentionInDays", "KmsKeyId", "LogGroupClass", "Tags"}),
    replacement=frozenset({"LogGroupName", "KmsKeyId", "LogGroupClass"}),
    name_property="LogGroupName",
)

TYPES = (ALARM, COMPOSITE_ALARM, DASHBOARD, LOG_GROUP)
