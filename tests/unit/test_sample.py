"""Rows drawn of a stream: all while they are few, evenly ever after, however they come."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.datasets.sample import EvenSample


def drawn(count: int, most: int, cuts: list[int]) -> list[int]:
    """The rows drawn of 0, 1, 2 …, which come in batches that end at `cuts`."""
    sample = EvenSample(most)
    ends = sorted({*(cut % (count + 1) for cut in cuts), 0, count})
    for start, end in itertools.pairwise(ends):
        sample.take(pa.record_batch({"row": pa.array(range(start, end), pa.int64())}))
    found = sample.rows()
    return [] if found is None else found["row"].to_pylist()


@settings(deadline=None)
@given(count=st.integers(0, 7), cuts=st.lists(st.integers(0, 10)))
def test_few_rows_are_all_drawn(count: int, cuts: list[int]) -> None:
    assert drawn(count, 8, cuts) == list(range(count))


@settings(deadline=None)
@given(count=st.integers(8, 500), half=st.integers(2, 10), cuts=st.lists(st.integers(0, 500)))
def test_one_row_is_drawn_of_each_run_however_the_rows_come(count: int, half: int, cuts: list[int]) -> None:
    found = drawn(count, 2 * half, cuts)
    assert found == drawn(count, 2 * half, [])
    assert min(count, half - 1) <= len(found) < 2 * half
    runs = [2**power for power in range(10)]
    # The last run may be cut short before its row.
    assert any([row // run for row in found] == list(range(max(count // run, len(found)))) for run in runs)


@pytest.mark.parametrize("count", [9_000, 1_000_000])
def test_of_rows_that_alternate_both_kinds_are_drawn_alike(count: int) -> None:
    found = drawn(count, 8_192, list(range(0, count, 131_071)))
    assert 4_096 <= len(found) < 8_192
    for period in (2, 3, 4, 8):
        # Six standard deviations of as many coins.
        share = sum(row % period == 0 for row in found) / len(found)
        assert share == pytest.approx(1 / period, abs=6 * (0.25 / len(found)) ** 0.5)


def test_long_texts_are_cut() -> None:
    sample = EvenSample(2)
    sample.take(pa.record_batch({"text": ["ä" * 1_000_000, None, "short"] * 10}))
    rows = sample.rows()
    assert rows is not None
    assert {len(text) for text in rows["text"].to_pylist() if text is not None} <= {64, 5}
