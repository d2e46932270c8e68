"""What CloudWatch keeps of metrics: every value that was put, by series and second, and a period's statistics."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moto.cloudwatch import models

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_PERCENTILE = re.compile(r"p(\d{1,2}(\.\d{1,10})?|100)")
_NO_UNIT = "None"


@dataclass(frozen=True)
class Sample:
    """`count` samples: of one `value`, or a set of which only the statistics are known (`value` is None)."""

    total: float
    count: float
    least: float
    most: float
    value: float | None

    @classmethod
    def of(cls, value: float, count: float = 1) -> Sample:
        return cls(total=value * count, count=count, least=value, most=value, value=value)

    @classmethod
    def of_set(cls, *, total: float, count: float, least: float, most: float) -> Sample:
        """A set's statistics. Of equal values we know each: CloudWatch gives percentiles of these, too."""
        return cls(total, count, least, most, value=least if least == most else None)


def is_statistic(name: str) -> bool:
    """Whether `statistic` knows it: one of STATISTICS or a percentile from p0 to p100."""
    return name in STATISTICS or _PERCENTILE.fullmatch(name) is not None


def statistic(name: str, samples: Sequence[Sample]) -> float | None:
    """A period's value of a statistic that `is_statistic` knows.

    None where there are no samples, and for a percentile of sets whose single values are not known.
    """
    count = sum(sample.count for sample in samples)
    if not count:
        return None
    if name not in STATISTICS:
        return _percentile(float(name[1:]), samples)
    total = sum(sample.total for sample in samples)
    return {
        "SampleCount": count,
        "Average": total / count,
        "Sum": total,
        "Minimum": min(sample.least for sample in samples),
        "Maximum": max(sample.most for sample in samples),
    }[name]


def _percentile(percent: float, samples: Sequence[Sample]) -> float | None:
    ordered: list[tuple[float, float]] = []  # each value with the number of samples up to and with it
    seen = 0.0
    for value, count in sorted(
        (sample.value, sample.count) for sample in samples if sample.value is not None
    ):
        seen += count
        ordered.append((value, seen))
    if seen < sum(sample.count for sample in samples):
        return None
    position = (seen - 1) * percent / 100
    low, high = (
        next(value for value, until in ordered if index < until)
        for index in (math.floor(position), min(math.floor(position) + 1, seen - 1))
    )
    return low + (high - low) * (position - math.floor(position))


class Series:
    """One metric with its dimensions in one unit. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A second's equal values are counted, not listed: a busy endpoint says "1 invocation" often.
        self._values: dict[int, dict[float, float]] = {}
        self._sets: dict[int, list[Sample]] = {}

    def add(self, at: float, sample: Sample) -> None:
        with self._lock:
            if sample.value is None:
                self._sets.setdefault(int(at), []).append(sample)
            else:
                values = self._values.setdefault(int(at), {})
                values[sample.value] = values.get(sample.value, 0) + sample.count

    def periods(self, start: float, end: float, length: int, origin: float = 0) -> dict[int, list[Sample]]:
        """The samples put from `start` until before `end`, by the period's number.

        Period n is the `length` seconds from `origin + n * length`, all of them seconds of the epoch.
        """
        found: dict[int, list[Sample]] = {}
        with self._lock:
            for second, samples in self._between(start, end):
                found.setdefault(int((second - origin) // length), []).extend(samples)
        return found

    def _between(self, start: float, end: float) -> Iterator[tuple[int, Iterable[Sample]]]:
        for second, values in self._values.items():
            if start <= second < end:
                yield second, [Sample.of(value, count) for value, count in values.items()]
        for second, sets in self._sets.items():
            if start <= second < end:
                yield second, sets


Key = tuple[str, str, frozenset[tuple[str, str]]]  # namespace, metric, dimensions


def series_of(backend: Any, namespace: str, name: str, dimensions: Mapping[str, str]) -> dict[str, Series]:
    """The series of a metric by their unit; CloudWatch finds one by its exact dimensions only."""
    return dict(_data(backend).get((namespace, name, frozenset(dimensions.items())), {}))


def keys(backend: Any) -> list[Key]:
    """The metrics of which there is data."""
    return list(_data(backend))


def add(
    backend: Any,
    namespace: str,
    name: str,
    sample: Sample,
    *,
    dimensions: Mapping[str, str],
    unit: str | None = None,
    at: float | None = None,
) -> None:
    """Keep what was put into moto's CloudWatch `backend`, `at` seconds of the epoch (default: now)."""
    units = _data(backend).setdefault((namespace, name, frozenset(dimensions.items())), {})
    units.setdefault(unit or _NO_UNIT, Series()).add(time.time() if at is None else at, sample)


def put(
    account: str,
    region: str,
    namespace: str,
    values: Mapping[str, tuple[float, str]],
    *dimensions: Mapping[str, str],
) -> None:
    """What a service tells of itself: values with their units by metric, under each set of dimensions.

    Without the way through the API, so that it costs whoever is measured some microseconds only.
    """
    backend = models.cloudwatch_backends[account][region]
    for name, (value, unit) in values.items():
        for each in dimensions:
            add(backend, namespace, name, Sample.of(value), dimensions=each, unit=unit)


def _data(backend: Any) -> dict[Key, dict[str, Series]]:
    # An attribute of the backend, so that moto's reset forgets it with the rest.
    data: dict[Key, dict[str, Series]] = backend.__dict__.setdefault("local_series", {})
    return data
