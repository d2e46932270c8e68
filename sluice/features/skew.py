"""Whether the online store holds what the dataset says: sampled entities, recomputed and compared bit for bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Table
from sluice.arrow import compute as pc
from sluice.features.events import SHOWN, stored
from sluice.features.latest import latest_rows
from sluice.features.materialization import encoded
from sluice.features.online_keys import EntityIds, KeyValue
from sluice.features.online_values import StoredValue, decode
from sluice.features.partitions import Share
from sluice.features.plan import View
from sluice.features.windows import Engine

_MOMENT = "__moment"
_MOST_SHOWN = 20
_ROWS_A_BATCH = 1 << 18


@dataclass(frozen=True)
class Item:
    """What the store holds of an entity; times in microseconds since 1970 in UTC.

    Attributes:
        event: when it was so.
        values: Feast's bytes by feature.
        as_of: when the dataset was looked up that it was written from; None of what Feast's own tools wrote.
    """

    event: int
    values: Mapping[str, bytes]
    as_of: int | None = None


@dataclass(frozen=True)
class Difference:
    """A feature of an entity that is another in the store; `event_ts` where it is the time of its row."""

    entity: str
    feature: str
    stored: StoredValue
    recomputed: StoredValue


@dataclass
class Skew:
    """What was found of a view.

    Attributes:
        sampled: entities that were compared.
        moved_on: entities beside those that were not, for their version of the dataset is not known (`Written`).
        missing: of the sampled those the store has not.
        differing: of those that differ in any feature.
        features: how many differ, by feature.
        shown: the first differences.
    """

    view: str
    sampled: int = 0
    moved_on: int = 0
    missing: list[str] = field(default_factory=list)
    differing: int = 0
    features: dict[str, int] = field(default_factory=dict)
    shown: list[Difference] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The part of the sampled entities that are missing or differ."""
        return (len(self.missing) + self.differing) / self.sampled if self.sampled else 0.0

    def joined(self, other: Skew) -> Skew:
        """Add what was found of other entities of the same view."""
        features = Counter(self.features)
        features.update(other.features)
        return Skew(
            self.view,
            self.sampled + other.sampled,
            self.moved_on + other.moved_on,
            self.missing + other.missing,
            self.differing + other.differing,
            dict(features),
            (self.shown + other.shown)[:_MOST_SHOWN],
        )


@dataclass(frozen=True)
class Written:
    """A materialization that has ended, and what became of the table since: what says which version an item is of.

    What it or an earlier one wrote is of the version that it wrote, for what it left it found to be right. What a
    later one wrote is of the current version, unless the table has moved since that one looked: then it may be any.

    Attributes:
        as_of: when it looked the dataset up, microseconds since 1970 in UTC.
        moved: when the table last moved.
        kept: the current version has all parts of the one it wrote: no entity has gone since.
    """

    as_of: int
    moved: int
    kept: bool

    def apart(self, ids: Iterable[str], items: Mapping[str, Item]) -> tuple[set[str], set[str]]:
        """Give the entities to hold against the version it wrote, and those to hold against the current one."""
        ours, later = set(), set()
        for id_ in ids:
            item = items.get(id_)
            if item is None:
                if self.kept:
                    ours.add(id_)
            elif item.as_of is None or item.as_of <= self.as_of:
                ours.add(id_)
            elif item.as_of > self.moved:
                later.add(id_)
        return ours, later


def sample(
    view: View,
    files: Sequence[Path],
    size: int,
    seed: int,
    *,
    timestamp: str | None,
    moment: int,
    now: int,
) -> list[tuple[KeyValue, ...]]:
    """Choose entities that the store has to hold by chance, each once; all where there are no more than `size`.

    It has to hold who has an event up to `moment`, and of a view of rows with a ttl whose row may still be read: what
    is past it DynamoDB deletes.

    Args:
        view: of the plan.
        files: the dataset's parts, Parquet.
        size: how many at most.
        seed: of the choice.
        timestamp: the column of event times.
        moment: as of which the store was written; microseconds since 1970 in UTC.
        now: the time, likewise.
    """
    names = [key.name for key in view.keys]
    ttl = None if view.aggregations else view.ttl_microseconds
    seen: Table | None = None
    for file in files:
        with pq.ParquetFile(file) as parquet:
            wanted = list(dict.fromkeys([*names, *([timestamp] if timestamp else [])]))
            for batch in parquet.iter_batches(_ROWS_A_BATCH, columns=wanted):
                columns = [
                    stored(batch.column(key.name), key.type).cast(SHOWN[key.type]) for key in view.keys
                ]
                keys = pa.table(columns, names)
                if timestamp:
                    times = stored(batch.column(timestamp), "timestamp")
                    counts = pc.less_equal(times, pa.scalar(moment, pa.int64()))
                    if ttl is not None:
                        fresh = pc.greater(times, pa.scalar(now - ttl, pa.int64()))
                        counts = pc.and_(counts, fresh)
                    keys = keys.filter(counts)
                keys = keys.drop_null()
                seen = keys if seen is None else pa.concat_tables([seen, keys])
                seen = seen.group_by(names).aggregate([])
    if seen is None or not seen.num_rows:
        return []
    seen = seen.sort_by([(name, "ascending") for name in names])  # a group's order is not said to be any
    chosen = np.random.default_rng(seed).permutation(seen.num_rows)[:size]
    rows = seen.take(pa.array(np.sort(chosen)))
    return list(zip(*(rows.column(name).to_pylist() for name in names), strict=True))


