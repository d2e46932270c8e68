"""AWS::DynamoDB: tables."""

from __future__ import annotations

from local.cloudformation.boto_request import as_boolean
from local.cloudformation.errors import ResourceFailed
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType

_CREATED_WITH = (
    "KeySchema",
    "AttributeDefinitions",
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "TableClass",
    "DeletionProtectionEnabled",
    "Tags",
)


def _create(operation: Operation) -> Resource:
    name = operation.name("TableName")
    arguments = {"TableName": name, **operation.pick(*_CREATED_WITH)}
    stream = operation.properties.get("StreamSpecification")
    if stream is not None:
        arguments["StreamSpecification"] = {"StreamEnabled": True, **stream}
    encryption = operation.properties.get("SSESpecification")
    if encryption is not None:
        arguments["SSESpecification"] = {
            "Enabled" if key == "SSEEnabled" else key: value for key, value in encryption.items()
        }
    operation.call("dynamodb", "create_table", arguments)
    operation.exists(name)
    operation.client("dynamodb").get_waiter("table_exists").wait(
        TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    _configure(operation, name)
    return _table(operation, name)


def _update(operation: Operation) -> Resource:
    name = operation.physical_id
    if operation.changed("GlobalSecondaryIndexes"):
        raise ResourceFailed(
            "GlobalSecondaryIndexes of an existing table cannot be changed in the local AWS: destroy, deploy"
        )
    changed = [
        key
        for key in ("BillingMode", "ProvisionedThroughput", "TableClass", "DeletionProtectionEnabled")
        if operation.changed(key) and key in operation.properties
    ]
    if changed:
        operation.call("dynamodb", "update_table", {"TableName": name, **operation.pick(*changed)})
    _configure(operation, name)
    table = _table(operation, name)
    operation.retag("dynamodb", {"ResourceArn": table.attributes["Arn"]}, "tag_resource", "untag_resource")
    return table


def _configure(operation: Operation, name: str) -> None:
    """Time to live and point-in-time recovery, which CreateTable does not take."""
    client = operation.client("dynamodb")
    if operation.changed("TimeToLiveSpecification"):
        wanted = operation.properties.get("TimeToLiveSpecification") or {
            **operation.previous["TimeToLiveSpecification"],
            "Enabled": False,
        }
        specification = {**wanted, "Enabled": as_boolean(wanted.get("Enabled", True), "Enabled")}
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)
    if operation.changed("PointInTimeRecoverySpecification"):
        recovery = operation.properties.get(
            "PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False}
        )
        operation.call(
            "dynamodb",
            "update_continuous_backups",
            {"TableName": name, "PointInTimeRecoverySpecification": recovery},
        )


def _table(operation: Operation, name: str) -> Resource:
    table = operation.client("dynamodb").describe_table(TableName=name)["Table"]
    attributes = {"Arn": table["TableArn"]}
    if "LatestStreamArn" in table:
        attributes["StreamArn"] = table["LatestStreamArn"]
    return Resource(name, attributes)


TABLE = ResourceType(
    name="AWS::DynamoDB::Table",
    create=_create,
    update=_update,
    delete=lambda operation: operation.client("dynamodb").delete_table(TableName=operation.physical_id),
    applied=frozenset(
        {
            "TableName",
            *_CREATED_WITH,
            "StreamSpecification",
            "SSESpecification",
            "TimeToLiveSpecification",
            "PointInTimeRecoverySpecification",
        }
    ),
    replacement=frozenset(
        {
            "TableName",
            "KeySchema",
            "AttributeDefinitions",
            "LocalSecondaryIndexes",
            "StreamSpecification",
            "SSESpecification",
        }
    ),
    name_property="TableName",
)

TYPES = (TABLE,)
