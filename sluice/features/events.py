"""The event log: the parts of a dataset read in order, each column as the type the feature plan knows it by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.errors import EmptyFile, ProjectError, SchemaMismatch, UnreadableFile
from sluice.features.plan import Type, View

_ROWS_A_BATCH = 1 << 18

STORED: Mapping[Type, pa.DataType] = {
    "string": pa.large_string(),  # more than 2 GiB of text in a column is no error
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.int64(),  # microseconds since 1970 in UTC
}
"""What the engine computes with."""

SHOWN: Mapping[Type, pa.DataType] = {
    **STORED,
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
}
"""What it hands out."""


def type_of(found: pa.DataType) -> Type | None:
    """Give the plan's type of a Parquet column; None where it has none."""
    types = pa.types
    if types.is_dictionary(found):
        found = found.value_type
    if types.is_string(found) or types.is_large_string(found):
        return "string"
    if types.is_integer(found):
        return "integer"
    if types.is_floating(found):
        return "number"
    if types.is_boolean(found):
        return "boolean"
    return "timestamp" if types.is_timestamp(found) else None


def stored(column: Array, kind: Type) -> Array:
    """Give a column as the engine computes with it. A time without a zone is in UTC.

    Raises:
        pa.ArrowInvalid: values do not fit: integers beyond 64 bits, times finer than a microsecond.
    """
    if kind == "timestamp":
        column = column.cast(pa.timestamp("us", column.type.tz))
    return column.cast(STORED[kind])


@dataclass(frozen=True)
class EventLog:
    """The columns of a dataset that a view is made of.

    Attributes:
        parts: Parquet files in the order in which they were accepted.
        timestamp: the column of event times.
        types: of the join keys, the event time and the aggregated columns.
        rows: of all parts together.
    """

    parts: tuple[Path, ...]
    timestamp: str
    keys: tuple[str, ...]
    types: Mapping[str, Type]
    rows: int

    @classmethod
    def open(cls, parts: Sequence[Path], view: View, timestamp: str) -> EventLog:
        """Look at the parts' headers, and hold them against the view.

        Raises:
            EmptyFile: there is no part.
            UnreadableFile: a part is no Parquet file.
            SchemaMismatch: a part lacks a column, or holds it as another type than the view or an earlier part.
            ProjectError: the view asks for a sum that its column does not have.
        """
        if not parts:
            raise EmptyFile("the dataset has no parts", why="features are made of its events")
        aggregated = [each.column for each in view.aggregations if each.column is not None]
        columns = dict.fromkeys([*(key.name for key in view.keys), timestamp, *aggregated])
        types: dict[str, Type] = {key.name: key.type for key in view.keys}
        if types.setdefault(timestamp, "timestamp") != "timestamp":
            raise ProjectError(f"{timestamp!r} is a join key and the event time of view {view.name!r}")
        rows = 0
        for part in parts:
            try:
                metadata = pq.read_metadata(part)
            except (pa.ArrowInvalid, OSError) as error:
                raise UnreadableFile(
                    f"{part.name} is no Parquet file", where=str(part), why=str(error)
                ) from error
            rows += metadata.num_rows
            schema = metadata.schema.to_arrow_schema()
            for name in columns:
                found = _column_type(schema, name, part, view)
                if types.setdefault(name, found) != found:
                    raise SchemaMismatch(
                        f"column {name!r} is of type {found} in {part.name}, and was to be {types[name]}",
                        where=f"view {view.name!r}",
                        why="a column has one type, in features.py and in every part of the dataset",
                        fix="give features.py the type that project.toml declares, or upload the part again",
                    )
        return cls(tuple(parts), timestamp, tuple(key.name for key in view.keys), types, rows)

    def batches(self, until: int, among: Mapping[str, Array] | None = None) -> Iterator[pa.RecordBatch]:
        """Read the events at or before a time, in the order of parts and rows.

        Rows without a key or a time are none.

        Args:
            until: microseconds since 1970 in UTC.
            among: by join key, the values to look for; other rows are left out. None for all.

        Raises:
            UnreadableFile: a part breaks off, or holds what the engine has no room for.
        """
        for part in self.parts:
            try:
                with pq.ParquetFile(part) as file:
                    for batch in file.iter_batches(_ROWS_A_BATCH, columns=list(self.types)):
                        yield self._events(batch, until, among or {})
            except (pa.ArrowInvalid, OSError) as error:
                raise UnreadableFile(
                    f"{part.name} cannot be read", where=str(part), why=str(error)
                ) from error

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, STORED[kind]) for name, kind in self.types.items()])

    def _events(self, batch: pa.RecordBatch, until: int, among: Mapping[str, Array]) -> pa.RecordBatch:
        columns = [stored(batch.column(name), kind) for name, kind in self.types.items()]
        table = pa.record_batch(columns, schema=self.schema)
        counts = pc.less_equal(table.column(self.timestamp), pa.scalar(until, pa.int64()))
        for key in self.keys:
            counts = pc.and_(counts, pc.is_valid(table.column(key)))
        for key, values in among.items():
            counts = pc.and_(counts, pc.is_in(table.column(key), value_set=values))
        # A time that is null is neither before nor after: `filter` leaves it out.
        return table if pc.all(counts, skip_nulls=False).as_py() else table.filter(counts)


def _column_type(schema: pa.Schema, name: str, part: Path, view: View) -> Type:
    if name not in schema.names:
        raise SchemaMismatch(
            f"{part.name} has no column {name!r}",
            where=f"view {view.name!r}",
            why=f"it has {', '.join(schema.names)}",
            fix="name a column of project.toml's [columns]",
        )
    found = type_of(schema.field(name).type)
    if found is None:
        raise SchemaMismatch(
            f"column {name!r} of {part.name} is of type {schema.field(name).type}",
            where=f"view {view.name!r}",
            why="features are made of text, whole numbers, numbers, true or false, and timestamps",
        )
    return found
