"""deployment: one at a time, verified, recorded, and unlocked whatever happens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.statemachines.harness import ACCOUNT, EXECUTION_NAME, REGION, Failure, Harness, Run, states
from tests.statemachines.scenarios import DEPLOYMENT, ENDPOINT, MODEL_URI, described, endpoint

EXECUTION_ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:deployment:{EXECUTION_NAME}"
HELD = Failure("DynamoDB.ConditionalCheckFailedException", "The conditional request failed")
LOCKED = [
    name
    for name, state in states("deployment").items()
    for catcher in state.get("Catch", [])
    if catcher["Next"] == "ReleaseLock"
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

    assert result.output == {"endpoint_name": "bank", "endpoint_config_name": "bank-1"}
    assert result.path == [
        "Begin",
        "AcquireLock",
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
        "ReleaseLock",
        "HasFailed",
        "Deployed",
    ]
    assert result.waits == [15, 15]
    [model] = result.calls_of("CreateModel")
    assert model["PrimaryContainer"]["ModelDataUrl"] == MODEL_URI
    [release] = result.calls_of("RecordRelease")
    values = release["ExpressionAttributeValues"]
    assert values[":model_uri"] == {"S": MODEL_URI}
    assert values[":name"] == {"S": "bank-1"}
    assert values[":dataset_version"] == {"S": DEPLOYMENT["dataset_version"]}


def test_a_model_that_was_made_to_be_judged_is_not_made_again(harness: Harness) -> None:
    result = harness.run("deployment", {**DEPLOYMENT, "has_model": True}, ENDPOINT)

    assert result.output == {"endpoint_name": "bank", "endpoint_config_name": "bank-1"}
    assert "CreateModel" not in result.path
    [config] = result.calls_of("CreateEndpointConfig")
    assert config["ProductionVariants"][0]["ModelName"] == "bank-1"


def test_an_endpoint_in_service_is_updated(harness: Harness) -> None:
    result = deploy(harness, **reaching("UpdateEndpoint"))

    assert "CreateEndpoint" not in result.path
    [update] = result.calls_of("UpdateEndpoint")
    assert update == {
        "EndpointName": "bank",
        "EndpointConfigName": "bank-1",
        "RetainAllVariantProperties": True,
    }


def test_an_endpoint_whose_name_only_contains_ours_is_not_ours(harness: Harness) -> None:
    result = deploy(harness, FindEndpoint=[{"Endpoints": [endpoint("InService", "bank-2")]}])

    assert "CreateEndpoint" in result.path
    assert "UpdateEndpoint" not in result.path


@pytest.mark.parametrize("status", ["Failed", "OutOfService"])
def test_a_broken_endpoint_is_replaced(harness: Harness, status: str) -> None:
    result = deploy(harness, FindEndpoint=[{"Endpoints": [endpoint(status)]}, {"Endpoints": []}])

    assert result.succeeded
    steps = [name for name in result.path if name in ("DeleteEndpoint", "CreateEndpoint")]
    assert steps == ["DeleteEndpoint", "CreateEndpoint"]


def test_in_service_on_the_old_configuration_is_a_failure(harness: Harness) -> None:
    result = deploy(
        harness,
        **reaching("UpdateEndpoint"),
        DescribeEndpoint=[described("RollingBack", "bank-0"), described("InService", "bank-0")],
    )

    assert result.error == "DeploymentFailed"
    assert result.cause is not None
    assert "InService on bank-0, not on bank-1" in result.cause
    assert "RecordRelease" not in result.path
    assert "ReleaseLock" in result.path


def test_the_reason_of_a_failed_endpoint_reaches_the_cause(harness: Harness) -> None:
    result = deploy(harness, DescribeEndpoint=[described("Failed", FailureReason="ping timed out")])

    assert result.cause is not None
    assert "ping timed out" in result.cause
    assert "RecordRelease" not in result.path


def test_the_lock_names_its_owner_and_expires(harness: Harness) -> None:
    result = deploy(harness)

    [acquire] = result.calls_of("AcquireLock")
    values = acquire["ExpressionAttributeValues"]
    assert values[":owner"] == {"S": EXECUTION_ARN}
    assert int(values[":expires"]["N"]) - int(values[":now"]["N"]) == 7200
    [release] = result.calls_of("ReleaseLock")
    assert release["ExpressionAttributeValues"] == {":owner": {"S": EXECUTION_ARN}}


def test_a_held_lock_is_waited_for(harness: Harness) -> None:
    result = deploy(harness, AcquireLock=[HELD, HELD, {}])

    assert result.succeeded
    assert [state for state, _ in result.pauses] == ["AcquireLock", "AcquireLock"]


def test_a_lock_that_is_never_free_fails_and_is_left_alone(harness: Harness) -> None:
    result = deploy(harness, AcquireLock=[HELD])

    assert result.error == "DeploymentFailed"
    assert result.path == ["Begin", "AcquireLock", "Failed"]


@pytest.mark.parametrize("state", LOCKED)
def test_a_failure_under_the_lock_releases_it_and_keeps_its_cause(harness: Harness, state: str) -> None:
    broken = {state: [Failure("Broken", "why it broke")]}

    result = deploy(harness, **{**reaching(state), **broken})

    assert (result.error, result.cause) == ("DeploymentFailed", "Broken: why it broke")
    assert result.path[-3:] == ["ReleaseLock", "HasFailed", "Failed"]
    assert len(result.calls_of("ReleaseLock")) == 1


def test_a_lost_lock_is_a_failure_of_its_own(harness: Harness) -> None:
    result = deploy(harness, ReleaseLock=[HELD])

    assert result.error == "DeploymentFailed"
    assert result.cause is not None
    assert "the release lock was lost" in result.cause


def test_a_lost_lock_does_not_hide_the_first_failure(harness: Harness) -> None:
    result = deploy(harness, CreateModel=[Failure("Broken", "why it broke")], ReleaseLock=[HELD])

    assert result.cause == "Broken: why it broke"
