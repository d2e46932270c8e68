"""When an alarm is in which state, and why: M of N datapoints, missing data, composite alarms' rules."""

from __future__ import annotations

import datetime
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
_WORDS = {
    "GreaterThanThreshold": "greater than",
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
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


def reason(datapoints: Sequence[tuple[float, float | None]], criteria: Criteria, state: State) -> str:
    """Why an alarm is in `state`, in CloudWatch's words.

    `datapoints` are the last periods, the newest last: their beginning (seconds of the epoch) and their value.
    """
    present = [(start, value) for start, value in datapoints if value is not None]
    present = present[-criteria.evaluation_periods :]
    periods = criteria.evaluation_periods
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_counted(periods, 'datapoint')} {_were(periods)} unknown."
    if not present:
        treated = "Breaching" if state == "ALARM" else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {_counted(periods, 'period')} and "
            f"{_counted(periods, 'missing datapoint')} {_were(periods)} treated as [{treated}]."
        )
    alarming = state == "ALARM"
    deciding = [(start, value) for start, value in present if criteria.breaches(value) == alarming]
    least = criteria.datapoints_to_alarm if alarming else periods - criteria.datapoints_to_alarm + 1
    listed = ", ".join(f"{value} ({_day_first(start)})" for start, value in reversed(deciding))
    return (
        f"Threshold Crossed: {len(deciding)} out of the last {len(present)} datapoints [{listed}] "
        f"{_were(len(deciding))} {'' if alarming else 'not '}{_WORDS[criteria.comparison]} the threshold "
        f"({criteria.threshold}) (minimum {_counted(least, 'datapoint')} for "
        f"{'OK -> ALARM' if alarming else 'ALARM -> OK'} transition)."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _day_first(start: float) -> str:
    return datetime.datetime.fromtimestamp(start, datetime.UTC).strftime("%d/%m/%y %H:%M:%S")


def names_in(rule: str) -> list[str]:
    """The names or ARNs of the alarms that a composite alarm's rule looks at.

    Raises:
        InvalidRule: it is no rule.
    """
    names: list[str] = []

    def note(name: str) -> State:
        names.append(name)
        return "OK"

    rule_holds(rule, note)
    return names


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
