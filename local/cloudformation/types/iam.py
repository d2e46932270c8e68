"""AWS::IAM: roles and policies. They are stored and answered; the local AWS enforces none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType, names


def _create_role(operation: Operation) -> Resource:
    name = operation.name("RoleName", longest=64)
    settings = operation.pick(
        "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Path", "PermissionsBoundary", "Tags"
    )
    role = operation.call("iam", "create_role", {"RoleName": name, **settings})["Role"]
    operation.exists(name)
    _attach(operation, name)
    return Resource(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})


def _update_role(operation: Operation) -> Resource:
    client, name = operation.client("iam"), operation.physical_id
    if operation.changed("AssumeRolePolicyDocument"):
        document = json.dumps(operation.properties["AssumeRolePolicyDocument"])
        client.update_assume_role_policy(RoleName=name, PolicyDocument=document)
    if operation.changed("Description", "MaxSessionDuration"):
        settings = {"Description": "", "MaxSessionDuration": 3600}
        settings |= operation.pick("Description", "MaxSessionDuration")
        operation.call("iam", "update_role", {"RoleName": name, **settings})
    if operation.changed("PermissionsBoundary"):
        if "PermissionsBoundary" in operation.properties:
            boundary = operation.properties["PermissionsBoundary"]
            client.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
        else:
            client.delete_role_permissions_boundary(RoleName=name)
    _attach(operation, name)
    operation.retag("iam", {"RoleName": name}, "tag_role", "untag_role")
    role = client.get_role(RoleName=name)["Role"]
    return Resource(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})


def _attach(operation: Operation, role: str) -> None:
    """Brings managed and inline policies from those of the deployed role to those of the template."""
    client = operation.client("iam")
    old = set(operation.previous.get("ManagedPolicyArns", []))
    new = set(operation.properties.get("ManagedPolicyArns", []))
    for arn in sorted(old - new):
        client.detach_role_policy(RoleName=role, PolicyArn=arn)
    for arn in sorted(new - old):
        client.attach_role_policy(RoleName=role, PolicyArn=arn)
    inline_old, inline_new = _inline(operation.previous), _inline(operation.properties)
    for policy in sorted(set(inline_old) - set(inline_new)):
        client.delete_role_policy(RoleName=role, PolicyName=policy)
    for policy, document in inline_new.items():
        client.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)


def _inline(properties: Mapping[str, Any]) -> dict[str, str]:
    return {
        policy["PolicyName"]: json.dumps(policy["PolicyDocument"])
        for policy in properties.get("Policies", [])
    }


def _delete_role(operation: Operation) -> None:
    client, name = operation.client("iam"), operation.physical_id
    for attached in client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        client.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
    for policy in client.list_role_policies(RoleName=name)["PolicyNames"]:
        client.delete_role_policy(RoleName=name, PolicyName=policy)
    client.delete_role(RoleName=name)


ROLE = ResourceType(
    name="AWS::IAM::Role",
    create=_create_role,
    update=_update_role,
    delete=_delete_role,
    applied=names(
        "RoleName AssumeRolePolicyDocument Description ManagedPolicyArns MaxSessionDuration Path "
        "PermissionsBoundary Policies Tags"
    ),
    replacement=frozenset({"RoleName", "Path"}),
    name_property="RoleName",
)


def _put_inline_policy(operation: Operation) -> Resource:
    client, name = operation.client("iam"), operation.properties["PolicyName"]
    document = json.dumps(operation.properties["PolicyDocument"])
    roles = operation.properties.get("Roles", [])
    for role in roles:
        client.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
    for role in set(operation.previous.get("Roles", [])) - set(roles):
        client.delete_role_policy(RoleName=role, PolicyName=name)
    return Resource(name)


def _delete_inline_policy(operation: Operation) -> None:
    client = operation.client("iam")
    for role in operation.previous.get("Roles", []):
        try:
            client.delete_role_policy(RoleName=role, PolicyName=operation.physical_id)
        except client.exceptions.NoSuchEntityException:
            continue  # the role went first and took its inline policies with it


INLINE_POLICY = ResourceType(
    name="AWS::IAM::Policy",
    create=_put_inline_policy,
    update=_put_inline_policy,
    delete=_delete_inline_policy,
    applied=frozenset({"PolicyName", "PolicyDocument", "Roles"}),
    replacement=frozenset({"PolicyName"}),
)


def _create_managed_policy(operation: Operation) -> Resource:
    name = operation.name("ManagedPolicyName", longest=128)
    settings = operation.pick("PolicyDocument", "Description", "Path")
    arn = operation.call("iam", "create_policy", {"PolicyName": name, **settings})["Policy"]["Arn"]
    operation.exists(arn)
    _attach_to_roles(operation, arn)
    return Resource(arn, {"PolicyArn": arn})


def _update_managed_policy(operation: Operation) -> Resource:
    client, arn = operation.client("iam"), operation.physical_id
    if operation.changed("PolicyDocument"):
        # IAM keeps at most five versions; CloudFormation, too, keeps only the one it sets.
        document = json.dumps(operation.properties["PolicyDocument"])
        client.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
        _delete_old_versions(client, arn)
    _attach_to_roles(operation, arn)
    return Resource(arn, {"PolicyArn": arn})


def _delete_old_versions(client: Any, arn: str) -> None:
    for version in client.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            client.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])


def _attach_to_roles(operation: Operation, arn: str) -> None:
    client = operation.client("iam")
    old, new = set(operation.previous.get("Roles", [])), set(operation.properties.get("Roles", []))
    for role in sorted(new - old):
        client.attach_role_policy(RoleName=role, PolicyArn=arn)
    for role in sorted(old - new):
        client.detach_role_policy(RoleName=role, PolicyArn=arn)


def _delete_managed_policy(operation: Operation) -> None:
    client, arn = operation.client("iam"), operation.physical_id
    for role in client.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]:
        client.detach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
    _delete_old_versions(client, arn)
    client.delete_policy(PolicyArn=arn)


MANAGED_POLICY = ResourceType(
    name="AWS::IAM::ManagedPolicy",
    create=_create_managed_policy,
    update=_update_managed_policy,
    delete=_delete_managed_policy,
    applied=frozenset({"ManagedPolicyName", "PolicyDocument", "Description", "Path", "Roles"}),
    replacement=frozenset({"ManagedPolicyName", "Description", "Path"}),
    name_property="ManagedPolicyName",
)

TYPES = (ROLE, INLINE_POLICY, MANAGED_POLICY)
