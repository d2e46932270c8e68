"""The materialization's handlers: whatever crashes, comes between or is replaced, the ledger says nothing false."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lambdas import materialize_view, plan_materialization
from lambdas.adapters import settings
from lambdas.adapters.online_store import OnlineTable
from sluice.datasets import current
from sluice.errors import OnlineTableMissing
from sluice.features.materialization import Entity
from sluice.features.partitions import Share
from sluice.features.plan import Aggregation, FeaturePlan, Key, Value, View
from sluice.payloads.documents import Current, DocumentSource, Manifest, Part
from tests.support.bucket import Bucket

VIEW = View(
    name="activity",
    keys=(Key(name="id", type="string"),),
    features=(Value(name="spent", type="number"),),
    aggregations=(Aggregation(name="spent", function="sum", column="amount"),),
)
PLAN = FeaturePlan(timestamp="at", views=(VIEW,), model=("activity:spent",))
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
numeric = ["spent"]
"""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COUNTED = ("written", "removed", "held", "superseded")
PLACES = {"a": 0, "b": 1, "c": 2}
REGISTRY = b"as Feast's image compiled it"
START = datetime(2026, 1, 1, tzinfo=UTC)


class Crash(Exception):
    """The process ends here."""


@dataclass(frozen=True)
class Stored:
    """An item; without `as_of` it is of Feast's own writer."""

    event: int
    value: bytes
    as_of: int | None


@dataclass
class World:
    """The bucket, a table that honours the condition, and what happens at each step of a run."""

    bucket: Bucket = field(default_factory=Bucket)
    items: dict[str, Stored] = field(default_factory=dict)
    dataset: dict[str, int] = field(default_factory=dict)
    table: int = 0
    now: int = 1_000_000
    at_step: dict[int, Callable[[], None]] = field(default_factory=dict)
    step: int = 0

    def tick(self) -> None:
        self.step += 1
        if happens := self.at_step.pop(self.step, None):
            happens()

    def replace_table(self) -> None:
        self.table += 1
        self.items.clear()

    def wait(self) -> None:
        """Until nobody who is writing now may still be."""
        self.now += 6 * 3600 * 1_000_000

    def run(
        self, at_step: dict[int, Callable[[], None]] | None = None, *, shares: int = 1
    ) -> dict[str, Any] | None:
        """Materialize the dataset as it is now; None where the run crashed. Another may be under way.

        Each share is a call of its own; the sums are answered.
        """
        self.now += 1
        outer = self.at_step, self.step
        self.at_step, self.step = dict(at_step or {}), 0
        looked_up, dataset = self.now, dict(self.dataset)
        try:
            answers = [self._tried(looked_up, dataset, number, shares) for number in range(shares)]
            sums = {name: sum(each[name] for each in answers) for name in COUNTED}
            return {"view": "activity", **sums}
        except Crash:
            return None
        finally:
            self.at_step, self.step = outer

    def _tried(self, looked_up: int, dataset: dict[str, int], number: int, count: int) -> dict[str, Any]:
        share = {
            "execution": "run",
            "dataset_version": json.dumps(dataset),
            "view": "activity",
            "number": number,
            "count": count,
            "moment": looked_up,
            "as_of": looked_up,
        }
        for _ in range(4):
            try:
                return materialize_view.handler(share, None)
            except Exception as error:
                # As the machine does; the wire gives errors other types of the same name.
                if type(error).__name__ != "StorageUnavailable":
                    raise
        raise Crash


