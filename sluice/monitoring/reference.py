"""A training set's reference: bins of each column, what the training rows hold in them, and windows by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from sluice.arrow import Array, compute
from sluice.errors import NoRows, SchemaMismatch
from sluice.monitoring.counts import Counts, Window
from sluice.payloads.base import Document, Payload

BINS = 1_000
VALUES = 1_000
"""The most values of a category that have a bin each; what is rarer shares the last one."""
SAMPLE = 100_000
"""Rows that the edges are drawn from: where a bin ends is free to choose, what is in it is counted exactly."""

Batches = Callable[[], Iterable[Any]]


class Column(Payload):
    """A column's bins.

    Attributes:
        edges: of numbers, ascending; a value on an edge lies in the bin below it.
        low, high: what the training rows span.
        known: of categories, the values with a bin of their own.
    """

    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    known: tuple[str, ...] = ()
    counts: Counts

    def count(self, array: Array) -> Counts:
        if self.kind == "category":
            return _count_categories(array, self.known)
        return _count_numbers(array, np.asarray(self.edges, dtype=np.float64), self.low, self.high)


class Reference(Document):
    """What a window is held against.

    Attributes:
        name: of the dataset version.
        left_out: columns that nothing is counted of, and why.
    """

    name: str
    rows: int
    columns: dict[str, Column]
    left_out: dict[str, str] = Field(default={})

    def count(self, batch: Any) -> Window:
        """Count one batch of rows, in memory that does not grow with their number.

        Raises:
            SchemaMismatch: a column is missing, or holds another kind of value.
        """
        for name, column in self.columns.items():
            _check(name, column, batch.schema)
        counted = {name: column.count(batch.column(name)) for name, column in self.columns.items()}
        return Window(reference=self.name, rows=batch.num_rows, columns=counted)

    def empty(self) -> Window:
        columns = {name: Counts(bins=(0,) * len(column.counts.bins)) for name, column in self.columns.items()}
        return Window(reference=self.name, rows=0, columns=columns)

    def window(self, batches: Iterable[Any]) -> Window:
        return reduce(add, map(self.count, batches), self.empty())

    def seasonal(self, windows: Sequence[Window]) -> Self:
        """Give the same bins with what earlier windows held, such as those of the same weekday.

        Raises:
            NoRows: they hold none.
        """
        held = reduce(add, windows, self.empty())
        if not held.rows:
            raise NoRows(
                f"The reference {self.name!r} would hold no rows.",
                why="Nothing can be held against nothing.",
                fix="Take more windows, or the training rows.",
            )
        columns = {
            name: column.model_copy(update={"counts": held.columns[name]})
            for name, column in self.columns.items()
        }
        return self.model_copy(update={"rows": held.rows, "columns": columns})


def reference_of(name: str, batches: Batches, seed: int = 0) -> Reference:
    """Read a training set twice: a sample decides on the bins, then every row is counted.

    Args:
        name: of the dataset version.
        batches: opens the stream of record batches; called twice.
        seed: of the sample.
    """
    sample, spans, schema = _look(batches(), np.random.default_rng(seed))
    columns, left_out = {}, {}
    for field in schema:
        kind = _kind(field.type)
        if kind is None:
            left_out[field.name] = (
                f"{field.type} is not compared: a later window holds other values by nature."
            )
        elif kind == "number":
            columns[field.name] = _of_numbers(_floats(sample.column(field.name)), *spans[field.name])
        else:
            columns[field.name] = _of_categories(sample.column(field.name))
    bare = Reference(name=name, rows=0, columns=columns, left_out=left_out)
    return bare.seasonal([bare.window(batches())])


Span = tuple[float | None, float | None]


def _look(batches: Iterable[Any], draws: np.random.Generator) -> tuple[Any, dict[str, Span], Any]:
    """Give a sample (the rows with the lowest of random keys), what numbers span, and the schema."""
    kept: list[Any] = []
    keys = np.empty(0)
    spans: dict[str, Span] = {}
    schema: Any = None
    for batch in batches:
        schema = batch.schema
        for field in schema:
            if _kind(field.type) == "number":
                before = spans.get(field.name, (None, None))
                spans[field.name] = _wider(before, _floats(batch.column(field.name)))
        keys = np.concatenate([keys, draws.random(batch.num_rows)])
        kept.append(batch)
        if len(keys) > 2 * SAMPLE:
            kept, keys = _lowest(kept, keys)
    if schema is None:
        raise NoRows(
            "The training set has no batch of rows.", fix="Make the reference of rows that were trained on."
        )
    return pa.Table.from_batches(_lowest(kept, keys)[0], schema=schema), spans, schema


def _lowest(kept: list[Any], keys: npt.NDArray[np.float64]) -> tuple[list[Any], npt.NDArray[np.float64]]:
    chosen = np.sort(np.argsort(keys, kind="stable")[:SAMPLE])
    return pa.Table.from_batches(kept).take(chosen).combine_chunks().to_batches(), keys[chosen]


def _kind(type_: Any) -> Literal["number", "category"] | None:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_boolean(type_):
        return "category"
    return None


def _check(name: str, column: Column, schema: Any) -> None:
    position = schema.get_field_index(name)
    found = None if position < 0 else schema.field(position).type
    if found is None or not (_kind(found) == column.kind or pa.types.is_null(found)):
        raise SchemaMismatch(
            f"The window's column {name!r} cannot be held against the training rows'.",
            where=f"column {name!r}",
            why="It is not there." if found is None else f"It holds {found}, and {column.kind} is expected.",
            fix="Compare each model version's traffic with that version's own reference.",
        )


def _floats(array: Array) -> npt.NDArray[np.float64]:
    """Give the values that are there, (n,)."""
    known = compute.cast(compute.drop_null(array), pa.float64(), safe=False)
    values: npt.NDArray[np.float64] = np.asarray(known, dtype=np.float64)
    return values[~np.isnan(values)]


def _wider(span: Span, values: npt.NDArray[np.float64]) -> Span:
    if not len(values):
        return span
    low, high = float(values.min()), float(values.max())
    return low if span[0] is None else min(span[0], low), high if span[1] is None else max(span[1], high)


def _of_numbers(sample: npt.NDArray[np.float64], low: float | None, high: float | None) -> Column:
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    finite = sample[np.isfinite(sample)]
    edges = np.unique(np.quantile(finite, inner, method="lower")) if len(finite) else np.empty(0)
    return Column(
        kind="number",
        edges=tuple(edges.tolist()),
        low=low,
        high=high,
        counts=Counts(bins=(0,) * (len(edges) + 1)),
    )


def _of_categories(sample: Array) -> Column:
    frequent = sorted(_frequencies(sample), key=lambda pair: (-pair[1], pair[0]))[:VALUES]
    known = tuple(sorted(value for value, _ in frequent))
    return Column(kind="category", known=known, counts=Counts(bins=(0,) * (len(known) + 1)))


def _frequencies(array: Array) -> Iterator[tuple[str, int]]:
    if pa.types.is_dictionary(array.type):
        array = compute.cast(array, array.type.value_type)
    for pair in compute.value_counts(compute.drop_null(array)):
        yield str(pair["values"].as_py()), pair["counts"].as_py()


def _count_numbers(
    array: Array, edges: npt.NDArray[np.float64], low: float | None, high: float | None
) -> Counts:
    values = _floats(array)
    bins = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return Counts(
        bins=tuple(bins.tolist()),
        nulls=len(array) - len(values),
        below=0 if low is None else int(np.sum(values < low)),
        above=0 if high is None else int(np.sum(values > high)),
    )


def _count_categories(array: Array, known: tuple[str, ...]) -> Counts:
    places = {value: place for place, value in enumerate(known)}
    bins = [0] * (len(known) + 1)
    for value, count in _frequencies(array):
        bins[places.get(value, len(known))] += count
    return Counts(bins=tuple(bins), nulls=array.null_count)
