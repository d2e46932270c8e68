"""Events put apart by entity, so that what is worked on at a time fits in memory, however long the log is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.arrow import Array, Table
from sluice.arrow import compute as pc

MOST_PARTITIONS = 1 << 10
"""Each batch is cut into as many pieces, and more would be of few rows: beyond this, partitions grow."""

# Texts whose letters, at eight bytes each while they are hashed, stay in the processor's cache.
_TEXTS_AT_ONCE = 1 << 13

# A text's hash is a polynomial of its bytes at this number, modulo 2^64. It is odd, and so has an inverse.
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 1 << 64)


@dataclass(frozen=True)
class Share:
    """One of `count` shares of the entities, by other bits of the hash than partitions are made by."""

    number: int = 0
    count: int = 1

    def of(self, batch: pa.RecordBatch, keys: Sequence[str]) -> pa.RecordBatch:
        """Give the rows of this share; keys as in `partition_numbers`."""
        if self.count == 1:
            return batch
        places = entity_places([batch.column(key) for key in keys])
        return batch.filter(pa.array(places % np.int64(self.count) == self.number))

    def has(self, place: int) -> bool:
        """Whether an entity is of this share, by its place."""
        return place % self.count == self.number


def entity_places(keys: Sequence[Array]) -> NDArray[np.int64]:
    """Give the place of each row's entity, from 0 up to 2^24, which says of any number of shares which one it is of.

    Keys are as in `partition_numbers`.
    """
    return (_hashes(keys) >> np.uint64(40)).astype(np.int64)


def partition_numbers(keys: Sequence[Array], count: int) -> NDArray[np.uint16]:
    """Give the partition of each row by its keys, int64 or large_string. Equal keys share one; nulls do, too."""
    return (_hashes(keys) % np.uint64(count)).astype(np.uint16)


def _hashes(keys: Sequence[Array]) -> NDArray[np.uint64]:
    mixed = np.zeros(len(keys[0]), np.uint64)
    for column in keys:
        hashes = _texts(column) if pa.types.is_large_string(column.type) else _integers(column)
        # The last step of MurmurHash3 spreads what the keys differ in over all bits.
        mixed = mixed * np.uint64(31) + hashes
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(33)
    return mixed


def partitioned(
    batches: Iterable[pa.RecordBatch], keys: Sequence[str], schema: pa.Schema, count: int, scratch: Path
) -> Iterator[Table]:
    """Put the rows of batches apart by their keys, and yield one table after the other, `count` in all.

    Rows of a table are in the order they came in. More than one partition go through a file below `scratch` that
    takes as much room as the batches do in memory; it is gone when the last table was yielded.
    """
    if count == 1:
        yield pa.Table.from_batches(list(batches), schema)
        return
    with tempfile.TemporaryDirectory(dir=scratch, prefix="events-") as folder:
        path = Path(folder) / "events.arrow"
        places: list[list[int]] = [[] for _ in range(count)]
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            written = 0
            for batch in batches:
                for partition, rows in _apart(batch, keys, count):
                    writer.write_batch(rows)
                    places[partition].append(written)
                    written += 1
        with pa.OSFile(str(path), "rb") as source, pa.ipc.open_file(source) as reader:
            for place in places:
                yield pa.Table.from_batches([reader.get_batch(each) for each in place], schema)


def _apart(batch: pa.RecordBatch, keys: Sequence[str], count: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    numbers = partition_numbers([batch.column(key) for key in keys], count)
    order = np.argsort(numbers, kind="stable")
    ordered = batch.take(order)
    bounds = np.searchsorted(numbers[order], np.arange(count + 1)).tolist()
    for partition, (first, last) in enumerate(pairwise(bounds)):
        if first < last:
            yield partition, ordered.slice(first, last - first)


def _integers(column: Array) -> NDArray[np.uint64]:
    values: NDArray[np.int64] = pc.fill_null(column, 0).to_numpy()
    return values.view(np.uint64)


def _texts(column: Array) -> NDArray[np.uint64]:
    column = pc.fill_null(column, "")
    hashes = np.empty(len(column), np.uint64)
    for at in range(0, len(column), _TEXTS_AT_ONCE):
        hashes[at : at + _TEXTS_AT_ONCE] = _text_hashes(column.slice(at, _TEXTS_AT_ONCE))
    return hashes


def _text_hashes(column: Array) -> NDArray[np.uint64]:
    _, offsets, text = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    start, end = int(bounds[0]), int(bounds[-1])
    letters = np.frombuffer(text or b"", np.uint8)[start:end].astype(np.uint64) + np.uint64(1)
    first, last = bounds[:-1] - start, bounds[1:] - start
    # Each byte times the base to the power of its place in the buffer, and the sums up to each place: a text's
    # polynomial is a difference of two, moved back to the power 0. All modulo 2^64.
    sums = np.zeros(len(letters) + 1, np.uint64)
    np.cumsum(letters * _powers(_BASE, len(letters)), out=sums[1:])
    return (sums[last] - sums[first]) * _powers(_INVERSE, len(letters) + 1)[first]


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    return _first_powers(base, count.bit_length())[:count]


@cache
def _first_powers(base: int, bits: int) -> NDArray[np.uint64]:
    powers = np.full(1 << bits, base, np.uint64)
    powers[0] = 1
    np.multiply.accumulate(powers, out=powers)
    return powers
