"""Rows that repeat a key: found with eight bytes of memory a row, confirmed on the keys themselves."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import pyarrow as pa

from sluice.arrow import Array
from sluice.arrow import compute as pc

# Of how many hashes duplicates are counted at a time: bounds the memory of the hash table.
_PARTITION = 1_000_000


class KeyIndex:
    """Collects a hash of every key, and tells which positions repeat an earlier key."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, keys: Iterable[object]) -> None:
        """Take the next rows' keys, in order."""
        self._hashes.extend(map(hash, keys))

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
            if self._hashes[position] in suspects:
                before = first.setdefault(key, position)
                if before != position:
                    yield position, before

    def _suspects(self) -> set[int]:
        hashes = pa.Array.from_buffers(pa.int64(), len(self._hashes), [None, pa.py_buffer(self._hashes)])
        partitions = len(hashes) // _PARTITION + 1
        suspects: set[int] = set()
        for number in range(partitions):
            part = hashes
            if partitions > 1:
                share = pc.bit_wise_and(hashes, (1 << partitions.bit_length()) - 1)
                part = hashes.filter(pc.equal(_fold(share, partitions), number))
            counts = pc.value_counts(part)
            suspects.update(counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist())
        return suspects


def _fold(share: Array, partitions: int) -> Array:
    """Map 0 … 2^k - 1 onto 0 … partitions - 1, where 2^k is the power of two above `partitions`."""
    return pc.if_else(pc.greater_equal(share, partitions), pc.subtract(share, partitions), share)
