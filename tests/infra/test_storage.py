from __future__ import annotations

import pytest

from tests.infra.conftest import Synthesized

BUCKETS = ["Storage/UploadsBucket", "Storage/ArtifactsBucket"]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_versioned_encrypted_and_private(prod: Synthesized, bucket: str) -> None:
    properties = prod.properties(bucket)
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert len(properties["PublicAccessBlockConfiguration"]) == 4


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_refuse_what_is_not_tls(prod: Synthesized, bucket: str) -> None:
    statements = prod.properties(f"{bucket}/Policy")["PolicyDocument"]["Statement"]
    denials = [
        each
        for each in statements
        if each["Effect"] == "Deny" and each["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert [each["Action"] for each in denials] == ["s3:*"]


def test_uploads_tell_eventbridge(prod: Synthesized) -> None:
    assert prod.properties("Storage/UploadsBucket")["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }


def test_no_custom_resource_is_needed(prod: Synthesized) -> None:
    types = {each["Type"] for each in prod.template["Resources"].values()}
    assert not {each for each in types if each.startswith("Custom::")}


def test_data_outlives_the_stack_in_prod_alone(prod: Synthesized, local: Synthesized) -> None:
    for path in [*BUCKETS, "Storage/ReleasesTable"]:
        assert prod.resource(path)["DeletionPolicy"] == "Retain"
        assert local.resource(path)["DeletionPolicy"] == "Delete"


def test_releases_are_keyed_by_endpoint(prod: Synthesized, local: Synthesized) -> None:
    table = prod.properties("Storage/ReleasesTable")
    assert table["KeySchema"] == [{"AttributeName": "endpoint_name", "KeyType": "HASH"}]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert "PointInTimeRecoverySpecification" not in local.properties("Storage/ReleasesTable")
