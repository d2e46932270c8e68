"""What the accepted rows of a part hold, column by column: from what validation saw on its way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pyarrow as pa

from sluice.arrow import ChunkedArray
from sluice.arrow import compute as pc
from sluice.datasets.report import ValidationReport
from sluice.payloads.documents import ColumnStatistics
from sluice.project import Project

SHARES = tuple(step / 20 for step in range(21))
"""Where the quantiles are."""
_MOST_VALUES = 50


def of(report: ValidationReport, project: Project) -> tuple[int, dict[str, ColumnStatistics]]:
    """Give the number of rows that were drawn, and what each column holds."""
    drawn = report.drawn.rows()
    if drawn is None:
        return 0, {}
    return len(drawn), {
        name: _column(drawn[name], report, name, is_key=name == project.entity.key)
        for name in project.columns
    }


def _column(values: ChunkedArray, report: ValidationReport, name: str, *, is_key: bool) -> ColumnStatistics:
    seen = report.columns[name]
    known = values.drop_null()
    distinct = pc.count_distinct(known).as_py()
    few = distinct <= _MOST_VALUES or distinct < len(known) / 2
    counted = _counted(known) if few and not is_key and not pa.types.is_timestamp(values.type) else {}
    numbers = len(known) and (pa.types.is_integer(values.type) or pa.types.is_floating(values.type))
    ordered = numbers or (len(known) and pa.types.is_timestamp(values.type))
    # A mean of integers that a double rounds is rounded, too; their values and bounds are not.
    doubles = known.cast(pa.float64(), safe=False) if numbers else None
    return ColumnStatistics(
        type=seen.type,
        nulls=report.missing[name],
        min=_plain(seen.min),
        max=_plain(seen.max),
        distinct=distinct,
        mean=None if doubles is None else _finite(pc.mean(doubles).as_py()),
        deviation=None if doubles is None else _finite(pc.stddev(doubles, ddof=1).as_py()),
        quantiles=tuple(_quantiles(known)) if ordered else (),
        values=counted,
    )


def _counted(values: ChunkedArray) -> dict[str, int]:
    counts = pc.value_counts(values).to_pylist()
    most = sorted(counts, key=lambda each: (-each["counts"], str(each["values"])))[:_MOST_VALUES]
    return {name_of(each["values"]): each["counts"] for each in most}


def name_of(value: Any) -> str:
    """Write a value as it is listed: booleans as in a file, numbers as Python reads them again."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quantiles(values: ChunkedArray) -> Iterable[float | str]:
    if not pa.types.is_timestamp(values.type):
        numbers: list[float] = pc.quantile(values, list(SHARES)).to_pylist()
        return numbers
    moments = pc.quantile(values.cast(pa.int64()), list(SHARES), interpolation="nearest")
    return [moment.isoformat() for moment in moments.cast(pa.timestamp("us")).to_pylist()]


def _finite(value: float | None) -> float | None:
    """Give nothing for what no double holds: JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
