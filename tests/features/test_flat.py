"""A flat table as one view: what Feast's join gives each of its rows is the row itself, so nobody has to ask it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureStore
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from containers.features import build_training_set as by_feast
from containers.features.definitions import compiled, load
from containers.features.store import Source, local_store
from containers.process import build_training_set as as_it_is
from containers.training_set.examples import TrainingSet
from sluice.drafting.scaffold import write_project
from sluice.drafting.views import is_view
from sluice.errors import SluiceError
from sluice.features.names import MOMENT
from sluice.features.plan import FeaturePlan
from sluice.features.source import PLAN
from sluice.project import Project
from tests.support.names import NAMES, ODD, TAKEN, drafted_of

PROJECT = """
[project]
name = "people"
[entity]
key = "id"
[target]
column = "event_timestamp"
problem = "regression"
[columns.id]
type = "{key}"
[columns.shop]
type = "string"
nullable = true
[columns.share]
type = "number"
nullable = true
[columns.code]
type = "integer"
nullable = true
[columns.paid]
type = "boolean"
nullable = true
[columns.Plan]
type = "string"
nullable = true
[columns.visits_y]
type = "integer"
nullable = true
[columns.given]
type = "integer"
nullable = true
[columns.event_timestamp]
type = "number"
[features]
numeric = ["share", "visits_y"]
categorical = ["code", "paid", "Plan", "given"]
[split]
held_out_share = 0.5
"""
FEATURES = """
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Float64, Int64, String

person = Entity(name="person", join_keys=["id"], value_type=ValueType.{key})
shop = Entity(name="shop", join_keys=["shop"], value_type=ValueType.STRING)
table = FileSource(name="table", path="dataset.parquet")
people = FeatureView(
    name="people",
    entities=[person],
    source=table,
    online=True,
    schema=[
        Field(name="share", dtype=Float64),
        Field(name="code", dtype=Int64),
        Field(name="paid", dtype=Bool),
        Field(name="Plan", dtype=String),
    ],
)
shops = FeatureView(
    name="shops",
    entities=[shop],
    source=table,
    online=True,
    schema=[Field(name="visits_y", dtype=Int64)],
)
"""
# What Feast's join would lose has another name where it is asked.
SAME_TO_FEAST = {"visits_y": "visits"}

_LONG = st.one_of(st.integers(-3, 3), st.integers(2**53 - 2, 2**53 + 3), st.integers(-(2**63), 2**63 - 1))
_TEXT = st.one_of(
    st.sampled_from(["", " ", "a", "A", "ä", "'", '"', "a,b", "\n", "nan", "None"]), st.text(max_size=4)
)
_NUMBER = st.one_of(
    st.sampled_from([0.0, -0.0, 0.1, 1e308, 5e-324]), st.floats(allow_nan=False, allow_infinity=False)
)


def tables(key: st.SearchStrategy[Any], type_: pa.DataType) -> st.SearchStrategy[pa.Table]:
    columns = {
        "id": (key, type_),
        "shop": (st.one_of(st.none(), st.sampled_from(["s1", "s2"])), pa.string()),
        "share": (st.one_of(st.none(), _NUMBER), pa.float64()),
        "code": (st.one_of(st.none(), _LONG), pa.int64()),
        "paid": (st.one_of(st.none(), st.booleans()), pa.bool_()),
        "Plan": (st.one_of(st.none(), _TEXT), pa.string()),
        "visits_y": (st.one_of(st.none(), _LONG), pa.int64()),
        "given": (st.one_of(st.none(), _LONG), pa.int64()),
        "event_timestamp": (_NUMBER, pa.float64()),
    }
    rows = st.lists(st.tuples(*(values for values, _ in columns.values())), min_size=1, max_size=12)
    schema = pa.schema([(name, kind) for name, (_, kind) in columns.items()])
    return rows.map(
        lambda rows: pa.table(
            [
                pa.array(column, kind.type)
                for column, kind in zip(zip(*rows, strict=True), schema, strict=True)
            ],
            schema=schema,
        )
    )


def outcome(made: Any) -> Any:
    """What is made, all its bits and words; or what is told instead."""
    try:
        found: TrainingSet = made()
    except SluiceError as error:
        return type(error), error.what, error.why
    sides = [
        {name: [_bits(value) for value in column] for name, column in side.to_pydict().items()}
        for side in (found.train, found.held_out)
    ]
    return sides, [str(side.schema) for side in (found.train, found.held_out)], found.contract, found.summary


def _bits(value: Any) -> Any:
    return value.hex() if isinstance(value, float) else value


def both(table: pa.Table, key: str) -> tuple[Any, Any]:
    """What Feast's join and the rows themselves make of one table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, text in (
            ("project.toml", PROJECT.replace("{key}", key)),
            ("features.py", FEATURES.replace("{key}", "STRING" if key == "string" else "INT64")),
            ("train.py", ""),
        ):
            (folder / name).write_text(text)
        plan = compiled(folder)
        assert plan.rows_are_examples
        (folder / PLAN).write_text(plan.model_dump_json())
        rows = outcome(lambda: as_it_is.build(table, folder))

        for name in ("project.toml", "features.py"):
            text = (folder / name).read_text()
            for ours, theirs in SAME_TO_FEAST.items():
                text = text.replace(ours, theirs)
            (folder / name).write_text(text)
        named = table.rename_columns([SAME_TO_FEAST.get(name, name) for name in table.column_names])
        pq.write_table(named, folder / "data.parquet")
        (folder / "work").mkdir()
        joined = outcome(lambda: by_feast.build([folder / "data.parquet"], named, folder, folder / "work"))
    return rows, joined


