"""When an alarm is in which state: M of N datapoints, missing data, percentiles, composite alarms' rules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
MISSING_DATA = ("missing", "ignore", "breaching", "notBreaching")
# CloudWatch looks further back than the evaluation periods: one late datapoint is not missing data yet.
_EXTRA_PERIODS = 2
_RULE_TOKEN = re.compile(
    r'\s*(?:(AND|OR|NOT|TRUE|FALSE|ALARM|OK|INSUFFICIENT_DATA|\(|\))|"([^"]*)"|([^\s()"]+))'
)


class InvalidRule(Exception):
    """A composite alarm's rule cannot be read."""


@dataclass(frozen=True)
class Criteria:
    """What turns values into a state."""

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing_data: str

    @property
    def range(self) -> int:
        """How many periods are looked at."""
        return self.evaluation_periods + _EXTRA_PERIODS

    def breaches(self, value: float) -> bool:
        return COMPARISONS[self.comparison](value, self.threshold)


@dataclass(frozen=True)
class Sample:
    """Datapoints as they were put: one value, or a set's statistics."""

    total: float
    count: float
    least: float
    most: float
    value: float | None


def statistic(name: str, samples: Sequence[Sample]) -> float | None:
    """A period's value: `Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or a percentile like `p99`.

    None where there are no samples.

    Raises:
        ValueError: the statistic is unknown, or a percentile of samples whose single values are not known.
    """
    count = sum(sample.count for sample in samples)
    if not count:
        return None
    if name.startswith("p"):
        return _percentile(float(name[1:]), samples)
    total = sum(sample.total for sample in samples)
    values = {
        "Sum": total,
        "Average": total / count,
        "Minimum": min(sample.least for sample in samples),
        "Maximum": max(sample.most for sample in samples),
        "SampleCount": count,
    }
    if name not in values:
        raise ValueError(f"the statistic {name} is not one of {', '.join(values)} or a percentile")
    return values[name]


def _percentile(percent: float, samples: Sequence[Sample]) -> float:
    values = sorted(sample.value for sample in samples if sample.value is not None)
    if len(values) < len(samples):
        raise ValueError("a percentile needs single values, and statistic sets were put")
    position = (len(values) - 1) * percent / 100
    low = math.floor(position)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (position - low)


def next_state(values: Sequence[float | None], criteria: Criteria, current: State) -> State:
    """The state that the last periods' values (the newest last, None where there is no data) lead to.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    present = [value for value in values[-criteria.range :] if value is not None]
    if not present:
        empty: dict[str, State] = {"breaching": "ALARM", "notBreaching": "OK", "ignore": current}
        return empty.get(criteria.missing_data, "INSUFFICIENT_DATA")
    considered = present[-criteria.evaluation_periods :]
    breaching = sum(criteria.breaches(value) for value in considered)
    missing = criteria.evaluation_periods - len(considered)
    if criteria.missing_data == "breaching":
        breaching += missing
    if breaching >= criteria.datapoints_to_alarm:
        return "ALARM"
    if criteria.missing_data in ("breaching", "notBreaching") or breaching < len(considered):
        return "OK"
    # All that there is breaches, but it is too little to be sure.
    return current if criteria.missing_data == "ignore" else "ALARM"


def rule_holds(rule: str, state_of: Callable[[str], State]) -> bool:
    """Whether a composite alarm's rule holds; `state_of` gives an alarm's state by its name or ARN.

    Raises:
        InvalidRule: it is no rule.
    """
    return _Rule(rule, state_of).value()


class _Rule:
    """Reads `ALARM("a") AND NOT (OK(b) OR FALSE)`; AND binds tighter than OR."""

    def __init__(self, text: str, state_of: Callable[[str], State]) -> None:
        self._text = text
        self._state_of = state_of
        self._tokens = self._read()
        self._next = 0

    def value(self) -> bool:
        result = self._alternatives()
        if self._next != len(self._tokens):
            raise self._invalid()
        return result

    def _read(self) -> list[tuple[str, str]]:
        tokens, position = [], 0
        text = self._text.rstrip()
        while position < len(text):
            match = _RULE_TOKEN.match(text, position)
            if match is None:
                raise self._invalid()
            position = match.end()
            name = match[2] if match[2] is not None else match[3]
            tokens.append(("word", match[1]) if match[1] else ("name", name))
        return tokens

    def _alternatives(self) -> bool:
        result = self._conjunction()
        while self._accept("OR"):
            result = self._conjunction() or result
        return result

    def _conjunction(self) -> bool:
        result = self._term()
        while self._accept("AND"):
            result = self._term() and result
        return result

    def _term(self) -> bool:
        if self._accept("NOT"):
            return not self._term()
        if self._accept("("):
            result = self._alternatives()
            self._expect(")")
            return result
        kind, word = self._take()
        if (kind, word) in (("word", "TRUE"), ("word", "FALSE")):
            return word == "TRUE"
        if kind != "word" or word not in ("ALARM", "OK", "INSUFFICIENT_DATA"):
            raise self._invalid()
        self._expect("(")
        _, name = self._take()
        self._expect(")")
        return self._state_of(name) == word

    def _take(self) -> tuple[str, str]:
        if self._next == len(self._tokens):
            raise self._invalid()
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, word: str) -> bool:
        found = self._next < len(self._tokens) and self._tokens[self._next] == ("word", word)
        self._next += found
        return found

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise self._invalid()

    def _invalid(self) -> InvalidRule:
        return InvalidRule(f"AlarmRule cannot be read: {self._text}")
