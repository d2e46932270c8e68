"""Windowed aggregates of an event log: the one engine, for training and for what is served.

What is computed, and what it can be held to:

- The window at a moment T holds the events of (T - window, T]; without a window, all events up to T. Nothing after
  T is ever seen.
- Events are told apart by their keys and time. Of several rows with the same, the one of the later part counts, of
  one part the later row: the whole row, its nulls too. So a file that is there twice, or overlaps with another,
  changes nothing. A row without a key or a time is no event.
- Nulls and NaN of a column are left out of everything but `count`, which counts events.
- `count` and `count_distinct` of nothing are 0. All else of nothing is null: the `sum`, too, so that an entity of
  which nothing is known differs from one whose amounts cancel out. `std` is that of a sample (n - 1), and of fewer
  than two values null.
- `sum` is the double nearest to the true sum, as that of `math.fsum`; of integers, too. `mean` is that double over
  the number of values, rounded once more, as `statistics.fmean`. `std` is the double nearest to the true one, as
  `statistics.stdev` of the values as fractions. So none depends on an order, and what is served equals what was
  trained on, bit for bit. A sum beyond the doubles is infinite.
- Infinities make `sum` and `mean` infinite, or NaN where both signs are there, and `std` NaN.
- `min` and `max` have the column's type: integers keep all their 64 bits. Of zeros the least and the greatest is
  +0.0, whatever their signs. `count_distinct` takes -0.0 and 0.0 for one value.
- `last` is the last value in the window that is not null, as it is. `days_since_last` and `days_since_first` are the
  microseconds from the last and the first such value to T over those of a day: where the column is not the event
  time, its values in the order of the events, and a value after T gives days below 0.
- `share` is the part of the window's values, nulls left out, that equal the category.

No result depends on how the work is put apart, on threads, or on the order of rows that differ in key or time.
Memory grows with the results and with the longest history of one entity, else with `rows_at_once` alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.arrow import Array, ChunkedArray, Table
from sluice.arrow import compute as pc
from sluice.errors import ProjectError, SchemaMismatch
from sluice.features.aggregates import Windows, aggregated, counted
from sluice.features.events import SHOWN, EventLog, stored, type_of
from sluice.features.partitions import MOST_PARTITIONS, Share, partition_numbers, partitioned
from sluice.features.plan import Aggregation, View
from sluice.features.timelines import Timeline, entity_numbers

ROWS_AT_ONCE = 1 << 18
"""Events and moments that are worked on at a time, by each thread.

