"""The one place that decides whether a resource, as written in a template, can be deployed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local.cloudformation.errors import TemplateError
from local.cloudformation.intrinsics import Scope
from local.cloudformation.resource_type import ResourceType
from local.cloudformation.types import (
    apigateway,
    cdk,
    dynamodb,
    ecr,
    events,
    iam,
    kms,
    lambda_,
    messaging,
    observability,
    s3,
    sagemaker,
    ssm,
    stepfunctions,
)

_MODULES = (
    apigateway,
    cdk,
    dynamodb,
    ecr,
    events,
    iam,
    kms,
    lambda_,
    messaging,
    observability,
    s3,
    sagemaker,
    ssm,
    stepfunctions,
)

TYPES: dict[str, ResourceType] = {
    resource_type.name: resource_type for module in _MODULES for resource_type in module.TYPES
}

# Attributes of a resource that say how CloudFormation handles it; all others change what a deployment does.
_RESOURCE_ATTRIBUTES = {
    "Condition",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdateReplacePolicy",
}

# What becomes of a resource when it is removed or replaced. Nothing that is deployed here has snapshots.
_POLICIES = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate"),
    "UpdateReplacePolicy": ("Delete", "Retain"),
}


def resource_type(logical_id: str, name: str) -> ResourceType:
    """The type called `name`; TemplateError, naming the resource, where there is none."""
    if name in TYPES:
        return TYPES[name]
    if name.startswith("Custom::") or name == "AWS::CloudFormation::CustomResource":
        raise TemplateError(
            f"{logical_id} is a custom resource ({name}), which the local AWS does not run. Use a construct "
            "that needs none, or the L1 construct's own property."
        )
    raise TemplateError(
        f"{logical_id} is of type {name}, which the local AWS cannot deploy. Types it can: "
        f"{', '.join(sorted(TYPES))}."
    )


def problems(logical_id: str, resource: Mapping[str, Any], scope: Scope) -> Iterator[str]:
    """Why `resource` cannot be deployed as it is written, one text per reason."""
    for attribute in sorted(set(resource) - _RESOURCE_ATTRIBUTES):
        yield f"{logical_id} ({resource.get('Type')}) has {attribute}, which the local AWS does not honour."
    for attribute, honoured in _POLICIES.items():
        policy = resource.get(attribute, "Delete")
        if policy not in honoured:
            yield (
                f"{logical_id} ({resource.get('Type')}) has {attribute} {policy}, which the local AWS does not "
                f"honour; it knows {', '.join(honoured)}."
            )
    try:
        found = resource_type(logical_id, resource["Type"])
    except TemplateError as error:
        yield str(error)
        return
    for path in found.unknown_properties(resource.get("Properties", {}), scope):
        yield (
            f"{logical_id} ({found.name}) has the property {path}, which the local AWS does not apply. "
            f"Remove it, or make it conditional on deploying to AWS."
        )
