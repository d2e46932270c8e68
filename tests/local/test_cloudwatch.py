"""Alarms: when they change their state, and what follows."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.alarms import Criteria, InvalidRule, State, next_state, reason, rule_holds
from local.metrics import Sample, statistic
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
    assert statistic(name, [Sample.of(value) for value in (4, 1, 3, 2)]) == expected
    assert statistic(name, []) is None


def test_a_set_of_statistics_counts_as_its_samples() -> None:
    samples = [Sample.of(1), Sample.of_set(total=9, count=3, least=2, most=4)]

    assert statistic("Average", samples) == 2.5
    assert statistic("p99", samples) is None, "as on AWS: the single values are not known"
    assert statistic("p50", [Sample.of(1), Sample.of_set(total=6, count=2, least=3, most=3)]) == 3


def test_equal_values_count_in_a_percentile_as_often_as_they_were_put() -> None:
    assert statistic("p50", [Sample.of(7, count=3), Sample.of(100)]) == 7
    assert statistic("p90", [Sample.of(0, count=10), Sample.of(10)]) == 0
    assert statistic("p95", [Sample.of(0, count=10), Sample.of(10)]) == 5


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
    reason = described(local_aws, name)["StateReason"]
    assert re.fullmatch(
        r"Threshold Crossed: 1 out of the last 1 datapoints \[2\.0 \(\d\d/\d\d/\d\d \d\d:\d\d:\d0\)\] was "
        r"greater than or equal to the threshold \(1\.0\) \(minimum 1 datapoint for OK -> ALARM transition\)\.",
        reason,
    )
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


def test_alarms_of_a_metric_are_those_of_its_dimensions_and_no_others(local_aws: LocalAws) -> None:
    name, namespace = alarm(local_aws)
    [settings] = local_aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    bank = settings["Dimensions"]

    def found(**asked: Any) -> list[str]:
        answer = local_aws.client("cloudwatch").describe_alarms_for_metric(
            Namespace=namespace, MetricName=settings["MetricName"], **asked
        )
        return [each["AlarmName"] for each in answer["MetricAlarms"]]

    assert bank
    assert found(Dimensions=bank) == [name]
    assert found() == []
    assert found(Dimensions=[{"Name": bank[0]["Name"], "Value": "another"}]) == []
    assert found(Dimensions=[*bank, {"Name": "VariantName", "Value": "AllTraffic"}]) == []
    assert found(Dimensions=bank, Period=settings["Period"], Statistic=settings["Statistic"]) == [name]
    assert found(Dimensions=bank, Period=settings["Period"] + 60) == []
    assert found(Dimensions=bank, Statistic="Minimum") == []


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


# --- what is asked of metrics


def at(minute: int, second: int = 0) -> float:
    """A time in an hour that is over: seconds of the epoch."""
    return (int(time.time()) // 3600 - 2) * 3600 + minute * 60 + second


def put_values(server: LocalAws, namespace: str, values: dict[float, float], **fields: Any) -> None:
    data = [
        {"MetricName": "Latency", "Timestamp": moment, "Value": value, **fields}
        for moment, value in values.items()
    ]
    server.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def data(
    server: LocalAws, namespace: str, statistic: str, start: float, end: float, **query: Any
) -> list[tuple[float, float]]:
    """What GetMetricData says, by the beginning of the period."""
    metric = {"Namespace": namespace, "MetricName": "Latency"}
    stat = {"Metric": metric, "Period": 300, "Stat": statistic}
    result = server.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "m1", "MetricStat": stat}],
        StartTime=start,
        EndTime=end,
        ScanBy="TimestampAscending",
        **query,
    )["MetricDataResults"][0]
    stamps = [stamp.timestamp() for stamp in result["Timestamps"]]
    return list(zip(stamps, result["Values"], strict=True))


def test_the_periods_of_metric_data_begin_at_multiples_of_their_length(local_aws: LocalAws) -> None:
    namespace = uuid.uuid4().hex
    put_values(local_aws, namespace, {at(5, 1): 1, at(9, 59): 2, at(10): 4, at(22): 8})

    found = data(local_aws, namespace, "Sum", at(7, 13), at(25, 13))

    assert found == [(at(5), 3.0), (at(10), 4.0), (at(20), 8.0)]


def test_metric_data_comes_newest_first_unless_asked_otherwise(local_aws: LocalAws) -> None:
    namespace = uuid.uuid4().hex
    put_values(local_aws, namespace, {at(5): 1, at(10): 2})
    stat = {"Metric": {"Namespace": namespace, "MetricName": "Latency"}, "Period": 300, "Stat": "Sum"}

    answer = local_aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[{"Id": "m1", "MetricStat": stat}], StartTime=at(0), EndTime=at(59)
    )

    assert answer["MetricDataResults"][0]["Values"] == [2, 1]
    assert answer["MetricDataResults"][0]["Label"] == "Latency"


def test_metric_data_knows_percentiles(local_aws: LocalAws) -> None:
    namespace = uuid.uuid4().hex
    put_values(local_aws, namespace, {at(5, second): float(second) for second in range(11)})

    assert data(local_aws, namespace, "p90", at(0), at(59)) == [(at(5), 9.0)]


@pytest.mark.parametrize("statistic", ["p101", "median", "tm90"])
def test_a_statistic_that_is_none_is_refused(local_aws: LocalAws, statistic: str) -> None:
    with pytest.raises(ClientError, match="is not supported"):
        data(local_aws, "any", statistic, at(0), at(59))


def test_metric_math_is_refused_by_name(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError, match=r"no metric math.*m1 \+ m2"):
        local_aws.client("cloudwatch").get_metric_data(
            MetricDataQueries=[{"Id": "e1", "Expression": "m1 + m2"}], StartTime=at(0), EndTime=at(59)
        )


def test_metric_statistics_have_percentiles_and_keep_units_and_dimensions_apart(local_aws: LocalAws) -> None:
    namespace = uuid.uuid4().hex
    dimensions = [{"Name": "Endpoint", "Value": "a"}]
    put_values(local_aws, namespace, {at(7, 30): 1, at(8, 30): 3}, Unit="Seconds", Dimensions=dimensions)
    put_values(local_aws, namespace, {at(8): 9}, Unit="Count", Dimensions=dimensions)
    put_values(local_aws, namespace, {at(8): 100}, Unit="Seconds")
    put_values(
        local_aws, namespace, {at(8): 100}, Dimensions=[*dimensions, {"Name": "Variant", "Value": "b"}]
    )

    points = local_aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName="Latency",
        Dimensions=dimensions,
        StartTime=at(7),
        EndTime=at(59),
        Period=300,
        Statistics=["Sum"],
        ExtendedStatistics=["p50", "p100"],
    )["Datapoints"]

    found = {point["Unit"]: (point["Sum"], point["ExtendedStatistics"]) for point in points}
    assert found == {"Seconds": (4, {"p50": 2, "p100": 3}), "Count": (9, {"p50": 9, "p100": 9})}
    assert {point["Timestamp"].timestamp() for point in points} == {at(7)}, "they count from the start"


def test_each_metric_is_listed_once(local_aws: LocalAws) -> None:
    namespace = uuid.uuid4().hex
    put_values(local_aws, namespace, {at(1): 1, at(2): 2})
    put_values(local_aws, namespace, {at(1): 1}, Dimensions=[{"Name": "Endpoint", "Value": "a"}])

    listed = local_aws.client("cloudwatch").list_metrics(Namespace=namespace)["Metrics"]

    assert sorted(len(metric["Dimensions"]) for metric in listed) == [0, 1]


def test_an_alarm_keeps_its_percentile(local_aws: LocalAws) -> None:
    name, namespace = f"p-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    settings = {"Namespace": namespace, "MetricName": "Latency", "Period": 60, "EvaluationPeriods": 1}
    local_aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        ExtendedStatistic="p95",
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        **settings,
    )
    assert described(local_aws, name)["ExtendedStatistic"] == "p95"

    put_values(local_aws, namespace, dict.fromkeys([time.time()], 7.0))

    wait_for(local_aws, name, "ALARM")


# --- why, and what was


@pytest.mark.parametrize(
    ("values", "state", "expected"),
    [
        (
            [1.0, 7.0, 9.0],
            "ALARM",
            "Threshold Crossed: 2 out of the last 3 datapoints [9.0 (02/01/70 00:02:00), 7.0 (02/01/70 00:01:00)] "
            "were greater than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (
            [9.0, 1.0, 2.0],
            "OK",
            "Threshold Crossed: 2 out of the last 3 datapoints [2.0 (02/01/70 00:02:00), 1.0 (02/01/70 00:01:00)] "
            "were not greater than the threshold (5.0) (minimum 2 datapoints for ALARM -> OK transition).",
        ),
        (
            [None, None, None],
            "OK",
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated "
            "as [NonBreaching].",
        ),
        ([None, None, None], NO_DATA, "Insufficient Data: 3 datapoints were unknown."),
    ],
)
def test_the_reason_of_a_state(values: list[float | None], state: State, expected: str) -> None:
    criteria = Criteria("GreaterThanThreshold", 5.0, 3, 2, "missing")

    assert reason([(86_400 + 60 * n, value) for n, value in enumerate(values)], criteria, state) == expected


def history(server: LocalAws, **settings: Any) -> list[dict[str, Any]]:
    client = server.client("cloudwatch")
    return [dict(item) for item in client.describe_alarm_history(**settings)["AlarmHistoryItems"]]


def test_the_history_of_an_alarm_outlives_it(local_aws: LocalAws) -> None:
    _, arn = queue(local_aws)
    topic = topic_to(local_aws, arn)
    name, namespace = alarm(local_aws, AlarmActions=[topic])
    put(local_aws, namespace, 2)
    wait_for(local_aws, name, "ALARM")
    wait_until(lambda: history(local_aws, AlarmName=name, HistoryItemType="Action"))
    local_aws.client("cloudwatch").delete_alarms(AlarmNames=[name])

    items = history(local_aws, AlarmName=name)

    assert [(item["HistoryItemType"], item["HistorySummary"]) for item in items] == [
        ("ConfigurationUpdate", f'Alarm "{name}" deleted'),
        ("Action", f"Successfully executed action {topic}"),
        ("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
        ("ConfigurationUpdate", f'Alarm "{name}" created'),
    ]
    update = json.loads(items[2]["HistoryData"])
    assert update["oldState"]["stateValue"] == NO_DATA
    assert update["newState"]["stateReasonData"]["recentDatapoints"] == [2.0]
    assert {item["AlarmType"] for item in items} == {"MetricAlarm"}


def test_the_history_comes_in_pages_and_either_order(local_aws: LocalAws) -> None:
    name, _ = alarm(local_aws, TreatMissingData="ignore")
    client = local_aws.client("cloudwatch")
    states: list[State] = ["ALARM", "OK", "ALARM"]
    for state in states:
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")

    pages = client.get_paginator("describe_alarm_history").paginate(
        AlarmName=name, ScanBy="TimestampAscending", PaginationConfig={"PageSize": 2}
    )

    found = [[item["HistorySummary"] for item in page["AlarmHistoryItems"]] for page in pages]
    assert found == [
        [f'Alarm "{name}" created', "Alarm updated from INSUFFICIENT_DATA to ALARM"],
        ["Alarm updated from ALARM to OK", "Alarm updated from OK to ALARM"],
    ]
