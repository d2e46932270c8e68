"""Schedule expressions of EventBridge (rate, cron, at), and the clock that says what is due."""

from __future__ import annotations

import calendar
import datetime
import re
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
_LAST_YEAR = 2199
_MINUTE = datetime.timedelta(minutes=1)


class InvalidExpression(Exception):
    """Not a schedule expression, or one that the local AWS cannot follow."""


class Expression(Protocol):
    """When something happens."""

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """The first time after `moment`; None when there is none any more."""


def parse(expression: str, timezone: str | None = None) -> Expression:
    """Read `rate(5 minutes)`, `cron(0 3 * * ? *)` or `at(2026-01-31T12:00:00)`.

    Raises:
        InvalidExpression: with what is wrong.
    """
    # UTC needs no time zone database, which a small machine may lack.
    try:
        zone = datetime.UTC if timezone in (None, "UTC") else zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidExpression(f"Invalid ScheduleExpressionTimezone {timezone}.") from error
    if match := re.fullmatch(r"rate\((\d+) (minute|hour|day)(s?)\)", expression):
        count = int(match[1])
        if count < 1 or (count == 1) == bool(match[3]):
            raise InvalidExpression(f"Invalid Schedule Expression {expression}: a rate of one is singular.")
        return Rate(datetime.timedelta(seconds=count * _UNITS[match[2]]))
    if match := re.fullmatch(r"cron\((.+)\)", expression):
        return Cron.read(match[1], zone)
    if match := re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", expression):
        return At(datetime.datetime.fromisoformat(match[1]).replace(tzinfo=zone))
    raise InvalidExpression(f"Invalid Schedule Expression {expression}.")


@dataclass(frozen=True)
class Rate:
    """Every so often."""

    every: datetime.timedelta

    def after(self, moment: datetime.datetime) -> datetime.datetime:
        return moment + self.every


@dataclass(frozen=True)
class At:
    """Once."""

    moment: datetime.datetime

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        return self.moment if self.moment > moment else None


@dataclass(frozen=True)
class Cron:
    """Six fields: minutes, hours, day of month, month, day of week, year."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: str
    months: frozenset[int]
    weekdays: str
    years: frozenset[int]
    zone: datetime.tzinfo

    @classmethod
    def read(cls, text: str, zone: datetime.tzinfo) -> Cron:
        fields = text.upper().split()
        if len(fields) != 6:
            raise InvalidExpression(f"Invalid Schedule Expression cron({text}): six fields are needed.")
        minutes, hours, days, months, weekdays, years = fields
        if (days == "?") == (weekdays == "?"):
            raise InvalidExpression(
                f"Invalid Schedule Expression cron({text}): day-of-month or day-of-week has to be '?'."
            )
        cron = cls(
            minutes=_numbers(minutes, 0, 59),
            hours=_numbers(hours, 0, 23),
            days=days,
            months=_numbers(months, 1, 12, _MONTHS),
            weekdays=weekdays,
            years=_numbers(years, 1970, _LAST_YEAR),
            zone=zone,
        )
        cron._month_days(2024, 1)  # an unknown day is an error now, not when its month comes
        return cron

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        start = (moment.astimezone(self.zone) + _MINUTE).replace(second=0, microsecond=0)
        for year in sorted(year for year in self.years if year >= start.year):
            for month in sorted(self.months):
                if (year, month) < (start.year, start.month):
                    continue
                for day in sorted(self._month_days(year, month)):
                    found = self._in_day(datetime.date(year, month, day), start)
                    if found is not None:
                        return found.astimezone(datetime.UTC)
        return None

    def _in_day(self, day: datetime.date, start: datetime.datetime) -> datetime.datetime | None:
        if day < start.date():
            return None
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                found = datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                if found >= start:
                    return found
        return None

    def _month_days(self, year: int, month: int) -> set[int]:
        last = calendar.monthrange(year, month)[1]
        if self.weekdays == "?":
            if self.days == "L":
                return {last}
            return {day for day in _numbers(self.days, 1, 31) if day <= last}
        return {day for part in self.weekdays.split(",") for day in _weekday_days(part, year, month, last)}


def _weekday_days(part: str, year: int, month: int, last: int) -> set[int]:
    """The days of a month that one part of the day-of-week field means: `MON-FRI`, `2#1`, `6L`."""
    if match := re.fullmatch(r"(\w+)#([1-5])", part):
        days = _days_of(_number(match[1], 1, 7, _DAYS), year, month, last)
        return set(days[int(match[2]) - 1 : int(match[2])])
    if part == "L":
        return set(_days_of(7, year, month, last))
    if match := re.fullmatch(r"(\d|[A-Z]{3})L", part):
        return {_days_of(_number(match[1], 1, 7, _DAYS), year, month, last)[-1]}
    return {day for number in _numbers(part, 1, 7, _DAYS) for day in _days_of(number, year, month, last)}


def _days_of(weekday: int, year: int, month: int, last: int) -> list[int]:
    """The days of a month that fall on a weekday; 1 is Sunday."""
    return [
        day for day in range(1, last + 1) if datetime.date(year, month, day).isoweekday() % 7 + 1 == weekday
    ]


def _numbers(field: str, first: int, last: int, names: dict[str, int] | None = None) -> frozenset[int]:
    """The numbers that a field means: `*`, `5`, `1-5`, `0/15`, `MON-FRI`, and lists of these."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            low, high = first, last
        elif "-" in span:
            low, high = (_number(text, first, last, names) for text in span.split("-", 1))
        else:
            low = _number(span, first, last, names)
            high = last if step else low
        if step and not (step.isdigit() and int(step) > 0):
            raise InvalidExpression(f"Invalid Schedule Expression: the step '{step}' in '{field}'.")
        wrapped = range(low, high + 1) if low <= high else [*range(low, last + 1), *range(first, high + 1)]
        found |= set(list(wrapped)[:: int(step or 1)])
    return frozenset(found)


