"""As of when features are: for the online store, and for who recomputes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sluice.payloads.documents import Manifest
from sluice.project import Online

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def as_of(manifest: Manifest, online: Online, now: datetime) -> datetime:
    """Give the moment that [online] names: never after now, whatever a log says of the future."""
    last = [utc(part.last_event) for part in manifest.parts if part.last_event is not None]
    return now if online.as_of == "now" or not last else min(max(last), now)


def utc(moment: datetime) -> datetime:
    """Read a moment without a zone as one in UTC, as manifests and people write them."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def microseconds(moment: datetime) -> int:
    """Count from 1970 on."""
    return (moment - _EPOCH) // _MICROSECOND
