"""Alarms: when they change their state, and what follows."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.alarms import Criteria, InvalidRule, Sample, State, next_state, rule_holds, statistic
from tests.support.local_aws import LocalAws, wait_until
from tests.support.queues import queue, receive

NO_DATA: State = "INSUFFICIENT_DATA"


def state(data: str, datapoints_to_alarm: int, missing_data: str, current: State = "OK") -> State:
    """The state after `- X 0` periods: no data, breaching, not breaching."""
    values = {"-": None, "X": 1.0, "0": 0.0}
    criteria = Criteria("GreaterThanThreshold", 0.5, 3, datapoints_to_alarm, missing_data)
    return next_state([values[item] for item in data.split()], criteria, current)


@pytest.mark.parametrize(
    ("data", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "OK", "OK", "OK", "OK"),
        ("- - - - 0", "OK", "OK", "OK", "OK"),
        ("- - - - -", NO_DATA, "retain", "ALARM", "OK"),
        ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("- - X - -", "ALARM", "retain", "ALARM", "OK"),
    ],
)
@pytest.mark.parametrize("current", ["OK", "ALARM"])
def test_missing_data_where_three_of_three_make_an_alarm(
    data: str, missing: str, ignore: str, breaching: str, not_breaching: str, current: State
) -> None:
    """The table of the CloudWatch user guide."""
    expected = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    for treatment, wanted in expected.items():
        assert state(data, 3, treatment, current) == (current if wanted == "retain" else wanted), treatment


@pytest.mark.parametrize(
    ("data", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0 - X - -", "OK", "OK", "ALARM", "OK"),
        ("- - - - 0", "OK", "OK", "ALARM", "OK"),
        ("- - - X -", "ALARM", "retain", "ALARM", "OK"),
    ],
)
@pytest.mark.parametrize("current", ["OK", "ALARM"])
def test_missing_data_where_two_of_three_make_an_alarm(
    data: str, missing: str, ignore: str, breaching: str, not_breaching: str, current: State
) -> None:
    """The table of the CloudWatch user guide."""
    expected = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    for treatment, wanted in expected.items():
        assert state(data, 2, treatment, current) == (current if wanted == "retain" else wanted), treatment


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", [2.0]),
        ("GreaterThanOrEqualToThreshold", [1.0, 2.0]),
        ("LessThanThreshold", [0.0]),
        ("LessThanOrEqualToThreshold", [0.0, 1.0]),
    ],
)
def test_comparison_operators(comparison: str, breaching: list[float]) -> None:
    criteria = Criteria(comparison, 1.0, 1, 1, "missing")

    assert [value for value in (0.0, 1.0, 2.0) if next_state([value], criteria, "OK") == "ALARM"] == breaching


def single(value: float) -> Sample:
    return Sample(total=value, count=1, least=value, most=value, value=value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sum", 10),
        ("Average", 2.5),
        ("Minimum", 1),
        ("Maximum", 4),
        ("SampleCount", 4),
        ("p50", 2.5),
        ("p100", 4),
    ],
)
def test_statistics(name: str, expected: float) -> None:
    assert statistic(name, [single(value) for value in (4, 1, 3, 2)]) == expected
    assert statistic(name, []) is None


def test_a_set_of_statistics_counts_as_its_samples() -> None:
    samples = [single(1), Sample(total=9, count=3, least=2, most=4, value=None)]

    assert statistic("Average", samples) == 2.5
    with pytest.raises(ValueError, match="percentile"):
        statistic("p99", samples)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('ALARM("a")', True),
        ("ALARM(a) AND OK(b)", True),
        ("NOT ALARM(a) OR FALSE", False),
        ("OK(a) AND OK(b) OR TRUE", True),
        ("OK(a) AND (OK(b) OR TRUE)", False),
        ("INSUFFICIENT_DATA(c)", True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:a)", True),
    ],
)
def test_rules_of_composite_alarms(rule: str, expected: bool) -> None:
    states: dict[str, State] = {"a": "ALARM", "b": "OK", "c": NO_DATA}

    assert rule_holds(rule, lambda name: states[name.rsplit(":", 1)[-1]]) is expected


@pytest.mark.parametrize(
    "rule", ["", "ALARM", "ALARM(a", "ALARM(a) AND", "ALARM(a) OK(b)", "WRONG(a)", "ALARM(())"]
)
def test_a_rule_that_cannot_be_read(rule: str) -> None:
    with pytest.raises(InvalidRule):
        rule_holds(rule, lambda _name: "OK")


def alarm(server: LocalAws, **settings: Any) -> tuple[str, str]:
    """A new alarm on a metric of its own: its name and the metric's namespace."""
    name = f"alarm-{uuid.uuid4().hex[:8]}"
    defaults = {
        "Namespace": name,
        "MetricName": "Errors",
        "Dimensions": [{"Name": "EndpointName", "Value": "bank"}],
        "Statistic": "Sum",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    }
    server.client("cloudwatch").put_metric_alarm(AlarmName=name, **{**defaults, **settings})
    return name, name


