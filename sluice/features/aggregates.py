"""Aggregations of one column's events in windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.errors import ProjectError
from sluice.features import slices
from sluice.features.events import SHOWN
from sluice.features.exact_sums import ExactColumn, ExactSums, standard_deviations
from sluice.features.plan import Aggregation, Type
from sluice.features.slices import Slices
from sluice.features.timelines import Timeline, numbered

_MICROSECONDS_A_DAY = 86_400_000_000
_EXACT = 1 << 53
"""Up to here, a double holds every whole number."""

_TRUE_OR_FALSE = {"true": True, "false": False}


@dataclass(frozen=True)
class Windows:
    """The moments that features are asked for, and what their windows hold.

    Attributes:
        moments: microseconds since 1970 in UTC.
        events: by window, positions in the timeline; None is the window of all events up to the moment.
    """

    timeline: Timeline
    moments: NDArray[np.int64]
    events: Mapping[int | None, Slices]


def counted(windows: Windows, aggregation: Aggregation) -> Array:
    """Count events."""
    return pa.array(windows.events[aggregation.window_microseconds].lengths)


def aggregated(
    values: Array, kind: Type, windows: Windows, aggregations: Sequence[Aggregation]
) -> dict[str, Array]:
    """Give the features made of one column, by name.

    Args:
        values: of the timeline's events, as `events.STORED` has the type.
        kind: the column's type.
        windows: of the same timeline.
        aggregations: of this column, none a `count`.

    Raises:
        ProjectError: a category is no value of the column's type.
    """
    column = _Column(values, kind, windows, aggregations)
    return {each.name: column.aggregate(each) for each in aggregations}


class _Column:
    """The values of a column that are none of them null or NaN, and the windows as positions among them."""

    def __init__(
        self, values: Array, kind: Type, windows: Windows, aggregations: Sequence[Aggregation]
    ) -> None:
        self._kind = kind
        self._windows = windows
        self._aggregations = aggregations
        held = pc.is_valid(values)
        if kind == "number":
            held = pc.and_(held, pc.invert(pc.fill_null(pc.is_nan(values), False)))
        self._before: NDArray[np.int64] | None = None
        self._entities = windows.timeline.entities
        if not pc.all(held).as_py() and len(values):
            mask = held.to_numpy(zero_copy_only=False)
            self._before = slices.running_total(mask)
            self._entities = self._entities[mask]
            values = values.filter(held)
        self._values = values

    def aggregate(self, aggregation: Aggregation) -> Array:
        window = self._slices(aggregation.window_microseconds)
        held = window.lengths > 0
        match aggregation.function:
            case "count_distinct":
                return pa.array(self._distinct(window))
            case "last":
                return self._values.take(pa.array(window.last - 1, mask=~held)).cast(SHOWN[self._kind])
            case "min" | "max":
                of = np.minimum if aggregation.function == "min" else np.maximum
                return _shown(slices.extremes(self._without_minus_zero, window.where(held), of), held)
            case "share":
                counts = slices.counts(self._holds(aggregation), window)
                return _shown(counts[held] / window.lengths[held], held)
            case "days_since_first":
                return self._days(window.first[held], held)
            case "days_since_last":
                return self._days(window.last[held] - 1, held)
            case "sum":
                return _shown(self._sums(aggregation)[held], held)
            case "mean":
                return _shown(self._sums(aggregation)[held] / window.lengths[held], held)
            case "std":
                return self._deviations(aggregation, window)
            case _:
                raise ValueError(f"{aggregation.function} is no function of a column")

    def _slices(self, window: int | None) -> Slices:
        return self._dense(self._windows.events[window])

    def _dense(self, events: Slices) -> Slices:
        if self._before is None:
            return events
        return Slices(self._before[events.first], self._before[events.last])

    def _distinct(self, window: Slices) -> NDArray[np.int64]:
        values = self._values if self._kind != "number" else pa.array(self._without_minus_zero)
        starts = self._windows.timeline.starts
        if self._before is not None:
            starts = self._before[starts]
        return slices.distinct_counts(
            numbered(pa.chunked_array([values])),
            self._entities,
            starts[self._entities],
            window,
            self._slices(None).first,
        )

    def _holds(self, aggregation: Aggregation) -> NDArray[np.bool_]:
        category: str | int | bool | None = aggregation.category
        assert isinstance(category, str)
        try:
            if self._kind == "integer":
                category = int(category)
            elif self._kind == "boolean":
                category = _TRUE_OR_FALSE[category.lower()]
            equal = pc.equal(self._values, pa.scalar(category, self._values.type))
        except (ValueError, KeyError, OverflowError) as error:
            raise ProjectError(
                f"{aggregation.name}: {aggregation.category!r} is no value of {aggregation.column!r}",
                why=f"the column is of type {self._kind}",
                fix="name a category that the column can hold",
            ) from error
        held: NDArray[np.bool_] = equal.to_numpy(zero_copy_only=False)
        return held

    def _days(self, positions: NDArray[np.int64], held: NDArray[np.bool_]) -> Array:
        moments, values = self._windows.moments[held], self._numbers[positions]
        passed = moments - values
        days = passed / _MICROSECONDS_A_DAY
        # Where 64 bits overflow, or the microseconds would be rounded before they are divided: Python's integers.
        far = (((moments ^ values) & (moments ^ passed)) < 0) | (np.abs(passed) > _EXACT) | (passed < -_EXACT)
        days[far] = [
            (moment - value) / _MICROSECONDS_A_DAY
            for moment, value in zip(moments[far].tolist(), values[far].tolist(), strict=True)
        ]
        return _shown(days, held)

    def _deviations(self, aggregation: Aggregation, window: Slices) -> Array:
        counts = window.lengths
        enough = counts >= 2
        key = aggregation.window_microseconds
        result = standard_deviations(
            counts[enough], self._exact_sums[key].where(enough), self._exact_squares[key].where(enough)
        )
        if self._infinite is not None:
            result[slices.counts(self._infinite, window)[enough] > 0] = np.nan
        return _shown(result, enough)

    def _sums(self, aggregation: Aggregation) -> NDArray[np.float64]:
        key = aggregation.window_microseconds
        result = self._rounded[key]
        if self._infinite is None:
            return result
        window = self._slices(key)
        above, below = (slices.counts(self._numbers == end, window) > 0 for end in (np.inf, -np.inf))
        return np.where(above & below, np.nan, np.where(above, np.inf, np.where(below, -np.inf, result)))

    @cached_property
    def _numbers(self) -> NDArray[Any]:
        numbers: NDArray[Any] = self._values.to_numpy(zero_copy_only=False)
        return numbers

    @cached_property
    def _without_minus_zero(self) -> NDArray[Any]:
        # -0.0 equals 0.0: which of the two is the least would be chance.
        return self._numbers + 0.0 if self._kind == "number" else self._numbers

    @cached_property
    def _infinite(self) -> NDArray[np.bool_] | None:
        if self._kind != "number":
            return None
        infinite = np.isinf(self._numbers)
        return infinite if infinite.any() else None

    @cached_property
    def _exact(self) -> ExactColumn:
        return ExactColumn(
            self._numbers if self._infinite is None else np.where(self._infinite, 0.0, self._numbers)
        )

    def _windows_of(self, *functions: str) -> list[int | None]:
        wanted = (each for each in self._aggregations if each.function in functions)
        return list(dict.fromkeys(each.window_microseconds for each in wanted))

    @cached_property
    def _exact_sums(self) -> dict[int | None, ExactSums]:
        windows = self._windows_of("sum", "mean", "std")
        return dict(zip(windows, self._exact.sums([self._slices(each) for each in windows]), strict=True))

    @cached_property
    def _exact_squares(self) -> dict[int | None, ExactSums]:
        windows = self._windows_of("std")
        found = self._exact.sums_of_squares([self._slices(each) for each in windows])
        return dict(zip(windows, found, strict=True))

    @cached_property
    def _rounded(self) -> dict[int | None, NDArray[np.float64]]:
        return {each: self._exact_sums[each].nearest() for each in self._windows_of("sum", "mean")}


def _shown(values: NDArray[Any], held: NDArray[np.bool_]) -> Array:
    """Put values where `held` is true, and nulls elsewhere. A NaN stays one."""
    full = np.zeros(len(held), values.dtype)
    full[held] = values
    return pa.array(full, mask=~held, from_pandas=False)
