"""Queues for tests: what a target sends arrives in one."""

from __future__ import annotations

import uuid
from typing import Any

from tests.support.local_aws import LocalAws, wait_until


def queue(server: LocalAws) -> tuple[str, str]:
    """A new queue's URL and ARN."""
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, arn


def receive(server: LocalAws, url: str) -> dict[str, Any]:
    def message() -> dict[str, Any] | None:
        messages = server.client("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"])
        return next(iter(messages.get("Messages", [])), None)

    found: dict[str, Any] = wait_until(message)
    return found
