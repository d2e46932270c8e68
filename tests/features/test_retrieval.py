"""Labels with the features of their moments: what is joined is what was known, and each label comes back once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from containers.features.build_training_set import build
from containers.features.definitions import load, plan_of
from containers.features.retrieval import examples
from containers.features.store import MOMENT, Join, joined_here
from sluice.errors import TrainingSetFailed
from sluice.features.windows import Engine
from sluice.project import Project

START = datetime(2026, 1, 1, tzinfo=UTC)

PROJECT = """
[project]
name = "shop"
[entity]
key = "customer_id"
timestamp = "at"
[target]
column = "left"
problem = "binary"
positive = "yes"
[columns.customer_id]
type = "string"
[columns.at]
type = "timestamp"
[columns.amount]
type = "number"
[columns.points]
type = "integer"
nullable = true
[features]
numeric = ["spent_7d", "visits_7d", "points", "ratio", "basket"]
[split]
held_out_share = 0.5
"""

FEATURES = """
from datetime import timedelta
import pandas as pd
from feast import BatchFeatureView, Entity, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.aggregation import Aggregation
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
log = FileSource(name="log", path="dataset.parquet", timestamp_field="at")
now = RequestSource(name="now", schema=[Field(name="basket", dtype=Float64)])
WEEK = timedelta(days=7)
activity = BatchFeatureView(
    name="activity", entities=[customer], source=log, online=True,
    schema=[Field(name="spent_7d", dtype=Float64), Field(name="visits_7d", dtype=Int64)],
    aggregations=[
        Aggregation(column="amount", function="sum", time_window=WEEK, name="spent_7d"),
        Aggregation(column="amount", function="count", time_window=WEEK, name="visits_7d"),
    ],
)
standing = FeatureView(
    name="standing", entities=[customer], source=log, online=True, ttl=timedelta(days=20),
    schema=[Field(name="points", dtype=Int64)],
)
@on_demand_feature_view(
    sources=[activity[["spent_7d"]], now], schema=[Field(name="ratio", dtype=Float64)], mode="python"
)
def ratio(inputs):
    nan = float("nan")
    pairs = zip(inputs["basket"], inputs["spent_7d"], strict=True)
    return {"ratio": [nan if s is None else b / (s + 1.0) for b, s in pairs]}

LABELS = pd.read_parquet(__import__("pathlib").Path(__file__).parent / "labels.parquet")

def build_labels(table):
    return LABELS
