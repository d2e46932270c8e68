"""What services tell of themselves: metrics of executions, functions and queues, and events of executions."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_aws import LocalAws, create_function, wait_until
from tests.support.machines import Machines
from tests.support.queues import queue, receive

HANDLER = """
import json, time
def handler(event, context):
    if event.get("fail"):
        raise ValueError("no")
    time.sleep(event.get("seconds", 0))
    return {}
"""
PASS = {"Pass": {"Type": "Pass", "End": True}}
FAIL = {"Fail": {"Type": "Fail", "Error": "Broken", "Cause": "as planned"}}
WAIT = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}


def total(
    server: LocalAws, namespace: str, metric: str, statistic: str = "Sum", **dimensions: str
) -> float | None:
    """The metric's statistic over the last hours, None where there is no datapoint."""
    now = time.time()
    points = server.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - 3600,
        EndTime=now + 3600,
        Period=7200,
        Statistics=[statistic],
    )["Datapoints"]
    assert len(points) <= 1
    return points[0][statistic] if points else None


# --- executions


def executions(server: LocalAws, machine: str) -> dict[str, float | None]:
    names = ("Started", "Succeeded", "Failed", "Aborted", "TimedOut")
    return {n: total(server, "AWS/States", f"Executions{n}", StateMachineArn=machine) for n in names}


def counted(**counts: float) -> dict[str, float | None]:
    return {**dict.fromkeys(("Started", "Succeeded", "Failed", "Aborted", "TimedOut")), **counts}


def test_executions_are_counted_by_how_they_end(local_aws: LocalAws, machines: Machines) -> None:
    good, bad = machines.make(PASS), machines.make(FAIL)
    for machine in (good, good, bad):
        machines.wait(machines.start(machine))

    wait_until(lambda: executions(local_aws, good) == counted(Started=2, Succeeded=2))
    wait_until(lambda: executions(local_aws, bad) == counted(Started=1, Failed=1))


def test_aborted_and_timed_out_executions_are_counted(local_aws: LocalAws, machines: Machines) -> None:
    aborted, late = machines.make(WAIT), f"late-{uuid.uuid4().hex[:8]}"
    definition = {"StartAt": "Wait", "TimeoutSeconds": 1, "States": WAIT}
    late = machines.api.create_state_machine(
        name=late, definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/machine"
    )["stateMachineArn"]
    execution = machines.start(aborted)
    machines.api.stop_execution(executionArn=execution)
    machines.wait(machines.start(late))

    wait_until(lambda: executions(local_aws, aborted) == counted(Started=1, Aborted=1))
    wait_until(lambda: executions(local_aws, late) == counted(Started=1, TimedOut=1))
    milliseconds = total(local_aws, "AWS/States", "ExecutionTime", "Maximum", StateMachineArn=late)
    assert milliseconds is not None
    assert 1000 <= milliseconds < 60_000


