"""The rows of a file as they were given: every row, in order, with all its columns."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa

from sluice.column_names import normal
from sluice.contract import ModelContract, listed
from sluice.datasets.header import read_header
from sluice.datasets.reading import RaggedRow, Source, read_batches
from sluice.errors import NoRows, SchemaMismatch
from sluice.project import Data

RESULT_COLUMNS = ("prediction", "probability", "problem")
"""What a result says of a row besides its columns; of several classes, `probability of <class>` for each."""

_HEAD_BYTES = 1 << 20
_MARKS = ",;\t|"


@dataclass(frozen=True)
class GivenRows:
    """Consecutive rows. Those of a CSV hold its texts, as they stand there; those of a Parquet file are of its types.

    Attributes:
        number: of the first row; 1 is the first one of the file, below its header.
        misfits: by position, why a row cannot be read: it has too many fields or too few. Those that it has, and the
            header has names for, are its columns.
    """

    batch: pa.RecordBatch
    number: int
    misfits: Mapping[int, str]


@dataclass(frozen=True)
class _AsItIs:
    """What the reader has to know of a file of which any columns are taken, and no text means null."""

    data: Data
    columns: None = None


class GivenFile:
    """A file whose rows are to be predicted. It can be read more than once, and is the same each time.

    Args:
        delimiter: of a CSV, as the project's uploads have it.
        by_id: the model's endpoint takes ids, too; said to who gives a file of them.
    """

    def __init__(
        self, source: Source, contract: ModelContract, delimiter: str, *, by_id: bool = False
    ) -> None:
        self._source = source
        self._contract = contract
        self._layout = _AsItIs(Data(delimiter=delimiter, null_values=()))
        self._by_id = by_id

    @property
    def where(self) -> str:
        return self._source.where

    @property
    def suffix(self) -> str:
        """The ending of what is made of it: .parquet of a Parquet file, .csv of every other."""
        return ".parquet" if self._source.suffix == ".parquet" else ".csv"

    @property
    def delimiter(self) -> str:
        return self._layout.data.delimiter

    def rows(self, scratch: Path) -> Generator[GivenRows, None, None]:
        """Yield all rows; `scratch` is a free path for a local copy of a Parquet file.

        Raises:
            DataError: nothing can be had from the file, it holds no rows, or lacks columns that the model takes.
        """
        ragged: list[RaggedRow] = []
        batches = read_batches(self._source, self._layout, scratch, ragged)
        names: Sequence[str] | None = None
        if self.suffix == ".csv":
            names = self._header()
            self._check(names)
        number = 0
        # Closed, whatever comes: of a Parquet file there is a copy, which it removes.
        with closing(cast("Generator[pa.RecordBatch, None, None]", batches)):
            for batch in batches:
                if names is None:
                    names = batch.schema.names
                    self._check(names)
                given = _merged(batch, ragged, number, self.delimiter)
                number += len(given.batch)
                yield given
        if ragged and names is not None:
            nothing = pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in names]))
            given = _merged(nothing, ragged, number, self.delimiter)
            number += len(given.batch)
            yield given
        if not number:
            raise NoRows(
                "there is a header and no row below it",
                where=self.where,
                why="the file ends after its header",
                fix="give at least one row to predict",
            )

    def places(self, names: Sequence[str]) -> dict[str, int]:
        """Say which column each feature of the model is, of those that are called `names`."""
        known = {normal(name): name for name in self._contract.names}
        return {known[normal(name)]: place for place, name in enumerate(names) if normal(name) in known}

    def _header(self) -> tuple[str, ...]:
        with self._source.open() as stream:
            head = stream.read(_HEAD_BYTES)
        # What is not UTF-8 was refused by the reader, but for a character that is cut in two at the end of the head.
        text = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode(head)
        return read_header(text, self.delimiter).names

    def _check(self, names: Sequence[str]) -> None:
        places = self.places(names)
        absent = [name for name in self._contract.names if name not in places]
        if absent:
            raise SchemaMismatch(
                f"columns the model takes are missing: {listed(absent)}",
                where=f"{self.where}, header",
                why=f"found {listed(names)}",
                fix=self._to_do(names),
            )
        own = {*RESULT_COLUMNS} | {f"probability of {each}" for each in self._contract.target.classes}
        taken = [name for name in names if name in own]
        if taken:
            raise SchemaMismatch(
                f"columns are called as what is added to each row: {listed(taken)}",
                where=f"{self.where}, header",
                why="the result holds the file's columns, then prediction, probability and problem",
                fix="rename them, or leave them out: they may be what an earlier batch answered",
            )

    def _to_do(self, names: Sequence[str]) -> str:
        if len(names) == 1 and self.suffix == ".csv":
            others = [mark for mark in _MARKS if mark in names[0] and mark != self.delimiter]
            if others:
                return (
                    f"the whole header is one column: write the file with {self.delimiter!r} between its columns, "
                    "as data.delimiter of project.toml says"
                )
        if self._by_id:
            return (
                "a batch reads nothing from the online store: give full rows with all of the model's features, or "
                "ask by id through the endpoint, `sluice predict --file FILE`"
            )
        return "give the columns of the training data with their header, derived ones too; the target is not needed"


def _merged(batch: pa.RecordBatch, ragged: list[RaggedRow], number: int, delimiter: str) -> GivenRows:
    """Put the ragged rows that stand among the rows after `number`, or right behind them, where they stood."""
    pieces: list[pa.RecordBatch] = []
    misfits: dict[int, str] = {}
    taken = position = 0
    while True:
        if ragged and ragged[0].number == number + position + 1:
            row = ragged.pop(0)
            pieces.append(_as_row(row, batch.schema, delimiter))
            misfits[position] = f"it has {_fields(row.fields)}, the header {row.expected}"
            position += 1
            continue
        left = len(batch) - taken
        if ragged:
            left = min(left, ragged[0].number - (number + position + 1))
        if left <= 0:
            break
        pieces.append(batch.slice(taken, left))
        taken, position = taken + left, position + left
    if not misfits:
        return GivenRows(batch, number + 1, misfits)
    (whole,) = pa.Table.from_batches(pieces).combine_chunks().to_batches()
    return GivenRows(whole, number + 1, misfits)


def _fields(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"


def _as_row(row: RaggedRow, schema: pa.Schema, delimiter: str) -> pa.RecordBatch:
    try:
        fields = next(csv.reader(io.StringIO(row.text, newline=""), delimiter=delimiter), [])
    except csv.Error:  # a field beyond the module's limit of 128 KB
        fields = row.text.split(delimiter)
    texts = [*fields[: len(schema)], *[""] * (len(schema) - len(fields))]
    return pa.RecordBatch.from_arrays([pa.array([text], pa.string()) for text in texts], schema=schema)