_BY_NUMBER = tables(st.one_of(st.integers(0, 3), _LONG), pa.int64()).map(lambda table: (table, "integer"))
_BY_TEXT = tables(st.one_of(st.sampled_from(["a", "A", "1"]), _TEXT), pa.string()).map(
    lambda table: (table, "string")
)


@settings(deadline=None, max_examples=25)
@given(st.one_of(_BY_NUMBER, _BY_TEXT))
def test_feasts_join_gives_each_row_itself(given: tuple[pa.Table, str]) -> None:
    rows, joined = both(*given)
    assert str(joined).replace("visits", "visits_y") == str(rows)


@settings(deadline=None, max_examples=15)
@given(NAMES)
def test_what_init_writes_is_a_plan_of_all_features_whatever_they_are_called(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("named")
    draft = drafted_of(folder, names)
    assume(is_view(draft))
    write_project(folder / "p", draft)
    plan, project = compiled(folder / "p"), Project.load(folder / "p")
    assert plan.rows_are_examples
    (view,) = plan.views
    assert [key.name for key in view.keys] == [project.entity.key]
    assert tuple(value.name for value in view.features) == project.features.names
    assert plan.request == ()


def test_feast_stores_and_reads_what_is_called_oddly(tmp_path: Path) -> None:
    names = ['customer "id" ключ', "y", *ODD, *TAKEN]
    write_project(tmp_path / "p", drafted_of(tmp_path, names))
    plan = compiled(tmp_path / "p")
    (view,) = plan.views
    assert len(view.features) == len(names) - 2
    table = pq.read_table(tmp_path / "data.parquet").drop_columns(["y"])
    store = stored(plan, table, tmp_path)

    asked = [{names[0]: key} for key in table[names[0]].to_pylist()]
    found = store.get_online_features(
        features=[f"{view.name}:{value.name}" for value in view.features], entity_rows=asked
    ).to_dict()
    assert {name: found[name] for name in table.column_names} == table.to_pydict()


def stored(plan: FeaturePlan, table: pa.Table, folder: Path) -> FeatureStore:
    """The one view of a plan in a registry of Feast's and its online store, with the table's rows in it."""
    (view,) = plan.views
    moments = pa.array([0] * table.num_rows).cast(pa.timestamp("us", "UTC"))
    dated = table.append_column(MOMENT, moments)
    pq.write_table(dated, folder / "rows.parquet")
    (folder / "registry").mkdir()
    sources = {view.name: Source(folder / "rows.parquet", is_dated=False)}
    store = local_store(plan, load(folder / "p"), sources, folder / "registry")
    store.write_to_online_store(view.name, dated.to_pandas())
    return store
