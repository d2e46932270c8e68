"""The message that people subscribed to, as the state NotifyOutcome sends it."""

from __future__ import annotations

from sluice.outcomes import Outcome
from sluice.payloads.training import ReportedOutcome


def publish(topic_arn: str, reported: ReportedOutcome, outcome: Outcome) -> None:
    import boto3

    boto3.client("sns").publish(
        TopicArn=topic_arn,
        Subject=reported.subject,
        Message=reported.message,
        MessageAttributes={"outcome": {"DataType": "String", "StringValue": outcome}},
    )
