"""The rejected cells, written down as a CSV file, and the numbers that rows have in the file they came in."""

from __future__ import annotations

import csv
import re
from array import array
from bisect import bisect_right
from typing import Any

import pyarrow as pa

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.datasets.reading import RaggedRow
from sluice.datasets.report import ValidationReport

HEADER = ("row", "column", "value", "reason")
_SHOWN_CHARACTERS = 80
_SHOWN_ROWS = 5

# A spreadsheet takes a cell that begins so for a formula. After a sign a number is none.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![0-9.,]+(?:[eE][+-]?[0-9]+)?\s*%?\Z)")


class Rejects:
    """Writes rejected cells down, and keeps the numbers of rejected rows to number the accepted ones."""

    def __init__(self, sink: Any, report: ValidationReport) -> None:
        # Python before 3.13 leaves a carriage return unquoted where it is no part of the line end.
        self._writer = csv.writer(sink, lineterminator="\r\n")
        self._writer.writerow(HEADER)
        self._report = report
        self._ragged = RowNumbers()
        self._ragged_taken = 0
        self._positions = RowNumbers()

    def take_ragged(self, ragged: list[RaggedRow] | None) -> None:
        """Write the ragged rows met since the last call."""
        for row in (ragged or [])[self._ragged_taken :]:
            self._ragged.drop(row.number)
            self._ragged_taken += 1
            self._report.rejected_rows += 1
            reason = f"{row.fields} fields, {row.expected} expected"
            self.add_cell(row.number, "", row.text, reason, kind="wrong number of fields")

    def add(self, offset: int, column: str, cells: Array, reason: str, mask: Array) -> None:
        """Write the cells of a batch that `mask` marks; the batch begins at position `offset` of those read."""
        rejected = cells.filter(mask).cast(pa.string()).to_pylist()
        for i, value in zip(pc.indices_nonzero(mask).to_pylist(), rejected, strict=True):
            self.add_cell(self._ragged.number(offset + i), column, value, reason)

    def add_cell(self, number: int, column: str, value: str | None, reason: str, kind: str = "") -> None:
        self._writer.writerow((number, *map(_as_text, (column, value or "", reason))))
        key = f"{column}: {kind or reason}" if column else kind or reason
        self._report.reasons[key] += 1
        rows = self._report.rows_of.setdefault(key, [])
        if len(rows) < _SHOWN_ROWS:
            rows.append(number)
        if key not in self._report.examples and value is not None:
            cut = len(value) > _SHOWN_CHARACTERS
            self._report.examples[key] = value[:_SHOWN_CHARACTERS] + "…" if cut else value

    def close_rows(self, offset: int, bad: Array) -> None:
        """Count the rejected rows of a batch."""
        for i in pc.indices_nonzero(bad).to_pylist():
            self._report.rejected_rows += 1
            self._positions.drop(offset + i + 1)

    def number_of_accepted(self, position: int) -> int:
        """The number in the file of the accepted row at `position` (0 is the first accepted one)."""
        return self._ragged.number(self._positions.number(position) - 1)


def _as_text(cell: str) -> str:
    """Give a cell as a spreadsheet shows it, and does not compute it: with an apostrophe in front of a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


class RowNumbers:
    """Numbers (from 1) of the rows that are left when some are dropped; `drop` takes numbers in rising order."""

    def __init__(self) -> None:
        self._shifted = array("q")

    def drop(self, number: int) -> None:
        # The j-th dropped row (from 0) moves on all rows left from position number - 1 - j.
        self._shifted.append(number - 1 - len(self._shifted))

    def number(self, position: int) -> int:
        return position + 1 + bisect_right(self._shifted, position)
