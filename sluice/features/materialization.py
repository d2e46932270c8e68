"""What the online store is to hold of each entity, and what of that it does not hold yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Array, Table
from sluice.features.events import stored
from sluice.features.latest import latest_rows
from sluice.features.online_keys import EntityIds, KeyValue
from sluice.features.online_values import StoredValue, encode
from sluice.features.partitions import Share, entity_places
from sluice.features.plan import View
from sluice.features.windows import Engine

ROWS_A_SHARE = 1_000_000
CELLS_A_SHARE = 10_000_000
"""Values of features, each row being an entity's only one: what is to be written is held in memory, 1.5 GB of it."""
MOST_SHARES = 100
_DIGEST_BYTES = 16
_TIME = "__time"


@dataclass(frozen=True, slots=True)
class Entity:
    """An item of the online store.

    Attributes:
        id: its hash key.
        event: when its values were so, microseconds since 1970 in UTC.
        values: Feast's bytes by feature.
        place: of the entity among the shares (`sluice.features.partitions.entity_places`).
    """

    id: str
    event: int
    values: Mapping[str, bytes]
    place: int

    @property
    def digest(self) -> bytes:
        """Tell these values and their names from others."""
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for name, value in self.values.items():
            digest.update(b"%d:%s%d:" % (len(name), name.encode(), len(value)))
            digest.update(value)
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Held:
    """What was last written of an entity; without a digest it may be anything, GONE where it was deleted.

    Attributes:
        event: when its values were so; of one that was deleted when the dataset was looked up for that.
        place: of the entity among the shares.
    """

    event: int
    digest: bytes | None
    place: int

    def doubted(self) -> Held:
        """Give that the entity may be there, and not what it is."""
        return replace(self, digest=None)


GONE = bytes(_DIGEST_BYTES)
"""Stands in the place of a digest where an item was deleted.

A delete leaves nothing in the table that keeps an earlier writer out, one that was on its way meanwhile. So it is
repeated as long as there may be such a writer.
"""

LONGEST_WRITER = 5 * 3600 * 1_000_000
"""The longest a writer may go on after its dataset was looked up: the machine's time, and a call's; microseconds."""


Ledger = dict[str, Held]
"""What the store holds, as far as it was written there, by entity id."""


@dataclass(frozen=True)
class Recorded:
    """A ledger as it lies in the bucket, and when the dataset was looked up that its writer wrote (microseconds)."""

    ledger: Ledger
    as_of: int

    def is_past(self, modified: int) -> bool:
        """Whether this was written when whoever else wrote a ledger at `modified` had nothing on its way any more."""
        return self.as_of > modified + LONGEST_WRITER


def doubted(own: Ledger, others: Iterable[Ledger], share: Share) -> Ledger:
    """Give who of a share there may be, where runs with another number of shares have written since `own` was.

    Of none it is known what the store holds: all are written anew, and who is in no dataset any more is deleted.
    """
    found = {id_: held.doubted() for other in others for id_, held in other.items() if share.has(held.place)}
    return found | {id_: held.doubted() for id_, held in own.items()}


