"""Rows that repeat a key: found with eight bytes of memory a row, confirmed on the keys themselves."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import pyarrow as pa

from sluice.arrow import Array
from sluice.arrow import compute as pc

# Hashes are kept apart by eight of their bits: each part is counted in a hash table small enough for the cache.
_PART_BITS = 8
# Knuth's multiplicative hash (The Art of Computer Programming, 6.4): hashes of integers are the integers themselves,
# and may well be equal in the bits by which they are put apart. This is 2^64 divided by the golden ratio, signed.
_SPREAD = -7046029254386353131


class KeyIndex:
    """Collects a hash of every key, and tells which positions repeat an earlier key."""

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(1 << _PART_BITS)]

    def add(self, keys: Iterable[object]) -> None:
        """Take the next rows' keys, in order."""
        hashed = array("q", map(hash, keys))
        hashes: Array = pa.Array.from_buffers(pa.int64(), len(hashed), [None, pa.py_buffer(hashed)])
        parts = pc.shift_right(pc.multiply(hashes, _SPREAD), 64 - _PART_BITS).cast(pa.int8())
        ordered = hashes.take(pc.array_sort_indices(parts)).buffers()[1]
        start = 0
        counted = pc.value_counts(parts)
        for part, count in sorted(
            zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
        ):
            # The shift keeps the sign, so that half of the parts are counted from the end.
            self._parts[part].frombytes(ordered.slice(start, count * 8))
            start += count * 8

    def repeated(self, keys: Iterable[object]) -> Iterator[tuple[int, int]]:
        """Yield (position, position of the first row with that key) for each repeat.

        `keys` are all keys again, in the same order; they are only read where two hashes were equal, and decide:
        two keys that merely share a hash are no duplicates.
        """
        suspects = self._suspects()
        if not suspects:
            return
        first: dict[object, int] = {}
        for position, key in enumerate(keys):
            if hash(key) in suspects:
                before = first.setdefault(key, position)
                if before != position:
                    yield position, before

    def _suspects(self) -> set[int]:
        suspects: set[int] = set()
        for part in self._parts:
            hashes: Array = pa.Array.from_buffers(pa.int64(), len(part), [None, pa.py_buffer(part)])
            if pc.count_distinct(hashes).as_py() < len(hashes):
                counts = pc.value_counts(hashes)
                repeated = pc.greater(counts.field("counts"), 1)
                suspects.update(counts.field("values").filter(repeated).to_pylist())
        return suspects
