"""Lines in CloudWatch's embedded metric format become metrics, whoever puts them."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from local.embedded_metrics import data_of
from tests.support.local_aws import LocalAws

WHOSE = {"EndpointName": "bank-prod", "VariantName": "AllTraffic", "EndpointConfigName": "bank-prod-2"}
SETS = [list(WHOSE)[:2], list(WHOSE)]


def line(namespace: str, **more: Any) -> str:
    definition = {
        "Namespace": namespace,
        "Dimensions": SETS,
        "Metrics": [{"Name": "Predictions", "Unit": "Count"}, {"Name": "Times"}],
    }
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [definition]}
    return json.dumps({"_aws": about, **WHOSE, "Predictions": 7, **more})


def test_a_line_in_a_log_is_a_metric_under_each_set_of_its_dimensions(local_aws: LocalAws) -> None:
    logs, cloudwatch = local_aws.client("logs"), local_aws.client("cloudwatch")
    namespace = group = uuid.uuid4().hex
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    messages = ["a line like any other", line(namespace), line(namespace, Times=[1, 2.5, 2.5])]
    events = [{"timestamp": int(time.time() * 1000), "message": each} for each in messages]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)

    def total(metric: str, names: list[str]) -> list[tuple[float, str]]:
        points = cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": WHOSE[name]} for name in names],
            StartTime=time.time() - 600,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=["Sum"],
        )["Datapoints"]
        return [(point["Sum"], point["Unit"]) for point in points]

    for names in SETS:
        assert total("Predictions", names) == [(14, "Count")]
        assert total("Times", names) == [(6, "None")]
    assert total("Predictions", ["EndpointName"]) == []
    stored = logs.get_log_events(logGroupName=group, logStreamName="s")["events"]
    assert [event["message"] for event in stored] == messages


def test_what_is_no_such_document_is_a_line_like_any_other() -> None:
    whole = json.loads(line("n"))
    broken = [
        '{"_aws": ',
        '["_aws"]',
        json.dumps({**whole, "_aws": {}}),
        json.dumps({**whole, "_aws": "x"}),
        json.dumps({name: value for name, value in whole.items() if name != "EndpointName"}),
        json.dumps({**whole, "Predictions": "7"}),
        json.dumps({**whole, "Predictions": True}),
    ]
    assert list(data_of(broken)) == []
    assert len(list(data_of([json.dumps(whole)]))) == 2