@dataclass
class Table:
    """Items in memory: put and deleted as the condition says, each a step."""

    world: World
    as_of: int

    def id(self) -> str:
        return str(self.world.table)

    def insert(self, entities: list[Entity]) -> list[Entity]:
        return [each for each in entities if not self._insert(each)]

    def _insert(self, entity: Entity) -> bool:
        self.world.tick()
        if entity.id in self.world.items:
            return False
        self.world.items[entity.id] = Stored(entity.event, entity.values["spent"], self.as_of)
        return True

    def put(self, entities: list[Entity]) -> int:
        return sum(self._put(each) for each in entities)

    def _put(self, entity: Entity) -> bool:
        self.world.tick()
        if not self._may(entity.id, entity.event):
            return False
        self.world.items[entity.id] = Stored(entity.event, entity.values["spent"], self.as_of)
        return True

    def delete(self, ids: list[str], moment: int) -> int:
        return sum(self._delete(each, moment) for each in ids)

    def _delete(self, id_: str, moment: int) -> bool:
        self.world.tick()
        if not self._may(id_, moment):
            return False
        self.world.items.pop(id_, None)
        return True

    def _may(self, id_: str, event: int) -> bool:
        there = self.world.items.get(id_)
        if there is None:
            return True
        return there.event <= event if there.as_of is None else there.as_of <= self.as_of


class StepBucket(Bucket):
    """A bucket whose every write is a step, before and after."""

    world: World

    def now(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.world.now)

    # Around the whole of it: S3 looks and writes at once.
    def create(self, key: str, body: bytes, media_type: str) -> bool:
        self.world.tick()
        done = super().create(key, body, media_type)
        self.world.tick()
        return done

    def replace(self, key: str, body: bytes, media_type: str, tag: str) -> bool:
        self.world.tick()
        done = super().replace(key, body, media_type, tag)
        self.world.tick()
        return done


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The environment of the functions."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.toml").write_text(PROJECT)
    (tmp_path / "project" / "features.json").write_text(PLAN.model_dump_json())
    (tmp_path / "project" / "registry.db").write_bytes(REGISTRY)
    for name, value in {
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "PROJECT_FILE": "project/project.toml",
        "ARTIFACTS_BUCKET": "artifacts",
        "ONLINE_STORE": "shop_dev",
        "FEATURE_PLAN": "project/features.json",
        "FEATURE_REGISTRY": "project/registry.db",
    }.items():
        monkeypatch.setenv(name, value)
    caches = (
        settings.settings,
        settings.project,
        settings.materialization_settings,
        settings.feature_plan,
    )
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def world_of(monkeypatch: pytest.MonkeyPatch) -> World:
    """Let the handler run on a world: `dataset_version` is the dataset itself, as JSON."""
    world = World()
    bucket = StepBucket()
    bucket.world, world.bucket = world, bucket

    def entities(*given: Any, moved: int | None) -> Iterator[Entity]:
        dataset, moment, share = given[1], given[3], given[4]
        for id_, value in dataset.items():
            if share.has(PLACES[id_]):
                yield Entity(id_, moment, {"spent": b"%d" % value}, PLACES[id_])

    monkeypatch.setattr(materialize_view, "S3Artifacts", lambda _name: bucket)
    monkeypatch.setattr(materialize_view, "OnlineTable", lambda _name, *, as_of, **_: Table(world, as_of))
    monkeypatch.setattr(current, "find", lambda version, _artifacts: json.loads(version))
    monkeypatch.setattr(materialize_view, "fetched", lambda manifest, *_: manifest)
    monkeypatch.setattr(materialize_view, "entities", entities)
    return world


@pytest.fixture
def world(deployed: None, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_of(monkeypatch)


def values(world: World) -> dict[str, int]:
    return {id_: int(item.value) for id_, item in world.items.items()}


DATASETS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 1), max_size=3)
# Most runs go by the number that the others go by: the table is about as large as it was.
SHARES = st.sampled_from([1, 1, 1, 2, 3])
MEANWHILE = st.one_of(
    st.just("crash"),
    st.just("replace"),
    st.tuples(st.just("run"), DATASETS, SHARES),
    st.tuples(st.just("run, and crash"), DATASETS, SHARES),
)
RUNS = st.lists(
    st.tuples(
        st.sampled_from(["run", "run", "replace", "feast", "wait"]),
        DATASETS,
        SHARES,
        st.dictionaries(st.integers(1, 12), MEANWHILE, max_size=2),
    ),
    max_size=6,
)


