"""AWS::SSM: parameters."""

from __future__ import annotations

from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType

_SETTINGS = ("Type", "Value", "Description", "AllowedPattern", "DataType", "Tier")


def _create(operation: Operation) -> Resource:
    name = operation.name("Name", longest=512)
    operation.call("ssm", "put_parameter", {"Name": name, **operation.pick(*_SETTINGS, "Tags")})
    return _parameter(operation, name)


def _update(operation: Operation) -> Resource:
    name = operation.physical_id
    settings = operation.pick(*_SETTINGS)
    operation.call("ssm", "put_parameter", {"Name": name, "Overwrite": True, **settings})
    identity = {"ResourceType": "Parameter", "ResourceId": name}
    operation.retag("ssm", identity, "add_tags_to_resource", "remove_tags_from_resource")
    return _parameter(operation, name)


def _parameter(operation: Operation, name: str) -> Resource:
    return Resource(name, {"Type": operation.properties["Type"], "Value": operation.properties["Value"]})


PARAMETER = ResourceType(
    name="AWS::SSM::Parameter",
    create=_create,
    update=_update,
    delete=lambda operation: operation.client("ssm").delete_parameter(Name=operation.physical_id),
    applied=frozenset({"Name", *_SETTINGS, "Tags"}),
    replacement=frozenset({"Name", "DataType"}),
    name_property="Name",
)

TYPES = (PARAMETER,)
