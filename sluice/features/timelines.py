"""Entities and their events in the order of time: which positions a window holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.arrow import ChunkedArray
from sluice.arrow import compute as pc
from sluice.features.slices import Slices

_EARLIEST, _LATEST = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)


def entity_numbers(keys: Sequence[ChunkedArray]) -> NDArray[np.int64]:
    """Number the entities of rows from 0 on, by their first row; -1 where a key is null.

    Args:
        keys: the join keys' columns, integers or texts, of one length.
    """
    numbers: NDArray[np.int64] | None = None
    for column in keys:
        encoded = numbered(column)
        if numbers is None:
            numbers = encoded
        else:
            # Both are below the number of rows, so the product is below 2^62 for any table that fits in memory.
            both = numbers * (int(encoded.max(initial=0)) + 1) + encoded
            missing = (numbers < 0) | (encoded < 0)
            numbers = numbered(pa.chunked_array([pa.array(both, mask=missing)]))
    assert numbers is not None
    return numbers


def numbered(column: ChunkedArray) -> NDArray[np.int64]:
    """Number the distinct values of a column from 0 on, by their first row; -1 for a null."""
    encoded = column.dictionary_encode()
    if not encoded.num_chunks:
        return np.zeros(0, np.int64)
    indices = [pc.fill_null(chunk.indices, -1).to_numpy() for chunk in encoded.unify_dictionaries().chunks]
    return np.concatenate(indices).astype(np.int64)


@dataclass(frozen=True)
class Timeline:
    """The events of entities, one entity after the other, each one's in the order of time and none twice.

    Attributes:
        rows: the row of the table that each event is.
        entities: each event's entity, ascending.
        times: each event's time, microseconds since 1970 in UTC.
        starts: the position at which each entity's events begin, by its number, and at last where they end.
    """

    rows: NDArray[np.int64]
    entities: NDArray[np.int64]
    times: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, entities: NDArray[np.int64], times: NDArray[np.int64], known: int) -> Timeline:
        """Put events in order. Of those with the same entity and time the last row counts.

        Args:
            entities: each row's, from 0 on; rows of a later part lie after those of an earlier one.
            times: microseconds since 1970 in UTC.
            known: the number of entities, those without an event too.
        """
        rows = np.lexsort((times, entities))  # stable: equal ones stay in the order of the rows
        entities, times = entities[rows], times[rows]
        counts = np.ones(len(rows), np.bool_)
        counts[:-1] = (entities[1:] != entities[:-1]) | (times[1:] != times[:-1])
        rows, entities, times = rows[counts], entities[counts], times[counts]
        starts = np.searchsorted(entities, np.arange(known + 1))
        return cls(rows, entities, times, starts)

    def windows(self, entities: NDArray[np.int64], moments: NDArray[np.int64], window: int | None) -> Slices:
        """Find the events of (moment - window, moment], or of all up to the moment where there is no window.

        Args:
            entities: numbers of entities, -1 for one that is unknown; shape (moments,).
            moments: microseconds since 1970 in UTC.
            window: microseconds.
        """
        begin, end = self.starts[entities], self.starts[entities + 1]
        begin, end = np.where(entities < 0, 0, begin), np.where(entities < 0, 0, end)
        last = self._first_after(moments, begin, end)
        if window is None:
            return Slices(begin, last)
        # A window that opens before any time that 64 bits hold has no bound.
        earliest_bounded = _EARLIEST + window
        if earliest_bounded > _LATEST:
            return Slices(begin, last)
        bounded = moments >= earliest_bounded
        half, odd = divmod(window, 2)  # in steps: a window may be longer than 63 bits
        opens = np.where(bounded, moments - half - half - odd, 0)
        return Slices(np.where(bounded, self._first_after(opens, begin, last), begin), last)

    def _first_after(
        self, moments: NDArray[np.int64], begin: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Find by bisection the first position of each [begin, end) whose time is after the moment; else its end."""
        begin, end = begin.copy(), end.copy()
        open_ = np.flatnonzero(begin < end)
        while len(open_):
            middle = (begin[open_] + end[open_]) >> 1
            after = self.times[middle] > moments[open_]
            end[open_[after]] = middle[after]
            begin[open_[~after]] = middle[~after] + 1
            open_ = open_[begin[open_] < end[open_]]
        return begin
