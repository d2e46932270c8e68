"""EventBridge of the local AWS: rules deliver to their targets, S3 tells what happened, schedules fire."""

from __future__ import annotations

import copy
import datetime
import json
import logging
import secrets
import string
import threading
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from moto.events import models
from moto.events.exceptions import ValidationException
from moto.s3 import models as s3_models
from moto.s3 import notifications
from moto.scheduler import models as scheduler_models
from moto.scheduler.exceptions import ValidationException as SchedulerValidationException

from local import event_targets, schedules, service_events
from local.event_targets import Deliverer, Event
from local.service_events import iso

if TYPE_CHECKING:
    from local.context import Context

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 0.5
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
_REASONS = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
    "ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
}


def install(context: Context) -> None:
    """Deliver events and start the clock that fires schedules."""
    deliverer = Deliverer(context)
    _deliver_to_targets(deliverer)
    _check_targets_and_schedules()
    notifications._send_event_bridge_message = _send_s3_event
    _tell_of_a_multipart_upload_once()
    clock = schedules.Clock()
    threading.Thread(target=_tick, args=(context, clock, deliverer), name="schedules", daemon=True).start()


def _deliver_to_targets(deliverer: Deliverer) -> None:
    send_to_archives = models.Rule.send_to_targets

    def send_to_targets(self: Any, original_event: Event, transform_input: bool = True) -> None:
        # moto takes a rule without a pattern, a schedule, to match everything, and sends for disabled ones.
        if self.state != "ENABLED" or not self.event_pattern.get_pattern():
            return
        event = normalised(original_event)
        if not self.event_pattern.matches_event(event):
            return
        archives = [target for target in self.targets if _is_archive(target)]
        for target in self.targets:
            if target not in archives:
                deliverer.deliver(target, event_targets.target_input(target, event, (self.arn, self.name)))
        if archives:
            rule = copy.copy(self)
            rule.targets = archives
            send_to_archives(rule, original_event, transform_input)

    models.Rule.send_to_targets = send_to_targets


def _is_archive(target: dict[str, Any]) -> bool:
    """Whether it is how moto stores an archive's events by a target without a resource."""
    return str(target["Arn"]).split(":")[2] == "events" and "event-bus/" not in target["Arn"]


def normalised(event: Event) -> Event:
    """An event as targets see it: its time as ISO 8601, and no fields that AWS does not send."""
    moment = event.get("time") or time.time()
    if not isinstance(moment, str):
        moment = iso(datetime.datetime.fromtimestamp(float(moment), datetime.UTC))
    fields = ("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    return {name: event[name] for name in fields if name in event} | {"time": moment}


def _check_targets_and_schedules() -> None:
    """Refuse what would never work when it is made, not silently when its time comes."""
    put_targets, put_rule = models.EventsBackend.put_targets, models.EventsBackend.put_rule
    scheduler = scheduler_models.EventBridgeSchedulerBackend

    def _put_targets(self: Any, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]) -> None:
        for target in targets:
            if not _is_archive(target):
                try:
                    event_targets.check(target["Arn"])
                except event_targets.UnsupportedTarget as error:
                    raise ValidationException(str(error)) from error
        put_targets(self, name, event_bus_arn, targets)

    def _put_rule(self: Any, name: str, **settings: Any) -> Any:
        expression = settings.get("scheduled_expression")
        if expression:
            try:
                schedules.parse(expression)
            except schedules.InvalidExpression as error:
                raise ValidationException(str(error)) from error
        return put_rule(self, name, **settings)

    def checked(method: Any) -> Any:
        def _checked(self: Any, **settings: Any) -> Any:
            try:
                schedules.parse(settings["schedule_expression"], settings.get("schedule_expression_timezone"))
                event_targets.check(settings["target"]["Arn"])
            except (schedules.InvalidExpression, event_targets.UnsupportedTarget) as error:
                raise SchedulerValidationException(message=str(error)) from error
            return method(self, **settings)

        return _checked

    models.EventsBackend.put_targets = _put_targets
    models.EventsBackend.put_rule = _put_rule
    scheduler.create_schedule = checked(scheduler.create_schedule)
    scheduler.update_schedule = checked(scheduler.update_schedule)