def meanwhile(world: World, what: Any) -> Callable[[], None]:
    def happens() -> None:
        if what == "crash":
            raise Crash
        if what == "replace":
            world.replace_table()
            return
        kind, world.dataset, shares = what
        world.run({4: meanwhile(world, "crash")} if "crash" in kind else None, shares=shares)

    return happens


@pytest.mark.usefixtures("deployed")
@given(runs=RUNS, last=DATASETS, shares=SHARES)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_after_a_run_by_itself_the_store_is_as_the_dataset_says_whatever_was_before(
    runs: list[tuple[str, dict[str, int], int, dict[int, Any]]], last: dict[str, int], shares: int
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = world_of(monkeypatch)
        for kind, dataset, count, steps in runs:
            if kind == "replace":
                world.replace_table()
            elif kind == "wait":
                world.wait()
            elif kind == "feast":
                # Feast writes what is new to it: entities of which nothing was materialized.
                for id_ in dataset.keys() - world.items.keys() - world.dataset.keys():
                    world.items[id_] = Stored(world.now, b"7", None)
                    world.dataset[id_] = 7
            else:
                world.dataset = dataset
                world.run({step: meanwhile(world, what) for step, what in steps.items()}, shares=count)
        world.dataset = last
        foreign = {id_ for id_, item in world.items.items() if item.as_of is None} - last.keys()

        answer = world.run(shares=shares)

        assert answer is not None
        assert answer["superseded"] == 0
        # What nobody of ours wrote, and the dataset never had, is not ours to delete.
        assert {id_: value for id_, value in values(world).items() if id_ not in foreign} == last
        # Runs that went by another number of shares are doubted until none of them can be on its way any more.
        world.wait()
        world.run(shares=shares)
        again = world.run(shares=shares)
        assert again is not None
        assert (again["written"], again["removed"], again["held"]) == (0, 0, len(last))


def test_a_table_that_grew_and_shrank_again_leaves_nothing_of_before(world: World) -> None:
    world.dataset = {"a": 1, "b": 1, "c": 1}
    world.run()
    world.dataset = {"a": 2, "c": 1}
    world.run(shares=2)
    assert values(world) == {"a": 2, "c": 1}

    # As it was, but for b: the ledger of one share says so of a, and knows nothing of what has been since.
    world.dataset = {"a": 1, "c": 1}
    world.run()
    assert values(world) == {"a": 1, "c": 1}


def test_who_leaves_as_the_number_of_shares_changes_is_deleted(world: World) -> None:
    world.dataset = {"a": 1, "b": 1, "c": 1}
    world.run()
    world.dataset = {"a": 1}

    answer = world.run(shares=2)

    assert answer is not None
    assert (answer["written"], answer["removed"]) == (1, 2)
    assert values(world) == {"a": 1}


def test_a_change_of_shares_is_paid_for_once_nobody_of_before_can_write_any_more(world: World) -> None:
    world.dataset = {"a": 1, "b": 1}
    world.run()
    for wait, written in ((False, 2), (False, 2), (True, 2), (False, 0), (True, 0)):
        if wait:
            world.wait()
        answer = world.run(shares=2)
        assert answer is not None
        assert answer["written"] == written


def test_a_late_put_of_what_was_deleted_meanwhile_is_deleted_by_the_next_run(world: World) -> None:
    world.dataset = {"a": 1, "b": 1}

    def without_b() -> None:
        world.dataset = {"a": 2}
        assert world.run() is not None

    def end() -> None:
        raise Crash

    # 1, 2: the ledger is struck; 3: before a; 4: before b; 5: before the ledger is completed.
    world.run({4: without_b, 5: end})
    assert values(world) == {"a": 2, "b": 1}

    assert world.run() is not None
    assert values(world) == {"a": 2}


def test_a_delete_is_not_repeated_for_ever(world: World) -> None:
    world.dataset = {"a": 1}
    world.run()
    world.dataset = {}
    world.run()
    steps: list[int] = []
    for wait in (1, 6 * 3600 * 1_000_000):
        world.now += wait
        world.run({step: lambda: steps.append(1) for step in range(1, 20)})
        world.items["marker"] = Stored(0, b"", 0)
    deleted_again = len(steps)
    assert deleted_again == 5, "two steps for each of two writes of the ledger, and one delete"


def test_what_a_later_writer_wrote_stays_and_is_counted(world: World) -> None:
    world.dataset = {"a": 1, "b": 1}
    world.items["a"] = Stored(5, b"9", as_of=world.now + 100)

    answer = world.run()

    assert answer is not None
    assert (answer["written"], answer["superseded"]) == (2, 1)
    assert values(world) == {"a": 9, "b": 1}
    world.now += 200
    again = world.run()
    assert again is not None
    assert (again["written"], again["superseded"]) == (2, 0)
    assert values(world) == {"a": 1, "b": 1}


def test_a_ledger_from_before_entities_had_a_place_is_not_believed(world: World) -> None:
    world.dataset = {"a": 1}
    world.run()
    [key] = {key for key in world.bucket.objects if key.startswith("features/")}
    table = pq.read_table(BytesIO(world.bucket.objects[key])).drop_columns(["place"])
    sink = BytesIO()
    pq.write_table(table.replace_schema_metadata({"table": "0", "writer": "w"}), sink)
    world.bucket.objects[key] = sink.getvalue()

    for written in (1, 0):
        answer = world.run()
        assert answer is not None
        assert answer["written"] == written


def test_a_repeated_run_writes_neither_items_nor_ledger(world: World) -> None:
    world.dataset = {"a": 1, "b": 2}
    world.run()
    before, writes = dict(world.items), list(world.bucket.writes)

    answer = world.run()

    assert answer == {
        "view": "activity",
        "written": 0,
        "removed": 0,
        "held": 2,
        "superseded": 0,
    }
    assert (world.items, world.bucket.writes) == (before, writes)


def test_a_table_that_cannot_be_looked_at_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    class Refusing:
        def describe_table(self, **_: Any) -> None:
            raise ClientError(
                {"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, "DescribeTable"
            )

    monkeypatch.setattr(OnlineTable, "_dynamodb", Refusing())
    with pytest.raises(OnlineTableMissing, match=r"shop_dev\.activity is not there"):
        OnlineTable("shop_dev.activity", as_of=20, ttl_microseconds=None).id()


def manifest(*last_events: datetime | None, rows: int = 10) -> Manifest:
    source = DocumentSource(uri="s3://uploads/a", version_id="v", etag=None, execution="e")
    parts = tuple(
        Part(
            name=f"{number:016x}",
            sha256=f"{number:064x}",
            md5=f"{number:032x}",
            bytes=1,
            rows=rows,
            source=source,
            first_event=last,
            last_event=last,
        )
        for number, last in enumerate(last_events)
    )
    return Manifest(
        dataset_version="0123456789abcdef",
        sha256="0" * 64,
        bytes=1,
        rows=rows,
        project="shop",
        columns={},
        source=source,
        parts=parts,
    )


def plan(
    monkeypatch: pytest.MonkeyPatch, found: Manifest | None, into: Bucket | None = None, **asked: Any
) -> dict[str, Any]:
    bucket = Bucket() if into is None else into
    if found is not None:
        bucket.objects[f"datasets/{found.dataset_version}/manifest.json"] = found.body()
        bucket.objects["datasets/current.json"] = Current(
            dataset_version=found.dataset_version, moves=()
        ).body()
    monkeypatch.setattr(plan_materialization, "S3Artifacts", lambda _name: bucket)
    return plan_materialization.handler({"execution": "run", "dataset": None, "moment": None, **asked}, None)


def of_last_event(tmp_path: Path) -> None:
    (tmp_path / "project" / "project.toml").write_text(PROJECT + '[online]\nas_of = "last_event"\n')
    settings.project.cache_clear()


@pytest.mark.usefixtures("deployed")
def test_where_there_is_no_dataset_there_is_nothing_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = plan(monkeypatch, None)
    assert (answer["dataset_version"], answer["shares"]) == (None, [])


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("there_is_a_dataset", [False, True])
def test_the_registry_that_was_deployed_is_published_once(
    monkeypatch: pytest.MonkeyPatch, there_is_a_dataset: bool
) -> None:
    bucket = Bucket()
    for _ in range(2):
        plan(monkeypatch, manifest(START) if there_is_a_dataset else None, into=bucket)
    assert bucket.objects["feast/registry.db"] == REGISTRY
    assert bucket.writes == ["feast/registry.db"]


@pytest.mark.usefixtures("deployed")
def test_a_version_that_is_asked_for_by_name_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match="no dataset version 'abc'") as caught:
        plan(monkeypatch, manifest(None), dataset="abc")
    assert type(caught.value).__name__ == "NoDataset"


@pytest.mark.usefixtures("deployed")
def test_the_last_event_of_all_parts_counts_and_without_a_zone_is_in_utc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    of_last_event(tmp_path)
    naive = datetime(2026, 1, 2)
    answer = plan(monkeypatch, manifest(START, naive, None))
    [share] = answer["shares"]
    assert share["moment"] == 1_767_312_000_000_000
    assert share["as_of"] > share["moment"]


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("zone", [UTC, None])
def test_a_last_event_in_the_future_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, zone: Any
) -> None:
    of_last_event(tmp_path)
    future = (datetime.now(UTC) + timedelta(days=400)).replace(tzinfo=zone)
    [share] = plan(monkeypatch, manifest(START, future))["shares"]
    assert share["moment"] == share["as_of"]


