"""Rows against the model's contract: what the model takes of them, and what is wrong with those it does not take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.batch.given import GivenRows
from sluice.contract import Feature, ModelContract
from sluice.datasets import schema
from sluice.payloads.batch import SetAsideReason
from sluice.project import Column

_SHOWN = 60
_MOST_REASONS = 20
_FIRST_ROWS = 5
_MISFIT = "it has not as many fields as the header"


@dataclass
class Reasons:
    """Counts why rows were set aside. A row that breaks the contract in two ways is counted for both."""

    _rows: Counter[str] = field(default_factory=Counter)
    _first: dict[str, list[int]] = field(default_factory=dict)

    def add(self, reason: str, number: int) -> None:
        self._rows[reason] += 1
        first = self._first.setdefault(reason, [])
        if len(first) < _FIRST_ROWS:
            first.append(number)

    def told(self) -> tuple[SetAsideReason, ...]:
        return tuple(
            SetAsideReason(reason=reason, rows=count, first=tuple(self._first[reason]))
            for reason, count in self._rows.most_common(_MOST_REASONS)
        )


@dataclass(frozen=True)
class CheckedRows:
    """n consecutive rows as the model takes them.

    Attributes:
        number: of the first row.
        columns: (n,) typed values of each feature in contract order, null for null.
        problems: by position, what is wrong with a row that is not sent.
    """

    number: int
    columns: list[Array]
    problems: dict[int, str]

    def sendable(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield the numbers and values of the rows without a problem."""
        rows = zip(*(column.to_pylist() for column in self.columns), strict=True)
        for position, values in enumerate(rows):
            if position not in self.problems:
                yield self.number + position, values


def check(
    given: GivenRows, places: Mapping[str, int], contract: ModelContract, reasons: Reasons
) -> CheckedRows:
    """Hold rows against the contract, by the same rule as validation holds an upload against project.toml's.

    `places` says which column each feature is; `reasons` is told why rows are set aside.
    """
    nulls = tuple(dict.fromkeys((*contract.null_values, "")))
    problems = dict(given.misfits)
    for position in given.misfits:
        reasons.add(_MISFIT, given.number + position)
    breaches: dict[int, list[str]] = {}
    columns: list[Array] = []
    for feature in contract.features:
        raw = given.batch.column(places[feature.name])
        checked = schema.check(_column(feature), _with_nulls(raw, nulls), null_values=nulls, required=False)
        columns.append(checked.values)
        for why, mask in checked.rejections:
            what = f"column {feature.name!r}: {why}"
            for position in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist():
                if position in given.misfits:
                    continue
                breaches.setdefault(position, []).append(what + _found(raw[position].as_py()))
                reasons.add(what, given.number + position)
    problems |= {position: "; ".join(found) for position, found in breaches.items()}
    return CheckedRows(given.number, columns, problems)


def _column(feature: Feature) -> Column:
    return Column(type=feature.type, nullable=feature.nullable, spelling=feature.spelling)


def _with_nulls(cells: Array, nulls: tuple[str, ...]) -> Array:
    if not pa.types.is_string(cells.type):
        return cells
    null = pc.is_in(cells, pa.array(list(nulls), pa.string()))
    return pc.if_else(null, pa.scalar(None, pa.string()), cells)


def _found(value: Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        return ""
    text = repr(value) if isinstance(value, str) else str(value)
    return f": {text if len(text) <= _SHOWN else text[:_SHOWN] + '…'}"
