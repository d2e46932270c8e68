"""Events that services of AWS tell of themselves, on the default bus of the region they happen in."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence
from typing import Any

from moto.events import models

Event = dict[str, Any]


def iso(moment: datetime.datetime) -> str:
    """An event's time: seconds, UTC."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def event(account: str, region: str, source: str, kind: str, resources: Sequence[str], detail: Any) -> Event:
    """An event that happens now; `kind` is its detail-type."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": account,
        "time": iso(datetime.datetime.now(datetime.UTC)),
        "region": region,
        "resources": list(resources),
        "detail": detail,
    }


def emit(happened: Event) -> None:
    """Hand an event of a service to the rules of its region's default bus."""
    bus = models.events_backends[happened["account"]][happened["region"]].event_buses["default"]
    for rule in list(bus.rules.values()):
        rule.send_to_targets(happened)