def _number(text: str, first: int, last: int, names: dict[str, int] | None) -> int:
    number = (names or {}).get(text, int(text) if text.isdigit() else None)
    if number is None or not first <= number <= last:
        raise InvalidExpression(f"Invalid Schedule Expression: '{text}' is not between {first} and {last}.")
    return number


@dataclass(frozen=True)
class Entry:
    """Something that is scheduled, by its ARN."""

    arn: str
    expression: str
    source: Any
    account: str
    region: str
    timezone: str | None = None
    starts_at_once: bool = False
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None


@dataclass(frozen=True)
class Firing:
    """An entry whose time has come."""

    entry: Entry
    at: datetime.datetime
    is_last: bool


class Clock:
    """Remembers when each entry is next due."""

    def __init__(self) -> None:
        self._next: dict[str, tuple[tuple[Any, ...], datetime.datetime | None]] = {}

    def due(self, entries: Iterable[Entry], now: datetime.datetime) -> Iterator[Firing]:
        """What is due now, each entry once however many of its times have passed.

        An entry that is new or was changed starts afresh; one that is gone is forgotten.
        """
        present = list(entries)
        known = {entry.arn for entry in present}
        self._next = {arn: value for arn, value in self._next.items() if arn in known}
        for entry in present:
            plan = (entry.expression, entry.timezone, entry.start, entry.end)
            if self._next.get(entry.arn, (None,))[0] != plan:
                self._next[entry.arn] = (plan, self._first(entry, now))
            at = self._next[entry.arn][1]
            if at is None or at > now or (entry.end is not None and at > entry.end):
                continue
            following = parse(entry.expression, entry.timezone).after(now)
            if following is not None and entry.end is not None and following > entry.end:
                following = None
            self._next[entry.arn] = (plan, following)
            yield Firing(entry, at, is_last=following is None)

    @staticmethod
    def _first(entry: Entry, now: datetime.datetime) -> datetime.datetime | None:
        start = max(now, entry.start) if entry.start else now
        expression = parse(entry.expression, entry.timezone)
        if isinstance(expression, Rate) and entry.starts_at_once:
            return start
        return expression.after(start)
