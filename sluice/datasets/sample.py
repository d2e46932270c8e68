"""Some rows of a stream, drawn evenly, in bounded memory: all of them while they are few."""

from __future__ import annotations

import random

import pyarrow as pa

from sluice.arrow import Table
from sluice.arrow import compute as pc

MOST_ROWS = 8_192
# A cell of text may be megabytes long.
MOST_CHARACTERS = 64


class EvenSample:
    """One row of each run of 1, 2, 4, 8 … rows, so that at most `most` are kept: every row is as likely.

    Runs and not a stride, of which one would draw the same side of a file whose rows alternate. What is drawn depends
    on the rows' places alone, not on the batches that they come in.

    Args:
        most: an even number.
    """

    def __init__(self, most: int = MOST_ROWS) -> None:
        self._most = most
        self._random = random.Random(0)  # noqa: S311 - the same rows are drawn each time
        self._run = 1
        self._kept = 0
        self._seen = 0
        self._next = 0
        self._pieces: list[pa.RecordBatch] = []
        self._schema: pa.Schema | None = None

    def take(self, rows: pa.RecordBatch) -> None:
        """Look at the next rows, all of the same columns."""
        self._schema = rows.schema
        start, self._seen = self._seen, self._seen + len(rows)
        drawn: list[int] = []
        while self._next < self._seen:
            drawn.append(self._next - start)
            self._kept += 1
            if self._kept == self._most:
                self._keep(rows, drawn)
                drawn = []
                self._halve()
            self._next = self._kept * self._run + self._random.getrandbits(self._run.bit_length() - 1)
        self._keep(rows, drawn)

    def rows(self) -> Table | None:
        """Give the rows that were drawn, in order, their texts cut to 64 characters; None where nothing was seen."""
        return None if self._schema is None else pa.Table.from_batches(self._pieces, self._schema)

    def _keep(self, rows: pa.RecordBatch, positions: list[int]) -> None:
        if positions:
            self._pieces.append(_cut(rows.take(pa.array(positions))))

    def _halve(self) -> None:
        """Make runs twice as long: of two rows one is left."""
        table = self.rows()
        assert table is not None
        halves = [2 * pair + self._random.getrandbits(1) for pair in range(self._kept // 2)]
        self._pieces = table.take(pa.array(halves)).combine_chunks().to_batches()
        self._kept //= 2
        self._run *= 2


def _cut(rows: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        pc.utf8_slice_codeunits(column, 0, MOST_CHARACTERS) if pa.types.is_string(column.type) else column
        for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)
