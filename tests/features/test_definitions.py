"""From features.py to the feature plan, and what a person is told who defined what cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from containers.features.definitions import compiled
from sluice.errors import ProjectError
from sluice.features.plan import Aggregation, FeaturePlan, Key, OnDemand, Value, View

ROOT = Path(__file__).resolve().parents[2]

PROJECT = """
[project]
name = "shop"
[entity]
key = "customer_id"
timestamp = "at"
[target]
column = "churned"
problem = "binary"
positive = "yes"
[columns.customer_id]
type = "string"
[columns.at]
type = "timestamp"
[columns.amount]
type = "number"
[columns.pieces]
type = "integer"
[columns.channel]
type = "string"
[features]
numeric = ["spent", "visits"]
"""

HEAD = """
from datetime import timedelta
from feast import BatchFeatureView, Entity, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.aggregation import Aggregation
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float32, Float64, Int64, String
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
log = FileSource(name="log", path="dataset.parquet", timestamp_field="at")
"""

SPENT = 'Aggregation(column="amount", function="sum", time_window=timedelta(days=30), name="spent")'
VISITS = 'Aggregation(column="amount", function="count", name="visits")'


def view(*aggregations: str, name: str = "activity", entity: str = "customer", more: str = "") -> str:
    listed = ", ".join(aggregations)
    return (
        f'{name} = BatchFeatureView(name="{name}", entities=[{entity}], source=log, online=True, '
        f"aggregations=[{listed}]{more})\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project.toml").write_text(PROJECT)
    (tmp_path / "train.py").write_text("")
    return tmp_path


def plan(folder: Path, text: str, project: str = PROJECT) -> FeaturePlan:
    (folder / "features.py").write_text(HEAD + text)
    (folder / "project.toml").write_text(project)
    return compiled(folder)


def refusal(folder: Path, text: str, project: str = PROJECT) -> str:
    with pytest.raises(ProjectError) as refused:
        plan(folder, text, project)
    return str(refused.value)


def test_aggregations_of_an_event_log(folder: Path) -> None:
    made = plan(folder, view(SPENT, VISITS, more=", ttl=timedelta(days=90)"))
    assert made == FeaturePlan(
        timestamp="at",
        views=(
            View(
                name="activity",
                keys=(Key(name="customer_id", type="string"),),
                features=(Value(name="spent", type="number"), Value(name="visits", type="integer")),
                aggregations=(
                    Aggregation(
                        name="spent", function="sum", column="amount", window_microseconds=30 * 86_400_000_000
                    ),
                    Aggregation(name="visits", function="count"),
                ),
                ttl_microseconds=90 * 86_400_000_000,
            ),
        ),
        model=("activity:spent", "activity:visits"),
    )
    assert made.stored() == {"activity": ("spent", "visits")}


def test_an_aggregation_without_a_name_has_feasts(folder: Path) -> None:
    project = PROJECT.replace('"spent", "visits"', '"sum_amount_604800s", "max_pieces"')
    made = plan(
        folder,
        view(
            'Aggregation(column="amount", function="sum", time_window=timedelta(days=7))',
            'Aggregation(column="pieces", function="max")',
        ),
        project,
    )
    assert made.model == ("activity:sum_amount_604800s", "activity:max_pieces")
    assert made.views[0].features[1] == Value(name="max_pieces", type="integer")


def test_columns_of_the_dataset_as_they_are_and_what_a_request_brings(folder: Path) -> None:
    project = PROJECT.replace('["spent", "visits"]', '["pieces", "amount"]').replace('timestamp = "at"\n', "")
    text = (
        'table = FileSource(name="t", path="dataset.parquet")\n'
        'person = FeatureView(name="person", entities=[customer], source=table, online=True,'
        ' schema=[Field(name="pieces", dtype=Int64), Field(name="channel", dtype=String)])\n'
    )
    made = plan(folder, text, project)
    assert made.timestamp is None
    assert [each.name for each in made.views[0].features] == ["pieces", "channel"]
    assert made.model == ("person:pieces", "amount")
    assert made.request == (Value(name="amount", type="number"),), "in no view: a request brings it"
    assert made.stored() == {"person": ("pieces",)}


ON_DEMAND = """
now = RequestSource(name="now", schema=[Field(name="basket", dtype=Float64)])
@on_demand_feature_view(
    sources=[activity[["spent"]], now], schema=[Field(name="visits", dtype=Float64)], mode="python"
)
def ratio(inputs):
    return {"visits": [b / (s + 1.0) for s, b in zip(inputs["spent"], inputs["basket"], strict=True)]}
