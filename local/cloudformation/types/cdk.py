"""AWS::CDK: the metadata resource the CDK adds to every stack."""

from __future__ import annotations

from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType


def _record(operation: Operation) -> Resource:
    return Resource(operation.physical_id or operation.name("Id"))


def _forget(_: Operation) -> None:
    """There is nothing to delete."""


METADATA = ResourceType(
    name="AWS::CDK::Metadata",
    create=_record,
    update=_record,
    delete=_forget,
    applied=frozenset(),
    no_effect={"Analytics": "it tells AWS which constructs a stack uses"},
)

TYPES = (METADATA,)
