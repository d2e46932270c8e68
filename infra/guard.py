"""How the machine `deployment` has traffic go over to a new model, in SageMaker's and CloudWatch's words.

`{model}` and `{champion}` stand for the configurations of the new fleet and the old one; the machine fills them in.
"""

from __future__ import annotations

from typing import Any

from sluice import naming
from sluice.deployment_table import ALARM_PERIOD_SECONDS, Deployment
from sluice.project import Project

VARIANT = "AllTraffic"
_TYPES = {"all_at_once": "ALL_AT_ONCE", "canary": "CANARY", "linear": "LINEAR"}
_SIZES = {"canary": "CanarySize", "linear": "LinearStepSize"}
# Ids in metric math begin with a small letter.
_NEW, _OLD = "{model}", "{champion}"
_CONTAINERS = "Sluice/Serving"
# Standard errors of the difference of two means that a sound model stays within (docs/decisions/0030).
_SURE = 4
_HAIR = 0.000001


def guard(project: Project, environment: str) -> dict[str, Any] | None:
    """Give the policy, its alarms and what is told of both fleets; None where all goes over at once, unwatched."""
    asked = project.deployment
    if environment not in asked.environments:
        return None
    endpoint = naming.endpoint(project.name, environment)
    alarms = [_alarm(endpoint, name, asked) for name in asked.alarms.watching(asked.strategy)]
    names = [*(each["AlarmName"] for each in alarms), *asked.alarms.also]
    config = _policy(asked)
    if names:
        config["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": name} for name in names]}
    first = 1.0 if asked.share is None else asked.share / 100
    return {"config": config, "first_share": first, "alarms": alarms, "figures": _figures(endpoint)}


def _policy(asked: Deployment) -> dict[str, Any]:
    size = {"Type": "CAPACITY_PERCENT", "Value": asked.share}
    if asked.strategy == "rolling":
        return {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": size,
                "WaitIntervalInSeconds": asked.wait_seconds,
                "MaximumExecutionTimeoutInSeconds": asked.timeout_seconds,
            }
        }
    routing: dict[str, Any] = {"Type": _TYPES[asked.strategy], "WaitIntervalInSeconds": asked.wait_seconds}
    if asked.strategy in _SIZES:
        routing[_SIZES[asked.strategy]] = size
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": asked.keep_old_seconds,
            "MaximumExecutionTimeoutInSeconds": asked.timeout_seconds,
        }
    }


def _alarm(endpoint: str, name: str, asked: Deployment) -> dict[str, Any]:
    """Give PutMetricAlarm's arguments of one of `Alarms.watching`."""
    limits = asked.alarms
    least = limits.min_requests
    new = [_metric(endpoint, _NEW, "n", "Invocations")]
    old = [_metric(endpoint, _OLD, "m", "Invocations")]
    many = limits.min_latency_requests
    if name == "errors":
        metrics = [*new, _metric(endpoint, _NEW, "bad", "Invocation5XXErrors")]
        expression, limit = f"IF(n >= {least}, bad / n, 0)", limits.max_error_rate
        meaning = "of the new model's answers were errors of its own"
    elif name == "refused":
        metrics = [
            *new,
            *old,
            _metric(endpoint, _NEW, "bad", "Invocation4XXErrors"),
            _metric(endpoint, _OLD, "usual", "Invocation4XXErrors"),
        ]
        share = f"bad / n - IF(FILL(m, 0) >= {least}, FILL(usual, 0) / m, 0)"
        expression, limit = f"IF(n >= {least}, {share}, 0)", limits.max_refused_rate
        meaning = "of the requests were refused by the new model, beyond what the old one refuses"
    elif name == "latency":
        metrics = [*new, _metric(endpoint, _NEW, "slow", "ModelLatency", "p99")]
        expression, limit = f"IF(n >= {many}, slow / 1000, 0)", limits.max_latency_ms
        meaning = "milliseconds were the 99th percentile of the new model's time"
    elif name == "answers":
        metrics = [
            _metric(endpoint, config, short + what, metric, namespace=_CONTAINERS)
            for config, short in ((_NEW, "n"), (_OLD, "m"))
            for what, metric in (("", "Predictions"), ("s", "PredictedSum"), ("q", "PredictedSquares"))
        ]
        new_variance, old_variance = "(nq / n - (ns / n) ^ 2)", "(mq / m - (ms / m) ^ 2)"
        spread, error = f"({new_variance} + {old_variance})", f"({new_variance} / n + {old_variance} / m)"
        beyond = f"(ABS(ns / n - ms / m) - {_SURE} * {error} ^ 0.5) / ({spread} / 2) ^ 0.5"
        # Of answers that are all alike rounding leaves a variance of a hair, below zero or above.
        shift = f"IF({spread} > {_HAIR} * (nq / n + mq / m) AND {error} > 0, {beyond}, 0)"
        expression, limit = f"IF(n >= {least} AND FILL(m, 0) >= {least}, {shift}, 0)", limits.max_answer_shift
        meaning = "standard deviations were between the means of what both models say, beyond chance"
    else:
        metrics = [
            *new,
            *old,
            _metric(endpoint, _NEW, "slow", "ModelLatency", "p99"),
            _metric(endpoint, _OLD, "usual", "ModelLatency", "p99"),
        ]
        expression, limit = (
            f"IF(n >= {many} AND FILL(m, 0) >= {many}, slow / usual, 0)",
            limits.max_latency_ratio,
        )
        meaning = "times as long as the old model took the new one, at the 99th percentile"
    return {
        "AlarmName": f"{endpoint}-{_NEW}-{name}",
        "AlarmDescription": f"More than {limit:g} {meaning}. It is there while that model is deployed.",
        "Metrics": [*metrics, {"Id": "watched", "Expression": expression, "ReturnData": True}],
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": limit,
        "DatapointsToAlarm": limits.minutes,
        "EvaluationPeriods": limits.of_minutes,
        # No traffic: nobody is harmed, and nothing is known.
        "TreatMissingData": "notBreaching",
    }


def _figures(endpoint: str) -> list[dict[str, Any]]:
    return [
        {**_metric(endpoint, config, f"{which}_{name}", metric, statistic), "ReturnData": True}
        for which, config in (("new", _NEW), ("old", _OLD))
        for name, metric, statistic in (
            ("requests", "Invocations", "Sum"),
            ("errors", "Invocation5XXErrors", "Sum"),
            ("refused", "Invocation4XXErrors", "Sum"),
            ("p99", "ModelLatency", "p99"),
        )
    ]


def _metric(
    endpoint: str,
    config: str,
    name: str,
    metric: str,
    statistic: str = "Sum",
    namespace: str = "AWS/SageMaker",
) -> dict[str, Any]:
    whose = {"EndpointName": endpoint, "VariantName": VARIANT, "EndpointConfigName": config}
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in whose.items()],
            },
            "Period": ALARM_PERIOD_SECONDS,
            "Stat": statistic,
        },
        "ReturnData": False,
    }
