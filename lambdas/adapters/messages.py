"""The message that people subscribed to, as the state NotifyOutcome sends it."""

from __future__ import annotations

from sluice.payloads.training import ReportedOutcome


def publish(topic_arn: str, reported: ReportedOutcome, outcome: str) -> None:
    """`outcome` is what subscribers filter on: one of `sluice.outcomes`."""
    import boto3

    boto3.client("sns").publish(
        TopicArn=topic_arn,
        Subject=reported.subject,
        Message=reported.message,
        MessageAttributes={"outcome": {"DataType": "String", "StringValue": outcome}},
    )
