"""AWS::Events and AWS::Scheduler: rules with their targets, and schedules."""

from __future__ import annotations

from typing import Any

from local.cloudformation.errors import ResourceFailed
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType
from local.cloudformation.service_type import Calls, Identity, service_type

_RULE = ("Description", "EventBusName", "EventPattern", "RoleArn", "ScheduleExpression", "State")


def _create_rule(operation: Operation) -> Resource:
    name = operation.name("Name", longest=64)
    rule = operation.call("events", "put_rule", {"Name": name, **operation.pick(*_RULE, "Tags")})
    operation.exists(name)
    _put_targets(operation, name)
    return Resource(name, {"Arn": rule["RuleArn"]})


def _update_rule(operation: Operation) -> Resource:
    name = operation.physical_id
    rule = operation.call("events", "put_rule", {"Name": name, **operation.pick(*_RULE)})
    _put_targets(operation, name)
    operation.retag("events", {"ResourceARN": rule["RuleArn"]}, "tag_resource", "untag_resource")
    return Resource(name, {"Arn": rule["RuleArn"]})


def _put_targets(operation: Operation, rule: str) -> None:
    bus = operation.pick("EventBusName")
    targets: list[dict[str, Any]] = operation.properties.get("Targets", [])
    gone = {target["Id"] for target in operation.previous.get("Targets", [])}
    gone -= {target["Id"] for target in targets}
    if gone:
        operation.call("events", "remove_targets", {"Rule": rule, "Ids": sorted(gone), **bus})
    if targets:
        answer = operation.call("events", "put_targets", {"Rule": rule, "Targets": targets, **bus})
        if answer["FailedEntryCount"]:
            raise ResourceFailed(f"EventBridge refused targets of {rule}: {answer['FailedEntries']}")


def _delete_rule(operation: Operation) -> None:
    client, name = operation.client("events"), operation.physical_id
    bus = {key: operation.previous[key] for key in ("EventBusName",) if key in operation.previous}
    targets = client.list_targets_by_rule(Rule=name, **bus)["Targets"]
    if targets:
        client.remove_targets(Rule=name, Ids=[target["Id"] for target in targets], **bus)
    client.delete_rule(Name=name, **bus)


RULE = ResourceType(
    name="AWS::Events::Rule",
    create=_create_rule,
    update=_update_rule,
    delete=_delete_rule,
    applied=frozenset({"Name", "Targets", "Tags", *_RULE}),
    replacement=frozenset({"Name", "EventBusName"}),
    name_property="Name",
)

_SCHEDULE_ARN = "arn:aws:scheduler:{region}:{account}:schedule/default/{id}"

SCHEDULE = service_type(
    "AWS::Scheduler::Schedule",
    properties="Name Description EndDate FlexibleTimeWindow ScheduleExpression ScheduleExpressionTimezone "
    "StartDate State Target",
    calls=Calls("scheduler", "create_schedule", "delete_schedule", "Name", update="update_schedule"),
    identity=Identity("Name", arn=_SCHEDULE_ARN, attributes={"Arn": _SCHEDULE_ARN}, longest=64),
)

TYPES = (RULE, SCHEDULE)