def shares_of(rows: int, features: int) -> list[Share]:
    """Put a dataset's entities apart, so that each share is the work of a few minutes, and fits in memory.

    Args:
        rows: of the dataset.
        features: of the view.
    """
    count = max(1, -(-rows // ROWS_A_SHARE), -(-rows * features // CELLS_A_SHARE))
    count = min(count, MOST_SHARES)
    return [Share(number, count) for number in range(count)]


def entities(
    view: View,
    files: Sequence[Path],
    timestamp: str | None,
    moment: int,
    share: Share,
    scratch: Path,
    *,
    moved: int | None = None,
) -> Iterator[Entity]:
    """Give every entity of a share as of a moment, in Feast's own bytes.

    Values of a view of aggregations are of the moment itself, or of `moved`, others of their row's event time; where
    rows have none, of the moment.

    Args:
        view: one of the plan.
        files: the dataset's parts, Parquet, in the order in which they were accepted.
        timestamp: the column of event times.
        moment: microseconds since 1970 in UTC.
        share: of the entities.
        scratch: a folder for what does not fit in memory.
        moved: how far windows have moved on of an entity without events since then; those of an entity that had some
            are as of its last one. None: to the moment.
    """
    tables: Iterable[Table]
    if view.aggregations:
        if timestamp is None:
            raise ValueError(f"view {view.name!r} sums up events, which have no time")
        engine = Engine(files, view, timestamp, scratch=scratch)
        tables = engine.as_of(moment, share, moved=moment if moved is None else moved, time=_TIME)
    else:
        tables = [latest_rows(files, view, timestamp, moment, share, time=_TIME)]
    ids = EntityIds(view.keys)
    for table in tables:
        times = table.column(_TIME).to_pylist()
        places = entity_places([stored(_one(table, key.name), key.type) for key in view.keys]).tolist()
        for (key, values), time, place in zip(encoded(view, table), times, places, strict=True):
            yield Entity(ids.of(key), time, values, place)


def encoded(view: View, table: Table) -> Iterator[tuple[tuple[KeyValue, ...], dict[str, bytes]]]:
    """Give of each row of the view's keys and features the key, and the values in Feast's bytes."""
    names = [each.name for each in view.features]
    keys = zip(*(table.column(key.name).to_pylist() for key in view.keys), strict=True)
    columns = [[encode(value, each.type) for value in _plain(table, each.name)] for each in view.features]
    for key, *values in zip(keys, *columns, strict=True):
        yield key, dict(zip(names, values, strict=True))


def _one(table: Table, name: str) -> Array:
    return table.column(name).combine_chunks()


def _plain(table: Table, name: str) -> list[StoredValue]:
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: list[StoredValue] = column.to_pylist()
    return values


@dataclass(frozen=True)
class Changes:
    """What is to be written so that the store holds what it should.

    Attributes:
        added: entities of which the ledger knows nothing: as far as it goes, the store holds none of them.
        changed: entities whose values are other than those it holds, or too old for the view's ttl.
        gone: ids of entities that the dataset has no more.
        gone_before: ids that were deleted already, and may have been written since by a call that was late.
        held: how many are as they are to be.
        before, after: the ledger while it is being written (of what changes nothing is known), and then.
    """

    added: list[Entity]
    changed: list[Entity]
    gone: list[str]
    gone_before: list[str]
    held: int
    before: Ledger
    after: Ledger

    @property
    def written(self) -> list[Entity]:
        return [*self.added, *self.changed]


def changes(
    found: Iterable[Entity],
    ledger: Ledger,
    ttl_microseconds: int | None,
    looked_up: int,
    *,
    are_windows: bool,
) -> Changes:
    """Hold what was found against the ledger.

    Values that did not change are written again when half of the ttl has passed since they were written, or a reader
    would take them for stale.

    Args:
        found: the entities as they are to be.
        ledger: what the store holds.
        ttl_microseconds: of the view.
        looked_up: when the dataset was; of two writers the later counts; microseconds since 1970 in UTC.
        are_windows: the values are as of a moment; else of the time of their row.
    """
    added: list[Entity] = []
    changed: list[Entity] = []
    before: Ledger = {}
    after: Ledger = {}
    for entity in found:
        held = ledger.get(entity.id)
        digest = entity.digest
        if (
            held is not None
            and held.digest == digest
            and _is_fresh(held, entity, ttl_microseconds, are_windows)
        ):
            before[entity.id] = after[entity.id] = held
            continue
        (added if held is None else changed).append(entity)
        before[entity.id] = Held(entity.event, None, entity.place)
        after[entity.id] = Held(entity.event, digest, entity.place)
    absent = [id_ for id_ in ledger if id_ not in after]
    gone = [id_ for id_ in absent if ledger[id_].digest != GONE]
    gone_before = [
        id_ for id_ in absent if ledger[id_].digest == GONE and looked_up - ledger[id_].event < LONGEST_WRITER
    ]
    count = len(after)
    before |= {id_: ledger[id_].doubted() for id_ in (*gone, *gone_before)}
    after |= {id_: replace(ledger[id_], event=looked_up, digest=GONE) for id_ in gone}
    after |= {id_: ledger[id_] for id_ in gone_before}
    unchanged = count - len(added) - len(changed)
    return Changes(added, changed, gone, gone_before, unchanged, before, after)


def _is_fresh(held: Held, entity: Entity, ttl: int | None, are_windows: bool) -> bool:
    if entity.event == held.event:
        return True
    # Of a row whose event time moved on, the new time counts; of windows, only where readers look at it.
    return are_windows and (ttl is None or entity.event - held.event <= ttl // 2)


def read_ledger(body: bytes | None, table_id: str) -> Recorded:
    """Read what `write_ledger` wrote; nothing is held where there is none.

    Of another table than the one it was written of it tells which entities there may be, and not what they are.
    """
    if body is None:
        return Recorded({}, 0)
    table = pq.read_table(BytesIO(body))
    said = table.schema.metadata or {}
    if b"as_of" not in said:
        # From before entities had a place: it cannot be told whose they are, and all are written anew.
        return Recorded({}, 0)
    columns = (table.column(name).to_pylist() for name in ("id", "event", "digest", "place"))
    ledger = {id_: Held(event, digest, place) for id_, event, digest, place in zip(*columns, strict=True)}
    if said.get(b"table") != table_id.encode():
        ledger = {id_: held.doubted() for id_, held in ledger.items()}
    return Recorded(ledger, int(said[b"as_of"]))


def write_ledger(ledger: Ledger, table_id: str, as_of: int, writer: str) -> bytes:
    """Write a ledger as Parquet: id, event (microseconds), digest and place.

    Args:
        ledger: what the store holds.
        table_id: of the table; one that was deleted and made again has another.
        as_of: when the dataset was looked up that is written.
        writer: makes the bytes other than those of anybody else, and with them S3's tag.
    """
    table = pa.table(
        {
            "id": pa.array(list(ledger), pa.string()),
            "event": pa.array([held.event for held in ledger.values()], pa.int64()),
            "digest": pa.array([held.digest for held in ledger.values()], pa.binary(_DIGEST_BYTES)),
            "place": pa.array([held.place for held in ledger.values()], pa.int32()),
        }
    )
    said = {"table": table_id, "as_of": str(as_of), "writer": writer}
    sink = BytesIO()
    pq.write_table(table.replace_schema_metadata(said), sink, compression="zstd")
    return sink.getvalue()
