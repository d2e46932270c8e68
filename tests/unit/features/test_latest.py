"""Rows of a view as they are: held against a dictionary that is filled row by row."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from sluice.features.latest import latest_rows
from sluice.features.partitions import Share, partition_numbers
from sluice.features.plan import Key, Value, View

VIEW = View(
    name="profile",
    keys=(Key(name="id", type="string"), Key(name="shop", type="integer")),
    features=(
        Value(name="city", type="string"),
        Value(name="visits", type="integer"),
        Value(name="since", type="timestamp"),
    ),
)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from(["", "a", "ä"])),
        st.one_of(st.none(), st.integers(-1, 1)),
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.none(), st.text(max_size=2)),
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        st.one_of(st.none(), st.integers(-5, 5)),
    ),
    max_size=12,
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("shop", pa.int64()),
        ("at", pa.timestamp("us")),
        ("city", pa.string()),
        ("visits", pa.int64()),
        ("since", pa.timestamp("us")),
    ]
)


def written(parts: list[list[Any]], folder: Path) -> list[Path]:
    files = []
    for number, rows in enumerate(parts):
        columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        files.append(folder / f"{number}.parquet")
        pq.write_table(pa.table(arrays, schema=SCHEMA), files[-1])
    return files


def one_by_one(parts: list[list[Any]], moment: int, timed: bool) -> dict[Any, Any]:
    """What is known of each key at the moment: rows in order, one replacing another that is not after it."""
    known: dict[Any, Any] = {}
    for rows in parts:
        for id_, shop, at, *values in rows:
            time = at if timed else moment
            if id_ is None or shop is None or time is None or time > moment:
                continue
            if (id_, shop) not in known or known[id_, shop][0] <= time:
                known[id_, shop] = (time, *values)
    return known


def found(files: list[Path], moment: int, timed: bool, share: Share) -> dict[Any, Any]:
    table = latest_rows(files, VIEW, "at" if timed else None, moment, share, time="time")
    assert table.column_names == ["id", "shop", "city", "visits", "since", "time"]
    since = table.column("since").cast(pa.int64())
    names = [table.column(name) for name in ("id", "shop", "time", "city", "visits")]
    rows = list(zip(*(column.to_pylist() for column in (*names, since)), strict=True))
    assert len({row[:2] for row in rows}) == len(rows)
    return {row[:2]: row[2:] for row in rows}


@given(parts=st.lists(ROWS, min_size=1, max_size=3), moment=st.integers(-4, 4), timed=st.booleans())
def test_of_each_entity_the_last_row_up_to_the_moment_counts(
    parts: list[list[Any]], moment: int, timed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = written(parts, Path(folder))
        expected = one_by_one(parts, moment, timed)
        assert found(files, moment, timed, Share()) == expected
        shares = [found(files, moment, timed, Share(number, 3)) for number in range(3)]
    assert sum(map(len, shares)) == len(expected)
    assert {key: row for share in shares for key, row in share.items()} == expected


KEYS = st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=1, max_size=40)


@given(texts=KEYS, count=st.integers(1, 7))
def test_each_row_is_in_one_share_and_equal_keys_are_in_the_same(texts: list[str | None], count: int) -> None:
    batch = pa.record_batch(
        [pa.array(texts, pa.large_string()), pa.array(range(len(texts)), pa.int64())], ["key", "row"]
    )
    shares = [Share(number, count).of(batch, ["key"]).to_pydict() for number in range(count)]
    assert sorted(row for share in shares for row in share["row"]) == list(range(len(texts)))
    for share in shares:
        assert share["row"] == sorted(share["row"])
    owners = [(key, number) for number, share in enumerate(shares) for key in share["key"]]
    assert len(set(owners)) == len({key for key, _ in owners})


def test_shares_are_about_equal_and_say_nothing_of_the_partition() -> None:
    ids = pa.array([f"C{number}" for number in range(20_000)], pa.large_string())
    batch = pa.record_batch([ids], ["key"])
    for number in range(4):
        keys = Share(number, 4).of(batch, ["key"]).column("key")
        assert 4_600 < len(keys) < 5_400
        # A share that were made by the partitions' bits would leave most of them empty.
        sizes = np.bincount(partition_numbers([keys], 8), minlength=8)
        assert sizes.min() > 500