"""
SCHEMA = ', schema=[Field(name="spent", dtype=Float64)]'


def test_an_on_demand_view_is_kept_as_a_text_that_stands_alone(folder: Path) -> None:
    made = plan(folder, view(SPENT, more=SCHEMA) + ON_DEMAND)
    (kept,) = made.on_demand
    assert isinstance(kept, OnDemand)
    assert kept.inputs == ("spent", "basket")
    assert made.request == (Value(name="basket", type="number"),)
    assert made.stored() == {"activity": ("spent",)}
    names: dict[str, object] = {}
    exec(kept.source, names)
    function = names[kept.function]
    assert callable(function)
    assert function({"spent": [1.0, 3.0], "basket": [4.0, 2.0]}) == {"visits": [2.0, 0.5]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ["features.py defines no feature view"]),
        (
            view(SPENT.replace('"amount"', '"amonut"'), VISITS),
            ["there is no column 'amonut' in the dataset, did you mean 'amount'?", "view 'activity'"],
        ),
        (
            view(SPENT) + view(VISITS, name="other").replace('name="other"', 'name="activity"'),
            ["two views have the name 'activity'"],
        ),
        (
            'v = FeatureView(name="v", entities=[customer], source=log, schema=[Field(name="pices", dtype=Int64)])\n',
            ["view 'v'", "there is no column 'pices' in the dataset, did you mean 'pieces'?"],
        ),
        (
            view(SPENT) + view(VISITS, name="other").replace('name="other"', 'name="Activity"'),
            ["the views 'activity' and 'Activity' differ in capitals only", "to Feast they have one name"],
        ),
        (
            view(SPENT, VISITS) + view(VISITS, name="other"),
            ["two features have the name 'visits'"],
        ),
        (
            "customer = Entity(name='customer', join_keys=['customer_id'], value_type=ValueType.INT64)\n"
            + view(SPENT, VISITS),
            [
                "entity 'customer' has keys of type INT64, and column 'customer_id' is of type string",
                "STRING",
            ],
        ),
        (
            "customer = Entity(name='customer', join_keys=['amount'], value_type=ValueType.STRING)\n"
            + view(SPENT, VISITS),
            ["the join key 'amount' is of type number"],
        ),
        (
            "customer = Entity(name='customer', join_keys=['customer'], value_type=ValueType.STRING)\n"
            + view(SPENT, VISITS),
            ["the join key 'customer' of entity 'customer' is no column", "did you mean 'customer_id'?"],
        ),
        (
            view(SPENT.replace('"amount"', '"channel"'), VISITS),
            ["sum of 'channel', which is of type string", "sum is for integer and number columns"],
        ),
        (
            view(SPENT.replace("days=30", "days=0"), VISITS),
            ["aggregation 'spent' has a window of 0:00:00"],
        ),
        (
            view(SPENT.replace('"sum"', '"median"'), VISITS),
            ["aggregation 'spent'", "functions are count, sum, mean"],
        ),
        (
            view(SPENT.replace('"sum"', '"share"'), VISITS),
            ["share of 'amount', which is of type number"],
        ),
        (
            view(SPENT.replace('"amount"', '"channel"').replace('"sum"', '"share"'), VISITS),
            ["share of 'channel': a category is for share, and needed there"],
        ),
        (view(SPENT), ["no view makes the feature 'visits'", "the views of features.py make spent"]),
        (
            "log = FileSource(name='log', path='dataset.parquet', timestamp_field='when')\n"
            + view(SPENT, VISITS),
            ["its source has the event time 'when', and project.toml says 'at'"],
        ),
        (
            view(SPENT, VISITS, more=', schema=[Field(name="spent", dtype=Int64)]'),
            ["its schema is", "leave the schema out"],
        ),
        (
            'v = FeatureView(name="v", entities=[customer], source=log,'
            ' schema=[Field(name="amount", dtype=Float32)])\n',
            ["field 'amount' is declared as Float32, and the column is of type number", "dtype=Float64"],
        ),
        (
            view(SPENT, more=SCHEMA) + "FACTOR = 2\n" + ON_DEMAND.replace("(s + 1.0)", "(s + FACTOR)"),
            ["on-demand view 'ratio'", "its function uses FACTOR from outside of itself"],
        ),
        (
            view(SPENT, more=SCHEMA) + ON_DEMAND.replace('mode="python"', 'mode="python", singleton=True'),
            ["its mode is python, singleton"],
        ),
        (
            view(SPENT, more=SCHEMA) + ON_DEMAND.replace("b / (s + 1.0)", "None"),
            ["its function does not run on sample values"],
        ),
        (
            view(SPENT) + ON_DEMAND.replace('activity[["spent"]]', "activity"),
            ["its source 'activity' has no features to give it"],
        ),
        (
            "import sklearn_that_is_not_there\n",
            ["importing features.py raised ModuleNotFoundError", "features.py:9"],
        ),
        ("view = (\n", ["importing features.py raised SyntaxError", "features.py:9"]),
    ],
)
def test_what_cannot_be_is_said_with_its_place(folder: Path, text: str, told: list[str]) -> None:
    said = refusal(folder, text)
    for each in told:
        assert each in said
    assert "to do" in said


def test_a_row_that_holds_its_features_already_needs_no_join(folder: Path) -> None:
    project = PROJECT.replace('["spent", "visits"]', '["pieces"]').replace('timestamp = "at"\n', "")
    text = (
        'table = FileSource(name="t", path="dataset.parquet")\n'
        'person = FeatureView(name="person", entities=[customer], source=table, online=True,'
        ' schema=[Field(name="pieces", dtype=Int64)])\n'
    )
    assert plan(folder, text, project).rows_are_examples
    assert not plan(folder, text + "def build_labels(table): ...\n", project).rows_are_examples


def named(name: str, other: str = "pieces") -> tuple[str, str]:
    """A project with a view of two columns that are called so, at event times."""
    columns = f"[columns.{name!r}]\ntype = 'integer'\n" if name != other else ""
    project = PROJECT.replace('["spent", "visits"]', f"[{name!r}]").replace(
        '[columns.pieces]\ntype = "integer"\n', f"[columns.{other!r}]\ntype = 'integer'\n{columns}"
    )
    text = (
        'person = FeatureView(name="person", entities=[customer], source=log, online=True,'
        f" schema=[Field(name={name!r}, dtype=Int64), Field(name={other!r}, dtype=Int64)])\n"
    )
    return text, project


@pytest.mark.parametrize(
    ("name", "other", "told"),
    [
        ("a:b", "pieces", ["there can be no feature 'a:b'", "a colon parts a view from its feature"]),
        (
            "event_timestamp",
            "pieces",
            ["no feature 'event_timestamp'", "Feast calls the moment event_timestamp"],
        ),
        ("rn", "pieces", ["no feature 'rn'", "Feast's join has a column rn of its own"]),
        ("size_y", "pieces", ["no feature 'size_y'", "drops columns whose names end in _y"]),
        ("Pieces", "pieces", ["'Pieces' and 'pieces' differ in capitals only", "they are one column"]),
    ],
)
def test_a_name_that_the_join_takes_for_another_is_refused(
    folder: Path, name: str, other: str, told: list[str]
) -> None:
    said = refusal(folder, *named(name, other))
    for each in (*told, "give "):
        assert each in said


@pytest.mark.parametrize("name", ["rn", "size_y", "Pieces"])
def test_without_a_join_its_names_are_free(folder: Path, name: str) -> None:
    text, project = named(name)
    text = text.replace("source=log", 'source=FileSource(name="t", path="dataset.parquet")')
    assert plan(folder, text, project.replace('timestamp = "at"\n', "")).model == (f"person:{name}",)


def test_a_request_field_is_not_called_as_the_moment_is(folder: Path) -> None:
    project = PROJECT.replace('"spent", "visits"', '"spent", "visits", "event_timestamp"').replace(
        "[columns.channel]", '[columns.event_timestamp]\ntype = "number"\n[columns.channel]'
    )
    assert "there can be no request field 'event_timestamp'" in refusal(folder, view(SPENT, VISITS), project)


def test_a_join_key_is_no_request_field(folder: Path) -> None:
    project = PROJECT.replace('"spent", "visits"', '"spent", "visits", "customer_id"')
    assert "it is a join key: who names an entity brings it already" in refusal(
        folder, view(SPENT, VISITS), project
    )


def test_events_need_their_time(folder: Path) -> None:
    text = view(SPENT, VISITS).replace("source=log", 'source=FileSource(name="t", path="x.parquet")')
    said = refusal(folder, text, PROJECT.replace('timestamp = "at"\n', ""))
    assert "it sums up events, and the dataset has no event times" in said


def test_the_command_prints_the_plan_or_what_is_wrong(folder: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "containers.features", "plan", str(folder)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    (folder / "features.py").write_text(HEAD + view(SPENT, VISITS) + "print('a word of its own')\n")
    done = run()
    assert done.returncode == 0, done.stderr
    assert FeaturePlan.model_validate_json(done.stdout.splitlines()[-1]) == compiled(folder)
    (folder / "features.py").write_text(HEAD + view(SPENT))
    done = run()
    assert done.returncode == 1
    assert "no view makes the feature 'visits'" in done.stderr
    assert "Traceback" not in done.stderr
