"""How `deployment` is told to have traffic go over: what SageMaker is asked, and what the alarms mean."""

from __future__ import annotations

import random
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
            {"strategy": "canary", "share": 50, "wait_seconds": 120, "keep_old_seconds": 30},
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "CANARY",
                        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                        "WaitIntervalInSeconds": 120,
                    },
                    "TerminationWaitInSeconds": 30,
                    "MaximumExecutionTimeoutInSeconds": 120 + 120 + 30 + 1800,
                }
            },
        ),
        (
            {"strategy": "linear", "share": 50, "wait_seconds": 120, "max_seconds": 900},
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "LINEAR",
                        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                        "WaitIntervalInSeconds": 120,
                    },
                    "TerminationWaitInSeconds": 0,
                    "MaximumExecutionTimeoutInSeconds": 900,
                }
            },
        ),
        (
            {"strategy": "rolling", "share": 50, "wait_seconds": 120},
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                    "WaitIntervalInSeconds": 120,
                    "MaximumExecutionTimeoutInSeconds": 2040,
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
    assert [name.rsplit("{model}-")[1] for name in names] == ["errors", "refused", "latency-ratio", "answers"]


def test_what_is_asked_is_what_the_services_take() -> None:
    found = asked(
        strategy="canary", share=50, wait_seconds=120, alarms={"max_latency_ms": 20, "also": ["own"]}
    )
    update = {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": found["config"]}
    calls = [(shape("sagemaker", "UpdateEndpoint"), update)]
    calls += [(shape("cloudwatch", "PutMetricAlarm"), alarm) for alarm in found["alarms"]]
    queries = {"MetricDataQueries": found["figures"], "StartTime": 0, "EndTime": 1}
    calls.append((shape("cloudwatch", "GetMetricData"), queries))
    for wanted, given in calls:
        report = ParamValidator().validate(given, wanted)
        assert not report.has_errors(), report.generate_report()
    assert len(found["alarms"]) == 5
    assert found["config"]["AutoRollbackConfiguration"]["Alarms"][-1] == {"AlarmName": "own"}


def alarm(name: str, **alarms: Any) -> dict[str, Any]:
    found = asked(
        strategy="canary",
        share=50,
        wait_seconds=120,
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


# Half of the old answers are 0.1, half 0.3: their mean is 0.2, their standard deviation 0.1.
OLD = {"m": 100, "ms": 20, "mq": 5}


def new(count: int, mean: float) -> dict[str, float]:
    """Answers that are spread like the old ones around another mean."""
    return {"n": count, "ns": count * mean, "nq": count * (mean**2 + 0.01)}


@pytest.mark.parametrize(
    ("values", "fires"),
    [
        # The standard error is 0.1 * sqrt(2 / 100) = 0.0141. Four of them, and a quarter of 0.1: 0.0816.
        ({**new(100, 0.2815), **OLD}, False),
        ({**new(100, 0.2817), **OLD}, True),
        ({**new(100, 0.1185), **OLD}, False),
        ({**new(100, 0.1183), **OLD}, True),
        # Of 10,000 the means are known better: 0.0307.
        ({**new(10_000, 0.2306), "m": 10_000, "ms": 2_000, "mq": 500}, False),
        ({**new(10_000, 0.2308), "m": 10_000, "ms": 2_000, "mq": 500}, True),
        ({**new(49, 0.9), **OLD}, False),
        ({**new(100, 0.9), "m": 49, "ms": 9.8, "mq": 2.45}, False),
        (new(100, 0.9), False),
        # A new model that always says the same is held against the spread of the old one.
        ({"n": 100, "ns": 50, "nq": 25, **OLD}, True),
        # Of two that do there is none.
        ({"n": 100, "ns": 75, "nq": 56.25, "m": 100, "ms": 50, "mq": 25}, False),
        # Nor where rounding leaves a hair.
        (
            {
                "n": 3 * 67,
                "ns": 67 * 0.3,
                "nq": 67 * 0.03000000000001,
                "m": 100,
                "ms": 70,
                "mq": 49.00000000001,
            },
            False,
        ),
        ({**OLD}, False),
    ],
)
def test_what_a_model_says_is_held_against_what_the_old_one_says(
    values: dict[str, float], fires: bool
) -> None:
    found = alarm("answers")
    assert len(found["Metrics"]) <= 10  # CloudWatch takes no more
    ids = [each["Id"] for each in found["Metrics"] if "MetricStat" in each]
    worth = Expression(found["Metrics"][-1]["Expression"], ids).value(values)
    assert (worth is not None and worth > found["Threshold"]) == fires


@pytest.mark.parametrize(("new_rows", "old_rows"), [(50, 450), (50, 50), (450, 50)])
@pytest.mark.parametrize("mean", [0.001, 0.02, 0.3])
def test_sound_models_are_let_through_and_the_one_that_flags_everybody_is_not(
    new_rows: int, old_rows: int, mean: float
) -> None:
    found = alarm("answers")
    watched = Expression(found["Metrics"][-1]["Expression"], ["n", "ns", "nq", "m", "ms", "mq"])
    drawn = random.Random(7)

    def minute(count: int, mean: float, prefix: str) -> dict[str, float]:
        # Chances with a long tail: a beta distribution.
        says = [drawn.betavariate(2 * mean, 2 * (1 - mean)) for _ in range(count)]
        return {prefix: count, f"{prefix}s": sum(says), f"{prefix}q": sum(each * each for each in says)}

    def fires(says: float) -> bool:
        worth = watched.value({**minute(new_rows, says, "n"), **minute(old_rows, mean, "m")})
        return worth is not None and worth > found["Threshold"]

    assert not any(fires(mean) for _ in range(300))
    assert sum(fires(mean + 0.4) for _ in range(30)) >= 27


def test_the_new_fleet_and_the_old_one_are_told_apart() -> None:
    for each in alarm("latency-ratio")["Metrics"][:-1]:
        metric = each["MetricStat"]["Metric"]
        [config] = [one["Value"] for one in metric["Dimensions"] if one["Name"] == "EndpointConfigName"]
        assert config == ("{model}" if each["Id"] in ("n", "slow") else "{champion}")
        assert each["MetricStat"]["Period"] == 60


def test_answers_are_those_that_the_containers_count() -> None:
    for each in alarm("answers")["Metrics"][:-1]:
        metric = each["MetricStat"]["Metric"]
        whose = {one["Name"]: one["Value"] for one in metric["Dimensions"]}
        assert whose["EndpointConfigName"] == {"n": "{model}", "m": "{champion}"}[each["Id"][0]]
        counted = {"": "Predictions", "s": "PredictedSum", "q": "PredictedSquares"}[each["Id"][1:]]
        assert (metric["Namespace"], metric["MetricName"]) == ("Sluice/Serving", counted)
        assert (each["MetricStat"]["Stat"], each["MetricStat"]["Period"]) == ("Sum", 60)


def test_m_of_n_minutes_are_asked_for() -> None:
    found = alarm("errors", minutes=1, of_minutes=1)
    assert (found["DatapointsToAlarm"], found["EvaluationPeriods"]) == (1, 1)
    longer = asked(wait_seconds=300, alarms={"minutes": 2, "of_minutes": 3})["alarms"][0]
    assert (longer["DatapointsToAlarm"], longer["EvaluationPeriods"]) == (2, 3)