Few enough for the arrays of a column to stay near the processor: four times as many take a third longer a row.
"""

WHOLE = Share()
"""All entities."""

_FEW = 1 << 14
"""Up to so many values of a key, it is faster to leave out the rows of all others than to put them apart."""

_EARLIEST = int(np.iinfo(np.int64).min)

_T = TypeVar("_T")
_R = TypeVar("_R")


class Engine:
    """Computes the features of one view from one dataset version.

    Args:
        parts: the version's Parquet files, in the order in which they were accepted.
        timestamp: the column of event times.
        scratch: a folder for what does not fit in memory; holds nothing of the engine's in the end.
        rows_at_once: what memory is to be had for; a result depends neither on it nor on `threads`.

    Raises:
        EmptyFile, UnreadableFile, SchemaMismatch: the parts are not what the view is made of.
        ProjectError: the view has no aggregations, or asks for what its columns do not have.
    """

    def __init__(
        self,
        parts: Sequence[Path],
        view: View,
        timestamp: str,
        *,
        scratch: Path,
        rows_at_once: int = ROWS_AT_ONCE,
        threads: int = 2,
    ) -> None:
        if not view.aggregations:
            raise ProjectError(
                f"view {view.name!r} has no aggregations", why="its rows lie in the dataset as they are"
            )
        self._log = EventLog.open(parts, view, timestamp)
        self._view = view
        self._scratch = scratch
        self._rows_at_once = rows_at_once
        self._threads = threads
        for feature, each in zip(view.features, view.aggregations, strict=True):
            result = each.result(self._log.types[each.column] if each.column is not None else None)
            if result != feature.type:
                raise ProjectError(
                    f"feature {feature.name!r} of view {view.name!r} is declared as {feature.type}",
                    why=f"{each.function} of {each.column or 'events'} is of type {result}",
                    fix=f"declare it as {result} in features.py",
                )

    def at_moments(self, moments: Table, moment: str) -> Table:
        """Give the features as of a moment a row: what was known then.

        Args:
            moments: rows of the view's keys and a moment; other columns are ignored. A row whose key is null is of
                an entity without an event. Rows may repeat.
            moment: the column of moments, timestamps; those without a zone are in UTC.

        Returns:
            The keys and the moments as they are, then the features: a row a row of `moments`, in their order.

        Raises:
            SchemaMismatch: a column of `moments` is missing or of another type, or a moment is null.
        """
        keys, times = self._asked(moments, moment)
        count = self._partitions(len(times))
        numbers = partition_numbers(keys, count)
        order = np.argsort(numbers, kind="stable")
        bounds = np.searchsorted(numbers[order], np.arange(count + 1))

        def work(given: tuple[int, Table]) -> list[Array]:
            partition, events = given
            rows = order[bounds[partition] : bounds[partition + 1]]
            return self._of_moments(events, [key.take(pa.array(rows)) for key in keys], times[rows])

        # Nothing after the last moment is asked for, and nothing of entities that are in no row.
        among = {name: key.unique() for name, key in zip(self._log.keys, keys, strict=True)}
        few = all(len(values) <= _FEW for values in among.values())
        events = self._events(int(times.max(initial=_EARLIEST)), count, among=among if few else None)
        found = list(_in_turn(work, enumerate(events), self._threads))
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        features = [pa.concat_arrays(each).take(pa.array(back)) for each in zip(*found, strict=True)]
        shown = moments.select([*self._log.keys, moment])
        return pa.table(
            [*shown.columns, *features], [*shown.column_names, *(each.name for each in self._view.features)]
        )

    def as_of(
        self, moment: int, share: Share = WHOLE, *, moved: int | None = None, time: str | None = None
    ) -> Iterator[Table]:
        """Give the features of every entity that has an event at or before a moment, as of that moment.

        Args:
            moment: microseconds since 1970 in UTC.
            share: of the entities; all of them, if none is named.
            moved: an earlier moment, which the features are as of instead; of an entity that has events after it
                as of the last of those.
            time: what to call a column of what each entity's features are as of, int64 microseconds; None for none.

        Yields:
            Tables of the keys and the features, a row an entity, ordered by the keys; each entity is in one table.
        """
        events = self._events(moment, self._partitions(0, share), share=share)
        least = moment if moved is None else moved
        return _in_turn(lambda table: self._of_entities(table, least, time), events, self._threads)

    def all_as_of(self, moment: int) -> Table:
        """Give `as_of` as one table, ordered by the keys."""
        found = pa.concat_tables(self.as_of(moment))
        return found.sort_by([(key, "ascending") for key in self._log.keys])

    def _partitions(self, moments: int, share: Share = WHOLE) -> int:
        rows = self._log.rows // share.count + moments
        return min(max(1, -(-rows // self._rows_at_once)), MOST_PARTITIONS)

    def _events(
        self, until: int, count: int, *, among: Mapping[str, Array] | None = None, share: Share = WHOLE
    ) -> Iterator[Table]:
        log = self._log
        batches = (share.of(batch, log.keys) for batch in log.batches(until, among))
        return partitioned(batches, log.keys, log.schema, count, self._scratch)

    def _asked(self, moments: Table, moment: str) -> tuple[list[Array], NDArray[np.int64]]:
        keys = []
        for key in self._view.keys:
            column = _column(moments, key.name)
            if type_of(column.type) != key.type:
                raise SchemaMismatch(
                    f"key {key.name!r} of the moments is of type {column.type}",
                    where=f"view {self._view.name!r}",
                    why=f"features.py and the dataset have it as {key.type}",
                    fix=f"make it {'texts' if key.type == 'string' else 'whole numbers'}",
                )
            keys.append(_one(stored(column, key.type)))
        column = _column(moments, moment)
        if type_of(column.type) != "timestamp" or column.null_count:
            raise SchemaMismatch(
                f"{moment!r} of the moments is of type {column.type}, with {column.null_count:,} nulls",
                where=f"view {self._view.name!r}",
                why="features are as of a moment: a timestamp in every row",
                fix="give it timestamps, and leave out rows that have none",
            )
        return keys, _microseconds(column)

    def _of_moments(self, events: Table, keys: Sequence[Array], moments: NDArray[np.int64]) -> list[Array]:
        columns = [
            pa.chunked_array([*events.column(name).chunks, key])
            for name, key in zip(self._log.keys, keys, strict=True)
        ]
        numbers = entity_numbers(columns)
        timeline = self._timeline(events, numbers[: events.num_rows], int(numbers.max(initial=-1)) + 1)
        return self._features(events, timeline, numbers[events.num_rows :], moments)

    def _of_entities(self, events: Table, least: int, time: str | None) -> Table:
        """Give the features as of each entity's last event, or of `least` where that is later."""
        numbers = entity_numbers([events.column(name) for name in self._log.keys])
        known = int(numbers.max(initial=-1)) + 1
        timeline = self._timeline(events, numbers, known)
        keys = events.select(list(self._log.keys)).take(pa.array(timeline.rows[timeline.starts[:known]]))
        order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
        entities = order.to_numpy().astype(np.int64)
        # No event is later than the run's moment, so this is none either.
        moments = np.maximum(timeline.times[timeline.starts[entities + 1] - 1], least)
        features = self._features(events, timeline, entities, moments)
        columns = {
            key.name: _one(keys.column(key.name).take(order)).cast(SHOWN[key.type]) for key in self._view.keys
        }
        columns |= dict(zip((each.name for each in self._view.features), features, strict=True))
        return pa.table(columns if time is None else {**columns, time: pa.array(moments)})

    def _timeline(self, events: Table, entities: NDArray[np.int64], known: int) -> Timeline:
        return Timeline.of(entities, _one(events.column(self._log.timestamp)).to_numpy(), known)

    def _features(
        self, events: Table, timeline: Timeline, entities: NDArray[np.int64], moments: NDArray[np.int64]
    ) -> list[Array]:
        aggregations = self._view.aggregations
        spans = dict.fromkeys([None, *(each.window_microseconds for each in aggregations)])
        held = {span: timeline.windows(entities, moments, span) for span in spans}
        windows = Windows(timeline, moments, held)
        features = {each.name: counted(windows, each) for each in aggregations if each.function == "count"}
        of_columns: dict[str, list[Aggregation]] = {}
        for each in aggregations:
            if each.column is not None and each.function != "count":
                of_columns.setdefault(each.column, []).append(each)
        for name, of_column in of_columns.items():
            values = _one(events.column(name)).take(pa.array(timeline.rows))
            features |= aggregated(values, self._log.types[name], windows, of_column)
        return [features[each.name] for each in aggregations]


def _in_turn(work: Callable[[_T], _R], given: Iterable[_T], threads: int) -> Iterator[_R]:
    """Work on what is given, `threads` at a time, and yield the results in its order.

    What is given is drawn as it is needed, by the caller's thread.
    """
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[_R]] = deque()
        for each in given:
            running.append(pool.submit(work, each))
            if len(running) == threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _column(moments: Table, name: str) -> ChunkedArray:
    if name not in moments.column_names:
        raise SchemaMismatch(
            f"the moments have no column {name!r}", why=f"they have {', '.join(moments.column_names)}"
        )
    return moments.column(name)


def _one(column: ChunkedArray) -> Array:
    """Give a column as one array."""
    return column.combine_chunks()


def _microseconds(times: Array) -> NDArray[np.int64]:
    """Give moments in whole microseconds, rounded down: events are at whole ones, so the same are seen."""
    per_microsecond = {"s": -1_000_000, "ms": -1_000, "us": 1, "ns": 1_000}[times.type.unit]
    counted: NDArray[np.int64] = _one(times).cast(pa.int64()).to_numpy()
    return counted // per_microsecond if per_microsecond > 0 else counted * -per_microsecond