@pytest.mark.usefixtures("deployed")
def test_a_moment_that_is_asked_for_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    [share] = plan(monkeypatch, manifest(START), moment="2026-01-01T01:00:00+01:00")["shares"]
    assert share["moment"] == 1_767_225_600_000_000


@pytest.mark.usefixtures("deployed")
def test_a_large_dataset_is_the_work_of_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = plan(monkeypatch, manifest(START, rows=3_000_001))["shares"]
    assert [(each["number"], each["count"]) for each in shares] == [(number, 4) for number in range(4)]
    assert Share(0, 4) == Share(number=0, count=4)


@pytest.mark.usefixtures("deployed")
def test_the_more_features_a_view_has_the_fewer_entities_are_in_a_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = [f"spent_{number}" for number in range(50)]
    wide = View(
        name="wide",
        keys=VIEW.keys,
        features=tuple(Value(name=name, type="number") for name in names),
        aggregations=tuple(Aggregation(name=name, function="sum", column="amount") for name in names),
    )
    both = FeaturePlan(timestamp="at", views=(VIEW, wide), model=("activity:spent",))
    (tmp_path / "project" / "features.json").write_text(both.model_dump_json())
    shares = plan(monkeypatch, manifest(START, rows=1_000_000))["shares"]
    assert [(share["view"], share["count"]) for share in shares] == [("activity", 1)] + [("wide", 5)] * 5


@pytest.mark.usefixtures("deployed")
def test_a_project_whose_windows_move_on_once_a_day_says_so_to_each_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = tmp_path / "project" / "project.toml"
    project.write_text(PROJECT + '[online]\nmove_windows = "day"\n')
    settings.project.cache_clear()
    [share] = plan(monkeypatch, manifest(START), moment="2026-01-05T17:30:00Z")["shares"]
    midnight = datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1_000_000
    assert (share["moved"], share["moment"]) == (midnight, midnight + 17.5 * 3_600_000_000)