"""

BIG = 2**53 + 1


def day(days: float) -> datetime:
    return START + timedelta(days=days)


def log_of(rows: list[tuple[str, datetime, float, int | None]]) -> pa.Table:
    names, times, amounts, points = zip(*rows, strict=True)
    return pa.table(
        {
            "customer_id": pa.array(names),
            "at": pa.array(times, pa.timestamp("us", "UTC")),
            "amount": pa.array(amounts, pa.float64()),
            "points": pa.array(points, pa.int64()),
        }
    )


def found(
    tmp_path: Path, log: pa.Table, labels: list[tuple[str, datetime, float]], join: Join = joined_here
) -> pd.DataFrame:
    names, times, baskets = zip(*labels, strict=True)
    frame = pd.DataFrame(
        {
            "customer_id": names,
            "at": pd.to_datetime(list(times), utc=True),
            "basket": baskets,
            "left": ["yes", "no"] * (len(names) // 2) + ["yes"] * (len(names) % 2),
        }
    )
    code = tmp_path / "code"
    code.mkdir()
    (code / "project.toml").write_text(PROJECT)
    (code / "features.py").write_text(FEATURES)
    (code / "train.py").write_text("")
    frame.to_parquet(code / "labels.parquet")
    file, scratch = tmp_path / "data.parquet", tmp_path / "scratch"
    pq.write_table(log, file)
    scratch.mkdir()
    project, definitions = Project.load(code), load(code)
    return examples(
        log,
        plan_of(definitions, project),
        definitions,
        project,
        folder=code,
        scratch=scratch,
        aggregate=lambda view, moments: Engine([file], view, "at", scratch=scratch).at_moments(
            moments, MOMENT
        ),
        join=join,
    )


def test_each_label_has_what_was_known_at_its_moment(tmp_path: Path) -> None:
    log = log_of(
        [
            ("a", day(1), 10.0, 1),
            ("a", day(8), 5.0, BIG),
            ("a", day(9), 100.0, 3),
            ("b", day(2), 7.0, None),
        ]
    )
    made = found(
        tmp_path,
        log,
        [
            ("a", day(8), 12.0),  # an event at the moment counts; one a window before it does not
            ("a", day(8) - timedelta(microseconds=1), 12.0),
            ("a", day(0.5), 12.0),  # before all events
            ("b", day(3), 16.0),
            ("nobody", day(3), 16.0),
            ("a", day(40), 1.0),  # longer ago than the view's ttl, and than the window
            ("a", day(8), 3.0),  # the same customer at the same moment, asked for twice
        ],
    )
    nan = float("nan")
    assert made["spent_7d"].tolist() == pytest.approx([5.0, 10.0, nan, 7.0, nan, nan, 5.0], nan_ok=True)
    assert made["visits_7d"].tolist() == [1, 1, 0, 1, 0, 0, 1]
    assert [None if pd.isna(each) else int(each) for each in made["points"]] == [
        BIG,
        1,
        None,
        None,
        None,
        None,
        BIG,
    ]
    assert made["ratio"].tolist() == pytest.approx([2.0, 12 / 11, nan, 2.0, nan, nan, 0.5], nan_ok=True)
    assert made["basket"].tolist() == [12.0, 12.0, 12.0, 16.0, 16.0, 1.0, 3.0]
    assert made["customer_id"].tolist() == ["a", "a", "a", "b", "nobody", "a", "a"]
    assert made["left"].tolist() == ["yes", "no"] * 3 + ["yes"]


def test_of_two_rows_with_one_key_and_time_the_later_counts(tmp_path: Path) -> None:
    log = log_of([("a", day(1), 10.0, 1), ("b", day(1), 1.0, 7), ("a", day(1), 4.0, 2)])
    made = found(tmp_path, log, [("a", day(1), 0.0), ("b", day(2), 0.0)])
    assert made["spent_7d"].tolist() == [4.0, 1.0]
    assert made["visits_7d"].tolist() == [1, 1]
    assert made["points"].tolist() == [2, 7]


FLAT = """
[project]
name = "people"
[entity]
key = "id"
[target]
column = "left"
problem = "binary"
positive = "yes"
[columns.id]
type = "integer"
[columns.age]
type = "number"
[columns.plan]
type = "string"
nullable = true
[columns.left]
type = "string"
[features]
numeric = ["age"]
categorical = ["plan"]
[split]
held_out_share = 0.5
"""
PERSON = """
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, String
person = Entity(name="person", join_keys=["id"], value_type=ValueType.INT64)
people = FeatureView(
    name="people", entities=[person], online=True, source=FileSource(name="table", path="dataset.parquet"),
    schema=[Field(name="age", dtype=Float64), Field(name="plan", dtype=String)],
)
"""


def flat(tmp_path: Path, table: pa.Table, features: str = PERSON, join: Join = joined_here) -> pd.DataFrame:
    (tmp_path / "project.toml").write_text(FLAT)
    (tmp_path / "features.py").write_text(features)
    (tmp_path / "train.py").write_text("")
    pq.write_table(table, tmp_path / "data.parquet")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    made = build([tmp_path / "data.parquet"], table, tmp_path, scratch, join)
    frame: pd.DataFrame = pa.concat_tables([made.train, made.held_out]).to_pandas()
    return frame


def test_a_table_without_times_is_as_it_was_uploaded_each_row_for_itself(tmp_path: Path) -> None:
    numbers = range(40)
    table = pa.table(
        {
            "id": [number // 2 for number in numbers],  # each twice
            "age": [float(number) for number in numbers],
            "plan": [None if number % 5 == 0 else f"p{number}" for number in numbers],
            "left": ["yes" if number % 2 else "no" for number in numbers],
        }
    )
    made = flat(tmp_path, table).sort_values("age")
    assert made["age"].tolist() == [float(number) for number in numbers]
    assert [None if pd.isna(each) else each for each in made["plan"]] == table["plan"].to_pylist()
    assert made["left"].tolist() == table["left"].to_pylist()
    assert made["__key"].tolist() == [str(number // 2) for number in numbers]


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        ("def build_labels(table):\n    return 3\n", "build_labels returned a int"),
        ("def build_labels(table):\n    return table.head(0)\n", "build_labels returned no rows"),
        ("def build_labels(table):\n    return table[['id']]\n", "build_labels has no column 'left'"),
        (
            "def build_labels(table):\n    raise KeyError('x')\n",
            "build_labels of features.py raised KeyError",
        ),
    ],
)
def test_labels_that_are_none_are_told_of(tmp_path: Path, hook: str, told: str) -> None:
    table = pa.table({"id": [1, 2], "age": [1.0, 2.0], "plan": ["a", "b"], "left": ["yes", "no"]})
    with pytest.raises(TrainingSetFailed, match=told):
        flat(tmp_path, table, PERSON + hook)