def _send_s3_event(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
    """Tell what happened to an object, in the words of S3."""
    name = str(getattr(event_name, "value", event_name))
    kind = notifications._detail_type(name)
    deleted = kind == "Object Deleted"
    item: dict[str, Any] = {
        "key": key.name,
        "etag": key.etag.strip('"'),
        "sequencer": f"{time.time_ns():018X}",
    }
    if not deleted:
        item["size"] = key.size
    if bucket.is_versioned:
        item["version-id"] = key.version_id
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": item,
        "request-id": "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(16)),
        "requester": account_id,
        "source-ip-address": "127.0.0.1",
        "reason": _REASONS.get(name.removeprefix("s3:"), name.split(":")[1]),
    }
    if deleted:
        marker = name.endswith("DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if marker else "Permanently Deleted"
    service_events.emit(
        service_events.event(account_id, bucket.region_name, "aws.s3", kind, [bucket.arn], detail)
    )


def _tell_of_a_multipart_upload_once() -> None:
    """S3 says CompleteMultipartUpload; moto says PutObject as well, for the object it puts together."""
    put_object = s3_models.S3Backend.put_object

    def _put_object(self: Any, *arguments: Any, **settings: Any) -> Any:
        if settings.get("multipart") is not None:
            settings["disable_notification"] = True
        return put_object(self, *arguments, **settings)

    s3_models.S3Backend.put_object = _put_object


def _tick(context: Context, clock: schedules.Clock, deliverer: Deliverer) -> None:
    while not context.stopping.wait(_TICK_SECONDS):
        now = datetime.datetime.now(datetime.UTC)
        for firing in clock.due([*_scheduled_rules(), *_schedules()], now):
            try:
                _fire(firing, deliverer)
            except Exception:
                # One schedule that cannot fire must not stop the clock for the others.
                _LOG.exception("the schedule %s did not fire", firing.entry.arn)


def _scheduled_rules() -> Iterator[schedules.Entry]:
    for account, region, backend in models.events_backends.iter_backends():
        for rule in list(backend.event_buses["default"].rules.values()):
            if rule.scheduled_expression and rule.state == "ENABLED":
                yield schedules.Entry(
                    arn=rule.arn,
                    expression=rule.scheduled_expression,
                    source=rule,
                    account=account,
                    region=region,
                )


def _schedules() -> Iterator[schedules.Entry]:
    for account, region, backend in scheduler_models.scheduler_backends.iter_backends():
        for group in list(backend.schedule_groups.values()):
            for schedule in list(group.schedules.values()):
                if schedule.state == "ENABLED":
                    yield schedules.Entry(
                        arn=schedule.arn,
                        expression=schedule.schedule_expression,
                        timezone=schedule.schedule_expression_timezone,
                        starts_at_once=True,
                        start=_moment(schedule.start_date),
                        end=_moment(schedule.end_date),
                        source=schedule,
                        account=account,
                        region=region,
                    )


def _moment(value: Any) -> datetime.datetime | None:
    return None if value is None else datetime.datetime.fromtimestamp(float(value), datetime.UTC)


def _fire(firing: schedules.Firing, deliverer: Deliverer) -> None:
    entry = firing.entry
    if isinstance(entry.source, models.Rule):
        event = service_events.event(
            entry.account, entry.region, "aws.events", "Scheduled Event", [entry.arn], {}
        )
        event["time"] = iso(firing.at)
        for target in entry.source.targets:
            body = event_targets.target_input(target, event, (entry.arn, entry.source.name))
            deliverer.deliver(target, body)
        return
    schedule = entry.source
    event = service_events.event(
        entry.account, entry.region, "aws.scheduler", "Scheduled Event", [entry.arn], "{}"
    )
    body = schedule.target.get("Input") or json.dumps(event)
    known = {
        "schedule-arn": entry.arn,
        "scheduled-time": iso(firing.at),
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for name, value in known.items():
        body = body.replace(f"<aws.scheduler.{name}>", value)
    deliverer.deliver(schedule.target, body)
    if firing.is_last and schedule.action_after_completion == "DELETE":
        backend = scheduler_models.scheduler_backends[entry.account][entry.region]
        backend.delete_schedule(schedule.group_name, schedule.name)
