"""Histories for hypothesis to make up: every type, edge and magnitude, in few rows that often meet."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from sluice.features.plan import Aggregation, Function, Key, Type, Value, View
from tests.features.brute_force import Row

TIME = "at"
COLUMNS: dict[str, Type] = {
    TIME: "timestamp",
    "amount": "number",
    "pieces": "integer",
    "paid": "boolean",
    "channel": "string",
    "ordered": "timestamp",
}
ARROW: dict[Type, Any] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}
_FITS: dict[Function, list[Any]] = {
    "count": [None],
    "sum": ["amount", "pieces"],
    "mean": ["amount", "pieces"],
    "std": ["amount", "pieces"],
    "min": ["amount", "pieces"],
    "max": ["amount", "pieces"],
    "last": list(COLUMNS),
    "count_distinct": list(COLUMNS),
    "share": ["pieces", "paid", "channel"],
    "days_since_first": [TIME, "ordered"],
    "days_since_last": [TIME, "ordered"],
}
_CATEGORIES = {"pieces": ["1", "-7"], "paid": ["true", "false"], "channel": ["web", "", "ünï"]}

_DAY = 86_400_000_000
_FEW = [0, 1, 2, 3, _DAY, _DAY + 1, 2 * _DAY, 30 * _DAY, -5, -_DAY]
_CALENDAR = (-62_135_596_800_000_000, 253_402_300_799_999_999)  # the years 1 to 9999

times = st.sampled_from(_FEW) | st.integers(-3, 12) | st.integers(*_CALENDAR)
windows = st.none() | st.integers(1, 6) | st.sampled_from([_DAY, 30 * _DAY, 2**62, 2**63 - 1, 2**63, 2**65])
numbers = (
    st.sampled_from(
        [0.1, 0.2, 0.3, 1.0, -1.0, 0.0, -0.0, 1e16, -1e16, 2.0**53, 1e308, -1e308, 5e-324, -5e-324]
    )
    | st.floats(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([math.inf, -math.inf, math.nan])
)
integers = (
    st.sampled_from([0, 1, -7, 2**53 + 1, 2**62, -(2**63), 2**63 - 1])
    | st.integers(-20, 20)
    | st.integers(-(2**63), 2**63 - 1)
)
texts = st.sampled_from(["web", "", "ünï", "web ", "shop"]) | st.text("ab", max_size=3)
_OF_TYPE: dict[Type, st.SearchStrategy[Any]] = {
    "string": texts,
    "integer": integers,
    "number": numbers,
    "boolean": st.booleans(),
    "timestamp": times,
}


@dataclass(frozen=True)
class History:
    keys: tuple[Key, ...]
    parts: list[list[Row]]

    @property
    def types(self) -> dict[str, Type]:
        return {**{key.name: key.type for key in self.keys}, **COLUMNS}

    @property
    def key_names(self) -> list[str]:
        return [key.name for key in self.keys]

    def write(self, folder: Path) -> list[Path]:
        return write(self.parts, self.types, folder)


def write(parts: Sequence[Sequence[Row]], types: dict[str, Type], folder: Path) -> list[Path]:
    paths = []
    for number, rows in enumerate(parts):
        path = folder / f"part-{number}.parquet"
        pq.write_table(table(rows, types), path)
        paths.append(path)
    return paths


def table(rows: Sequence[Row], types: dict[str, Type]) -> pa.Table:
    # From integers first: Python's datetime does not reach as far as a timestamp does.
    return pa.table(
        {
            name: pa.array([row[name] for row in rows], pa.int64()).cast(ARROW[kind])
            if kind == "timestamp"
            else pa.array([row[name] for row in rows], ARROW[kind])
            for name, kind in types.items()
        }
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    keys: tuple[Key, ...] = draw(
        st.sampled_from(
            [
                (Key(name="customer", type="string"),),
                (Key(name="card", type="integer"),),
                (Key(name="customer", type="string"), Key(name="card", type="integer")),
                (
                    Key(name="card", type="integer"),
                    Key(name="customer", type="string"),
                    Key(name="shop", type="string"),
                ),
            ]
        )
    )
    values = {key.name: _key(key) for key in keys} | {TIME: times}
    values |= {name: _OF_TYPE[kind] for name, kind in COLUMNS.items() if name != TIME}
    rows = st.fixed_dictionaries({name: _mostly(each) for name, each in values.items()})
    parts = draw(st.lists(st.lists(rows, max_size=8), min_size=1, max_size=3))
    # An overlap: what an earlier part holds comes again, the same or amended.
    earlier = [row for part in parts for row in part]
    if draw(st.booleans()) and earlier:
        again = draw(st.lists(st.sampled_from(earlier), max_size=4))
        amended = [row | {"amount": draw(numbers), "channel": draw(st.none() | texts)} for row in again]
        parts.append(again + amended)
    return History(keys, parts)


@st.composite
def views(draw: st.DrawFn, keys: tuple[Key, ...]) -> View:
    aggregations = []
    for number in range(draw(st.integers(1, 8))):
        function = draw(st.sampled_from(sorted(_FITS)))
        column = draw(st.sampled_from(_FITS[function]))
        category = draw(st.sampled_from(_CATEGORIES[column])) if function == "share" and column else None
        aggregations.append(
            Aggregation(
                name=f"f{number}_{function}",
                function=function,
                column=column,
                category=category,
                window_microseconds=draw(windows),
            )
        )
    return view(keys, aggregations)


def view(keys: tuple[Key, ...], aggregations: Sequence[Aggregation]) -> View:
    features = [
        Value(name=each.name, type=each.result(COLUMNS[each.column] if each.column else None))
        for each in aggregations
    ]
    return View(name="activity", keys=keys, features=tuple(features), aggregations=tuple(aggregations))


def moments_of(keys: tuple[Key, ...]) -> st.SearchStrategy[list[Row]]:
    row = {key.name: _mostly(_key(key)) for key in keys} | {"moment": times}
    return st.lists(st.fixed_dictionaries(row), max_size=10)


BUSY_KEYS = (Key(name="customer", type="string"), Key(name="card", type="integer"))
_MARCH = 1_772_323_200_000_000


def busy_history(draw: random.Random, *, nulls: bool) -> History:
    """Make up few entities of many events, whose values often come again: 40 half days from 1 March 2026 on."""

    def one(values: list[Any]) -> Any:
        return None if nulls and draw.random() < 0.2 else draw.choice(values)

    def row() -> Row:
        return {
            "customer": draw.choice(["C1", "C2", "C3"]),
            "card": draw.choice([1, 2**53 + 1]),
            TIME: _MARCH + draw.randrange(40) * _DAY // 2,
            "amount": one([0.1, 0.2, 0.3, 0.0, -0.0, 1e16, 5e-324, draw.uniform(-5, 5)]),
            "pieces": one([1, -7, 2**53 + 1, -(2**62)]),
            "paid": one([True, False]),
            "channel": one(["web", "shop", ""]),
            "ordered": one([_MARCH, _MARCH + 1]),
        }

    return History(BUSY_KEYS, [[row() for _ in range(60)] for _ in range(3)])


def busy_labels(draw: random.Random) -> list[Row]:
    rows = [
        {
            "customer": draw.choice(["C1", "C2", "C3", "nobody"]),
            "card": draw.choice([1, 2**53 + 1]),
            "moment": _MARCH + draw.randrange(-4, 60) * _DAY // 2,
        }
        for _ in range(150)
    ]
    return rows + rows[:20]  # some labels are there twice


def every_aggregation() -> list[Aggregation]:
    """Give every function of every column that it fits, over three days, ten days and for ever."""
    return [
        Aggregation(
            name=f"{function}_{column or 'events'}_{days or 'ever'}",
            function=function,
            column=column,
            category=_CATEGORIES[column][0] if function == "share" else None,
            window_microseconds=days and days * _DAY,
        )
        for function, columns in _FITS.items()
        for column in columns
        for days in (3, 10, None)
    ]


def moments_table(rows: Sequence[Row], keys: tuple[Key, ...]) -> pa.Table:
    return table(rows, {**{key.name: key.type for key in keys}, "moment": "timestamp"})


def bits(value: Any) -> Any:
    """Make values comparable to the last bit: -0.0 differs from 0.0, and one NaN is as good as another."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("<d", value)
    return value


def rows_of(found: pa.Table) -> list[Row]:
    plain = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in found.columns
    ]
    return [
        {name: bits(value) for name, value in row.items()}
        for row in pa.table(plain, found.column_names).to_pylist()
    ]


def _key(key: Key) -> st.SearchStrategy[Any]:
    return st.sampled_from(["C1", "C2", "", "C10"] if key.type == "string" else [1, 2, -1, 2**63 - 1])


def _mostly(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, values, values, st.none())