def compare(
    view: View,
    files: Sequence[Path],
    timestamp: str | None,
    entities: Sequence[tuple[KeyValue, ...]],
    items: Mapping[str, Item],
    *,
    moment: int,
    scratch: Path,
) -> Skew:
    """Recompute entities and hold them against the store's items.

    Windows are recomputed as of the time that the item says; a row has to be the last one up to `moment`.

    Args:
        view: of the plan.
        files: the dataset's parts, Parquet, in order.
        timestamp: the column of event times.
        entities: keys, in the order of the view's.
        items: by entity id; of an entity that is not there nothing.
        moment: microseconds since 1970 in UTC.
        scratch: a folder for what does not fit in memory.
    """
    ids = EntityIds(view.keys)
    skew = Skew(view.name, sampled=len(entities))
    there = [key for key in entities if ids.of(key) in items]
    skew.missing = [_named(view, key) for key in entities if ids.of(key) not in items]
    for key, event, values in _recomputed(view, files, timestamp, there, ids, items, moment, scratch):
        item = items[ids.of(key)]
        found = [
            Difference(_named(view, key), name, _decoded(item.values.get(name)), decode(value))
            for name, value in values.items()
            if item.values.get(name) != value
        ]
        if event is not None and event != item.event:
            found.append(Difference(_named(view, key), "event_ts", item.event, event))
        skew.differing += bool(found)
        for each in found:
            skew.features[each.feature] = skew.features.get(each.feature, 0) + 1
        skew.shown += found[: max(0, _MOST_SHOWN - len(skew.shown))]
    return skew


def _recomputed(
    view: View,
    files: Sequence[Path],
    timestamp: str | None,
    entities: Sequence[tuple[KeyValue, ...]],
    ids: EntityIds,
    items: Mapping[str, Item],
    moment: int,
    scratch: Path,
) -> Iterator[tuple[tuple[KeyValue, ...], int | None, dict[str, bytes]]]:
    """Give of each entity its row's time, where that is known, and its values."""
    if not entities:
        return
    columns = {
        key.name: pa.array(column, SHOWN[key.type])
        for key, column in zip(view.keys, zip(*entities, strict=True), strict=True)
    }
    if view.aggregations:
        if timestamp is None:
            raise ValueError(f"view {view.name!r} sums up events, which have no time")
        moments = pa.array([items[ids.of(key)].event for key in entities], pa.int64())
        asked = pa.table({**columns, _MOMENT: moments.cast(pa.timestamp("us", "UTC"))})
        table = Engine(files, view, timestamp, scratch=scratch).at_moments(asked, _MOMENT)
        times: list[int | None] = [None] * table.num_rows
    else:
        rows = latest_rows(files, view, timestamp, moment, Share(), time=_MOMENT)
        table = rows.join(pa.table(columns), list(columns), join_type="inner")
        # Where rows have no times, the time of an item is when it was written.
        times = table.column(_MOMENT).to_pylist() if timestamp else [None] * table.num_rows
    for (key, values), time in zip(encoded(view, table), times, strict=True):
        yield key, time, values


def _decoded(raw: bytes | None) -> StoredValue:
    """Read what the store has, which may be anything where it was tampered with."""
    if raw is None:
        return None
    try:
        return decode(raw)
    except ValueError:
        return raw


def _named(view: View, key: tuple[KeyValue, ...]) -> str:
    return ", ".join(f"{each.name}={value}" for each, value in zip(view.keys, key, strict=True))
