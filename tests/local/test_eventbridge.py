"""Rules, their targets and input, S3's events, and schedules."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.event_targets import target_input
from local.schedules import Clock, Entry, InvalidExpression, parse
from tests.support.local_aws import LocalAws, wait_until
from tests.support.queues import queue, receive

EVENT = {
    "version": "0",
    "id": "1",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "123456789012",
    "time": "2026-01-31T12:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:s3:::uploads"],
    "detail": {
        "bucket": {"name": "uploads"},
        "object": {"key": 'it\'s "so".csv', "size": 7, "version-id": "v1"},
    },
}


class TestTargetInput:
    """What of an event a target is given."""

    def test_the_event_by_default(self) -> None:
        assert json.loads(target_input({}, EVENT)) == EVENT

    def test_a_constant(self) -> None:
        assert target_input({"Input": '{"a": 1}'}, EVENT) == '{"a": 1}'

    def test_a_part_of_the_event(self) -> None:
        assert json.loads(target_input({"InputPath": "$.detail.object"}, EVENT)) == EVENT["detail"]["object"]  # type: ignore[index]
        assert json.loads(target_input({"InputPath": "$.resources[0]"}, EVENT)) == "arn:aws:s3:::uploads"
        assert json.loads(target_input({"InputPath": "$.nothing"}, EVENT)) is None

    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ('{"key": <key>, "size": <size>}', {"key": 'it\'s "so".csv', "size": 7}),
            ('{"text": "<size> bytes in <key>"}', {"text": '7 bytes in it\'s "so".csv'}),
            ('{"object": <object>, "none": <none>}', {"object": EVENT["detail"]["object"], "none": None}),  # type: ignore[index]
            ('{"text": "[<none>]"}', {"text": "[]"}),
            ('"a text about <size> bytes"', "a text about 7 bytes"),
            ('{"rule": <aws.events.rule-name>}', {"rule": "uploads"}),
            ('{"all": <aws.events.event.json>}', {"all": EVENT}),
        ],
    )
    def test_a_template(self, template: str, expected: Any) -> None:
        paths = {
            "key": "$.detail.object.key",
            "size": "$.detail.object.size",
            "object": "$.detail.object",
            "none": "$.detail.nothing",
        }
        transformer = {"InputPathsMap": paths, "InputTemplate": template}

        assert (
            json.loads(target_input({"InputTransformer": transformer}, EVENT, ("arn", "uploads"))) == expected
        )


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


class TestExpressions:
    """When a schedule fires."""

    @pytest.mark.parametrize(
        ("expression", "after", "expected"),
        [
            ("rate(5 minutes)", "2026-01-31T12:00:07", "2026-01-31T12:05:07"),
            ("rate(1 day)", "2026-01-31T12:00:00", "2026-02-01T12:00:00"),
            ("cron(0 3 * * ? *)", "2026-01-31T03:00:00", "2026-02-01T03:00:00"),
            ("cron(0/15 * * * ? *)", "2026-01-31T12:16:30", "2026-01-31T12:30:00"),
            ("cron(30 8 ? * MON-FRI *)", "2026-01-30T08:30:00", "2026-02-02T08:30:00"),
            ("cron(0 0 L * ? *)", "2026-02-01T00:00:00", "2026-02-28T00:00:00"),
            ("cron(0 0 ? * 2#1 *)", "2026-02-01T00:00:00", "2026-02-02T00:00:00"),
            ("cron(0 0 ? * 6L *)", "2026-02-01T00:00:00", "2026-02-27T00:00:00"),
            ("cron(0 0 29 FEB ? *)", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
            ("cron(0 0 1 1 ? 2020)", "2026-01-01T00:00:00", None),
            ("at(2026-02-01T00:00:00)", "2026-01-01T00:00:00", "2026-02-01T00:00:00"),
            ("at(2026-02-01T00:00:00)", "2026-02-01T00:00:00", None),
        ],
    )
    def test_next_time(self, expression: str, after: str, expected: str | None) -> None:
        assert parse(expression).after(at(after)) == (at(expected) if expected else None)

    def test_a_time_zone_moves_it(self) -> None:
        try:
            expression = parse("cron(0 3 * * ? *)", "Europe/Berlin")
        except InvalidExpression:
            pytest.skip("this machine has no time zone database")
        assert expression.after(at("2026-01-31T00:00:00")) == at("2026-01-31T02:00:00")
        assert expression.after(at("2026-07-31T00:00:00")) == at("2026-07-31T01:00:00")

    @pytest.mark.parametrize(
        "expression",
        [
            *("rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(5 fortnights)", "every day"),
            *("cron(0 3 * * ?)", "cron(0 3 * * * *)", "cron(61 3 * * ? *)", "cron(0 3 15W * ? *)"),
        ],
    )
    def test_what_is_refused(self, expression: str) -> None:
        with pytest.raises(InvalidExpression):
            parse(expression)


class TestClock:
    """What is due."""

    ENTRY = Entry(arn="a", expression="rate(1 minute)", source=None, account="1", region="r")

    def due(self, clock: Clock, moment: str, *entries: Entry) -> list[tuple[datetime.datetime, bool]]:
        return [(firing.at, firing.is_last) for firing in clock.due(entries or (self.ENTRY,), at(moment))]

    def test_a_rate_fires_after_each_interval_and_once_for_several_missed(self) -> None:
        clock = Clock()

        assert self.due(clock, "2026-01-01T00:00:00") == []
        assert self.due(clock, "2026-01-01T00:00:59") == []
        assert self.due(clock, "2026-01-01T00:01:00") == [(at("2026-01-01T00:01:00"), False)]
        assert self.due(clock, "2026-01-01T00:01:01") == []
        assert self.due(clock, "2026-01-01T01:00:00") == [(at("2026-01-01T00:02:00"), False)]

    def test_a_schedule_with_an_end_stops(self) -> None:
        clock = Clock()
        entry = Entry(
            arn="a",
            expression="rate(1 minute)",
            source=None,
            account="1",
            region="r",
            starts_at_once=True,
            end=at("2026-01-01T00:01:30"),
        )

        assert self.due(clock, "2026-01-01T00:00:00", entry) == [(at("2026-01-01T00:00:00"), False)]
        assert self.due(clock, "2026-01-01T00:01:00", entry) == [(at("2026-01-01T00:01:00"), True)]
        assert self.due(clock, "2026-01-01T00:05:00", entry) == []

    def test_a_changed_expression_starts_afresh(self) -> None:
        clock = Clock()
        self.due(clock, "2026-01-01T00:00:00")
        changed = Entry(arn="a", expression="rate(2 minutes)", source=None, account="1", region="r")

        assert self.due(clock, "2026-01-01T00:01:00", changed) == []
        assert self.due(clock, "2026-01-01T00:03:00", changed) == [(at("2026-01-01T00:03:00"), False)]


def rule(server: LocalAws, target: dict[str, Any], **settings: Any) -> str:
    """A new rule for events of a source of its own, which it returns."""
    source = f"test.{uuid.uuid4().hex[:8]}"
    events = server.client("events")
    events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}), **settings)
    events.put_targets(Rule=source, Targets=[{"Id": "t", **target}])
    return source


def put(server: LocalAws, source: str, detail: Any) -> None:
    entry = {"Source": source, "DetailType": "Test", "Detail": json.dumps(detail)}
    assert server.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


class TestTargets:
    """Delivery, through the APIs."""

    def test_sqs_gets_the_event(self, local_aws: LocalAws) -> None:
        url, arn = queue(local_aws)
        source = rule(local_aws, {"Arn": arn})

        put(local_aws, source, {"n": 1})

        event = json.loads(receive(local_aws, url)["Body"])
        assert (event["source"], event["detail-type"], event["detail"]) == (source, "Test", {"n": 1})
        assert at(event["time"].removesuffix("Z"))

    def test_sns_and_logs_get_it_too(self, local_aws: LocalAws) -> None:
        url, arn = queue(local_aws)
        sns, logs = local_aws.client("sns"), local_aws.client("logs")
        topic = sns.create_topic(Name=f"t-{uuid.uuid4().hex[:8]}")["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        group = f"/aws/events/{uuid.uuid4().hex[:8]}"
        logs.create_log_group(logGroupName=group)
        put(local_aws, rule(local_aws, {"Arn": topic, "InputPath": "$.detail"}), {"n": 2})
        put(
            local_aws,
            rule(local_aws, {"Arn": f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"}),
            {"n": 3},
        )

        assert json.loads(receive(local_aws, url)["Body"]) == {"n": 2}
        [message] = wait_until(lambda: logs.filter_log_events(logGroupName=group)["events"])
        assert json.loads(message["message"])["detail"] == {"n": 3}

    def test_a_state_machine_starts_with_the_transformed_event(self, local_aws: LocalAws) -> None:
        machines = local_aws.client("stepfunctions")
        definition = {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}
        machine = machines.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::123456789012:role/machine",
        )["stateMachineArn"]
        transformer = {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"n": <n>}'}

        put(local_aws, rule(local_aws, {"Arn": machine, "InputTransformer": transformer}), {"n": 4})

        [execution] = wait_until(lambda: machines.list_executions(stateMachineArn=machine)["executions"])
        described = machines.describe_execution(executionArn=execution["executionArn"])
        assert json.loads(described["input"]) == {"n": 4}

    def test_an_undeliverable_event_goes_to_the_dead_letter_queue(self, local_aws: LocalAws) -> None:
        url, arn = queue(local_aws)
        gone = "arn:aws:states:us-east-1:123456789012:stateMachine:gone"

        put(local_aws, rule(local_aws, {"Arn": gone, "DeadLetterConfig": {"Arn": arn}}), {"n": 5})

        message = receive(local_aws, url)
        assert json.loads(message["Body"])["detail"] == {"n": 5}
        assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == gone

    def test_a_disabled_rule_and_another_pattern_get_nothing(self, local_aws: LocalAws) -> None:
        url, arn = queue(local_aws)
        disabled = rule(local_aws, {"Arn": arn, "Input": '"disabled"'}, State="DISABLED")
        rule(local_aws, {"Arn": arn, "Input": '"another"'})
        enabled = rule(local_aws, {"Arn": arn, "Input": '"enabled"'})

        put(local_aws, disabled, {})
        put(local_aws, enabled, {})

        assert receive(local_aws, url)["Body"] == '"enabled"'

    def test_a_target_that_could_not_be_delivered_to_is_refused(self, local_aws: LocalAws) -> None:
        with pytest.raises(ClientError, match="not to kinesis"):
            rule(local_aws, {"Arn": "arn:aws:kinesis:us-east-1:123456789012:stream/s"})


class TestS3:
    """S3's own events."""

    def created(self, server: LocalAws, *, versioned: bool) -> tuple[str, str]:
        """A bucket that tells EventBridge, and the queue that hears of it."""
        s3, events = server.client("s3"), server.client("events")
        bucket = f"b-{uuid.uuid4().hex[:8]}"
        s3.create_bucket(Bucket=bucket)
        if versioned:
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        url, arn = queue(server)
        pattern = {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": "incoming/"}]}},
        }
        events.put_rule(Name=bucket, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=bucket, Targets=[{"Id": "t", "Arn": arn, "InputPath": "$.detail"}])
        return bucket, url

    def test_a_put_carries_what_identifies_the_version(self, local_aws: LocalAws) -> None:
        bucket, url = self.created(local_aws, versioned=True)
        local_aws.client("s3").put_object(Bucket=bucket, Key="elsewhere/a.csv", Body=b"no")
        stored = local_aws.client("s3").put_object(Bucket=bucket, Key="incoming/ä b.csv", Body=b"1234567")

        detail = json.loads(receive(local_aws, url)["Body"])

        assert detail["bucket"] == {"name": bucket}
        assert detail["reason"] == "PutObject"
        assert len(detail["request-id"]) == 16
        assert detail["object"].pop("sequencer")
        assert detail["object"] == {
            "key": "incoming/ä b.csv",
            "size": 7,
            "etag": stored["ETag"].strip('"'),
            "version-id": stored["VersionId"],
        }

    def test_later_events_have_higher_sequencers(self, local_aws: LocalAws) -> None:
        bucket, url = self.created(local_aws, versioned=True)
        sequencers = []
        for body in (b"1", b"2"):
            local_aws.client("s3").put_object(Bucket=bucket, Key="incoming/a", Body=body)
            message = receive(local_aws, url)
            sequencers.append(json.loads(message["Body"])["object"]["sequencer"])
            local_aws.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        assert sequencers[0] < sequencers[1]

    def test_a_multipart_upload_is_one_event(self, local_aws: LocalAws) -> None:
        bucket, url = self.created(local_aws, versioned=False)
        s3 = local_aws.client("s3")
        upload = s3.create_multipart_upload(Bucket=bucket, Key="incoming/big")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="incoming/big", UploadId=upload, PartNumber=1, Body=b"x")
        s3.complete_multipart_upload(
            Bucket=bucket,
            Key="incoming/big",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )

        detail = json.loads(receive(local_aws, url)["Body"])

        assert detail["reason"] == "CompleteMultipartUpload"
        assert "version-id" not in detail["object"]
        s3.put_object(Bucket=bucket, Key="incoming/next", Body=b"x")
        keys = {json.loads(receive(local_aws, url)["Body"])["object"]["key"]}
        assert keys == {"incoming/next"}, "the upload was told twice"


class TestSchedules:
    """Schedules, through the APIs."""

    def test_a_scheduler_schedule_fires(self, local_aws: LocalAws) -> None:
        url, arn = queue(local_aws)
        name = f"s-{uuid.uuid4().hex[:8]}"
        local_aws.client("scheduler").create_schedule(
            Name=name,
            ScheduleExpression="rate(1 hour)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": arn,
                "RoleArn": "arn:aws:iam::123456789012:role/scheduler",
                "Input": '{"of": "<aws.scheduler.schedule-arn>"}',
            },
        )

        assert json.loads(receive(local_aws, url)["Body"])["of"].endswith(f":schedule/default/{name}")

    @pytest.mark.parametrize("expression", ["rate(1 minutes)", "cron(0 3 * * *)"])
    def test_an_expression_that_never_fires_is_refused(self, local_aws: LocalAws, expression: str) -> None:
        with pytest.raises(ClientError, match=r"Schedule ?Expression"):
            local_aws.client("events").put_rule(Name="never", ScheduleExpression=expression)
