"""Hand an event to a target: its input as the target wants it, delivered with EventBridge's retries."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.utilities.arns import parse_arn

if TYPE_CHECKING:
    from local.context import Context

Event = dict[str, Any]
_LOG = logging.getLogger(__name__)
_MISSING = object()
_PATH_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[['\"]([^'\"]+)['\"]\]")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_RETRIABLE = frozenset(
    {"ThrottlingException", "TooManyRequestsException", "ServiceException", "InternalFailure"}
)
_MAX_ATTEMPTS = 185
_MAX_AGE_SECONDS = 86_400
_FIRST_DELAY_SECONDS = 0.2
_MAX_DELAY_SECONDS = 30.0


class UnsupportedTarget(Exception):
    """The local AWS cannot deliver to a target of this kind."""


def check(arn: str) -> None:
    """Raise UnsupportedTarget for a target that `Deliverer` could not deliver to."""
    service = parse_arn(arn).service
    if service not in _SENDERS:
        raise UnsupportedTarget(
            f"Parameter {arn} is not valid. Reason: the local AWS delivers to {', '.join(sorted(_SENDERS))}, "
            f"not to {service}."
        )


def target_input(target: Mapping[str, Any], event: Event, rule: tuple[str, str] = ("", "")) -> str:
    """What a target of a rule is given, as text: the event, or what its input settings make of it.

    `rule` is the rule's ARN and name, which an input transformer may ask for.
    """
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath") is not None:
        found = lookup(event, target["InputPath"])
        return json.dumps(None if found is _MISSING else found)
    if target.get("InputTransformer"):
        transformer = target["InputTransformer"]
        return _transformed(transformer["InputTemplate"], transformer.get("InputPathsMap") or {}, event, rule)
    return json.dumps(event)


def lookup(event: Event, path: str) -> Any:
    """The value at a JSON path such as `$.detail.object.version-id`; a marker where there is none."""
    value: Any = event
    for name, index, quoted in _PATH_STEP.findall(path.removeprefix("$")):
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return value


def _transformed(template: str, paths: Mapping[str, str], event: Event, rule: tuple[str, str]) -> str:
    values = {name: lookup(event, path) for name, path in paths.items()}
    values |= {
        "aws.events.rule-arn": rule[0],
        "aws.events.rule-name": rule[1],
        "aws.events.event.ingestion-time": event["time"],
        "aws.events.event": event,
        "aws.events.event.json": event,
    }
    strings = _string_ranges(template)

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1], _MISSING)
        if not any(start < match.start() < end for start, end in strings):
            return json.dumps(None if found is _MISSING else found)
        text = "" if found is _MISSING else found if isinstance(found, str) else json.dumps(found)
        return json.dumps(text)[1:-1]

    return _PLACEHOLDER.sub(value, template)


def _string_ranges(template: str) -> list[tuple[int, int]]:
    """Where the template's JSON strings start and end: in them, a value is text and gets no quotes."""
    return [match.span() for match in re.finditer(r'"(?:\\.|[^"\\])*"', template, re.DOTALL)]


class Deliverer:
    """Delivers to targets in the background, so that whoever caused the event need not wait."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def deliver(self, target: Mapping[str, Any], body: str) -> None:
        threading.Thread(target=self._deliver, args=(dict(target), body), name="event", daemon=True).start()

    def _deliver(self, target: dict[str, Any], body: str) -> None:
        arn = target["Arn"]
        policy = target.get("RetryPolicy") or {}
        attempts = min(int(policy.get("MaximumRetryAttempts", _MAX_ATTEMPTS)), _MAX_ATTEMPTS)
        expires = time.monotonic() + float(policy.get("MaximumEventAgeInSeconds", _MAX_AGE_SECONDS))
        for attempt in range(attempts + 1):
            try:
                _SENDERS[parse_arn(arn).service](self._context.client, target, body)
            except (BotoCoreError, ClientError) as error:
                last = attempt == attempts or time.monotonic() > expires
                if last or not _is_retriable(error):
                    self._give_up(target, body, error)
                    return
                delay = min(_FIRST_DELAY_SECONDS * 2**attempt, _MAX_DELAY_SECONDS)
                if self._context.stopping.wait(delay):
                    return
            else:
                return

    def _give_up(self, target: dict[str, Any], body: str, error: Exception) -> None:
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue is None:
            _LOG.error("an event for %s is lost: %s", target["Arn"], error)
            return
        attributes = {
            "ERROR_MESSAGE": {"DataType": "String", "StringValue": str(error)},
            "TARGET_ARN": {"DataType": "String", "StringValue": target["Arn"]},
        }
        _send_sqs(self._context.client, {"Arn": queue}, body, attributes)


Client = Callable[[str, str], Any]


def _send_lambda(client: Client, target: Mapping[str, Any], body: str) -> None:
    region = parse_arn(target["Arn"]).region
    client("lambda", region).invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=body.encode())


def _send_states(client: Client, target: Mapping[str, Any], body: str) -> None:
    region = parse_arn(target["Arn"]).region
    client("stepfunctions", region).start_execution(stateMachineArn=target["Arn"], input=body)


def _send_sns(client: Client, target: Mapping[str, Any], body: str) -> None:
    client("sns", parse_arn(target["Arn"]).region).publish(TopicArn=target["Arn"], Message=body)


def _send_sqs(
    client: Client, target: Mapping[str, Any], body: str, attributes: Mapping[str, Any] | None = None
) -> None:
    arn = parse_arn(target["Arn"])
    sqs = client("sqs", arn.region)
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=arn.resource_id)["QueueUrl"],
        MessageBody=body,
        MessageAttributes=dict(attributes or {}),
        **({"MessageGroupId": group} if group else {}),
    )


def _send_logs(client: Client, target: Mapping[str, Any], body: str) -> None:
    region = parse_arn(target["Arn"]).region
    group = target["Arn"].split(":log-group:", 1)[1].removesuffix(":*")
    stream = str(uuid.uuid4())
    logs = client("logs", region)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": body}
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])


def _send_bus(client: Client, target: Mapping[str, Any], body: str) -> None:
    event = json.loads(body)
    entry = {
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "Resources": event.get("resources", []),
        "EventBusName": target["Arn"],
    }
    client("events", parse_arn(target["Arn"]).region).put_events(Entries=[entry])


_SENDERS: dict[str, Callable[[Client, Mapping[str, Any], str], None]] = {
    "events": _send_bus,
    "lambda": _send_lambda,
    "logs": _send_logs,
    "sns": _send_sns,
    "sqs": _send_sqs,
    "states": _send_states,
}


def _is_retriable(error: BotoCoreError | ClientError) -> bool:
    """A target that is gone or refuses the event stays so; one that is busy or unreachable may recover."""
    if not isinstance(error, ClientError):
        return True
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or error.response["Error"]["Code"] in _RETRIABLE
