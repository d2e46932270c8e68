"""What a column of a dataset version holds, from the statistics of its parts, and how far two columns are apart."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice.datasets.statistics import SHARES
from sluice.payloads.documents import ColumnStatistics, Lineage

_ORDERED = frozenset({"integer", "number", "timestamp"})
_CHANCE = 0.01


@dataclass(frozen=True)
class Distribution:
    """A column of one or more parts.

    Rows of a part whose key and time a later part has are counted along: which these are is not in the statistics.

    Attributes:
        rows, nulls: of all parts.
        drawn: rows with a value that the figures below stand on.
        min, max, quantiles: numbers; of timestamps seconds since 1970, UTC.
        shares: of each frequent value among the rows that have one; `rest` is of all others.
    """

    type: str
    rows: int
    nulls: int
    drawn: int
    min: float | None
    max: float | None
    mean: float | None
    deviation: float | None
    quantiles: tuple[float, ...]
    shares: dict[str, float]
    rest: float

    @property
    def null_share(self) -> float:
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def median(self) -> float | None:
        return self.quantiles[len(self.quantiles) // 2] if self.quantiles else None

    @property
    def is_ordered(self) -> bool:
        return self.type in _ORDERED


@dataclass(frozen=True)
class Shift:
    """How far two distributions are apart, from 0 to 1; `noticeable` where chance would hardly make as much."""

    distance: float
    noticeable: bool


def of(lineages: Sequence[Lineage], name: str) -> Distribution:
    """Give what a column holds in the parts of these lineages together.

    Raises:
        KeyError: a part has no such column.
    """
    parts = [_part(lineage, lineage.statistics[name]) for lineage in lineages]
    if len(parts) == 1:
        return parts[0]
    known = [part.rows - part.nulls for part in parts]
    total = sum(known)
    weights = [count / total if total else 0.0 for count in known]
    filled = [(weight, part) for weight, part in zip(weights, parts, strict=True) if weight]
    shares: dict[str, float] = {}
    for weight, part in filled:
        for value, share in part.shares.items():
            shares[value] = shares.get(value, 0.0) + weight * share
    mean, deviation = _moments(filled)
    lows = [part.min for part in parts if part.min is not None]
    highs = [part.max for part in parts if part.max is not None]
    return Distribution(
        type=parts[-1].type,
        rows=sum(part.rows for part in parts),
        nulls=sum(part.nulls for part in parts),
        drawn=sum(part.drawn for part in parts),
        min=min(lows, default=None),
        max=max(highs, default=None),
        mean=mean,
        deviation=deviation,
        quantiles=_mixed(filled),
        shares=dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))),
        rest=sum(weight * part.rest for weight, part in filled),
    )


def shift(one: Distribution, other: Distribution) -> Shift | None:
    """Give the distance of two distributions; None where they are of other kinds, or nothing is known of one.

    Of numbers and times it is the greatest difference of their cumulative distributions (Kolmogorov-Smirnov; more
    than chance: the critical value for 1 %, Smirnov 1948), of all others half the sum of the differences of shares
    (total variation; more than chance: Weissman et al. 2003, "Inequalities for the L1 deviation of the empirical
    distribution").
    """
    if one.is_ordered != other.is_ordered or not one.drawn or not other.drawn:
        return None
    if one.is_ordered:
        points = sorted({*_points(one), *_points(other)})
        first, second = _cumulative(one), _cumulative(other)
        distance = max(abs(first(point) - second(point)) for point in points)
        critical = math.sqrt(-math.log(_CHANCE / 2) / 2 * (1 / one.drawn + 1 / other.drawn))
        return Shift(distance, distance > critical)
    if not one.shares or not other.shares:
        return None
    values = one.shares.keys() | other.shares.keys()
    differences = [abs(one.shares.get(value, 0.0) - other.shares.get(value, 0.0)) for value in values]
    distance = (sum(differences) + abs(one.rest - other.rest)) / 2
    kinds = len(values) + 1
    spread = math.sqrt((kinds * math.log(2) - math.log(_CHANCE)) / 2)
    return Shift(distance, distance > spread * (one.drawn**-0.5 + other.drawn**-0.5))


def _part(lineage: Lineage, told: ColumnStatistics) -> Distribution:
    counted = sum(told.values.values())
    drawn = lineage.drawn
    if lineage.drawn < lineage.rows:
        drawn = round(lineage.drawn * (1 - told.nulls / lineage.rows))
    else:
        drawn -= told.nulls
    # Where all values are listed they are all rows that were drawn, to the last one.
    known = counted if told.distinct == len(told.values) else max(counted, drawn)
    ordered = told.type in _ORDERED
    return Distribution(
        type=told.type,
        rows=lineage.rows,
        nulls=told.nulls,
        drawn=known if known else drawn,
        min=_number(told.min) if ordered else None,
        max=_number(told.max) if ordered else None,
        mean=told.mean,
        deviation=told.deviation,
        quantiles=tuple(_of_text(each) for each in told.quantiles),
        shares={value: count / known for value, count in told.values.items()},
        rest=(known - counted) / known if known and told.values else 0.0,
    )


def _number(value: float | str | None) -> float | None:
    return None if value is None else _of_text(value)


def _of_text(value: float | str) -> float:
    """Give a number as it is, and of a time the seconds since 1970, UTC."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
    return float(value)


def _moments(parts: Sequence[tuple[float, Distribution]]) -> tuple[float | None, float | None]:
    """Mean and deviation of a mixture."""
    if not parts or any(part.mean is None for _, part in parts):
        return None, None
    mean = math.fsum(weight * (part.mean or 0.0) for weight, part in parts)
    squares = math.fsum(
        weight * ((part.deviation or 0.0) ** 2 + ((part.mean or 0.0) - mean) ** 2) for weight, part in parts
    )
    return mean, math.sqrt(squares)


def _mixed(parts: Sequence[tuple[float, Distribution]]) -> tuple[float, ...]:
    """Quantiles of a mixture: where the sum of its parts' cumulative distributions comes to each share."""
    if not parts or not all(part.quantiles for _, part in parts):
        return ()
    points = sorted({point for _, part in parts for point in _points(part)})
    below = [(weight, _cumulative(part)) for weight, part in parts]
    sums = [sum(weight * share(point) for weight, share in below) for point in points]
    found = []
    for share in SHARES:
        at = next((index for index, total in enumerate(sums) if total >= share - 1e-12), len(points) - 1)
        if at == 0 or sums[at] == sums[at - 1]:
            found.append(points[at])
            continue
        part_way = (share - sums[at - 1]) / (sums[at] - sums[at - 1])
        found.append(points[at - 1] + max(0.0, min(1.0, part_way)) * (points[at] - points[at - 1]))
    return tuple(found)


def _points(told: Distribution) -> Sequence[float]:
    return sorted(map(float, told.shares)) if _is_listed(told) else told.quantiles


def _is_listed(told: Distribution) -> bool:
    """Tell whether all values are known by number: then the cumulative distribution is exact."""
    return bool(told.shares) and not told.rest and told.type != "timestamp"


def _cumulative(told: Distribution) -> Callable[[float], float]:
    """Give the share of values up to a number, counting it."""
    if _is_listed(told):
        pairs = sorted((float(value), share) for value, share in told.shares.items())
        numbers, sums, total = [number for number, _ in pairs], [0.0], 0.0
        for _, share in pairs:
            total += share
            sums.append(min(1.0, total))
        return lambda point: sums[bisect_right(numbers, point)]
    quantiles = told.quantiles

    def between(point: float) -> float:
        after = bisect_right(quantiles, point)
        if after == 0:
            return 0.0
        if after == len(quantiles):
            return 1.0
        low, high = quantiles[after - 1], quantiles[after]
        return SHARES[after - 1] + (point - low) / (high - low) * (SHARES[after] - SHARES[after - 1])

    return between
