"""What a windowed aggregate means, example by example, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.features.plan import Aggregation, Function, Key
from sluice.features.windows import Engine
from tests.features.histories import view

_KEY = (Key(name="customer", type="string"),)
_DAY = 86_400_000_000
_MARCH = datetime(2026, 3, 1, tzinfo=UTC)
_TYPES: dict[str, Any] = {
    "customer": pa.string(),
    "at": pa.timestamp("us"),
    "amount": pa.float64(),
    "pieces": pa.int64(),
    "paid": pa.bool_(),
    "channel": pa.string(),
    "ordered": pa.timestamp("us"),
}
_SCHEMA: pa.Schema = pa.schema([pa.field(name, kind) for name, kind in _TYPES.items()])


def _event(days: float, customer: str | None = "C1", **values: Any) -> dict[str, Any]:
    return {"customer": customer, "at": (_MARCH + timedelta(days=days)).replace(tzinfo=None), **values}


def _part(folder: Path, name: str, rows: Sequence[dict[str, Any]]) -> Path:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist([dict.fromkeys(_SCHEMA.names) | row for row in rows], _SCHEMA), path)
    return path


def _features(
    folder: Path, parts: Sequence[Sequence[dict[str, Any]]], moments: pa.Table, *asked: Aggregation
) -> list[dict[str, Any]]:
    paths = [_part(folder, f"part-{number}", rows) for number, rows in enumerate(parts)]
    found = Engine(paths, view(_KEY, asked), "at", scratch=folder).at_moments(moments, "moment")
    rows: list[dict[str, Any]] = found.drop_columns(["customer", "moment"]).to_pylist()
    return rows


def _moments(*days: float, customer: str | None = "C1") -> pa.Table:
    return pa.table(
        {
            "customer": pa.array([customer] * len(days), pa.string()),
            "moment": pa.array([_MARCH + timedelta(days=each) for each in days], pa.timestamp("us", "UTC")),
        }
    )


def _of(function: Function, column: str | None = None, days: float | None = None, **rest: Any) -> Aggregation:
    window = None if days is None else round(days * _DAY)
    return Aggregation(name=function, function=function, column=column, window_microseconds=window, **rest)


def _one(folder: Path, events: Sequence[dict[str, Any]], aggregation: Aggregation, at: float = 30) -> Any:
    return _features(folder, [events], _moments(at), aggregation)[0][aggregation.name]


def test_a_window_is_closed_at_its_moment_and_open_at_its_other_end(tmp_path: Path) -> None:
    tick = 1 / _DAY
    found = _features(
        tmp_path, [[_event(0)]], _moments(-tick, 0, 7 - tick, 7, 7 + tick), _of("count", days=7)
    )
    assert [row["count"] for row in found] == [0, 1, 1, 0, 0]


def test_of_rows_with_one_key_and_time_the_later_part_counts_and_in_one_part_the_later_row(
    tmp_path: Path,
) -> None:
    first = [_event(0, amount=1.0), _event(1, amount=10.0), _event(1, amount=20.0)]
    second = [_event(0, amount=5.0)]
    found = _features(tmp_path, [first, second], _moments(2), _of("count"), _of("sum", "amount"))
    assert found == [{"count": 2, "sum": 25.0}]


def test_a_row_that_amends_another_takes_its_values_away_with_a_null(tmp_path: Path) -> None:
    parts = [[_event(0, amount=1.0), _event(1, amount=2.0)], [_event(1, amount=None)]]
    found = _features(tmp_path, parts, _moments(2), _of("count"), _of("sum", "amount"), _of("last", "amount"))
    assert found == [{"count": 2, "sum": 1.0, "last": 1.0}]


def test_a_file_that_is_there_twice_changes_nothing(tmp_path: Path) -> None:
    part = [_event(0, amount=0.1), _event(1, amount=0.2), _event(2, amount=0.3)]
    asked = (_of("count"), _of("sum", "amount"), _of("std", "amount"), _of("count_distinct", "amount"))
    once = _features(tmp_path, [part], _moments(3), *asked)
    assert _features(tmp_path, [part, part, part[1:]], _moments(3), *asked) == once


def test_a_row_without_a_key_or_a_time_is_no_event(tmp_path: Path) -> None:
    rows = [_event(0), _event(0, customer=None), {"customer": "C1", "at": None}]
    assert _one(tmp_path, rows, _of("count")) == 1


def test_of_an_entity_without_events_the_counts_are_zero_and_all_else_is_unknown(tmp_path: Path) -> None:
    asked = [_of("count"), _of("count_distinct", "channel")]
    asked += [_of(each, "amount") for each in ("sum", "mean", "min", "max", "std", "last")]
    asked += [
        _of("share", "channel", category="web"),
        _of("days_since_last", "at"),
        _of("days_since_first", "at"),
    ]
    for customer in ("nobody", None):
        moments = _moments(1, customer=customer)
        [found] = _features(tmp_path, [[_event(0, amount=1.0, channel="web")]], moments, *asked)
        assert (found.pop("count"), found.pop("count_distinct")) == (0, 0)
        assert set(found.values()) == {None}


def test_nulls_and_nan_are_left_out_of_all_but_the_count(tmp_path: Path) -> None:
    rows = [_event(day, amount=amount) for day, amount in enumerate([1.0, None, 3.0, math.nan])]
    asked = (_of("count"), _of("mean", "amount"), _of("last", "amount"), _of("count_distinct", "amount"))
    found = _features(tmp_path, [rows], _moments(5), *asked)
    assert found == [{"count": 4, "mean": 2.0, "last": 3.0, "count_distinct": 2}]


def test_a_share_is_of_the_values_that_are_there(tmp_path: Path) -> None:
    channels = ["web", "shop", None, "web", "web "]
    rows = [
        _event(day, channel=channel, paid=day < 1, pieces=day % 2) for day, channel in enumerate(channels)
    ]
    assert _one(tmp_path, rows, _of("share", "channel", category="web")) == 0.5
    assert _one(tmp_path, rows, _of("share", "paid", category="true")) == 0.2
    assert _one(tmp_path, rows, _of("share", "pieces", category="1")) == 0.4


def test_days_are_counted_in_fractions_from_the_values_own_time(tmp_path: Path) -> None:
    ordered = datetime(2026, 2, 1, 12)
    rows = [_event(0, ordered=ordered), _event(1.5)]
    asked = (_of("days_since_last", "at"), _of("days_since_first", "ordered"))
    assert _features(tmp_path, [rows], _moments(3), *asked) == [
        {"days_since_last": 1.5, "days_since_first": 30.5}
    ]


def test_a_deviation_is_that_of_a_sample_and_of_one_value_unknown(tmp_path: Path) -> None:
    rows = [_event(0, amount=2.0), _event(1, amount=4.0), _event(2, amount=9.0)]
    found = _features(tmp_path, [rows], _moments(0, 1, 2), _of("std", "amount"))
    # 2 and 4 lie 1 from their mean; 2, 4, 9 lie 3, 1 and 4 from 5: (9 + 1 + 16) / 2 = 13.
    assert [row["std"] for row in found] == [None, math.sqrt(2), math.sqrt(13)]


def test_integers_beyond_two_to_the_53_keep_their_digits(tmp_path: Path) -> None:
    rows = [_event(0, pieces=2**53 + 1), _event(1, pieces=-(2**63)), _event(2, pieces=2**63 - 1)]
    asked = (_of("min", "pieces"), _of("max", "pieces"), _of("last", "pieces"), _of("sum", "pieces"))
    assert _features(tmp_path, [rows], _moments(9), *asked) == [
        {"min": -(2**63), "max": 2**63 - 1, "last": 2**63 - 1, "sum": 2.0**53}
    ]


def test_an_amount_that_comes_and_goes_leaves_no_dust(tmp_path: Path) -> None:
    rows = [_event(0, amount=1e16), _event(1, amount=0.1), _event(2, amount=0.2)]
    # A running total would be 1e16 + 0.1 + 0.2 - 1e16, and that is 0.
    assert _one(tmp_path, rows, _of("sum", "amount", days=10), at=10.5) == 0.1 + 0.2


@pytest.mark.parametrize("amounts", [[-0.0], [0.0, -0.0], [-0.0, 0.0], [-0.0, 0.0, -0.0, 0.0]])
def test_the_least_and_the_greatest_of_zeros_is_plus_zero_and_all_are_one_value(
    tmp_path: Path, amounts: list[float]
) -> None:
    rows = [_event(day, amount=amount) for day, amount in enumerate(amounts)]
    asked = (
        _of("min", "amount"),
        _of("max", "amount"),
        _of("count_distinct", "amount"),
        _of("last", "amount"),
    )
    [found] = _features(tmp_path, [rows], _moments(9), *asked)
    assert [math.copysign(1, found[name]) for name in ("min", "max")] == [1, 1]
    assert found["count_distinct"] == 1
    assert math.copysign(1, found["last"]) == math.copysign(1, amounts[-1])


@pytest.mark.parametrize("ordered", [-(2**63) + 1, -(2**62) - 1, -(2**53) - 1, 2**62])
@pytest.mark.parametrize("moment", [2**63 - 1, 2**62 + 7, 2**53 + 3, 0])
def test_days_are_rounded_once_however_far_apart(tmp_path: Path, ordered: int, moment: int) -> None:
    times = {
        "at": pa.array([-5], pa.timestamp("us")),
        "ordered": pa.array([ordered], pa.int64()).cast(pa.timestamp("us")),
    }
    path = tmp_path / "part.parquet"
    pq.write_table(pa.table({"customer": pa.array(["C1"]), **times}), path)
    engine = Engine([path], view(_KEY, [_of("days_since_last", "ordered")]), "at", scratch=tmp_path)
    moments = pa.array([moment], pa.int64()).cast(pa.timestamp("us"))
    found = engine.at_moments(pa.table({"customer": pa.array(["C1"]), "moment": moments}), "moment")
    assert found["days_since_last"].to_pylist() == [(moment - ordered) / 86_400_000_000]


@pytest.mark.parametrize(
    ("amounts", "total", "deviation"),
    [
        ([math.inf, 1.0], math.inf, math.nan),
        ([-math.inf, 1.0], -math.inf, math.nan),
        ([math.inf, -math.inf], math.nan, math.nan),
        ([math.inf], math.inf, None),
    ],
)
def test_infinities_go_through_sums_as_they_do_through_any_addition(
    tmp_path: Path, amounts: list[float], total: float, deviation: float | None
) -> None:
    rows = [_event(day, amount=amount) for day, amount in enumerate(amounts)]
    asked = (_of("sum", "amount"), _of("mean", "amount"), _of("std", "amount"))
    [found] = _features(tmp_path, [rows], _moments(9), *asked)
    assert [found["sum"], found["mean"]] == pytest.approx([total, total], nan_ok=True)
    assert found["std"] == pytest.approx(deviation, nan_ok=True)


def test_moments_are_instants_whatever_their_zone_and_unit(tmp_path: Path) -> None:
    instant = _MARCH + timedelta(days=7)
    tokyo = pa.array([instant.astimezone(timezone(timedelta(hours=9)))], pa.timestamp("us", "Asia/Tokyo"))
    finer = pa.array([instant], pa.timestamp("us", "UTC")).cast(pa.timestamp("ns", "UTC"))
    whole = pa.array([instant], pa.timestamp("us", "UTC")).cast(pa.timestamp("s", "UTC"))
    for moments in (tokyo, finer, whole):
        table = pa.table({"customer": ["C1"], "moment": moments})
        found = _features(tmp_path, [[_event(0), _event(7)]], table, _of("count", days=7))
        assert found == [{"count": 1}]


def test_a_moment_between_two_microseconds_sees_what_the_earlier_one_sees(tmp_path: Path) -> None:
    before_1970 = {"customer": "C1", "at": datetime(1969, 12, 31, 23, 59, 59, 999_999)}
    # 1.5 and 0.5 microseconds before 1970: the event is 1 microsecond before it.
    moments = pa.array([-1500, -500], pa.int64()).cast(pa.timestamp("ns", "UTC"))
    table = pa.table({"customer": ["C1", "C1"], "moment": moments})
    assert _features(tmp_path, [[before_1970]], table, _of("count")) == [{"count": 0}, {"count": 1}]


def test_an_entity_is_served_from_its_first_event_on_in_the_order_of_keys(tmp_path: Path) -> None:
    part = _part(tmp_path, "part", [_event(0, "C2"), _event(5, "C1"), _event(1, "C10"), _event(9, "C3")])
    engine = Engine([part], view(_KEY, [_of("count", days=4)]), "at", scratch=tmp_path, rows_at_once=2)
    fifth = int((_MARCH + timedelta(days=5)).timestamp()) * 1_000_000
    # C2 has been silent for longer than the window, and is there with a 0; of C3 nothing is known yet.
    assert engine.all_as_of(fifth).to_pylist() == [
        {"customer": "C1", "count": 1},
        {"customer": "C10", "count": 0},
        {"customer": "C2", "count": 0},
    ]


def test_no_moments_and_no_entities_give_tables_with_every_column(tmp_path: Path) -> None:
    part = _part(tmp_path, "part", [_event(0, channel="web")])
    engine = Engine([part], view(_KEY, [_of("last", "channel"), _of("count")]), "at", scratch=tmp_path)
    none = engine.at_moments(_moments(), "moment")
    assert none.num_rows == 0
    assert [str(each) for each in none.schema.types[2:]] == ["string", "int64"]
    nobody = engine.all_as_of(int((_MARCH - timedelta(days=1)).timestamp()) * 1_000_000)
    assert nobody.num_rows == 0
    assert [str(each) for each in nobody.schema.types] == ["string", "string", "int64"]
