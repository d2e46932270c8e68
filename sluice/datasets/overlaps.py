"""Which rows of a new part an older part has already: told by key and time, read as a stream.

Memory is bounded by the new part's keys and times and by the rows that are looked at in one go; of an older part only
the two columns are read, and of these only the row groups whose times may be met.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Array, ChunkedArray
from sluice.arrow import compute as pc
from sluice.payloads.documents import Part

# Eight row groups of ours: the tables of the new part's keys are made once for so many rows.
_GROUPS_AT_ONCE = 8


class Arrivals:
    """The rows of a new part, by key and time; none of them repeats another one of the part.

    Raises what `BinaryIO.read` does, of the files it is given.
    """

    def __init__(self, file: Path, key: str, timestamp: str) -> None:
        self._names = (key, timestamp)
        with pq.ParquetFile(file) as parquet:
            rows = parquet.read(columns=[key, timestamp])
        self._keys: ChunkedArray = pc.unique(rows[key])
        self._times: ChunkedArray = pc.unique(rows[timestamp])
        self._pairs: Array = _combined(self._pair(rows[key], rows[timestamp]))
        bounds = pc.min_max(rows[timestamp])
        self.first: datetime = bounds["min"].as_py()
        self.last: datetime = bounds["max"].as_py()
        self._met: dict[str, Array] = {}

    def may_meet(self, part: Part) -> bool:
        """Tell from the times of its events whether a part may hold a row of this one."""
        if part.first_event is None or part.last_event is None:
            return True
        return part.first_event <= self.last and part.last_event >= self.first

    def has_met(self, part: Part) -> bool:
        return part.sha256 in self._met

    def meet(self, part: Part, file: BinaryIO) -> None:
        """Look for the rows in an older part."""
        met: Array = pa.array([], pa.int32())
        # Nothing ahead of what is asked for: a column of a row group is one read.
        with pq.ParquetFile(file, buffer_size=0, pre_buffer=False) as parquet:
            groups = list(self._groups(parquet.metadata))
            for start in range(0, len(groups), _GROUPS_AT_ONCE):
                rows = parquet.read_row_groups(
                    groups[start : start + _GROUPS_AT_ONCE], columns=list(self._names)
                )
                pairs = self._pair(*(rows[name] for name in self._names))
                found = pc.index_in(pc.drop_null(pairs), value_set=self._pairs)
                met = pc.unique(_combined(pa.chunked_array([met, *found.drop_null().chunks], pa.int32())))
        self._met[part.sha256] = met

    def repeats(self, parts: tuple[Part, ...]) -> int:
        """Count the rows that any of these parts holds, all of which were met or need not be."""
        met = [self._met[part.sha256] for part in parts if part.sha256 in self._met]
        return len(pc.unique(pa.chunked_array(met, pa.int32())))

    def _pair(self, keys: ChunkedArray, times: ChunkedArray) -> ChunkedArray:
        """Give a number for each key and time that the new part has, null for all others."""
        key = pc.index_in(keys, value_set=self._keys).cast(pa.int64())
        time = pc.index_in(times, value_set=self._times).cast(pa.int64())
        return pc.add(pc.multiply(key, len(self._times)), time)

    def _groups(self, metadata: pq.FileMetaData) -> Iterator[int]:
        names = metadata.schema.to_arrow_schema().names
        column = names.index(self._names[1])
        for group in range(metadata.num_row_groups):
            seen = metadata.row_group(group).column(column).statistics
            least, most = (seen.min, seen.max) if seen is not None and seen.has_min_max else (None, None)
            if least is None or most is None or (least <= self.last and most >= self.first):
                yield group


def _combined(values: ChunkedArray) -> Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
