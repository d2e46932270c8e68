"""Training's features joined by Athena: the SQL that Feast asks of it gives what the duckdb store gives."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sluice.errors import ProjectError, TrainingSetFailed
from sluice.features import athena
from sluice.features.names import MOMENT
from sluice.features.plan import Aggregation, FeaturePlan, Key, Value, View
from tests.features.brute_force import Row
from tests.features.histories import ARROW, COLUMNS, TIME, rows_of, table

pytest.importorskip("feast", reason="Feast has an environment of its own")

from containers.features.athena import Athena
from containers.features.build_training_set import main
from containers.features.definitions import Definitions
from containers.features.store import CREATED, ROW, Source, joined_here
from tests.features.athena_in_duckdb import AthenaInDuckdb
from tests.features.test_retrieval import FLAT, PERSON, day, flat, found, log_of
from tests.support.jobs import Job

# Feast's dependencies warn of their own future.
pytestmark = pytest.mark.filterwarnings("ignore")

SHOP, CARD = Key(name="Shop", type="string"), Key(name="card", type="integer")
# Names that Athena would change, reserves, or could not read.
FEATURES = {"amount": "Amount", "pieces": "SELECT", "paid": "is paid?", "channel": "Kanal_ä", "ordered": "at"}
SETTINGS = Athena(
    region="eu-central-1",
    database="sluice_shop_prod",
    workgroup="sluice-shop-prod",
    execution="shop-prod-0123456789abcdef",
    rows="s3://artifacts/offline/rows",
    staging="s3://artifacts/offline/staging/shop-prod-0123456789abcdef",
)
ENVIRONMENT = {
    "ATHENA_REGION": "eu-central-1",
    "ATHENA_DATABASE": "sluice_shop_prod",
    "ATHENA_WORKGROUP": "sluice-shop-prod",
    "ATHENA_EXECUTION": "shop-prod-0123456789abcdef",
    "ATHENA_ROWS_URI": "s3://artifacts/offline/rows",
    "ATHENA_STAGING_URI": "s3://artifacts/offline/staging/shop-prod-0123456789abcdef",
}
NO_DEFINITIONS = Definitions(module=ModuleType("features"), entities=(), views=(), on_demand=())
DAY_MS = 86_400_000
_MARCH_MS = 1_772_323_200_000

Service = Callable[[Path, FeaturePlan], AthenaInDuckdb]


def fields(prefix: str) -> tuple[Value, ...]:
    return tuple(Value(name=f"{prefix}{name}", type=COLUMNS[each]) for each, name in FEATURES.items())


def row_view(name: str, keys: tuple[Key, ...], ttl_seconds: int | None = None) -> View:
    ttl = None if ttl_seconds is None else ttl_seconds * 1_000_000
    return View(name=name, keys=keys, features=fields(f"{name}."), ttl_microseconds=ttl)


def plan_of(*views: View, timestamp: str | None = TIME) -> FeaturePlan:
    model = tuple(f"{view.name}:{each.name}" for view in views for each in view.features)
    return FeaturePlan(timestamp=timestamp, views=views, model=model)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """Put the services under Feast's feet, over a folder."""
    import boto3
    from feast.infra.utils import aws_utils

    def made(folder: Path, plan: FeaturePlan) -> AthenaInDuckdb:
        fake = AthenaInDuckdb(
            folder,
            SETTINGS.database,
            tables=tuple(each for each in athena.tables(plan) if plan.stored().get(each.view)),
            rows=SETTINGS.rows.removeprefix("s3://"),
        )
        monkeypatch.setattr(aws_utils, "get_athena_data_client", lambda region: fake)
        monkeypatch.setattr(aws_utils, "get_s3_resource", lambda region: fake)
        monkeypatch.setattr(boto3, "client", lambda name, region_name: {"s3": fake}[name])
        return fake

    return made


