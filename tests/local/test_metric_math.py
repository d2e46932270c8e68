"""Metric math of alarms: what an expression is worth in a period, and alarms that follow one."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.metric_math import Expression, InvalidExpression
from tests.support.local_aws import LocalAws, wait_until

KNOWN = ("bad", "n", "p", "q")


@pytest.mark.parametrize(
    ("text", "values", "worth"),
    [
        ("bad / n", {"bad": 1, "n": 4}, 0.25),
        ("IF(n >= 20, bad / n, 0)", {"bad": 5, "n": 20}, 0.25),
        ("IF(n >= 20, bad / n, 0)", {"bad": 5, "n": 19}, 0),
        ("IF(n >= 20, bad / n)", {"bad": 5, "n": 19}, None),
        ("IF(n >= 20, bad / n, 0)", {"bad": 5}, None),
        ("IF(FILL(n, 0) >= 20, bad / n, 0)", {}, 0),
        ("FILL(bad, 0) / n", {"n": 4}, 0),
        ("bad / n", {"n": 4}, None),
        ("bad / n", {"bad": 1, "n": 0}, None),
        ("IF(n > 1 AND p > 2 * q, 1, 0)", {"n": 2, "p": 5, "q": 2}, 1),
        ("IF(n > 1 && p > 2 * q, 1, 0)", {"n": 2, "p": 4, "q": 2}, 0),
        ("IF(n > 1 OR p > 9, 1, 0)", {"n": 1, "p": 9}, 0),
        ("IF(n > 1 || p > 9, 1, 0)", {"n": 2, "p": 9}, 1),
        ("-n + 2 ^ 3", {"n": 1}, 7),
        ("MAX(n, p) - MIN(n, p)", {"n": 1, "p": 3}, 2),
        ("MAX(n, p)", {"p": 3}, 3),
        ("ABS(n - p)", {"n": 1, "p": 3}, 2),
        ("ABS(n)", {}, None),
    ],
)
def test_an_expression_is_worth(text: str, values: dict[str, float], worth: float | None) -> None:
    assert Expression(text, KNOWN).value(values) == worth


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bad / m9", "there is no m9"),
        ("bad /", "cannot be read"),
        ("RATE(bad)", r"does not know RATE\(bad\)"),
        ("IF(n)", "IF has 1 arguments"),
        ("bad.__class__", "does not know bad.__class__"),
        ("'text'", "does not know 'text'"),
        ("n < p < q", "does not know"),
    ],
)
def test_what_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidExpression, match=says):
        Expression(text, KNOWN)


def metric(namespace: str, name: str, **more: Any) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": namespace, "MetricName": name}, "Period": 300, "Stat": "Sum"}
    return {"Id": name, "MetricStat": stat, "ReturnData": False, **more}


def put_alarm(local_aws: LocalAws, name: str, metrics: list[dict[str, Any]]) -> None:
    local_aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Metrics=metrics,
        EvaluationPeriods=1,
        Threshold=0.1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


def state(local_aws: LocalAws, name: str) -> str:
    [alarm] = local_aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(alarm["StateValue"])


def test_a_rate_alarms_from_its_least_sample_on(local_aws: LocalAws) -> None:
    namespace, name = uuid.uuid4().hex, uuid.uuid4().hex
    asked = [
        metric(namespace, "bad"),
        metric(namespace, "n"),
        {"Id": "rate", "Expression": "FILL(bad, 0) / n", "ReturnData": False},
        {"Id": "shown", "Expression": "IF(n >= 20, rate, 0)", "ReturnData": True},
    ]
    put_alarm(local_aws, name, asked)
    [alarm] = local_aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert [each.get("Expression") for each in alarm["Metrics"]][2:] == [
        "FILL(bad, 0) / n",
        "IF(n >= 20, rate, 0)",
    ]

    def put(bad: float, n: float) -> None:
        data = [{"MetricName": "bad", "Value": bad}, {"MetricName": "n", "Value": n}]
        local_aws.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)

    # All of it in one period.
    wait_until(lambda: time.time() % 300 < 270)
    put(9, 19)
    wait_until(lambda: state(local_aws, name) == "OK")
    put(0, 1)
    wait_until(lambda: state(local_aws, name) == "ALARM")
    [item] = local_aws.client("cloudwatch").describe_alarm_history(
        AlarmName=name, HistoryItemType="StateUpdate", ScanBy="TimestampDescending", MaxRecords=1
    )["AlarmHistoryItems"]
    assert "0.45" in item["HistoryData"]
    local_aws.client("cloudwatch").delete_alarms(AlarmNames=[name])


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ([metric("a", "n"), {"Id": "e", "Expression": "m9"}], "there is no m9"),
        ([metric("a", "n"), {"Id": "e", "Expression": "n"}, {"Id": "f", "Expression": "n"}], "exactly one"),
        (
            [
                metric("a", "n"),
                {"Id": "e", "Expression": "f + n"},
                {"Id": "f", "Expression": "e", "ReturnData": False},
            ],
            "go in a circle",
        ),
    ],
)
def test_an_alarm_that_can_follow_nothing_is_refused(
    local_aws: LocalAws, metrics: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(ClientError, match=says):
        put_alarm(local_aws, "refused", metrics)
