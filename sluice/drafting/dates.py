"""Recognising dates written as text, and which of day and month comes first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

_DATES = (
    "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d.%m.%y",
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y",
    "%b %d %Y", "%B %d %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y",
    "%b-%d-%Y", "%Y-%m", "%m/%Y", "%b-%Y", "%b %Y", "%B %Y", "%b-%y", "%Y-%m-%d",
)  # fmt: skip
_TIMES = (
    "", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S UTC",
)  # fmt: skip
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")
_DATE_LIKE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{4}[-/.]\d{2}\b|\d{2}[-/.]\d{4}\b|(19|20)\d{6}\b"
    r"|[A-Za-z]{3,9}[- ]\d{1,2}|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d"
)
_TRIED = 50
_MOST_WAYS = 4
# Of a column's different values: so many are dates where the column is meant to hold some.
_MEANT = 0.9
_COMPACT = re.compile(r"(19|20)\d{6}")


@dataclass(frozen=True)
class DateFormat:
    """How a column writes its dates: a strptime format, or None for ISO 8601."""

    format: str | None
    other: str | None = None
    """Another format that reads every value as well: day and month cannot be told apart from the data."""


def recognise(values: Sequence[str]) -> DateFormat | None:
    """Find the format under which every one of `values` is a date; None if there is none."""
    if not values:
        return None
    if all(_ISO.fullmatch(value) for value in values):
        return DateFormat(None) if all(_is_iso(value) for value in values) else None
    if not any(character.isdigit() for character in values[0]):
        return None
    found = [
        date + time
        for date in _DATES
        for time in _TIMES
        if all(_parses(value, date + time) for value in values)
    ]
    if not found:
        return None
    return DateFormat(found[0], found[1] if len(found) > 1 else None)


def recognise_compact(values: Sequence[str]) -> DateFormat | None:
    """Recognise dates written as eight digits: 20240131."""
    if values and all(_COMPACT.fullmatch(value) and _parses(value, "%Y%m%d") for value in values):
        return DateFormat("%Y%m%d")
    return None


@dataclass(frozen=True)
class MixedDates:
    """A column of dates that no one format reads."""

    examples: tuple[str, ...]
    """One of each way in which they are written, the most usual first."""
    others: tuple[str, ...]
    """Values that are no dates, if there are any."""


def recognise_mixed(values: Sequence[str]) -> MixedDates | None:
    """Find the ways in which `values`, which `recognise` knows no format for, are dates; None if most are none."""
    tried = values[:: max(1, len(values) // _TRIED)]
    if 2 * sum(_DATE_LIKE.match(value) is not None for value in tried) < len(tried):
        return None
    examples: list[str] = []
    left = list(values)
    while left and len(examples) < _MOST_WAYS:
        rest = _without_the_most_usual(left)
        if len(rest) == len(left):
            break
        unread = set(rest)
        examples.append(next(value for value in left if value not in unread))
        left = rest
    if len(left) > (1 - _MEANT) * len(values):
        return None
    return MixedDates(tuple(examples), tuple(left[:3]))


def _without_the_most_usual(values: Sequence[str]) -> list[str]:
    """Give the values that are not written in the way in which most are."""
    tried = values[:: max(1, len(values) // _TRIED)]
    ways: list[Callable[[str], bool]] = [
        lambda value: bool(_ISO.fullmatch(value)) and _is_iso(value),
        lambda value: bool(_COMPACT.fullmatch(value)) and _parses(value, "%Y%m%d"),
        *(partial(_parses, pattern=date + time) for date in _DATES for time in _TIMES),
    ]
    usual = max(ways, key=lambda reads: sum(map(reads, tried)))
    return [value for value in values if not usual(value)]


def _is_iso(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _parses(value: str, pattern: str) -> bool:
    try:
        datetime.strptime(value, pattern)
    except ValueError:
        return False
    return True