# Histories whose times are whole milliseconds, and of few entities, so that rows and labels often meet.
_near = st.sampled_from([0, 1, 999, 1000, 1001, DAY_MS, 30 * DAY_MS]).map(lambda ms: (_MARCH_MS + ms) * 1000)
_far = st.sampled_from([-86_400_000_000 * 20_000 - 1000, 0, 4_000_000_000_000_000])
_times = st.one_of(_near, _near, _near, _far)
_shops = st.sampled_from(["11", "1"]) | st.sampled_from(["11", "1", "", "11:", "a'b", "Ünï"])
_cards = st.sampled_from([2, 12]) | st.sampled_from([2, 12, 1, -1, 2**63 - 1])
_values = {
    "amount": st.sampled_from([0.1, -0.0, 1e308, 5e-324, float("nan"), float("inf")]),
    "pieces": st.sampled_from([0, 2**53 + 1, -(2**63)]),
    "paid": st.booleans(),
    "channel": st.sampled_from(["", "web", "it's", "Ünï"]),
    "ordered": st.sampled_from([_MARCH_MS * 1000 + 1, 0, -1]),
}


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, values, st.none())


_events = st.lists(
    st.fixed_dictionaries(
        {"Shop": _maybe(_shops), "card": _maybe(_cards), TIME: _times}
        | {name: _maybe(each) for name, each in _values.items()}
    ),
    min_size=15,
    max_size=40,
)
_labels = st.lists(
    st.fixed_dictionaries({"Shop": _maybe(_shops), "card": _maybe(_cards), TIME: _times}),
    min_size=10,
    max_size=30,
)


def _rows(view: View, events: list[Row]) -> pa.Table:
    """Give events as the file of a row view: those without a key are none."""
    known = [row for row in events if all(row[key.name] is not None for key in view.keys)]
    made = table(known, {**{key.name: key.type for key in view.keys}, **COLUMNS})
    names = {each: value.name for each, value in zip(FEATURES, view.features, strict=True)} | {TIME: MOMENT}
    made = made.rename_columns([names.get(name, name) for name in made.column_names])
    place = pa.array(range(made.num_rows), pa.int64()).cast(ARROW["timestamp"])
    return _in_utc(made.append_column(CREATED, place))


def _in_utc(rows: pa.Table) -> pa.Table:
    for name in (MOMENT, CREATED):
        if name in rows.column_names:
            place = rows.column_names.index(name)
            rows = rows.set_column(place, name, rows[name].cast(pa.timestamp("us", "UTC")))
    return rows


def _summed(view: View, labels: list[Row]) -> pa.Table:
    """Give what an engine would: a row for every key and moment that is asked for, of no entity, too."""
    names = [key.name for key in view.keys]
    asked = list(dict.fromkeys((*(row[name] for name in names), row[TIME]) for row in labels))
    rows = [dict(zip([*names, TIME], each, strict=True)) | {"count": 7 * n} for n, each in enumerate(asked)]
    made = table(rows, {**{key.name: key.type for key in view.keys}, TIME: "timestamp", "count": "integer"})
    return _in_utc(made.rename_columns([*names, MOMENT, view.features[0].name]))


def _joined(
    folder: Path, join: Any, plan: FeaturePlan, labels: list[Row], files: dict[str, pa.Table]
) -> pa.Table:
    folder.mkdir()
    asked = table(labels, {**{key.name: key.type for key in plan.keys}, TIME: "timestamp"})
    asked = _in_utc(asked.rename_columns([*asked.column_names[:-1], MOMENT]))
    asked = asked.append_column(ROW, pa.array(range(len(labels)), pa.int64()))
    sources = {}
    for view in plan.views:
        pq.write_table(files[view.name], folder / f"{view.name}.parquet")
        sources[view.name] = Source(folder / f"{view.name}.parquet", is_dated=not view.aggregations)
    made: pa.Table = join(asked, plan, NO_DEFINITIONS, sources, folder).sort_by(ROW)
    return made.select([each.rpartition(":")[2] for each in plan.model])