@pytest.fixture
def changes(local_aws: LocalAws) -> str:
    """The URL of a queue that hears of every change of an execution's status."""
    url, arn = queue(local_aws)
    name = f"changes-{uuid.uuid4().hex[:8]}"
    events = local_aws.client("events")
    pattern = {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    return url


def heard(server: LocalAws, url: str, execution: str, status: str) -> dict[str, Any]:
    """The event of the execution's status, from among those of other executions."""
    while True:
        event: dict[str, Any] = json.loads(receive(server, url)["Body"])
        if (event["detail"]["executionArn"], event["detail"]["status"]) == (execution, status):
            return event


def test_each_change_of_an_executions_status_is_an_event(
    local_aws: LocalAws, machines: Machines, changes: str
) -> None:
    machine = machines.make(WAIT)
    execution = machines.start(machine, {"a": 1})
    running = heard(local_aws, changes, execution, "RUNNING")
    described = machines.api.describe_execution(executionArn=execution)
    started = int(described["startDate"].timestamp() * 1000)

    assert running["resources"] == [execution]
    assert running["detail"] == {
        "executionArn": execution,
        "stateMachineArn": machine,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "name": described["name"],
        "status": "RUNNING",
        "startDate": started,
        "stopDate": None,
        "input": described["input"],
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": None,
        "error": None,
        "cause": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
    }

    machines.api.stop_execution(executionArn=execution, error="Enough", cause="said a person")

    aborted = heard(local_aws, changes, execution, "ABORTED")["detail"]
    assert (aborted["error"], aborted["cause"]) == ("Enough", "said a person")
    assert aborted["stopDate"] >= started
    assert aborted["redriveStatus"] == "REDRIVABLE"


@pytest.mark.parametrize(
    ("states", "status", "output", "error"),
    [(PASS, "SUCCEEDED", "{}", None), (FAIL, "FAILED", None, "Broken")],
)
def test_the_event_of_an_end_says_what_came_of_it(
    local_aws: LocalAws,
    machines: Machines,
    changes: str,
    states: dict[str, Any],
    status: str,
    output: str | None,
    error: str | None,
) -> None:
    execution = machines.start(machines.make(states))

    detail = heard(local_aws, changes, execution, status)["detail"]

    assert (detail["output"], detail["error"]) == (output, error)
    assert detail["outputDetails"] == (None if output is None else {"included": True})


def test_a_payload_too_long_for_an_event_is_left_out(
    local_aws: LocalAws, machines: Machines, changes: str
) -> None:
    execution = machines.start(machines.make(PASS), "x" * 140_000)

    detail = heard(local_aws, changes, execution, "SUCCEEDED")["detail"]

    assert (detail["input"], detail["inputDetails"]) == (None, {"included": False})
    assert detail["output"] == json.dumps("x" * 140_000)


# --- functions


def test_invocations_are_counted_by_function_and_by_what_was_called(local_aws: LocalAws) -> None:
    name, client = f"counted-{uuid.uuid4().hex[:8]}", local_aws.client("lambda")
    create_function(local_aws, name, HANDLER, Timeout=30)
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")

    client.invoke(FunctionName=name, Payload=b"{}")
    client.invoke(FunctionName=name, Payload=b'{"fail": true}')
    client.invoke(FunctionName=name, Qualifier="1", Payload=b"{}")
    client.invoke(FunctionName=f"{name}:live", Payload=b'{"fail": true}')
    client.invoke(FunctionName=name, InvocationType="DryRun")

    def sums(**dimensions: str) -> tuple[float | None, ...]:
        return tuple(
            total(local_aws, "AWS/Lambda", metric, **dimensions)
            for metric in ("Invocations", "Errors", "Throttles")
        )

    assert sums(FunctionName=name) == (4, 2, 0)
    assert sums(FunctionName=name, Resource=name) == (2, 1, 0)
    assert sums(FunctionName=name, Resource=f"{name}:1") == (1, 0, 0)
    assert sums(FunctionName=name, Resource=f"{name}:live") == (1, 1, 0)
    assert sums(FunctionName=name, Resource=f"{name}:live", ExecutedVersion="1") == (1, 1, 0)
    assert (total(local_aws, "AWS/Lambda", "Invocations") or 0) >= 4, "across all functions"
    assert (total(local_aws, "AWS/Lambda", "Duration", "Minimum", FunctionName=name) or 0) > 0
    assert total(local_aws, "AWS/Lambda", "ConcurrentExecutions", "Maximum", FunctionName=name) == 1


def test_a_throttled_request_is_no_invocation(local_aws: LocalAws) -> None:
    name, client = f"throttled-{uuid.uuid4().hex[:8]}", local_aws.client("lambda")
    create_function(local_aws, name, HANDLER)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)

    with pytest.raises(ClientError, match="TooManyRequests"):
        client.invoke(FunctionName=name, Payload=b"{}")

    assert total(local_aws, "AWS/Lambda", "Throttles", FunctionName=name) == 1
    assert total(local_aws, "AWS/Lambda", "Invocations", FunctionName=name) is None


def test_an_asynchronous_event_waits_until_its_function_may_run(local_aws: LocalAws) -> None:
    name, client = f"queued-{uuid.uuid4().hex[:8]}", local_aws.client("lambda")
    create_function(local_aws, name, HANDLER)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    client.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    wait_until(lambda: total(local_aws, "AWS/Lambda", "Throttles", FunctionName=name))

    client.delete_function_concurrency(FunctionName=name)

    wait_until(lambda: total(local_aws, "AWS/Lambda", "Invocations", FunctionName=name) == 1)
    assert total(local_aws, "AWS/Lambda", "AsyncEventsReceived", FunctionName=name) == 1


# --- the alarms that infra/observability makes of them


def made(server: LocalAws, namespace: str, metric: str, statistic: str, **dimensions: str) -> str:
    """An alarm as the pipeline's stack has it; its name."""
    name = f"alarm-{uuid.uuid4().hex[:8]}"
    server.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic=statistic,
        Period=300,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    return name


def fires(server: LocalAws, name: str) -> None:
    def state() -> str:
        return str(
            server.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]
        )

    wait_until(lambda: state() == "ALARM")


@pytest.mark.parametrize(("metric", "states"), [("ExecutionsFailed", FAIL), ("ExecutionsAborted", WAIT)])
def test_an_alarm_on_executions_fires(
    local_aws: LocalAws, machines: Machines, metric: str, states: dict[str, Any]
) -> None:
    machine = machines.make(states)
    name = made(local_aws, "AWS/States", metric, "Sum", StateMachineArn=machine)
    execution = machines.start(machine)
    if states is WAIT:
        machines.api.stop_execution(executionArn=execution)
    fires(local_aws, name)


def test_an_alarm_on_a_functions_errors_fires(local_aws: LocalAws) -> None:
    function = f"failing-{uuid.uuid4().hex[:8]}"
    create_function(local_aws, function, HANDLER)
    name = made(local_aws, "AWS/Lambda", "Errors", "Sum", FunctionName=function)
    local_aws.client("lambda").invoke(FunctionName=function, Payload=b'{"fail": true}')
    fires(local_aws, name)


def test_an_alarm_on_what_waits_in_a_queue_fires(local_aws: LocalAws) -> None:
    url, arn = queue(local_aws)
    metric = "ApproximateNumberOfMessagesVisible"
    name = made(local_aws, "AWS/SQS", metric, "Maximum", QueueName=arn.rsplit(":", 1)[-1])
    local_aws.client("sqs").send_message(QueueUrl=url, MessageBody="lost")
    fires(local_aws, name)
