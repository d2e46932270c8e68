"""AWS::S3: buckets with their configuration, and bucket policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cloudformation.boto_request import as_boolean
from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType, names


def _create_bucket(operation: Operation) -> Resource:
    name = operation.name("BucketName", longest=63, lower=True)
    location = {} if operation.region == "us-east-1" else {"LocationConstraint": operation.region}
    configuration = {"CreateBucketConfiguration": location} if location else {}
    client = operation.client("s3")
    # S3 answers 200 to an owner's second CreateBucket in us-east-1; CloudFormation does not adopt a bucket.
    if name in (bucket["Name"] for bucket in client.list_buckets()["Buckets"]):
        raise client.exceptions.BucketAlreadyExists(
            {"Error": {"Code": "BucketAlreadyExists", "Message": f"{name} already exists"}}, "CreateBucket"
        )
    client.create_bucket(Bucket=name, **configuration)
    operation.exists(name)
    _configure_bucket(operation, name)
    return _bucket(operation, name)


def _update_bucket(operation: Operation) -> Resource:
    _configure_bucket(operation, operation.physical_id)
    return _bucket(operation, operation.physical_id)


def _bucket(operation: Operation, name: str) -> Resource:
    return Resource(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{operation.region}.amazonaws.com",
        },
    )


def _configure_bucket(operation: Operation, name: str) -> None:
    """Brings every changed part of the configuration to the template's; a removed part to its default."""
    client, wanted, bucket = operation.client("s3"), operation.properties, {"Bucket": name}
    if operation.changed("VersioningConfiguration"):
        status = wanted.get("VersioningConfiguration", {}).get("Status")
        if status or "VersioningConfiguration" in operation.previous:
            client.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": status or "Suspended"})
    if operation.changed("BucketEncryption"):
        if "BucketEncryption" in wanted:
            rules = [_encryption_rule(rule) for rule in _encryption(wanted)]
            client.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration={"Rules": rules})
        elif "BucketEncryption" in operation.previous:
            client.delete_bucket_encryption(**bucket)
    if operation.changed("PublicAccessBlockConfiguration"):
        if "PublicAccessBlockConfiguration" in wanted:
            configuration = operation.pick("PublicAccessBlockConfiguration")
            operation.call("s3", "put_public_access_block", {**bucket, **configuration})
        elif "PublicAccessBlockConfiguration" in operation.previous:
            client.delete_public_access_block(**bucket)
    if operation.changed("LifecycleConfiguration"):
        if "LifecycleConfiguration" in wanted:
            rules = [_lifecycle_rule(rule) for rule in wanted["LifecycleConfiguration"]["Rules"]]
            client.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": rules})
        elif "LifecycleConfiguration" in operation.previous:
            client.delete_bucket_lifecycle(**bucket)
    if operation.changed("NotificationConfiguration"):
        _configure_notifications(operation, name)
    if operation.changed("OwnershipControls") and "OwnershipControls" in wanted:
        operation.call(
            "s3", "put_bucket_ownership_controls", {**bucket, **operation.pick("OwnershipControls")}
        )
    if operation.changed("Tags"):
        if wanted.get("Tags"):
            client.put_bucket_tagging(**bucket, Tagging={"TagSet": wanted["Tags"]})
        elif operation.previous.get("Tags"):
            client.delete_bucket_tagging(**bucket)


def _configure_notifications(operation: Operation, name: str) -> None:
    wanted = operation.properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration")
    if wanted is None and "NotificationConfiguration" not in operation.previous:
        return
    enabled = wanted is not None and as_boolean(
        wanted.get("EventBridgeEnabled", True), "EventBridgeConfiguration.EventBridgeEnabled"
    )
    operation.client("s3").put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}} if enabled else {}
    )


def _encryption(properties: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rules: list[Mapping[str, Any]] = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return rules


def _encryption_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    converted = {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
    if "BucketKeyEnabled" in rule:
        converted["BucketKeyEnabled"] = as_boolean(rule["BucketKeyEnabled"], "BucketKeyEnabled")
    return converted


def _lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """CloudFormation flattens what the API nests, and spells the id differently."""
    converted: dict[str, Any] = {"Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "Id" in rule:
        converted["ID"] = rule["Id"]
    expiration: dict[str, Any] = {}
    if "ExpirationInDays" in rule:
        expiration["Days"] = int(rule["ExpirationInDays"])
    if "ExpiredObjectDeleteMarker" in rule:
        expiration["ExpiredObjectDeleteMarker"] = as_boolean(
            rule["ExpiredObjectDeleteMarker"], "ExpiredObjectDeleteMarker"
        )
    if expiration:
        converted["Expiration"] = expiration
    for nested in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if nested in rule:
            converted[nested] = {key: int(value) for key, value in rule[nested].items()}
    if "Transitions" in rule:
        converted["Transitions"] = [
            {"Days": int(transition["TransitionInDays"]), "StorageClass": transition["StorageClass"]}
            for transition in rule["Transitions"]
        ]
    return converted


_LIFECYCLE = names(
    "Id Status Prefix ExpirationInDays ExpiredObjectDeleteMarker NoncurrentVersionExpiration "
    "AbortIncompleteMultipartUpload Transitions.TransitionInDays Transitions.StorageClass"
)

BUCKET = ResourceType(
    name="AWS::S3::Bucket",
    create=_create_bucket,
    update=_update_bucket,
    delete=lambda operation: operation.client("s3").delete_bucket(Bucket=operation.physical_id),
    applied=names(
        "BucketName VersioningConfiguration.Status PublicAccessBlockConfiguration OwnershipControls Tags "
        "BucketEncryption.ServerSideEncryptionConfiguration.ServerSideEncryptionByDefault "
        "BucketEncryption.ServerSideEncryptionConfiguration.BucketKeyEnabled "
        "NotificationConfiguration.EventBridgeConfiguration.EventBridgeEnabled"
    )
    | {f"LifecycleConfiguration.Rules.{name}" for name in _LIFECYCLE},
    no_effect={
        "AccessControl": "there is one account, which owns everything; no ACL is evaluated",
        "LoggingConfiguration": "there are no server access logs",
    },
    replacement=frozenset({"BucketName"}),
    name_property="BucketName",
)


def _put_policy(operation: Operation) -> Resource:
    operation.call(
        "s3",
        "put_bucket_policy",
        {"Bucket": operation.properties["Bucket"], "Policy": operation.properties["PolicyDocument"]},
    )
    return Resource(operation.properties["Bucket"])


BUCKET_POLICY = ResourceType(
    name="AWS::S3::BucketPolicy",
    create=_put_policy,
    update=_put_policy,
    delete=lambda operation: operation.client("s3").delete_bucket_policy(Bucket=operation.physical_id),
    applied=frozenset({"Bucket", "PolicyDocument"}),
    replacement=frozenset({"Bucket"}),
)

TYPES = (BUCKET, BUCKET_POLICY)
