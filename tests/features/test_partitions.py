"""Events put apart by entity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.features.partitions import Share, entity_places, partition_numbers, partitioned

_TYPES: dict[str, Any] = {"customer": pa.large_string(), "card": pa.int64(), "row": pa.int64()}
_SCHEMA: pa.Schema = pa.schema([pa.field(name, kind) for name, kind in _TYPES.items()])


def _batches(keys: list[tuple[str, int]], size: int) -> list[pa.RecordBatch]:
    rows = [{"customer": customer, "card": card, "row": row} for row, (customer, card) in enumerate(keys)]
    return [pa.RecordBatch.from_pylist(rows[at : at + size], _SCHEMA) for at in range(0, len(rows), size)]


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=30), st.integers(1, 9))
def test_a_text_has_one_partition_wherever_it_stands_in_a_buffer(texts: list[str], count: int) -> None:
    column = pa.array(texts, pa.large_string())
    together = partition_numbers([column], count).tolist()
    alone = [partition_numbers([pa.array([text], pa.large_string())], count).tolist()[0] for text in texts]
    cut = partition_numbers([column.slice(len(texts) // 2)], count).tolist()
    assert together == alone
    assert cut == together[len(texts) // 2 :]


def test_an_entitys_place_says_of_any_number_of_shares_which_it_is_of() -> None:
    count = 7
    [batch] = _batches([(f"C{number}", number % 3) for number in range(200)], 200)
    places = entity_places([batch.column("customer"), batch.column("card")]).tolist()
    assert all(0 <= place < 1 << 24 for place in places)
    assert len(set(places)) > 190
    seen = []
    for share in [Share(number, count) for number in range(count)]:
        rows = share.of(batch, ["customer", "card"]).column("row").to_pylist()
        assert rows == [row for row, place in enumerate(places) if share.has(place)]
        seen += rows
    assert sorted(seen) == list(range(200))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_every_row_comes_out_once_beside_its_entity_in_the_order_it_came_in(
    tmp_path: Path, size: int
) -> None:
    keys = [(f"C{number % 37}", number % 5) for number in range(1000)]
    tables = list(partitioned(_batches(keys, size), ["customer", "card"], _SCHEMA, 8, tmp_path))
    assert len(tables) == 8
    seen: dict[tuple[str, int], int] = {}
    rows: list[int] = []
    for partition, table in enumerate(tables):
        found = table.to_pylist()
        assert [row["row"] for row in found] == sorted(row["row"] for row in found)
        for row in found:
            assert keys[row["row"]] == (row["customer"], row["card"])
            assert seen.setdefault((row["customer"], row["card"]), partition) == partition
            rows.append(row["row"])
    assert sorted(rows) == list(range(1000))


def test_nothing_is_left_behind_even_when_nobody_reads_to_the_end(tmp_path: Path) -> None:
    tables = partitioned(_batches([("C1", 1), ("C2", 2)], 1), ["customer"], _SCHEMA, 4, tmp_path)
    next(tables)
    assert list(tmp_path.iterdir())
    del tables
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", [1, 4096, 2**32, 2**52])
def test_keys_spread_evenly_whatever_they_have_in_common(step: int) -> None:
    keys = np.arange(2000) * step
    texts = [f"customer-{key:020d}" for key in keys.tolist()]
    for column in (pa.array(keys), pa.array(texts, pa.large_string())):
        counts = np.bincount(partition_numbers([column], 8), minlength=8)
        # 250 each but for chance: the chance that one is off by 100 is less than one in 10^10.
        assert counts.min() > 150
        assert counts.max() < 350
