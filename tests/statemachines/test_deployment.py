"""deployment: one at a time, verified, recorded, and unlocked whatever happens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from sluice import errors
from sluice.outcomes import Outcome
from sluice.payloads.deployment import DeploymentResult
from sluice.payloads.tracking import MoveAliasInput
from sluice.payloads.training import StateFailure
from tests.statemachines.answers import (
    ALARM,
    CHAMPION,
    DEPLOYED,
    DEPLOYMENT,
    ENDPOINT,
    FIRED,
    GUARDED,
    HELD,
    HOLDER,
    LEFT,
    MODEL_URI,
    described,
    endpoint,
    holder,
    shifting,
)
from tests.statemachines.harness import EXECUTION_NAME, SETTINGS, Failure, Harness, Run

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


def left_apart(harness: Harness, **outcomes: list[Any]) -> Run:
    """A deployment of what was judged against bank-dev-0, which the record names, while bank-dev-2 serves."""
    script = {
        **ENDPOINT,
        "FindServing": [described("InService", "bank-dev-2")],
        "FindRelease": [CHAMPION],
        **outcomes,
    }
    return harness.run("deployment", {**DEPLOYMENT, "judged_champion": "bank-dev-0"}, script)


def test_a_record_that_a_stopped_deployment_left_behind_is_put_right_before_anything_is_judged_by_it(
    harness: Harness,
) -> None:
    result = left_apart(harness)

    [asked] = result.calls_of("FindServed")
    assert asked["Key"]["item"] == {"S": "model#bank-dev-2"}
    [corrected] = result.calls_of("CorrectRecord")
    assert corrected["Item"]["item"] == {"S": "release"}
    assert corrected["Item"]["model_name"] == {"S": "bank-dev-2"}
    assert corrected["Item"]["corrected_by"]["S"].endswith(f":{EXECUTION_NAME}")
    # The registry follows it, as any release.
    [moved] = result.calls_of("MoveAlias")
    assert moved["Payload"] == {"model_name": "bank-dev-2", "version": "2"}
    assert result.path.index("CorrectRecord") < result.path.index("MoveAlias")
    # It was judged against another model than the one that serves.
    assert (result.succeeded, result.output["outcome"]) == (True, "ChampionChanged")
    assert result.output["endpoint_config_name"] == "bank-dev-2"
    assert "CreateModel" not in result.path


def test_what_was_changed_by_hand_is_not_deployed_over(harness: Harness) -> None:
    result = left_apart(harness, FindServed=[{}])

    told = errors.from_wire(str(result.cause))
    assert told is not None
    assert told.what == "the endpoint serves what no deployment has released"
    assert "bank-dev-2" in told.why
    assert "bank-dev-0" in told.why
    assert "sluice rollback" in told.fix
    assert "UpdateEndpoint" not in result.path


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


class TestGuarded:
    """Traffic that goes over under alarms."""

    def deploy(self, harness: Harness, **outcomes: list[Any]) -> Run:
        asked = {**DEPLOYMENT, "judged_champion": "bank-dev-0"}
        return harness.run("deployment", asked, {**GUARDED, **outcomes}, guarded=True)

    def test_its_alarms_are_there_first_and_name_the_new_fleet(self, harness: Harness) -> None:
        result = self.deploy(harness)

        [alarm] = result.calls_of("PutAlarm")
        assert alarm["AlarmName"] == "sluice-bank-dev-bank-dev-1-errors"
        [metric] = alarm["Metrics"]
        assert metric["MetricStat"]["Metric"]["Dimensions"] == [
            {"Name": "EndpointConfigName", "Value": "bank-dev-1"}
        ]
        [update] = result.calls_of("UpdateEndpoint")
        assert update["DeploymentConfig"]["AutoRollbackConfiguration"] == {
            "Alarms": [{"AlarmName": "sluice-bank-dev-bank-dev-1-errors"}]
        }
        assert result.path.index("PutAlarms") < result.path.index("UpdateEndpoint")

    def test_afterwards_no_alarm_is_left(self, harness: Harness) -> None:
        other = {**LEFT, "AlarmName": "sluice-bank-dev-bank-dev-fedcba9876543210-latency-ratio"}
        result = self.deploy(harness, ListAlarms=[{"MetricAlarms": [LEFT, other]}])

        [asked] = result.calls_of("ListAlarms")
        assert asked["AlarmNamePrefix"] == "sluice-bank-dev-bank-dev-"
        [removed] = result.calls_of("RemoveAlarms")
        assert removed["AlarmNames"] == [LEFT["AlarmName"], other["AlarmName"]]

    @pytest.mark.parametrize(
        "name",
        [
            # The project bank-dev-bank in dev: its endpoint is called as our alarms begin.
            "sluice-bank-dev-bank-dev-bank-dev-bank-dev-0123456789abcdef-errors",
            # And what somebody called so.
            "sluice-bank-dev-bank-dev-watched-by-hand",
        ],
    )
    def test_an_alarm_that_only_begins_like_ours_is_let_be(self, harness: Harness, name: str) -> None:
        others = {**LEFT, "AlarmName": name}
        both = self.deploy(harness, ListAlarms=[{"MetricAlarms": [others, LEFT]}])
        none = self.deploy(harness, ListAlarms=[{"MetricAlarms": [others]}])

        [removed] = both.calls_of("RemoveAlarms")
        assert removed["AlarmNames"] == [LEFT["AlarmName"]]
        assert none.succeeded
        assert none.calls_of("RemoveAlarms") == []

    def test_a_rollback_names_its_alarm_and_how_far_it_came(self, harness: Harness) -> None:
        result = self.deploy(
            harness,
            DescribeEndpoint=[
                shifting(0.5),
                described("RollingBack", "bank-dev-0"),
                described("InService", "bank-dev-0", FailureReason="an alarm went off"),
            ],
            FindAlarm=[{"MetricAlarms": [FIRED], "CompositeAlarms": []}],
        )

        # While it was one: by the time the old fleet has all traffic again it is quiet.
        assert result.path.index("FindAlarm") < result.path.index("ReadFigures")
        [asked] = result.calls_of("FindAlarm")
        assert asked["AlarmNames"] == [ALARM["AlarmName"]]
        told = DeploymentResult.model_validate(result.output)
        assert told.outcome is Outcome.ROLLED_BACK
        assert told.endpoint_config_name == "bank-dev-0"
        assert told.alarm is not None
        assert told.alarm.name == ALARM["AlarmName"]
        assert told.reached == 0.5
        assert told.figures == {"new_requests": 7, "new_p99": 4, "old_requests": 0}
        [kept] = result.calls_of("KeepHistory")
        assert kept["Item"]["outcome"] == {"S": "RolledBack"}
        assert kept["Item"]["alarm"] == {"S": ALARM["AlarmName"]}
        assert kept["Item"]["instead_of"] == {"S": "bank-dev-0"}
        [counted] = result.calls_of("CountOutcome")
        assert counted["MetricData"][0]["MetricName"] == "RolledBack"
        assert not {"RecordRelease", "MoveAlias"} & set(result.path)

    def test_an_alarm_that_is_found_while_it_rolls_back_is_not_forgotten(self, harness: Harness) -> None:
        quiet = {"MetricAlarms": [ALARM], "CompositeAlarms": []}
        own = {**FIRED, "AlarmName": "our-own"}
        result = self.deploy(
            harness,
            DescribeEndpoint=[described("RollingBack", "bank-dev-0"), described("InService", "bank-dev-0")],
            FindAlarm=[{"MetricAlarms": [ALARM], "CompositeAlarms": [own]}, quiet],
        )
        assert len(result.calls_of("FindAlarm")) == 1
        assert result.output["alarm"]["name"] == "our-own"

    def test_one_that_rolled_back_between_two_looks_has_its_alarm_looked_for_then(
        self, harness: Harness
    ) -> None:
        result = self.deploy(
            harness,
            DescribeEndpoint=[described("InService", "bank-dev-0")],
            FindAlarm=[{"MetricAlarms": [FIRED], "CompositeAlarms": []}],
        )
        assert result.output["alarm"]["name"] == ALARM["AlarmName"]

    def test_an_alarm_of_a_deployment_that_went_well_is_not_blamed(self, harness: Harness) -> None:
        result = self.deploy(harness, ListAlarms=[{"MetricAlarms": [{**LEFT, "StateValue": "ALARM"}]}])
        assert (result.output["outcome"], result.output["alarm"]) == ("Deployed", None)

    def test_without_its_alarms_nothing_is_touched(self, harness: Harness) -> None:
        result = self.deploy(harness, PutAlarm=[Failure("CloudWatch.LimitExceededException", "too many")])

        assert failed(result) == ("PutAlarms", "CloudWatch.LimitExceededException", "too many")
        assert "UpdateEndpoint" not in result.path

    def test_a_first_model_needs_none(self, harness: Harness) -> None:
        result = harness.run("deployment", DEPLOYMENT, ENDPOINT, guarded=True)

        assert result.output == DEPLOYED
        assert not {"PutAlarms", "ReadFigures"} & set(result.path)


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


class TestReconciled:
    """Nothing is deployed; the record is held against what serves."""

    def run(self, harness: Harness, **outcomes: list[Any]) -> Run:
        script = {
            **ENDPOINT,
            "FindServing": [described("InService", "bank-dev-0")],
            "FindRelease": [CHAMPION],
            **outcomes,
        }
        return harness.run("deployment", {"reconcile": True}, script)

    def test_a_record_that_is_true_stays_and_that_it_was_looked_at_is_kept_once(
        self, harness: Harness
    ) -> None:
        result = self.run(harness)

        told = DeploymentResult.model_validate(result.output)
        assert (told.outcome, told.endpoint_config_name) == ("Reconciled", "bank-dev-0")
        assert not {"CorrectRecord", "CheckArchive", "UpdateEndpoint"} & set(result.path)
        [kept] = result.calls_of("KeepHistory")
        assert kept["Item"]["item"] == {"S": "reconciled"}

    def test_one_that_is_not_is_put_right_and_that_is_history(self, harness: Harness) -> None:
        result = self.run(harness, FindServing=[described("InService", "bank-dev-2")])

        assert "CorrectRecord" in result.path
        assert result.output["endpoint_config_name"] == "bank-dev-2"
        [kept] = result.calls_of("KeepHistory")
        assert kept["Item"]["item"]["S"].startswith("history#")
        assert kept["Item"]["outcome"] == {"S": "Reconciled"}

    def test_what_was_changed_by_hand_is_a_failure_each_time(self, harness: Harness) -> None:
        result = self.run(harness, FindServing=[described("InService", "by-hand")], FindServed=[{}])

        assert result.error == "DeploymentFailed"
        [kept] = result.calls_of("KeepHistory")
        assert kept["Item"]["item"]["S"].startswith("history#")

    def test_where_there_is_nothing_yet_there_is_nothing_to_do(self, harness: Harness) -> None:
        result = harness.run("deployment", {"reconcile": True}, ENDPOINT)

        assert result.output["endpoint_config_name"] is None

    def test_it_waits_for_nobody(self, harness: Harness) -> None:
        result = self.run(harness, AcquireLock=[HELD], DescribeHolder=[holder("RUNNING")])

        assert result.succeeded
        assert result.waits == []
        assert not {"FindServing", "ReleaseLock"} & set(result.path)


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
