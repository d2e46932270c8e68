"""Feast's own point-in-time join, on its duckdb store, over what the engine makes and over the log itself."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.features.plan import Aggregation
from sluice.features.windows import Engine
from tests.features.histories import (
    BUSY_KEYS,
    COLUMNS,
    TIME,
    busy_history,
    busy_labels,
    moments_table,
    rows_of,
    table,
    view,
)

feast = pytest.importorskip("feast", reason="Feast has an environment of its own")
# Feast's dependencies warn of their own future.
pytestmark = pytest.mark.filterwarnings("ignore")

_DAY = 86_400_000_000
_ASKED = [
    Aggregation(name="events_7d", function="count", window_microseconds=7 * _DAY),
    Aggregation(name="spent_30d", function="sum", column="amount", window_microseconds=30 * _DAY),
    Aggregation(name="mean_30d", function="mean", column="amount", window_microseconds=30 * _DAY),
    Aggregation(name="spread", function="std", column="amount"),
    Aggregation(name="most_pieces", function="max", column="pieces"),
    Aggregation(name="least", function="min", column="amount", window_microseconds=3 * _DAY),
    Aggregation(name="channels", function="count_distinct", column="channel"),
    Aggregation(name="web", function="share", column="channel", category="web"),
    Aggregation(name="channel_now", function="last", column="channel"),
    Aggregation(name="pieces_now", function="last", column="pieces"),
    Aggregation(name="paid_now", function="last", column="paid"),
    Aggregation(name="ordered_now", function="last", column="ordered"),
    Aggregation(name="silent_days", function="days_since_last", column=TIME),
]
_FEAST = {
    "string": "String",
    "integer": "Int64",
    "number": "Float64",
    "boolean": "Bool",
    "timestamp": "UnixTimestamp",
}


def _retrieved(folder: Path, source: Path, kinds: dict[str, str], labels: list[dict[str, Any]]) -> pa.Table:
    """Ask Feast for features of a Parquet file at the labels' moments; the rows in the labels' order."""
    from feast.repo_config import RepoConfig

    store = feast.FeatureStore(
        config=RepoConfig(
            project="join",
            registry=str(folder / "registry.db"),
            provider="local",
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    types = {"string": feast.ValueType.STRING, "integer": feast.ValueType.INT64}
    entities = [
        feast.Entity(name=key.name, join_keys=[key.name], value_type=types[key.type]) for key in BUSY_KEYS
    ]
    activity = feast.FeatureView(
        name="activity",
        entities=entities,
        ttl=timedelta(0),
        schema=[feast.Field(name=name, dtype=getattr(feast.types, kind)) for name, kind in kinds.items()],
        source=feast.FileSource(
            name="source", path=str(source), timestamp_field="moment", created_timestamp_column="created"
        ),
    )
    store.apply([*entities, activity])
    moments = moments_table(labels, BUSY_KEYS).rename_columns(
        [*(key.name for key in BUSY_KEYS), "event_timestamp"]
    )
    asked: Any = moments.append_column("row", pa.array(range(len(labels)))).to_pandas()
    asked["event_timestamp"] = asked["event_timestamp"].dt.tz_localize("UTC")
    job = store.get_historical_features(asked, [f"activity:{name}" for name in kinds])
    found = job.to_arrow().sort_by("row")
    assert found.column("row").to_pylist() == list(range(len(labels)))
    features: pa.Table = found.select(list(kinds))
    return features


@pytest.mark.parametrize("seed", range(3))
def test_feast_joins_to_each_label_what_the_engine_computed_for_it(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    history, labels = busy_history(draw, nulls=True), busy_labels(draw)
    engine = Engine(history.write(tmp_path), view(BUSY_KEYS, _ASKED), TIME, scratch=tmp_path)
    computed = engine.at_moments(moments_table(labels, BUSY_KEYS), "moment")
    source = tmp_path / "features.parquet"
    pq.write_table(computed.append_column("created", computed.column("moment")), source)

    kinds = {each.name: _FEAST[each.result(COLUMNS.get(each.column or ""))] for each in _ASKED}
    found = _retrieved(tmp_path, source, kinds, labels)
    assert rows_of(found) == rows_of(computed.select(list(kinds)))


@pytest.mark.parametrize("seed", range(3))
def test_the_last_values_are_those_that_feast_finds_in_the_log_itself(tmp_path: Path, seed: int) -> None:
    # Feast takes whole rows, the latest, and of equal times the latest created: without nulls, that is `last`.
    draw = random.Random(seed)
    history, labels = busy_history(draw, nulls=False), busy_labels(draw)
    columns = [name for name in COLUMNS if name != TIME]
    last = [Aggregation(name=name, function="last", column=name) for name in columns]
    engine = Engine(history.write(tmp_path), view(BUSY_KEYS, last), TIME, scratch=tmp_path)
    computed = engine.at_moments(moments_table(labels, BUSY_KEYS), "moment").select(columns)

    log = table([row for part in history.parts for row in part], history.types)
    names = ["moment" if name == TIME else name for name in log.column_names]
    created = pa.array(range(log.num_rows), pa.int64()).cast(pa.timestamp("us"))
    source = tmp_path / "log.parquet"
    pq.write_table(log.rename_columns(names).append_column("created", created), source)
    found = _retrieved(tmp_path, source, {name: _FEAST[COLUMNS[name]] for name in columns}, labels)
    assert rows_of(found) == rows_of(computed)
