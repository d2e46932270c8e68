"""Which rows of a log are events, and what their columns are read as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.features.events import EventLog
from sluice.features.plan import Aggregation, Key, Value, View

_VIEW = View(
    name="activity",
    keys=(Key(name="customer", type="string"), Key(name="card", type="integer")),
    features=(Value(name="latest", type="string"),),
    aggregations=(Aggregation(name="latest", function="last", column="channel"),),
)


def _log(folder: Path, **changes: Any) -> EventLog:
    columns: dict[str, Any] = {
        "customer": ["C1", "C2", None, "C1"],
        "card": [1, 2, 3, None],
        "at": pa.array([10, 20, 30, 40], pa.timestamp("us")),
        "channel": ["web", None, "web", "web"],
        "never asked for": [0, 0, 0, 0],
    }
    pq.write_table(pa.table(columns | changes), folder / "part.parquet")
    return EventLog.open([folder / "part.parquet"], _VIEW, "at")


def _read(log: EventLog, **rest: Any) -> list[dict[str, Any]]:
    return [row for batch in log.batches(**rest) for row in batch.to_pylist()]


def test_rows_with_every_key_and_a_time_up_to_the_last_that_is_asked_for_are_read(tmp_path: Path) -> None:
    first = {"customer": "C1", "card": 1, "at": 10, "channel": "web"}
    second = {"customer": "C2", "card": 2, "at": 20, "channel": None}
    assert _read(_log(tmp_path), until=100) == [first, second]
    assert _read(_log(tmp_path), until=20) == [first, second]
    assert _read(_log(tmp_path), until=19) == [first]


def test_rows_of_entities_that_nobody_asks_for_are_left_out(tmp_path: Path) -> None:
    among = {"customer": pa.array(["C2", "C1"], pa.large_string()), "card": pa.array([2, None], pa.int64())}
    assert [row["customer"] for row in _read(_log(tmp_path), until=100, among=among)] == ["C2"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("customer", pa.array(["C1", "C2", None, "C1"]).dictionary_encode()),
        ("customer", pa.array(["C1", "C2", None, "C1"], pa.large_string())),
        ("card", pa.array([1, 2, 3, None], pa.int16())),
        ("card", pa.array([1, 2, 3, None], pa.uint64())),
        ("at", pa.array([10_000, 20_000, 30_000, 40_000], pa.timestamp("ns", "UTC"))),
        ("at", pa.array([10, 20, 30, 40], pa.timestamp("us", "America/New_York"))),
    ],
)
def test_other_writers_types_of_the_same_values_are_read_as_the_same(
    tmp_path: Path, column: str, values: Any
) -> None:
    usual = _read(_log(tmp_path), until=100)
    assert _read(_log(tmp_path, **{column: values}), until=100) == usual
