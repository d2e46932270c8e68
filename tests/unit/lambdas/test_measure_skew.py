"""MeasureSkew: which version each item is held against, and what is told of what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lambdas import measure_skew
from lambdas.adapters import settings
from sluice import keys, naming
from sluice.features.materialization import entities
from sluice.features.moments import microseconds
from sluice.features.online_keys import EntityIds
from sluice.features.partitions import Share
from sluice.features.plan import FeaturePlan, Key, Value, View
from sluice.features.skew import Item
from sluice.payloads.documents import Current, DocumentSource, Manifest, Move, Part
from sluice.payloads.materialization import MeasuredSkew
from tests.support.bucket import Bucket

VIEW = View(
    name="standing",
    keys=(Key(name="id", type="string"),),
    features=(Value(name="amount", type="number"),),
)
PLAN = FeaturePlan(timestamp="at", views=(VIEW,), model=("standing:amount",))
PROJECT = """\
[project]
name = "shop"
[entity]
key = "id"
timestamp = "at"
[target]
column = "y"
problem = "binary"
positive = "yes"
[columns.id]
type = "string"
[columns.at]
type = "timestamp"
[columns.amount]
type = "number"
[features]
numeric = ["amount"]
"""
START = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = DocumentSource(uri="s3://uploads/a", version_id="v", etag=None, execution="e")
Rows = Sequence[tuple[str, int, float]]
"""Key, day and amount."""


def at(day: int) -> int:
    return microseconds(START + timedelta(days=day))


@dataclass
class World:
    """A bucket with dataset versions, and a store."""

    folder: Path
    bucket: Bucket = field(default_factory=Bucket)
    items: dict[str, Item] = field(default_factory=dict)
    published: list[float] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)

    def upload(self, name: str, day: int, *parts: Rows) -> str:
        """Make a version of the parts the current one."""
        listed = tuple(self._part(rows) for rows in parts)
        sha256 = naming.list_of_parts([part.sha256 for part in listed])
        manifest = Manifest(
            dataset_version=name,
            sha256=sha256,
            bytes=1,
            rows=sum(part.rows for part in listed),
            project="shop",
            columns={},
            source=SOURCE,
            parts=listed,
        )
        self.bucket.objects[keys.manifest(name)] = manifest.body()
        moved = START + timedelta(days=day)
        self.moves.append(Move(execution=name, dataset_version=name, at=moved))
        current = Current(dataset_version=name, moves=tuple(self.moves))
        self.bucket.objects[keys.current()] = current.body()
        return name

    def _part(self, rows: Rows) -> Part:
        ids, days, amounts = zip(*rows, strict=True)
        times = pa.array([at(day) for day in days], pa.int64()).cast(pa.timestamp("us"))
        columns: list[Any] = [pa.array(ids, pa.string()), times, pa.array(amounts, pa.float64())]
        sink = BytesIO()
        pq.write_table(pa.table(columns, ["id", "at", "amount"]), sink)
        digest = f"{abs(hash(tuple(rows))):064x}"
        md5 = digest[-32:]
        self.bucket.objects[keys.part(md5)] = sink.getvalue()
        return Part(name=digest[-16:], sha256=digest, md5=md5, bytes=1, rows=len(rows), source=SOURCE)

    def materialize(self, day: int, *parts: Rows, only: str | None = None) -> None:
        """Write the store as it is right for these parts, looked up on that day."""
        files = []
        for number, rows in enumerate(parts):
            file = self.folder / f"{number}.parquet"
            file.write_bytes(self.bucket.objects[keys.part(self._part(rows).md5)])
            files.append(file)
        for each in entities(VIEW, files, "at", at(day), Share(), self.folder):
            if only is None or EntityIds(VIEW.keys).of((only,)) == each.id:
                self.items[each.id] = Item(each.event, dict(each.values), at(day))

    def measure(self, **asked: Any) -> MeasuredSkew:
        return MeasuredSkew.model_validate(measure_skew.handler(asked, None))

    def at_gate(self, version: str, day: int, **more: Any) -> MeasuredSkew:
        """Measure what the materialization of a version wrote that was looked up on that day."""
        moment = (START + timedelta(days=day)).isoformat()
        return self.measure(dataset=version, moment=moment, as_of=at(day), **more)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.toml").write_text(PROJECT)
    (tmp_path / "project" / "features.json").write_text(PLAN.model_dump_json())
    for name, value in {
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "PROJECT_FILE": "project/project.toml",
        "ARTIFACTS_BUCKET": "artifacts",
        "ONLINE_STORE": "shop_dev",
        "FEATURE_PLAN": "project/features.json",
    }.items():
        monkeypatch.setenv(name, value)
    caches = (settings.settings, settings.project, settings.materialization_settings, settings.feature_plan)
    for cache in caches:
        cache.cache_clear()
    made = World(tmp_path)

    class Table:
        def __init__(self, name: str, **_: Any) -> None:
            assert name == "shop_dev.standing"

        def read(self, ids: list[str]) -> dict[str, Item]:
            return {id_: made.items[id_] for id_ in ids if id_ in made.items}

    monkeypatch.setattr(measure_skew, "S3Artifacts", lambda _name: made.bucket)
    monkeypatch.setattr(measure_skew, "OnlineTable", Table)
    monkeypatch.setattr(measure_skew, "put_metric", lambda *given: made.published.append(given[2]))
    yield made
    for cache in caches:
        cache.cache_clear()


FIRST: Rows = [("a", 1, 1.0), ("b", 1, 2.0)]
SECOND: Rows = [("a", 2, 7.0), ("c", 2, 3.0)]


def test_a_store_that_was_written_from_the_dataset_agrees(world: World) -> None:
    world.upload("one", 10, FIRST)
    world.materialize(11, FIRST)

    for found in (world.measure(), world.at_gate("one", 11)):
        assert (found.rate, found.sampled, found.moved_on) == (0.0, 2, 0)
    assert world.published == [0.0, 0.0]


def test_an_execution_is_told_counts_and_no_values(world: World) -> None:
    world.upload("one", 10, FIRST)
    world.materialize(11, [("a", 1, 888.5), ("b", 1, 2.0)], only="a")

    found = world.at_gate("one", 11, shown=0)

    [view] = found.views
    assert (view.sampled, view.missing, view.differing, view.features) == (2, 1, 1, {"amount": 1})
    assert (view.missing_shown, view.shown) == ([], [])
    assert "888.5" not in found.model_dump_json()
    # Who asks for them is told.
    assert "888.5" in world.measure().model_dump_json()
    assert world.published == [1.0, 1.0]


def test_what_is_uploaded_while_a_model_is_trained_is_no_difference(world: World) -> None:
    world.upload("one", 10, FIRST)
    world.materialize(11, FIRST)
    world.upload("two", 12, FIRST, SECOND)

    found = world.at_gate("one", 11)
    assert (found.rate, found.sampled, found.moved_on) == (0.0, 2, 0)
    # The schedule's question is another one: the store is behind the table.
    assert world.measure().rate > 0


def test_what_a_later_materialization_wrote_is_held_against_the_table_as_it_is_now(world: World) -> None:
    world.upload("one", 10, FIRST)
    world.materialize(11, FIRST)
    world.upload("two", 12, FIRST, SECOND)
    world.materialize(13, FIRST, SECOND, only="a")

    found = world.at_gate("one", 11)
    assert (found.rate, found.sampled, found.moved_on) == (0.0, 2, 0)

    world.materialize(14, FIRST, [("a", 2, 7.5)], only="a")
    found = world.at_gate("one", 11)
    assert (found.rate, found.views[0].features) == (0.5, {"amount": 1})


def test_what_is_being_written_over_is_not_compared(world: World) -> None:
    world.upload("one", 10, FIRST)
    world.materialize(11, FIRST)
    world.upload("two", 12, FIRST, SECOND)
    world.materialize(13, FIRST, SECOND)
    world.upload("three", 14, FIRST, SECOND, [("a", 3, 9.0)])

    found = world.at_gate("one", 11)
    # Both items of version one were written by version two's materialization.
    assert (found.rate, found.sampled, found.moved_on) == (0.0, 0, 2)


def test_who_is_gone_from_a_table_that_was_replaced_is_not_missing(world: World) -> None:
    world.upload("one", 10, FIRST)
    world.materialize(11, FIRST, only="a")
    assert world.at_gate("one", 11).missing == 1
    world.upload("two", 12, [("a", 1, 1.0)])
    found = world.at_gate("one", 11)
    assert (found.missing, found.sampled, found.moved_on) == (0, 1, 1)


def test_rows_after_the_moment_are_not_held_against_what_was_written_before_them(world: World) -> None:
    world.upload("one", 10, [*FIRST, ("b", 20, 5.0)])
    world.materialize(11, [*FIRST, ("b", 20, 5.0)])
    assert world.at_gate("one", 11).rate == 0.0


def test_a_table_from_before_moves_were_listed_has_not_moved_since(world: World) -> None:
    world.upload("one", 10, FIRST)
    current = Current(dataset_version="one", moves=())
    world.bucket.objects[keys.current()] = current.body()
    world.materialize(13, FIRST)

    found = world.at_gate("one", 11)
    assert (found.rate, found.sampled, found.moved_on) == (0.0, 2, 0)


def test_without_a_dataset_there_is_nothing_to_compare(world: World) -> None:
    found = world.measure()
    assert (found.dataset_version, found.rate, found.views) == (None, 0.0, [])
    assert world.published == []


def test_a_version_that_is_asked_for_by_name_has_to_be_there(world: World) -> None:
    world.upload("one", 10, FIRST)
    with pytest.raises(Exception, match="no dataset version 'gone'") as caught:
        world.at_gate("gone", 11)
    assert type(caught.value).__name__ == "NoDataset"


@pytest.mark.parametrize("left_out", ["dataset", "moment", "as_of"])
def test_half_of_a_materialization_is_refused(world: World, left_out: str) -> None:
    asked = {"dataset": "one", "moment": "2026-01-01T00:00:00Z", "as_of": 1}
    with pytest.raises(Exception, match="go together"):
        world.measure(**{name: value for name, value in asked.items() if name != left_out})


def test_an_item_says_when_its_dataset_was_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from lambdas.adapters.online_store import OnlineTable

    stored = {"entity_id": {"S": "0a"}, "event_ts": {"S": "2026-01-01 00:00:00+00:00"}, "values": {"M": {}}}
    items = [{**stored, "as_of": {"N": "20"}}, {**stored, "entity_id": {"S": "0b"}}]

    class Client:
        def batch_get_item(self, **_: Any) -> dict[str, Any]:
            return {"Responses": {"shop_dev.standing": items}, "UnprocessedKeys": {}}

    monkeypatch.setattr(OnlineTable, "_dynamodb", Client())
    read = OnlineTable("shop_dev.standing", as_of=1, ttl_microseconds=None).read(["0a", "0b"])
    assert {id_: item.as_of for id_, item in read.items()} == {"0a": 20, "0b": None}
