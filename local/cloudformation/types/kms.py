"""AWS::KMS: keys and aliases."""

from __future__ import annotations

import json

from local.cloudformation.boto_request import as_boolean
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType, names


def _create_key(operation: Operation) -> Resource:
    settings = operation.pick("Description", "KeySpec", "KeyUsage", "MultiRegion")
    tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in operation.properties.get("Tags", [])]
    arguments = {"Policy": operation.properties["KeyPolicy"], "Tags": tags, **settings}
    metadata = operation.call("kms", "create_key", arguments)["KeyMetadata"]
    operation.exists(metadata["KeyId"])
    _rotate(operation, metadata["KeyId"])
    return Resource(metadata["KeyId"], {"Arn": metadata["Arn"], "KeyId": metadata["KeyId"]})


def _update_key(operation: Operation) -> Resource:
    client, key = operation.client("kms"), operation.physical_id
    policy = json.dumps(operation.properties["KeyPolicy"])
    client.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    client.update_key_description(KeyId=key, Description=operation.properties.get("Description", ""))
    _rotate(operation, key)
    return Resource(key, {"Arn": operation.arn("kms", f"key/{key}"), "KeyId": key})


def _rotate(operation: Operation, key: str) -> None:
    if not operation.changed("EnableKeyRotation"):
        return
    enabled = as_boolean(operation.properties.get("EnableKeyRotation", False), "EnableKeyRotation")
    client = operation.client("kms")
    (client.enable_key_rotation if enabled else client.disable_key_rotation)(KeyId=key)


def _delete_key(operation: Operation) -> None:
    days = int(operation.previous.get("PendingWindowInDays", 30))
    operation.client("kms").schedule_key_deletion(KeyId=operation.physical_id, PendingWindowInDays=days)


KEY = ResourceType(
    name="AWS::KMS::Key",
    create=_create_key,
    update=_update_key,
    delete=_delete_key,
    applied=names(
        "KeyPolicy Description EnableKeyRotation PendingWindowInDays KeySpec KeyUsage MultiRegion Tags"
    ),
    replacement=frozenset({"KeySpec", "KeyUsage", "MultiRegion", "Tags"}),
)


def _create_alias(operation: Operation) -> Resource:
    operation.call("kms", "create_alias", operation.pick("AliasName", "TargetKeyId"))
    return Resource(operation.properties["AliasName"])


def _update_alias(operation: Operation) -> Resource:
    operation.call("kms", "update_alias", operation.pick("AliasName", "TargetKeyId"))
    return Resource(operation.physical_id)


ALIAS = ResourceType(
    name="AWS::KMS::Alias",
    create=_create_alias,
    update=_update_alias,
    delete=lambda operation: operation.client("kms").delete_alias(AliasName=operation.physical_id),
    applied=frozenset({"AliasName", "TargetKeyId"}),
    replacement=frozenset({"AliasName"}),
    name_property="AliasName",
)

TYPES = (KEY, ALIAS)
