"""What cannot be made again: private, kept in prod, and never in the way of a second try."""

from __future__ import annotations

import pytest

from tests.infra.synthesized import Stacks, plain

BUCKETS = ["UploadsBucket", "ArtifactsBucket"]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_versioned_encrypted_and_private(prod: Stacks, bucket: str) -> None:
    properties = prod.data.properties(bucket)
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert len(properties["PublicAccessBlockConfiguration"]) == 4


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_refuse_what_is_not_tls(prod: Stacks, bucket: str) -> None:
    statements = prod.data.properties(f"{bucket}/Policy")["PolicyDocument"]["Statement"]
    denials = [
        each
        for each in statements
        if each["Effect"] == "Deny" and each["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert [each["Action"] for each in denials] == ["s3:*"]


def test_uploads_tell_eventbridge(prod: Stacks) -> None:
    assert prod.data.properties("UploadsBucket")["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }


def test_no_custom_resource_is_needed(prod: Stacks) -> None:
    types = {each["Type"] for stack in prod.both for each in stack.template["Resources"].values()}
    assert not {each for each in types if each.startswith("Custom::")}


def test_what_holds_data_is_in_the_stack_that_stays(prod: Stacks) -> None:
    kinds = {"AWS::S3::Bucket": 2, "AWS::DynamoDB::Table": 1, "AWS::SNS::Topic": 2}
    for kind, count in kinds.items():
        assert len(prod.data.of_type(kind)) == count
        assert not prod.pipeline.of_type(kind)


def test_data_outlives_its_stack_in_prod_alone_and_never_a_create_that_failed(
    prod: Stacks, local: Stacks
) -> None:
    for path in [*BUCKETS, "ReleasesTable", "MlflowApp"]:
        assert prod.data.resource(path)["DeletionPolicy"] == "RetainExceptOnCreate"
        assert prod.data.resource(path)["UpdateReplacePolicy"] == "Retain"
        assert local.data.resource(path)["DeletionPolicy"] == "Delete"


def test_nothing_locks_a_stack_whose_create_failed(prod: Stacks) -> None:
    for stack in prod.both:
        assert not stack.stack.termination_protection
    assert "DeletionProtectionEnabled" not in prod.data.properties("ReleasesTable")
    for stack in prod.both:
        for name, each in stack.template["Resources"].items():
            # A version goes with its function.
            if each["Type"] != "AWS::Lambda::Version":
                assert each.get("DeletionPolicy", "Delete") in {"Delete", "RetainExceptOnCreate"}, name


def test_the_releases_table_has_an_item_for_each_thing_known_of_an_endpoint(
    prod: Stacks, local: Stacks
) -> None:
    table = prod.data.properties("ReleasesTable")
    assert table["KeySchema"] == [
        {"AttributeName": "endpoint_name", "KeyType": "HASH"},
        {"AttributeName": "item", "KeyType": "RANGE"},
    ]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert "PointInTimeRecoverySpecification" not in local.data.properties("ReleasesTable")


def test_an_mlflow_app_keeps_runs_and_their_files_in_the_artifacts_bucket(prod: Stacks) -> None:
    app = {name: plain(value) for name, value in prod.data.properties("MlflowApp").items()}
    assert app["ArtifactStoreUri"] == "s3://<ArtifactsBucket>/mlflow"
    assert app["Name"] == "sluice-bank-prod-data"
    assert not prod.pipeline.of_type("AWS::SageMaker::MlflowApp")


def test_alarms_may_publish_to_their_topic(prod: Stacks) -> None:
    statements = prod.data.properties("Alarms/Policy")["PolicyDocument"]["Statement"]
    (allowed,) = (each for each in statements if each["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize(("folder", "days"), [("searches/", 7), ("checkpoints/", 30), ("batch-jobs/", 7)])
def test_what_trials_and_interrupted_jobs_leave_expires(prod: Stacks, folder: str, days: int) -> None:
    rules = prod.data.properties("ArtifactsBucket")["LifecycleConfiguration"]["Rules"]
    (rule,) = (each for each in rules if each.get("Prefix") == folder)
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", days)
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
