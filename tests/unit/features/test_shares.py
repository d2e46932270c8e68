"""Shares: whoever is written by one call is of that call's share by the place that is written down, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.features.materialization import entities
from sluice.features.partitions import Share
from sluice.features.plan import Aggregation, Key, Value, View

DAY = 86_400_000_000
Kind: TypeAlias = Literal["string", "integer"]
KINDS: dict[Kind, pa.DataType] = {"string": pa.string(), "integer": pa.int64()}


def view(kinds: tuple[Kind, ...], *, windows: bool) -> View:
    aggregations = (Aggregation(name="amount", function="sum", column="amount"),) if windows else ()
    return View(
        name="activity",
        keys=tuple(Key(name=f"key{place}", type=kind) for place, kind in enumerate(kinds)),
        features=(Value(name="amount", type="number"),),
        aggregations=aggregations,
    )


@pytest.mark.parametrize("windows", [True, False])
@pytest.mark.parametrize("kinds", [("string",), ("integer",), ("integer", "string")])
def test_the_shares_hold_everybody_once_each_where_its_place_says(
    tmp_path: Path, kinds: tuple[Kind, ...], windows: bool
) -> None:
    columns: list[Any] = [
        pa.array([f"é{row}" if kind == "string" else row - 50 for row in range(100)], KINDS[kind])
        for kind in kinds
    ]
    times = pa.array([DAY] * 100, pa.int64()).cast(pa.timestamp("us"))
    names = [f"key{place}" for place in range(len(kinds))]
    file = tmp_path / "0.parquet"
    pq.write_table(pa.table([*columns, times, pa.array([1.0] * 100)], [*names, "at", "amount"]), file)
    asked = view(kinds, windows=windows)

    def written(share: Share) -> dict[str, int]:
        found = entities(asked, [file], "at", 2 * DAY, share, tmp_path)
        return {each.id: each.place for each in found}

    everybody = written(Share())
    assert len(everybody) == 100
    for count in (2, 3):
        shares = [Share(number, count) for number in range(count)]
        for share in shares:
            expected = {id_: place for id_, place in everybody.items() if share.has(place)}
            assert written(share) == expected
            assert len(expected) > 10
