"""deployment: one at a time, verified, recorded, and unlocked whatever happens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from sluice import errors
from sluice.payloads.deployment import DeploymentResult
from sluice.payloads.tracking import MoveAliasInput
from sluice.payloads.training import StateFailure
from tests.statemachines.harness import Failure, Harness, Run
from tests.statemachines.scenarios import DEPLOYED, DEPLOYMENT, ENDPOINT, MODEL_URI, described, endpoint

HELD = Failure("DynamoDB.ConditionalCheckFailedException", "The conditional request failed")
LOCKED = [
    "FindRelease",
    "CheckArchive",
    "CreateModel",
    "CreateEndpointConfig",
    "FindEndpoint",
    "DeleteEndpoint",
    "CreateEndpoint",
    "UpdateEndpoint",
    "DescribeEndpoint",
    "RecordRelease",
]


def failed(result: Run) -> tuple[str, str, str]:
    """The failure of a state that the cause hands on: its state, error and cause."""
    failure = StateFailure.model_validate_json(str(result.cause))
    return failure.state, failure.error, failure.cause


def deploy(harness: Harness, **outcomes: list[Any]) -> Run:
    return harness.run("deployment", DEPLOYMENT, {**ENDPOINT, **outcomes})


def reaching(state: str) -> dict[str, list[Any]]:
    """Outcomes that lead through `state`."""
    if state == "UpdateEndpoint":
        return {"FindEndpoint": [{"Endpoints": [endpoint("InService")]}]}
    if state == "DeleteEndpoint":
        return {"FindEndpoint": [{"Endpoints": [endpoint("Failed")]}, {"Endpoints": []}]}
    return {}


def test_a_first_deployment_creates_the_endpoint_and_records_the_release(harness: Harness) -> None:
    result = deploy(harness)

    assert result.output == DEPLOYED
    assert result.path == [
        "Begin",
        "AcquireLock",
        "FindRelease",
        "IsStillChampion",
        "CheckArchive",
        "IsArchiveIntact",
        "HasModel",
        "CreateModel",
        "CreateEndpointConfig",
        "FindEndpoint",
        "HasEndpoint",
        "CreateEndpoint",
        "WaitForEndpoint",
        "DescribeEndpoint",
        "IsServing",
        "WaitForEndpoint",
        "DescribeEndpoint",
        "IsServing",
        "RecordRelease",
        "IsRegistered",
        "KeepLogs",
        "ReleaseLock",
        "HasFailed",
        "Finished",
    ]
    assert result.waits == [15, 15]
    [model] = result.calls_of("CreateModel")
    assert model["PrimaryContainer"]["ModelDataUrl"] == MODEL_URI
    assert model["PrimaryContainer"]["Environment"] == {
        "SLUICE_ENDPOINT": "sluice-bank-dev",
        "SLUICE_VARIANT": "AllTraffic",
        "SLUICE_ONLINE_STORE": "bank_dev",
        "SLUICE_MISSING_FEATURES": "error",
    }
    [release] = result.calls_of("RecordRelease")
    released_at = release["Item"].pop("released_at")["S"]
    assert release == {
        "TableName": "releases",
        "Item": {
            "endpoint_name": {"S": "sluice-bank-dev"},
            "item": {"S": "release"},
            "model_name": {"S": "bank-dev-1"},
            "model_uri": {"S": MODEL_URI},
            "archive_version_id": {"S": "v1"},
            "archive_etag": {"S": '"e1"'},
            "dataset_version": {"S": DEPLOYMENT["dataset_version"]},
        },
        "ConditionExpression": "attribute_not_exists(model_name) OR model_name = :judged OR model_name = :ours",
        "ExpressionAttributeValues": {":judged": {"S": "bank-dev-1"}, ":ours": {"S": "bank-dev-1"}},
    }
    assert datetime.fromisoformat(released_at).tzinfo is not None


def test_a_model_that_was_made_to_be_judged_is_not_made_again(harness: Harness) -> None:
    result = harness.run("deployment", {**DEPLOYMENT, "has_model": True}, ENDPOINT)

    assert result.output == DEPLOYED
    assert "CreateModel" not in result.path
    [config] = result.calls_of("CreateEndpointConfig")
    assert config["ProductionVariants"][0]["ModelName"] == "bank-dev-1"


def test_an_endpoint_in_service_is_updated(harness: Harness) -> None:
    result = deploy(harness, **reaching("UpdateEndpoint"))

    assert "CreateEndpoint" not in result.path
    [update] = result.calls_of("UpdateEndpoint")
    # Without RetainAllVariantProperties, which would keep the old instance count for ever.
    assert update == {"EndpointName": "sluice-bank-dev", "EndpointConfigName": "bank-dev-1"}


def test_what_is_made_carries_its_project_and_its_data(harness: Harness) -> None:
    result = deploy(harness)

    project = [
        {"Key": "sluice:project", "Value": "bank"},
        {"Key": "sluice:environment", "Value": "dev"},
    ]
    version = {"Key": "sluice:dataset-version", "Value": DEPLOYMENT["dataset_version"]}
    for state in ("CreateModel", "CreateEndpointConfig"):
        [made] = result.calls_of(state)
        assert made["Tags"] == [version, *project]
    [made] = result.calls_of("CreateEndpoint")
    assert made["Tags"] == project


def test_the_servers_log_is_not_kept_for_ever(harness: Harness) -> None:
    [kept] = deploy(harness).calls_of("KeepLogs")
    assert kept == {"LogGroupName": "/aws/sagemaker/Endpoints/sluice-bank-dev", "RetentionInDays": 30}


def test_a_log_that_keeps_for_ever_takes_nothing_from_a_release(harness: Harness) -> None:
    missing = Failure("CloudWatchLogs.ResourceNotFoundException", "The specified log group does not exist.")
    result = deploy(harness, KeepLogs=[missing])

    assert result.output == DEPLOYED
    assert result.path[-4:] == ["KeepLogs", "ReleaseLock", "HasFailed", "Finished"]


def test_an_endpoint_whose_name_only_contains_ours_is_not_ours(harness: Harness) -> None:
    result = deploy(harness, FindEndpoint=[{"Endpoints": [endpoint("InService", "sluice-bank-dev-2")]}])

    assert "CreateEndpoint" in result.path
    assert "UpdateEndpoint" not in result.path


@pytest.mark.parametrize("status", ["Failed", "OutOfService"])
def test_a_broken_endpoint_is_replaced(harness: Harness, status: str) -> None:
    result = deploy(harness, FindEndpoint=[{"Endpoints": [endpoint(status)]}, {"Endpoints": []}])

    assert result.succeeded
    steps = [name for name in result.path if name in ("DeleteEndpoint", "CreateEndpoint")]
    assert steps == ["DeleteEndpoint", "CreateEndpoint"]


@pytest.mark.parametrize(
    ("status", "next_state"),
    [
        ("InService", "UpdateEndpoint"),
        ("Failed", "DeleteEndpoint"),
        ("OutOfService", "DeleteEndpoint"),
        ("Creating", "WaitForSettling"),
        ("Updating", "WaitForSettling"),
        ("SystemUpdating", "WaitForSettling"),
        ("RollingBack", "WaitForSettling"),
        ("Deleting", "WaitForSettling"),
        ("UpdateRollbackFailed", "ReleaseLock"),
    ],
)
def test_what_becomes_of_an_endpoint_is_decided_by_its_status(
    harness: Harness, status: str, next_state: str
) -> None:
    result = deploy(harness, FindEndpoint=[{"Endpoints": [endpoint(status)]}, {"Endpoints": []}])

    assert result.path[result.path.index("HasEndpoint") + 1] == next_state


@pytest.mark.parametrize(
    ("status", "config", "next_state"),
    [
        ("InService", "bank-dev-1", "RecordRelease"),
        ("InService", "bank-dev-0", "ReleaseLock"),
        ("Creating", "bank-dev-1", "WaitForEndpoint"),
        ("Updating", "bank-dev-0", "WaitForEndpoint"),
        # An update shows the new configuration before it serves.
        ("Updating", "bank-dev-1", "WaitForEndpoint"),
        ("SystemUpdating", "bank-dev-1", "WaitForEndpoint"),
        ("RollingBack", "bank-dev-1", "WaitForEndpoint"),
        ("Failed", "bank-dev-1", "ReleaseLock"),
        ("OutOfService", "bank-dev-1", "ReleaseLock"),
        ("Deleting", "bank-dev-1", "ReleaseLock"),
        ("UpdateRollbackFailed", "bank-dev-1", "ReleaseLock"),
    ],
)
def test_a_release_is_recorded_for_what_serves_and_for_nothing_else(
    harness: Harness, status: str, config: str, next_state: str
) -> None:
    result = deploy(harness, DescribeEndpoint=[described(status, config), described("Failed")])

    assert result.path[result.path.index("IsServing") + 1] == next_state
    assert ("RecordRelease" in result.path) == (next_state == "RecordRelease")
    assert len(result.calls_of("ReleaseLock")) == 1


def test_the_registry_follows_a_release_that_is_recorded(harness: Harness) -> None:
    result = harness.run("deployment", {**DEPLOYMENT, "version": "3"}, ENDPOINT)

    [asked] = result.calls_of("MoveAlias")
    assert MoveAliasInput.model_validate(asked["Payload"]).version == "3"
    # Under the lock, and after the record: what that says is true whatever becomes of the registry.
    moments = [result.path.index(state) for state in ("RecordRelease", "MoveAlias", "ReleaseLock")]
    assert moments == sorted(moments)


def test_a_registry_that_does_not_follow_undoes_no_release(harness: Harness) -> None:
    down = {**ENDPOINT, "MoveAlias": [Failure("TrackingUnavailable", "{}")]}

    result = harness.run("deployment", {**DEPLOYMENT, "version": "3"}, down)

    told = DeploymentResult.model_validate(result.output)
    assert (told.outcome, told.alias) == ("Deployed", "MoveAlias failed: TrackingUnavailable")
    assert {"RecordRelease", "ReleaseLock"} <= set(result.path)


def test_a_rollback_is_an_outcome_that_says_what_serves(harness: Harness) -> None:
    result = deploy(
        harness,
        **reaching("UpdateEndpoint"),
        DescribeEndpoint=[
            described("RollingBack", "bank-dev-0"),
            described("InService", "bank-dev-0", FailureReason="the alarm green-5xx fired"),
        ],
    )

    assert result.succeeded
    assert DeploymentResult.model_validate(result.output).model_dump() == {
        "outcome": "RolledBack",
        "endpoint_name": "sluice-bank-dev",
        "endpoint_config_name": "bank-dev-0",
        "reason": "the alarm green-5xx fired",
        "alias": None,
    }
    assert "RecordRelease" not in result.path
    assert "ReleaseLock" in result.path


def test_the_reason_of_a_failed_endpoint_reaches_the_cause(harness: Harness) -> None:
    result = deploy(harness, DescribeEndpoint=[described("Failed", FailureReason="ping timed out")])

    assert result.cause is not None
    assert "ping timed out" in result.cause
    assert "RecordRelease" not in result.path


def test_a_held_lock_is_waited_for(harness: Harness) -> None:
    result = deploy(harness, AcquireLock=[HELD, HELD, {}])

    assert result.succeeded
    assert [state for state, _ in result.pauses] == ["AcquireLock", "AcquireLock"]


def test_a_lock_that_is_never_free_fails_and_is_left_alone(harness: Harness) -> None:
    result = deploy(harness, AcquireLock=[HELD])

    assert result.error == "DeploymentFailed"
    told = errors.from_wire(str(result.cause))
    assert told is not None
    assert (told.name, told.what) == ("DeploymentFailed", "another deployment holds the release lock")
    assert "sluice-bank-dev" in told.where
    assert told.fix
    assert result.path == ["Begin", "AcquireLock", "Failed"]


def test_a_table_that_cannot_be_reached_is_not_called_a_held_lock(harness: Harness) -> None:
    result = deploy(harness, AcquireLock=[Failure("DynamoDB.AccessDeniedException", "no access")])

    assert failed(result) == ("AcquireLock", "DynamoDB.AccessDeniedException", "no access")
    assert "ReleaseLock" not in result.path


@pytest.mark.parametrize("state", LOCKED)
def test_a_failure_under_the_lock_releases_it_and_keeps_its_cause(harness: Harness, state: str) -> None:
    broken = {state: [Failure("Broken", "why it broke")]}

    result = deploy(harness, **{**reaching(state), **broken})

    assert result.error == "DeploymentFailed"
    assert failed(result) == (state, "Broken", "why it broke")
    assert result.path[-3:] == ["ReleaseLock", "HasFailed", "Failed"]
    assert len(result.calls_of("ReleaseLock")) == 1


def test_a_lost_lock_is_a_failure_of_its_own(harness: Harness) -> None:
    result = deploy(harness, ReleaseLock=[HELD])

    assert result.error == "DeploymentFailed"
    assert result.cause is not None
    assert "the release lock was lost" in result.cause


def test_a_lost_lock_does_not_hide_the_first_failure(harness: Harness) -> None:
    result = deploy(harness, CreateModel=[Failure("Broken", "why it broke")], ReleaseLock=[HELD])

    assert failed(result) == ("CreateModel", "Broken", "why it broke")