@settings(
    max_examples=15,
    # Not made smaller: each try asks both stores.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    events=_events,
    labels=_labels,
    keys=st.sampled_from([(SHOP,), (CARD,), (SHOP, CARD), (CARD, SHOP)]),
    ttl=st.sampled_from([1, 2, 86_400, 30 * 86_400]),
)
def test_athena_joins_what_duckdb_joins(
    service: Service, events: list[Row], labels: list[Row], keys: tuple[Key, ...], ttl: int
) -> None:
    count = Aggregation(name="Count", function="count")
    windows = View(
        name="Windows", keys=keys, features=(Value(name="Count", type="integer"),), aggregations=(count,)
    )
    rows, aged = row_view("rows", keys), row_view("view_rows", (SHOP,), ttl)
    plan = plan_of(rows, aged, windows)
    files = {
        "rows": _rows(rows, events),
        "view_rows": _rows(aged, events),  # called as the table of the other
        "Windows": _summed(windows, labels),
    }
    with tempfile.TemporaryDirectory() as folder:
        wanted = _joined(Path(folder) / "duckdb", joined_here, plan, labels, files)
        service(Path(folder) / "s3", plan)
        made = _joined(Path(folder) / "athena", SETTINGS, plan, labels, files)
    assert rows_of(made) == rows_of(wanted)
    assert made.schema.types == wanted.schema.types


@pytest.mark.parametrize("keys", [(SHOP, CARD), (CARD, SHOP)])
def test_keys_that_are_alike_when_written_one_after_the_other_are_told_apart(
    tmp_path: Path, service: Service, keys: tuple[Key, ...]
) -> None:
    view = row_view("rows", keys)
    plan = plan_of(view)
    service(tmp_path / "s3", plan)
    pairs = [("1", 12), ("11", 2)] if keys == (SHOP, CARD) else [("21", 1), ("1", 12)]
    blank = dict.fromkeys(FEATURES)
    events = [
        blank | {"Shop": shop, "card": card, TIME: 0, "pieces": number}
        for number, (shop, card) in enumerate(pairs)
    ]
    labels = [{"Shop": shop, "card": card, TIME: 0} for shop, card in pairs]
    made = _joined(tmp_path / "job", SETTINGS, plan, labels, {"rows": _rows(view, events)})
    assert made["rows.SELECT"].to_pylist() == [0, 1]


def test_of_two_rows_of_one_time_the_later_counts(tmp_path: Path, service: Service) -> None:
    view = row_view("rows", (SHOP,))
    plan = plan_of(view)
    service(tmp_path / "s3", plan)
    blank = dict.fromkeys(FEATURES) | {"Shop": "a", "card": 1, TIME: 0}
    events = [blank | {"pieces": pieces} for pieces in (5, 7, 6)]
    labels = [{"Shop": "a", TIME: 0}, {"Shop": "a", TIME: 0}]
    made = _joined(tmp_path / "job", SETTINGS, plan, labels, {"rows": _rows(view, events)})
    assert made["rows.SELECT"].to_pylist() == [6, 6]


def test_whole_examples_are_the_same_with_on_demand_views_and_request_fields(
    tmp_path: Path, service: Service
) -> None:
    log = log_of([("a", day(1), 10.0, 1), ("a", day(8), 5.0, 2**53 + 1), ("b", day(2), 7.0, None)])
    labels = [("a", day(8), 12.0), ("a", day(0.5), 1.0), ("b", day(3), 16.0), ("a", day(40), 1.0)]
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    wanted = found(tmp_path / "here", log, labels)
    made = found(tmp_path / "there", log, labels, _at_work(tmp_path, service))
    pd.testing.assert_frame_equal(made, wanted, check_exact=True)
    assert made["points"].tolist()[0] == 2**53 + 1


