"""Windowed aggregates as their definitions read, one event at a time, in Python's own numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from sluice.features.plan import Aggregation, View

Row = dict[str, Any]
"""A row of the log; times as microseconds since 1970."""


def known_at(
    parts: Iterable[Sequence[Row]], keys: Sequence[str], time: str, moment: int
) -> dict[Any, list[Row]]:
    """Give each entity's events up to a moment, in the order of time."""
    events: dict[Any, dict[int, Row]] = {}
    for part in parts:
        for row in part:
            entity = tuple(row[key] for key in keys)
            if None not in entity and row[time] is not None and row[time] <= moment:
                events.setdefault(entity, {})[row[time]] = row
    return {entity: [found[at] for at in sorted(found)] for entity, found in events.items()}


def features(events: Sequence[Row], view: View, time: str, moment: int) -> Row:
    """Give an entity's features."""
    return {each.name: feature(events, each, time, moment) for each in view.aggregations}


def feature(events: Sequence[Row], aggregation: Aggregation, time: str, moment: int) -> Any:
    window = aggregation.window_microseconds
    held = [row for row in events if row[time] <= moment]
    if window is not None:
        held = [row for row in held if row[time] > moment - window]
    if aggregation.function == "count":
        return len(held)
    assert aggregation.column is not None
    values = [row[aggregation.column] for row in held if row[aggregation.column] is not None]
    values = [each for each in values if not (isinstance(each, float) and math.isnan(each))]
    if aggregation.function == "count_distinct":
        return len(set(values))
    if not values:
        return None
    match aggregation.function:
        case "sum":
            return total(values)
        case "mean":
            return total(values) / len(values)
        case "std":
            return deviation(values)
        case "min":
            return min(values) + 0
        case "max":
            return max(values) + 0
        case "last":
            return values[-1]
        case "share":
            assert aggregation.category is not None
            of: Any = aggregation.category
            if isinstance(values[0], bool):
                of = {"true": True, "false": False}[of]
            elif isinstance(values[0], int):
                of = int(of)
            return sum(each == of for each in values) / len(values)
        case "days_since_last":
            return nearest(Fraction(moment - values[-1], 86_400_000_000))
        case "days_since_first":
            return nearest(Fraction(moment - values[0], 86_400_000_000))
    raise AssertionError(aggregation.function)


def total(values: Sequence[float]) -> float:
    infinite = [each for each in values if math.isinf(each)]
    return sum(infinite) if infinite else nearest(sum(map(Fraction, values), Fraction(0)))


def deviation(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    if any(map(math.isinf, values)):
        return math.nan
    try:
        return float(statistics.stdev(map(Fraction, values)))
    except OverflowError:
        return math.inf


def nearest(exact: Fraction) -> float:
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
