"""Lines in CloudWatch's embedded metric format become metrics, whoever puts them."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from infra.guard import guard
from local.embedded_metrics import data_of
from sluice.project import Project
from tests.support.local_aws import LocalAws, wait_until

WHOSE = {"EndpointName": "bank-prod", "VariantName": "AllTraffic", "EndpointConfigName": "bank-prod-2"}
BANK = {
    "project": {"name": "bank"},
    "target": {"column": "y", "problem": "binary", "positive": "yes"},
    "columns": {"age": {"type": "integer"}, "y": {"type": "string"}},
    "features": {"numeric": ["age"]},
    "serving": {"instance_count": 2},
}
SETS = [list(WHOSE)[:2], list(WHOSE)]


def line(namespace: str, **more: Any) -> str:
    definition = {
        "Namespace": namespace,
        "Dimensions": SETS,
        "Metrics": [{"Name": "Predictions", "Unit": "Count"}, {"Name": "Times"}],
    }
    return written(definition, **{"Predictions": 7, **more})


def written(definition: dict[str, Any], **values: Any) -> str:
    about = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [definition]}
    return json.dumps({"_aws": about, **WHOSE, **values})


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


def test_what_two_fleets_write_raises_the_alarm_of_a_deployment(local_aws: LocalAws) -> None:
    logs, cloudwatch = local_aws.client("logs"), local_aws.client("cloudwatch")
    table = {"strategy": "canary", "share": 50, "wait_seconds": 120, "environments": ["prod"]}
    found = guard(Project.model_validate({**BANK, "deployment": table}), "prod")
    assert found is not None
    [asked] = [each for each in found["alarms"] if each["AlarmName"].endswith("-answers")]
    alarm = json.loads(json.dumps(asked).replace("{model}", "bank-2").replace("{champion}", "bank-1"))
    cloudwatch.put_metric_alarm(**alarm)
    group = uuid.uuid4().hex
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    dimensions = {"EndpointName": "sluice-bank-prod", "VariantName": "AllTraffic"}

    def says(config: str, mean: float) -> None:
        sums = {"Predictions": 100, "PredictedSum": 100 * mean, "PredictedSquares": 100 * (mean**2 + 0.01)}
        definition = {
            "Namespace": "Sluice/Serving",
            "Dimensions": [[*dimensions, "EndpointConfigName"]],
            "Metrics": [{"Name": name} for name in sums],
        }
        message = written(definition, **{**dimensions, "EndpointConfigName": config, **sums})
        event = {"timestamp": int(time.time() * 1000), "message": message}
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])

    def state() -> str:
        [described] = cloudwatch.describe_alarms(AlarmNames=[alarm["AlarmName"]])["MetricAlarms"]
        return str(described["StateValue"])

    wait_until(lambda: state() == "OK")
    # All of it in one period.
    wait_until(lambda: time.time() % 60 < 50)
    says("bank-1", 0.2)
    says("bank-2", 0.9)
    wait_until(lambda: state() == "ALARM")
    cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
