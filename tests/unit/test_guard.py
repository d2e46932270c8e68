"""How `deployment` is told to have traffic go over: what SageMaker is asked, and what the alarms mean."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from infra.guard import guard
from local.metric_math import Expression
from sluice.project import Project

PROD = {"environments": ["prod"]}


def project(**tables: Any) -> Project:
    return Project.model_validate(
        {
            "project": {"name": "bank"},
            "target": {"column": "y", "problem": "binary", "positive": "yes"},
            "columns": {"age": {"type": "integer"}, "y": {"type": "string"}},
            "features": {"numeric": ["age"]},
            **tables,
        }
    )


def asked(instances: int = 2, **deployment: Any) -> dict[str, Any]:
    table = {**PROD, **deployment}
    found = guard(project(deployment=table, serving={"instance_count": instances}), "prod")
    assert found is not None
    return found


def shape(service: str, operation: str) -> Any:
    model = botocore.session.get_session().get_service_model(service)
    return model.operation_model(operation).input_shape


def test_in_production_all_goes_over_at_once_is_watched_and_comes_back_by_default() -> None:
    found = guard(project(), "prod")
    assert found is not None
    assert found["config"] == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300},
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": 2100,
        },
        "AutoRollbackConfiguration": {
            "Alarms": [
                {"AlarmName": "sluice-bank-prod-{model}-errors"},
                {"AlarmName": "sluice-bank-prod-{model}-refused"},
            ]
        },
    }


@pytest.mark.parametrize("environment", ["local", "dev"])
def test_elsewhere_nothing_is_waited_for(environment: str) -> None:
    assert guard(project(), environment) is None


@pytest.mark.parametrize(
    ("table", "policy"),
    [
        (
            {"strategy": "canary", "share": 50, "wait_seconds": 60, "keep_old_seconds": 30},
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "CANARY",
                        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                        "WaitIntervalInSeconds": 60,
                    },
                    "TerminationWaitInSeconds": 30,
                    "MaximumExecutionTimeoutInSeconds": 60 + 60 + 30 + 1800,
                }
            },
        ),
        (
            {"strategy": "linear", "share": 50, "wait_seconds": 60, "max_seconds": 900},
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "LINEAR",
                        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                        "WaitIntervalInSeconds": 60,
                    },
                    "TerminationWaitInSeconds": 0,
                    "MaximumExecutionTimeoutInSeconds": 900,
                }
            },
        ),
        (
            {"strategy": "rolling", "share": 50, "wait_seconds": 60},
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                    "WaitIntervalInSeconds": 60,
                    "MaximumExecutionTimeoutInSeconds": 1920,
                }
            },
        ),
    ],
)
def test_a_strategy_is_said_in_sagemakers_words(table: dict[str, Any], policy: dict[str, Any]) -> None:
    found = asked(**table)
    config = dict(found["config"])
    names = [each["AlarmName"] for each in config.pop("AutoRollbackConfiguration")["Alarms"]]
    assert config == policy
    assert names == [each["AlarmName"] for each in found["alarms"]]
    # Only where both fleets have traffic can one be held against the other.
    assert [name.rsplit("{model}-")[1] for name in names] == ["errors", "refused", "latency-ratio"]


def test_what_is_asked_is_what_the_services_take() -> None:
    found = asked(
        strategy="canary", share=50, wait_seconds=60, alarms={"max_latency_ms": 20, "also": ["own"]}
    )
    update = {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": found["config"]}
    calls = [(shape("sagemaker", "UpdateEndpoint"), update)]
    calls += [(shape("cloudwatch", "PutMetricAlarm"), alarm) for alarm in found["alarms"]]
    queries = {"MetricDataQueries": found["figures"], "StartTime": 0, "EndTime": 1}
    calls.append((shape("cloudwatch", "GetMetricData"), queries))
    for wanted, given in calls:
        report = ParamValidator().validate(given, wanted)
        assert not report.has_errors(), report.generate_report()
    assert len(found["alarms"]) == 4
    assert found["config"]["AutoRollbackConfiguration"]["Alarms"][-1] == {"AlarmName": "own"}


def alarm(name: str, **alarms: Any) -> dict[str, Any]:
    found = asked(
        strategy="canary",
        share=50,
        wait_seconds=60,
        alarms={"min_requests": 50, "min_latency_requests": 50, **alarms},
    )
    [one] = [each for each in found["alarms"] if each["AlarmName"].endswith("{model}-" + name)]
    return dict(one)


@pytest.mark.parametrize(
    ("name", "values", "fires"),
    [
        # Of 50 requests one is 2 %, which is allowed; of 49 even all say nothing.
        ("errors", {"n": 50, "bad": 1}, False),
        ("errors", {"n": 50, "bad": 2}, True),
        ("errors", {"n": 49, "bad": 49}, False),
        ("errors", {}, False),
        # A fifth more than what the old model refuses of its own.
        ("refused", {"n": 100, "bad": 30, "m": 100, "usual": 10}, False),
        ("refused", {"n": 100, "bad": 31, "m": 100, "usual": 10}, True),
        ("refused", {"n": 100, "bad": 21}, True),
        ("refused", {"n": 100, "bad": 20, "m": 10, "usual": 10}, False),
        ("refused", {"n": 100, "bad": 21, "m": 100}, True),
        ("latency-ratio", {"n": 100, "m": 100, "slow": 3001, "usual": 1000}, True),
        ("latency-ratio", {"n": 100, "m": 100, "slow": 3000, "usual": 1000}, False),
        ("latency-ratio", {"n": 100, "m": 49, "slow": 9000, "usual": 1000}, False),
        ("latency-ratio", {"n": 100, "slow": 9000}, False),
        # ModelLatency is in microseconds.
        ("latency", {"n": 100, "slow": 20_001}, True),
        ("latency", {"n": 100, "slow": 20_000}, False),
    ],
)
def test_an_alarm_fires_where_its_limit_is_passed(name: str, values: dict[str, float], fires: bool) -> None:
    found = alarm(name, max_latency_ms=20)
    ids = [each["Id"] for each in found["Metrics"] if "MetricStat" in each]
    assert set(values) <= set(ids)
    [watched] = [each for each in found["Metrics"] if each["ReturnData"]]
    worth = Expression(watched["Expression"], ids).value(values)
    assert found["ComparisonOperator"] == "GreaterThanThreshold"
    assert found["TreatMissingData"] == "notBreaching"
    assert (worth is not None and worth > found["Threshold"]) == fires


def test_the_new_fleet_and_the_old_one_are_told_apart() -> None:
    for each in alarm("latency-ratio")["Metrics"][:-1]:
        metric = each["MetricStat"]["Metric"]
        [config] = [one["Value"] for one in metric["Dimensions"] if one["Name"] == "EndpointConfigName"]
        assert config == ("{model}" if each["Id"] in ("n", "slow") else "{champion}")
        assert each["MetricStat"]["Period"] == 60


def test_m_of_n_minutes_are_asked_for() -> None:
    found = alarm("errors", minutes=1, of_minutes=1)
    assert (found["DatapointsToAlarm"], found["EvaluationPeriods"]) == (1, 1)
    longer = asked(wait_seconds=300, alarms={"minutes": 2, "of_minutes": 3})["alarms"][0]
    assert (longer["DatapointsToAlarm"], longer["EvaluationPeriods"]) == (2, 3)