def test_a_table_without_times_is_joined_by_its_places(tmp_path: Path, service: Service) -> None:
    people = pa.table(
        {
            "id": [number // 2 for number in range(40)],
            "age": [float(number) for number in range(40)],
            "plan": [f"p{number}" for number in range(40)],
            "left": ["yes", "no"] * 20,
        }
    )
    made = flat(tmp_path, people, join=_at_work(tmp_path, service)).sort_values("age")
    assert made["age"].tolist() == [float(number) for number in range(40)]
    assert made["plan"].tolist() == people["plan"].to_pylist()


def _at_work(tmp_path: Path, service: Service) -> Any:
    def join(labels: Any, plan: FeaturePlan, *rest: Any) -> Any:
        service(tmp_path / "s3", plan)
        return SETTINGS(labels, plan, *rest)

    return join


def _run(
    tmp_path: Path, service: Service, *, event: datetime, label: datetime, **settings: Any
) -> tuple[AthenaInDuckdb, pa.Table]:
    view = row_view("rows", (SHOP,))
    plan = plan_of(view)
    fake = service(tmp_path / "s3", plan)
    for name, value in settings.items():
        setattr(fake, name, value)
    blank = dict.fromkeys(FEATURES) | {"Shop": "a", "card": 1}
    files = {"rows": _rows(view, [blank | {TIME: _microseconds(event), "pieces": 3}])}
    made = _joined(tmp_path / "job", SETTINGS, plan, [{"Shop": "a", TIME: _microseconds(label)}], files)
    return fake, made


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_what_is_asked_is_of_this_execution_and_below_its_folders(tmp_path: Path, service: Service) -> None:
    other = tmp_path / "s3" / "artifacts" / "offline" / "rows" / "view_rows" / "another"
    other.mkdir(parents=True)
    moment = pa.array([NOON], pa.timestamp("ms", "UTC"))
    theirs: dict[str, Any] = {
        athena.ENTITY: ["1:a"],
        MOMENT: moment,
        athena.CREATED: moment,
        "f_rows_2e_select": [99],
    }
    nulls = {column.name: [None] for column in athena.tables(plan_of(row_view("rows", (SHOP,))))[0].columns}
    pq.write_table(pa.table(nulls | theirs), other / "rows.parquet")

    fake, made = _run(tmp_path, service, event=NOON - timedelta(hours=1), label=NOON)
    assert made["rows.SELECT"].to_pylist() == [3]  # theirs would be later
    assert fake.workgroups == {SETTINGS.workgroup}
    staging = f"offline/staging/{SETTINGS.execution}"
    assert [re.sub(r"[0-9a-f]{32}", "HEX", key) for key in fake.put] == [
        f"offline/rows/view_rows/{SETTINGS.execution}/rows.parquet",
        f"{staging}/entity_df/feast_entity_df_HEX/feast_entity_df_HEX.parquet",
    ]
    assert fake.deleted
    assert all(key.startswith(f"{staging}/unload/") for key in fake.deleted)
    # What the role may make and drop: infra/offline.py.
    tables = re.findall(
        r"(?:CREATE (?:EXTERNAL )?TABLE|DROP TABLE(?: IF EXISTS)?) `?([\w.]+)", "\n".join(fake.asked)
    )
    kinds = {re.sub(r"[0-9a-f]{32}", "HEX", each.removeprefix(f"{SETTINGS.database}.")) for each in tables}
    assert kinds == {"feast_entity_df_HEX", "_HEX"}


@pytest.mark.parametrize("which", ["event", "label"])
def test_a_time_between_two_milliseconds_is_refused(tmp_path: Path, service: Service, which: str) -> None:
    times = {"event": NOON, "label": NOON, which: NOON + timedelta(microseconds=500)}
    with pytest.raises(TrainingSetFailed) as caught:
        _run(tmp_path, service, **times)
    told = str(caught.value)
    what = "1 labels" if which == "label" else "1 rows of view 'rows'"
    assert f"{what} have a time between two milliseconds" in told
    assert 'store = "duckdb"' in told


@pytest.mark.parametrize(
    "refused", ["Bytes scanned limit was exceeded", "line 1: Column 'it' isn't there", 'a "b"']
)
def test_a_query_that_is_cancelled_ends_the_job_with_its_reason(
    tmp_path: Path, service: Service, refused: str
) -> None:
    with pytest.raises(TrainingSetFailed) as caught:
        _run(tmp_path, service, event=NOON, label=NOON, refuses=refused)
    assert caught.value.why == f"{refused} (query 2)"
    assert "scan_limit_gb" in caught.value.fix


def test_a_label_that_does_not_come_back_ends_the_job(tmp_path: Path, service: Service) -> None:
    with pytest.raises(TrainingSetFailed, match="Athena gave 0 rows for 1 labels"):
        _run(tmp_path, service, event=NOON, label=NOON, loses=True)


def test_a_key_that_is_none_of_its_type_is_told_of(tmp_path: Path, service: Service) -> None:
    plan = plan_of(row_view("rows", (CARD,)))
    service(tmp_path / "s3", plan)
    labels = pa.table({"card": [1.5], MOMENT: pa.array([NOON], pa.timestamp("us", "UTC")), ROW: [0]})
    pq.write_table(_rows(plan.views[0], []), tmp_path / "rows.parquet")
    with pytest.raises(TrainingSetFailed, match="the labels' key 'card' is of type double"):
        SETTINGS(labels, plan, NO_DEFINITIONS, {"rows": Source(tmp_path / "rows.parquet", True)}, tmp_path)


def test_a_job_that_is_told_of_athena_asks_it(
    tmp_path: Path, service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = pa.table(
        {
            "id": list(range(40)),
            "age": [float(number) for number in range(40)],
            "plan": ["a", None] * 20,
            "left": ["yes", "no", "no", "yes"] * 10,
        }
    )
    job = Job(tmp_path / "ml", project=FLAT, hooks={"train.py": "", "features.py": PERSON})
    job.put("processing/input/code/project.zip", job.code_zip())
    job.put_dataset(people)
    person = View(
        name="people",
        keys=(Key(name="id", type="integer"),),
        features=(Value(name="age", type="number"), Value(name="plan", type="string")),
    )
    fake = service(tmp_path / "s3", plan_of(person, timestamp=None))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(job.base))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert main() == 0
    assert fake.asked
    assert "joined by Athena, in its workgroup sluice-shop-prod" in capsys.readouterr().out
    trained = pq.read_table(job.base / "processing/output/train/train.parquet")
    assert {row["__key"]: row["age"] for row in trained.to_pylist()} == {
        str(number): float(number) for number in range(40) if str(number) in trained["__key"].to_pylist()
    }


def test_a_job_that_is_told_of_no_athena_has_none() -> None:
    assert Athena.of({"DATASET_VERSION": "0123"}) is None


def test_a_job_takes_athena_from_its_environment() -> None:
    assert Athena.of(ENVIRONMENT) == SETTINGS


def test_a_view_is_a_table_of_small_letters_and_plain_types() -> None:
    (made,) = athena.tables(plan_of(row_view("Rows", (CARD, SHOP))))
    assert made.name == "view_rows"
    assert [(each.name, each.type) for each in made.columns] == [
        ("entity", "string"),
        ("event_timestamp", "timestamp"),
        ("created_timestamp", "timestamp"),
        ("f_rows_2e_amount", "double"),
        ("f_rows_2e_select", "bigint"),
        ("f_rows_2e_is_20_paid_3f_", "boolean"),
        ("f_rows_2e_kanal__e4_", "string"),
        ("f_rows_2e_at", "bigint"),
    ]
    assert made.columns[0].comment.startswith("card, Shop")


@pytest.mark.parametrize(
    ("views", "told"),
    [
        ((row_view("rows", (SHOP,)), row_view("Rows", (SHOP,))), "the views 'rows' and 'Rows' would be one"),
        (
            (
                View(
                    name="v",
                    keys=(SHOP,),
                    features=(Value(name="a", type="number"), Value(name="A", type="number")),
                ),
            ),
            "the features 'a' and 'A' would be one",
        ),
        (
            (View(name="v", keys=(SHOP,), features=(Value(name="ä" * 70, type="number"),)),),
            "characters as Athena gets it",
        ),
        (
            (
                View(
                    name="v",
                    keys=(SHOP,),
                    features=(Value(name="a", type="number"),),
                    ttl_microseconds=1_500_000,
                ),
            ),
            "its ttl of 1,500,000 microseconds is no number of seconds",
        ),
    ],
)
def test_what_cannot_be_a_table_of_athena_is_told_of(views: tuple[View, ...], told: str) -> None:
    with pytest.raises(ProjectError, match=re.escape(told)):
        athena.tables(plan_of(*views))
