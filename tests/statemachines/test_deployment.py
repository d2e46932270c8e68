"""deployment: one at a time, verified, recorded, and unlocked whatever happens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from sluice import errors
from sluice.payloads.deployment import DeploymentResult
from sluice.payloads.tracking import MoveAliasInput
from tests.statemachines.answers import (
    CHAMPION,
    DEPLOYED,
    DEPLOYMENT,
    ENDPOINT,
    HELD,
    HOLDER,
    MODEL_URI,
    described,
    endpoint,
    holder,
)
from tests.statemachines.harness import SETTINGS, Failure, Harness, Run, failed

LOCKED = [
    "FindServing",
    "FindRelease",
    "CheckArchive",
    "CreateModel",
    "CreateEndpointConfig",
    "RememberModel",
    "FindEndpoint",
    "DeleteEndpoint",
    "CreateEndpoint",
    "UpdateEndpoint",
    "DescribeEndpoint",
    "RecordRelease",
]


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
        "FindServing",
        "IsThereNoEndpoint",
        "FindRelease",
        "IsRecordTrue",
        "IsStillChampion",
        "CheckArchive",
        "IsArchiveIntact",
        "HasModel",
        "CreateModel",
        "CreateEndpointConfig",
        "RememberModel",
        "FindEndpoint",
        "HasEndpoint",
        "CreateEndpoint",
        "WaitForEndpoint",
        "DescribeEndpoint",
        "IsServing",
        "WaitForEndpoint",
        "DescribeEndpoint",
        "IsServing",
        "VerifyModel",
        "IsVerified",
        "RecordRelease",
        "IsRegistered",
        "IsDeployed",
        "IsGuarded",
        "KeepLogs",
        "KeepHistory",
        "CountOutcome",
        "ReleaseLock",
        "HasFailed",
        "Finished",
    ]
    assert result.waits == [15, 15]
    [config] = result.calls_of("CreateEndpointConfig")
    assert config["DataCaptureConfig"] == SETTINGS["capture"]
    [model] = result.calls_of("CreateModel")
    assert model["PrimaryContainer"]["ModelDataUrl"] == MODEL_URI
    assert model["PrimaryContainer"]["Environment"] == {
        "SLUICE_ENDPOINT": "sluice-bank-dev",
        "SLUICE_VARIANT": "AllTraffic",
        "SLUICE_MODEL": "bank-dev-1",
        "SLUICE_METRICS_SECONDS": "10",
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
    assert result.path[-5:] == ["KeepHistory", "CountOutcome", "ReleaseLock", "HasFailed", "Finished"]


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
        ("UpdateRollbackFailed", "KeepHistory"),
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
        ("InService", "bank-dev-1", "VerifyModel"),
        ("InService", "bank-dev-0", "IsAlarmKnown"),
        ("Creating", "bank-dev-1", "WaitForEndpoint"),
        ("Updating", "bank-dev-0", "WaitForEndpoint"),
        # An update shows the new configuration before it serves.
        ("Updating", "bank-dev-1", "WaitForEndpoint"),
        ("SystemUpdating", "bank-dev-1", "WaitForEndpoint"),
        ("RollingBack", "bank-dev-1", "WaitForEndpoint"),
        ("Failed", "bank-dev-1", "KeepHistory"),
        ("OutOfService", "bank-dev-1", "KeepHistory"),
        ("Deleting", "bank-dev-1", "KeepHistory"),
        ("UpdateRollbackFailed", "bank-dev-1", "KeepHistory"),
    ],
)
def test_a_release_is_recorded_for_what_serves_and_for_nothing_else(
    harness: Harness, status: str, config: str, next_state: str
) -> None:
    result = deploy(harness, DescribeEndpoint=[described(status, config), described("Failed")])

    assert result.path[result.path.index("IsServing") + 1] == next_state
    assert ("RecordRelease" in result.path) == (next_state == "VerifyModel")
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
        "unverified": None,
        "alarm": None,
        "reached": None,
        "figures": None,
    }
    assert "RecordRelease" not in result.path
    assert "ReleaseLock" in result.path


def test_the_reason_of_a_failed_endpoint_reaches_the_cause(harness: Harness) -> None:
    result = deploy(harness, DescribeEndpoint=[described("Failed", FailureReason="ping timed out")])

    assert result.cause is not None
    assert "ping timed out" in result.cause
    assert "RecordRelease" not in result.path


def test_a_lock_whose_owner_runs_is_waited_for(harness: Harness) -> None:
    result = deploy(harness, AcquireLock=[HELD, HELD, {}], DescribeHolder=[holder("RUNNING")])

    assert result.succeeded
    assert result.waits[:2] == [15, 15]
    assert "TakeOverLock" not in result.path


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_a_lock_whose_owner_has_ended_is_taken_over_at_once(harness: Harness, status: str) -> None:
    result = deploy(harness, AcquireLock=[HELD], DescribeHolder=[holder(status)])

    assert result.output == DEPLOYED
    assert result.path[1:6] == [
        "AcquireLock",
        "ReadLock",
        "IsItAnExecution",
        "DescribeHolder",
        "DoesHolderRun",
    ]
    assert "WaitForLock" not in result.path
    [taken] = result.calls_of("TakeOverLock")
    assert taken["ConditionExpression"] == "held_by = :holder OR held_by = :execution"
    assert taken["ExpressionAttributeValues"][":holder"] == {"S": HOLDER}


def test_a_lock_that_is_never_free_fails_says_who_holds_it_and_is_left_alone(harness: Harness) -> None:
    result = deploy(harness, AcquireLock=[HELD], DescribeHolder=[holder("RUNNING")])

    assert result.error == "DeploymentFailed"
    told = errors.from_wire(str(result.cause))
    assert told is not None
    assert (told.name, told.what) == ("DeploymentFailed", "another deployment holds the release lock")
    assert "sluice-bank-dev" in told.where
    assert HOLDER in told.why
    assert "2026-01-01T00:00:00Z" in told.why
    assert told.fix
    # An hour and a half, and no longer.
    assert sum(result.waits) == 5400
    taken = deploy(harness, AcquireLock=[HELD], ReadLock=[{}])
    told = errors.from_wire(str(taken.cause))
    assert told is not None
    assert told.why.startswith("others took it")
    assert not {"TakeOverLock", "ReleaseLock", "KeepHistory"} & set(result.path)


def test_what_a_release_has_to_say_is_written_down_before_the_endpoint_is_touched(harness: Harness) -> None:
    result = deploy(harness, **reaching("UpdateEndpoint"))

    assert result.path.index("RememberModel") < result.path.index("UpdateEndpoint")
    [remembered] = result.calls_of("RememberModel")
    [recorded] = result.calls_of("RecordRelease")
    assert remembered["Item"].pop("item") == {"S": "model#bank-dev-1"}
    assert recorded["Item"].pop("item") == {"S": "release"}
    recorded["Item"].pop("released_at")
    assert remembered["Item"] == recorded["Item"]


def test_a_model_that_serves_already_is_recorded_and_not_deployed_again(harness: Harness) -> None:
    result = deploy(
        harness,
        **reaching("UpdateEndpoint"),
        FindServing=[described("InService")],
        FindRelease=[{"Item": {"model_name": {"S": "bank-dev-1"}}}],
        DescribeEndpoint=[described("InService")],
    )

    assert result.output == DEPLOYED
    assert not {"UpdateEndpoint", "CreateEndpoint"} & set(result.path)
    assert "RecordRelease" in result.path


def test_a_rollback_that_somebody_asks_for_goes_the_same_way_and_says_who(harness: Harness) -> None:
    asked = {
        **DEPLOYMENT,
        "judged_champion": "bank-dev-0",
        "rollback": {"by": "arn:ada", "reason": "it flags everybody"},
    }
    script = {**ENDPOINT, **reaching("UpdateEndpoint"), "FindRelease": [CHAMPION]}
    # Whatever serves meanwhile.
    result = harness.run("deployment", asked, {**script, "FindServing": [described("InService", "by-hand")]})

    assert result.output == DEPLOYED
    for state in ("RecordRelease", "KeepHistory"):
        [written] = result.calls_of(state)
        assert written["Item"]["rolled_back_by"] == {"S": "arn:ada"}
        assert written["Item"]["rollback_reason"] == {"S": "it flags everybody"}


def test_a_failure_is_in_the_history_too(harness: Harness) -> None:
    result = deploy(harness, CreateModel=[Failure("Broken", "why it broke")])

    [kept] = result.calls_of("KeepHistory")
    assert kept["Item"]["outcome"] == {"S": "Failed"}
    assert "why it broke" in kept["Item"]["why"]["S"]
    assert kept["Item"]["item"]["S"].startswith("history#2")
    [counted] = result.calls_of("CountOutcome")
    assert counted["MetricData"][0]["MetricName"] == "Failed"


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
    assert result.path[-5:] == ["KeepHistory", "CountOutcome", "ReleaseLock", "HasFailed", "Failed"]
    assert len(result.calls_of("ReleaseLock")) == 1


def test_a_lost_lock_is_a_failure_of_its_own(harness: Harness) -> None:
    result = deploy(harness, ReleaseLock=[HELD])

    assert result.error == "DeploymentFailed"
    assert result.cause is not None
    assert "the release lock was lost" in result.cause


def test_a_lost_lock_does_not_hide_the_first_failure(harness: Harness) -> None:
    result = deploy(harness, CreateModel=[Failure("Broken", "why it broke")], ReleaseLock=[HELD])

    assert failed(result) == ("CreateModel", "Broken", "why it broke")
