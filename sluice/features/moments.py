"""As of when features are: for the online store, and for who recomputes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sluice.payloads.documents import Manifest
from sluice.project import Online

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STEPS = {"run": 1, "hour": 3_600_000_000, "day": 86_400_000_000}


def as_of(manifest: Manifest, online: Online, now: datetime) -> datetime:
    """Give the moment that [online] names: never after now, whatever a log says of the future."""
    last = [utc(part.last_event) for part in manifest.parts if part.last_event is not None]
    return now if online.as_of == "now" or not last else min(max(last), now)


def moved(online: Online, ttl_microseconds: int | None, moment: int) -> int:
    """Give how far windows have moved on of entities without new events, by [online] move_windows.

    Readers of a view with a ttl take a row for stale by the time that it is as of, and values that stay the same are
    written again after half of it, at the next step. So that there is a step to spare, a ttl shorter than four has
    the windows move on with each run.

    Args:
        online: the project's settings.
        ttl_microseconds: of the view.
        moment: of the run, microseconds since 1970 in UTC.
    """
    step = _STEPS[online.move_windows]
    if ttl_microseconds is not None and ttl_microseconds < 4 * step:
        return moment
    return moment - moment % step


def utc(moment: datetime) -> datetime:
    """Read a moment without a zone as one in UTC, as manifests and people write them."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def microseconds(moment: datetime) -> int:
    """Count from 1970 on."""
    return (moment - _EPOCH) // _MICROSECOND
