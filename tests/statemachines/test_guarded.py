"""Traffic that goes over under alarms: put before, looked at when they fire, told, and removed after."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.outcomes import Outcome
from sluice.payloads.deployment import DeploymentResult
from tests.statemachines.answers import (
    ALARM,
    DEPLOYED,
    DEPLOYMENT,
    ENDPOINT,
    FIRED,
    GUARDED,
    LEFT,
    described,
    shifting,
)
from tests.statemachines.harness import Failure, Harness, Run, failed


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
