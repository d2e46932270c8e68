"""Feast's registry of a project: the same bytes each time, and what Feast itself finds in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from containers.features.definitions import read
from containers.features.registry import registry_of

feast = pytest.importorskip("feast", reason="Feast has an environment of its own")
from feast.repo_config import RepoConfig  # noqa: E402
from feast.types import Bool, Float64, Int64, String  # noqa: E402

# Feast's dependencies warn of their own future.
pytestmark = pytest.mark.filterwarnings("ignore")

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
[columns.shop]
type = "integer"
[columns.at]
type = "timestamp"
[columns.amount]
type = "number"
[columns.channel]
type = "string"
[columns.member]
type = "boolean"
[features]
numeric = ["spent", "visits_7d", "app", "ratio", "doubled"]
categorical = ["channel", "member"]
"""
FEATURES = """
from datetime import timedelta
from feast import BatchFeatureView, Entity, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.aggregation import Aggregation
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float64, Int64, String

customer = Entity(name="customer", join_keys=["customer_id"], description="who buys")
place = Entity(name="place", join_keys=["shop"], value_type=ValueType.INT64)
log = FileSource(name="log", path="dataset.parquet", timestamp_field="at")
activity = BatchFeatureView(
    name="activity",
    entities=[customer],
    source=log,
    ttl=timedelta(days=90),
    owner="growth",
    tags={"team": "growth", "a": "1", "b": "2", "c": "3"},
    schema=[
        Field(name="spent", dtype=Float64, description="in euros", tags={"unit": "EUR"}),
        Field(name="visits_7d", dtype=Int64),
        Field(name="app", dtype=Float64),
    ],
    aggregations=[
        Aggregation(column="amount", function="sum", name="spent"),
        Aggregation(column="amount", function="count", time_window=timedelta(days=7), name="visits_7d"),
        Aggregation(column="channel", function="share:app", time_window=timedelta(hours=36), name="app"),
    ],
)
profile = FeatureView(
    name="profile",
    entities=[customer, place],
    source=log,
    schema=[Field(name="channel", dtype=String), Field(name="member", dtype=Bool)],
)
now = RequestSource(name="now", schema=[Field(name="basket", dtype=Float64)])

@on_demand_feature_view(
    sources=[activity[["visits_7d", "spent"]], profile, now],
    schema=[Field(name="ratio", dtype=Float64)],
    mode="python",
)
def against(inputs):
    import math
    return {"ratio": [math.sqrt(b) / s for s, b in zip(inputs["spent"], inputs["basket"], strict=True)]}

@on_demand_feature_view(
    sources=[activity[["spent"]]], schema=[Field(name="doubled", dtype=Float64)], mode="pandas"
)
def twice(inputs):
    import pandas as pd
    return pd.DataFrame({"doubled": inputs["spent"] * 2})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    (made / "project.toml").write_text(PROJECT)
    (made / "train.py").write_text("")
    (made / "features.py").write_text(FEATURES)
    return made


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Any:
    """What Feast makes of the registry."""
    (tmp_path / "registry.db").write_bytes(registry_of(*read(folder), "shop_dev"))
    return feast.FeatureStore(config=config(tmp_path, "shop_dev"))


def config(folder: Path, project: str) -> RepoConfig:
    return RepoConfig(
        project=project,
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        offline_store={"type": "duckdb"},
        entity_key_serialization_version=3,
    )


def compile_elsewhere(project: Path, made: Path, seed: str) -> bytes:
    command = [sys.executable, "-m", "containers.features", "plan", str(project), "shop_dev", str(made)]
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made.read_bytes()


def test_the_same_definitions_are_the_same_bytes_wherever_they_lie_and_whoever_hashes(
    folder: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere" / "moved"
    shutil.copytree(folder, moved, ignore=shutil.ignore_patterns("__pycache__"))
    first = compile_elsewhere(folder, tmp_path / "first.db", "1")
    assert compile_elsewhere(moved, tmp_path / "second.db", "2") == first
    assert registry_of(*read(folder), "shop_dev") == first
    assert str(tmp_path).encode() not in first


def test_another_definition_or_another_store_is_another_registry(folder: Path) -> None:
    first = registry_of(*read(folder), "shop_dev")
    assert registry_of(*read(folder), "shop_prod") != first
    (folder / "features.py").write_text(FEATURES.replace("days=90", "days=91"))
    assert registry_of(*read(folder), "shop_dev") != first


def test_feast_finds_the_entities_with_the_types_of_the_dataset(opened: Any) -> None:
    found = {each.name: (each.join_key, each.value_type) for each in opened.list_entities()}
    assert found == {
        "customer": ("customer_id", feast.ValueType.STRING),
        "place": ("shop", feast.ValueType.INT64),
    }
    assert opened.get_entity("customer").description == "who buys"


def test_feast_finds_the_views_with_their_keys_types_and_words(opened: Any) -> None:
    found = {each.name: each for each in opened.list_batch_feature_views()}
    assert found.keys() == {"activity", "profile"}
    activity, profile = found["activity"], found["profile"]
    assert [(each.name, each.dtype) for each in activity.features] == [
        ("spent", Float64),
        ("visits_7d", Int64),
        ("app", Float64),
    ]
    assert [each.description for each in activity.features] == [
        "in euros",
        "count of events, last 7 days",
        "share of channel 'app', last 1 day, 12:00:00",
    ]
    assert activity.features[0].tags == {"unit": "EUR"}
    assert (activity.ttl, activity.owner, activity.tags["team"]) == (timedelta(days=90), "growth", "growth")
    assert activity.entities == ["customer"]
    assert activity.online
    assert [(each.name, each.dtype) for each in profile.features] == [("channel", String), ("member", Bool)]
    assert [(each.name, each.dtype) for each in profile.entity_columns] == [
        ("customer_id", String),
        ("shop", Int64),
    ]


def test_feast_finds_what_they_are_read_from_once(opened: Any) -> None:
    assert sorted(each.name for each in opened.list_data_sources()) == ["log", "now"]


@pytest.mark.parametrize(
    ("name", "inputs", "made"),
    [
        (
            "against",
            {"visits_7d": [1, 2], "spent": [2.0, 4.0], "basket": [16.0, 25.0]},
            {"ratio": [2.0, 1.25]},
        ),
        ("twice", {"spent": [2.0, 4.5]}, {"doubled": [4.0, 9.0]}),
    ],
)
def test_feast_runs_an_on_demand_view_from_it(
    opened: Any,
    name: str,
    inputs: dict[str, list[float]],
    made: dict[str, list[float]],
) -> None:
    import pyarrow as pa

    view = {each.name: each for each in opened.list_on_demand_feature_views()}[name]
    answer = view.transform_arrow(pa.table(inputs)).to_pydict()
    assert {name: answer[name] for name in made} == made


def test_feast_reads_features_online_by_it_and_makes_those_on_demand(opened: Any) -> None:
    # On AWS, CDK makes the tables.
    opened._get_provider().update_infra("shop_dev", [], opened.list_batch_feature_views(), [], [], True)
    at = pd.to_datetime(["2026-01-01", "2026-01-01"], utc=True)
    spent = {"spent": [2.0, 4.0], "visits_7d": [1, 2], "app": [0.5, None]}
    members = {"shop": [7, 7], "channel": ["app", "web"], "member": [True, False]}
    for view, values in (("activity", spent), ("profile", members)):
        frame = pd.DataFrame({"customer_id": ["A", "B"], **values, "at": at})
        opened.write_to_online_store(view, frame, transform_on_write=False)

    found = opened.get_online_features(
        ["activity:spent", "activity:visits_7d", "profile:member", "against:ratio", "twice:doubled"],
        [
            {"customer_id": "A", "shop": 7, "basket": 16.0},
            {"customer_id": "B", "shop": 7, "basket": 25.0},
        ],
    ).to_dict()

    assert found == {
        "customer_id": ["A", "B"],
        "shop": [7, 7],
        "spent": [2.0, 4.0],
        "visits_7d": [1, 2],
        "member": [True, False],
        "ratio": [2.0, 1.25],
        "doubled": [4.0, 8.0],
    }


def test_feast_that_looks_writes_nothing(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "registry.db"
    file.write_bytes(registry_of(*read(folder), "shop_dev"))
    before = file.read_bytes()
    store = feast.FeatureStore(config=config(tmp_path, "shop_dev"))
    looks: list[Callable[[], object]] = [
        store.list_entities,
        store.list_feature_views,
        store.list_on_demand_feature_views,
        store.list_feature_services,
        store.list_projects,
        store.refresh_registry,
    ]
    for look in looks:
        look()
    assert file.read_bytes() == before
