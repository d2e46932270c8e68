"""A flat table as one view: what Feast's join gives each of its rows is the row itself, so nobody has to ask it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from containers.features import build_training_set as by_feast
from containers.features.definitions import compiled
from containers.process import build_training_set as as_it_is
from containers.training_set.examples import TrainingSet
from sluice.errors import SluiceError
from sluice.features.source import PLAN

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
