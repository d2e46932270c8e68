"""The rows of a view as they are: of each entity the last one up to a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Array, Table
from sluice.arrow import compute as pc
from sluice.features.events import SHOWN, STORED, stored
from sluice.features.partitions import Share
from sluice.features.plan import View
from sluice.features.timelines import Timeline, entity_numbers

_ROWS_A_BATCH = 1 << 18


def latest_rows(
    files: Sequence[Path], view: View, timestamp: str | None, moment: int, share: Share, *, time: str
) -> Table:
    """Give the last row of each entity of a share: of one time the one of the later part, or the later in a part.

    Args:
        files: the parts, Parquet, in the order in which they were accepted.
        view: one without aggregations.
        timestamp: the column of event times; None where rows have none, and the last row counts.
        moment: rows after it are left out; microseconds since 1970 in UTC.
        share: of the entities.
        time: what to call the column of the rows' times.

    Returns:
        The keys, `time` (int64, microseconds; `moment` where rows have none) and the features, a row an entity.
    """
    kinds = {key.name: key.type for key in view.keys} | {each.name: each.type for each in view.features}
    schema = pa.schema([*((name, STORED[kind]) for name, kind in kinds.items()), (time, pa.int64())])
    batches = []
    for file in files:
        with pq.ParquetFile(file) as parquet:
            wanted = list(dict.fromkeys([*kinds, *([timestamp] if timestamp else [])]))
            for batch in parquet.iter_batches(_ROWS_A_BATCH, columns=wanted):
                times = (
                    stored(batch.column(timestamp), "timestamp")
                    if timestamp
                    else pa.array(np.full(batch.num_rows, moment))
                )
                columns = [stored(batch.column(name), kind) for name, kind in kinds.items()]
                batches.append(
                    _of(pa.record_batch([*columns, times], schema=schema), view, moment, share, time)
                )
    rows: Table = pa.Table.from_batches(batches, schema)
    numbers = entity_numbers([rows.column(key.name) for key in view.keys])
    known = int(numbers.max(initial=-1)) + 1
    timeline = Timeline.of(numbers, rows.column(time).combine_chunks().to_numpy(), known)
    last = timeline.rows[timeline.starts[1 : known + 1] - 1]
    found: Table = rows.take(pa.array(last))
    shown = [_shown(found.column(name).combine_chunks(), SHOWN[kind]) for name, kind in kinds.items()]
    return pa.table([*shown, found.column(time)], [*kinds, time])


def _of(batch: pa.RecordBatch, view: View, moment: int, share: Share, time: str) -> pa.RecordBatch:
    counts = pc.less_equal(batch.column(time), pa.scalar(moment, pa.int64()))
    for key in view.keys:
        counts = pc.and_(counts, pc.is_valid(batch.column(key.name)))
    return share.of(batch.filter(counts), [key.name for key in view.keys])


def _shown(column: Array, kind: pa.DataType) -> Array:
    return column.cast(kind)
