"""What the local InvokeEndpoint adds to the model's own time, and what eight busy clients leave of the control plane.

    python -m benchmarks.invoke_endpoint [--requests 1000]

A project is deployed to a local AWS of its own (telco where its file lies in ../shared/data, else churn with
generated rows), and asked for one row at a time by boto3, which has a part in it. The model's own time is
CloudWatch's ModelLatency of the same minutes. JSON on stdout.

Bars: at most 3 ms added at the median; beside eight clients that send without a pause DescribeEndpoint answers within
half a second 99 times of 100.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.end_to_end import default_project
from cli import executions, stack
from cli.local_aws import LocalAws
from sluice import keys, naming

_BAR_ADDED_MS = 3.0
_BAR_DESCRIBE_MS = 500.0
_CLIENTS = 8
_BUSY_SECONDS = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        project, data = default_project(Path(folder))
        local = LocalAws(Path(folder) / "local")
        try:
            deployed = stack.deploy(project, local, wake=True)
            upload = executions.upload(deployed, data)
            executions.follow(deployed, executions.execution_arn(deployed, upload))
            figures = _measured(deployed, arguments.requests)
        finally:
            local.stop()
    print(json.dumps(figures, indent=2))
    return int(figures["added_ms"] > _BAR_ADDED_MS or figures["describe_p99_busy_ms"] > _BAR_DESCRIBE_MS)


def _measured(deployed: stack.Stack, count: int) -> dict[str, Any]:
    invoke, describe = _invocation(deployed), _description(deployed)
    for _ in range(50):
        invoke()
    began = time.time()
    taken = [_milliseconds(invoke) for _ in range(count)]
    own = _model_milliseconds(deployed, began)
    idle = [_milliseconds(describe) for _ in range(200)]
    busy, answered = _beside_clients(deployed, describe)
    return {
        "benchmark": "invoke_endpoint",
        "requests": count,
        "client_p50_ms": round(statistics.median(taken), 2),
        "client_p99_ms": round(statistics.quantiles(taken, n=100)[98], 2),
        "model_p50_ms": round(own, 2),
        "added_ms": round(statistics.median(taken) - own, 2),
        "bar_added_ms": _BAR_ADDED_MS,
        "describe_p50_idle_ms": round(statistics.median(idle), 1),
        "describe_p50_busy_ms": round(statistics.median(busy), 1),
        "describe_p99_busy_ms": round(statistics.quantiles(busy, n=100)[98], 1),
        "bar_describe_p99_ms": _BAR_DESCRIBE_MS,
        "busy_requests_per_s": round(answered / _BUSY_SECONDS),
    }


def _invocation(deployed: stack.Stack) -> Callable[[], Any]:
    """A call for one row, made of what the model's archive gives as an example."""
    item = deployed.client("dynamodb").get_item(
        TableName=deployed.output("ReleasesTableName"),
        Key={"endpoint_name": {"S": deployed.output("EndpointName")}, "item": {"S": "release"}},
    )["Item"]
    bucket, key = naming.split_uri(item["model_uri"]["S"])
    body = deployed.client("s3").get_object(Bucket=bucket, Key=keys.input_example(key))["Body"].read()
    runtime = deployed.client("sagemaker-runtime")
    asked = {"EndpointName": deployed.output("EndpointName"), "ContentType": "application/json", "Body": body}
    return lambda: runtime.invoke_endpoint(**asked)["Body"].read()


def _description(deployed: stack.Stack) -> Callable[[], Any]:
    sagemaker, name = deployed.client("sagemaker"), deployed.output("EndpointName")
    return lambda: sagemaker.describe_endpoint(EndpointName=name)


def _model_milliseconds(deployed: stack.Stack, began: float) -> float:
    [point] = deployed.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[
            {"Name": "EndpointName", "Value": deployed.output("EndpointName")},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        StartTime=began,
        EndTime=time.time() + 60,
        Period=3600,
        ExtendedStatistics=["p50"],
    )["Datapoints"]
    return float(point["ExtendedStatistics"]["p50"]) / 1000


def _beside_clients(deployed: stack.Stack, describe: Callable[[], Any]) -> tuple[list[float], int]:
    """Describe for some seconds while clients send; give how long each took, and how many requests were answered."""
    invoke, stop = _invocation(deployed), threading.Event()
    answered = [0] * _CLIENTS

    def send(number: int) -> None:
        while not stop.is_set():
            invoke()
            answered[number] += 1

    clients = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(_CLIENTS)]
    for client in clients:
        client.start()
    until, taken = time.monotonic() + _BUSY_SECONDS, []
    while time.monotonic() < until:
        taken.append(_milliseconds(describe))
    stop.set()
    for client in clients:
        client.join()
    return taken, sum(answered)


def _milliseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