def put(server: LocalAws, namespace: str, value: float, endpoint: str = "bank") -> None:
    datum = {
        "MetricName": "Errors",
        "Value": value,
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        "Timestamp": time.time(),
    }
    server.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def described(server: LocalAws, name: str) -> dict[str, Any]:
    answer = server.client("cloudwatch").describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found: list[dict[str, Any]] = answer.get("MetricAlarms", []) + answer.get("CompositeAlarms", [])
    assert len(found) == 1
    return found[0]


def wait_for(server: LocalAws, name: str, wanted: State) -> None:
    wait_until(lambda: described(server, name)["StateValue"] == wanted)


def topic_to(server: LocalAws, queue_arn: str) -> str:
    sns = server.client("sns")
    topic: str = sns.create_topic(Name=f"t-{uuid.uuid4().hex[:8]}")["TopicArn"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
    )
    return topic


def test_a_metric_raises_an_alarm_that_notifies_and_emits_an_event(local_aws: LocalAws) -> None:
    notified, notified_arn = queue(local_aws)
    emitted, emitted_arn = queue(local_aws)
    name, namespace = alarm(local_aws, AlarmActions=[topic_to(local_aws, notified_arn)])
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [name], "state": {"value": ["ALARM"]}},
    }
    events = local_aws.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": emitted_arn}])
    assert described(local_aws, name)["StateValue"] == NO_DATA

    put(local_aws, namespace, 5, endpoint="another")
    put(local_aws, namespace, 2)

    wait_for(local_aws, name, "ALARM")
    assert "[2.0]" in described(local_aws, name)["StateReason"]
    message = json.loads(receive(local_aws, notified)["Body"])
    assert (message["AlarmName"], message["NewStateValue"], message["OldStateValue"]) == (
        name,
        "ALARM",
        NO_DATA,
    )
    assert message["Trigger"]["Dimensions"] == [{"name": "EndpointName", "value": "bank"}]
    event = json.loads(receive(local_aws, emitted)["Body"])
    assert event["detail"]["previousState"]["value"] == NO_DATA
    assert event["resources"] == [described(local_aws, name)["AlarmArn"]]


def test_set_alarm_state_does_the_actions_and_the_metric_takes_over_again(local_aws: LocalAws) -> None:
    url, arn = queue(local_aws)
    name, _ = alarm(local_aws, AlarmActions=[topic_to(local_aws, arn)], TreatMissingData="notBreaching")
    wait_for(local_aws, name, "OK")

    local_aws.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")

    assert json.loads(receive(local_aws, url)["Body"])["NewStateReason"] == "a test"
    wait_for(local_aws, name, "OK")


def test_an_update_keeps_the_state(local_aws: LocalAws) -> None:
    name, _ = alarm(local_aws, TreatMissingData="ignore")
    cloudwatch = local_aws.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    alarms = {key: value for key, value in described(local_aws, name).items() if key in _SETTINGS}

    cloudwatch.put_metric_alarm(**{**alarms, "Threshold": 7.0})

    assert described(local_aws, name)["StateValue"] == "ALARM"
    assert described(local_aws, name)["Threshold"] == 7.0


_SETTINGS = (
    *("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods"),
    *("Threshold", "ComparisonOperator", "TreatMissingData"),
)


def test_a_composite_alarm_follows_its_alarms(local_aws: LocalAws) -> None:
    first, _ = alarm(local_aws, TreatMissingData="ignore")
    second, _ = alarm(local_aws, TreatMissingData="ignore")
    url, arn = queue(local_aws)
    name = f"both-{uuid.uuid4().hex[:8]}"
    cloudwatch = local_aws.client("cloudwatch")
    cloudwatch.put_composite_alarm(
        AlarmName=name,
        AlarmRule=f'ALARM("{first}") AND ALARM("{second}")',
        AlarmActions=[topic_to(local_aws, arn)],
    )
    cloudwatch.set_alarm_state(AlarmName=first, StateValue="ALARM", StateReason="a test")
    wait_for(local_aws, name, "OK")

    cloudwatch.set_alarm_state(AlarmName=second, StateValue="ALARM", StateReason="a test")

    wait_for(local_aws, name, "ALARM")
    assert json.loads(receive(local_aws, url)["Body"])["AlarmName"] == name


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "compares by"),
        ({"AlarmActions": ["arn:aws:automate:us-east-1:ec2:stop"]}, "only SNS and Lambda"),
    ],
)
def test_an_alarm_that_could_not_do_what_it_says_is_refused(
    local_aws: LocalAws, settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(ClientError, match=text):
        alarm(local_aws, **settings)
