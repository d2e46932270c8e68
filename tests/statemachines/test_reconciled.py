"""The record follows what serves: before each deployment, and where nothing is deployed."""

from __future__ import annotations

from typing import Any

from sluice import errors
from sluice.payloads.deployment import DeploymentResult
from tests.statemachines.answers import (
    CHAMPION,
    DEPLOYMENT,
    ENDPOINT,
    HELD,
    described,
    holder,
)
from tests.statemachines.harness import EXECUTION_NAME, Harness, Run


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
