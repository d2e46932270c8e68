"""AWS::ECR: image repositories. What is pushed to them lies in the image store (local.images)."""

from __future__ import annotations

import json

from local.cloudformation.boto_request import as_boolean
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType, names


def _create(operation: Operation) -> Resource:
    name = operation.name("RepositoryName", longest=256, lower=True)
    settings = operation.pick("ImageTagMutability", "ImageScanningConfiguration", "Tags")
    operation.call("ecr", "create_repository", {"RepositoryName": name, **settings})
    operation.exists(name)
    return _configure(operation, name)


def _update(operation: Operation) -> Resource:
    name = operation.physical_id
    if operation.changed("ImageTagMutability"):
        mutability = operation.properties.get("ImageTagMutability", "MUTABLE")
        operation.client("ecr").put_image_tag_mutability(repositoryName=name, imageTagMutability=mutability)
    if operation.changed("ImageScanningConfiguration"):
        scanning = operation.properties.get("ImageScanningConfiguration", {"ScanOnPush": False})
        operation.call(
            "ecr",
            "put_image_scanning_configuration",
            {"RepositoryName": name, "ImageScanningConfiguration": scanning},
        )
    repository = _configure(operation, name)
    operation.retag("ecr", {"ResourceArn": repository.attributes["Arn"]}, "tag_resource", "untag_resource")
    return repository


def _configure(operation: Operation, name: str) -> Resource:
    client = operation.client("ecr")
    if operation.changed("LifecyclePolicy"):
        text = operation.properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText")
        if text:
            client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
        else:
            client.delete_lifecycle_policy(repositoryName=name)
    if operation.changed("RepositoryPolicyText"):
        if "RepositoryPolicyText" in operation.properties:
            policy = operation.properties["RepositoryPolicyText"]
            text = policy if isinstance(policy, str) else json.dumps(policy)
            client.set_repository_policy(repositoryName=name, policyText=text)
        else:
            client.delete_repository_policy(repositoryName=name)
    repository = client.describe_repositories(repositoryNames=[name])["repositories"][0]
    return Resource(name, {"Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]})


def _delete(operation: Operation) -> None:
    force = as_boolean(operation.previous.get("EmptyOnDelete", False), "EmptyOnDelete")
    operation.client("ecr").delete_repository(repositoryName=operation.physical_id, force=force)


REPOSITORY = ResourceType(
    name="AWS::ECR::Repository",
    create=_create,
    update=_update,
    delete=_delete,
    applied=names(
        "RepositoryName ImageTagMutability ImageScanningConfiguration LifecyclePolicy.LifecyclePolicyText "
        "RepositoryPolicyText EmptyOnDelete Tags"
    ),
    no_effect={"EncryptionConfiguration": "images are folders in the state directory, not encrypted"},
    replacement=frozenset({"RepositoryName"}),
    name_property="RepositoryName",
)

TYPES = (REPOSITORY,)
