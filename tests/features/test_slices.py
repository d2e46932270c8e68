"""Extremes and distinct values of slices, against looking at each member."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.features.slices import Slices, counts, distinct_counts, extremes

_groups = st.lists(st.lists(st.integers(0, 5), max_size=20), min_size=1, max_size=5)


def _all_slices(groups: list[list[int]]) -> list[tuple[int, int, int]]:
    """Give (start of the group, first, last) of every slice of every group, the empty ones too."""
    start, found = 0, []
    for group in groups:
        end = start + len(group)
        found += [(start, a, b) for a in range(start, end + 1) for b in range(a, end + 1)]
        start = end
    return found


@settings(deadline=None)
@given(_groups)
def test_distinct_values_are_counted_slice_by_slice(groups: list[list[int]]) -> None:
    values = [value for group in groups for value in group]
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    starts = np.cumsum([0, *map(len, groups)])[:-1][numbers] if values else np.zeros(0, np.int64)
    asked = _all_slices(groups)
    of_group, first, last = np.array(asked).T
    found = distinct_counts(np.array(values, np.int64), numbers, starts, Slices(first, last), of_group)
    assert found.tolist() == [len(set(values[a:b])) for _, a, b in asked]


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=1, max_size=30))
def test_extremes_keep_every_digit_of_an_integer(values: list[int]) -> None:
    asked = [(a, b) for a in range(len(values)) for b in range(a + 1, len(values) + 1)]
    first, last = np.array(asked).T
    array, slices = np.array(values), Slices(first, last)
    assert extremes(array, slices, np.minimum).tolist() == [min(values[a:b]) for a, b in asked]
    assert extremes(array, slices, np.maximum).tolist() == [max(values[a:b]) for a, b in asked]


def test_an_empty_slice_holds_nothing() -> None:
    nothing = Slices(np.array([0, 2, 3]), np.array([0, 2, 3]))
    assert counts(np.array([True, True, True]), nothing).tolist() == [0, 0, 0]


def test_a_busy_entity_costs_no_look_at_each_member_of_each_of_its_windows() -> None:
    # 200,000 windows of up to 200,000 values: 2e10 members, which no test would live to see the end of.
    count = 200_000
    values = np.arange(count) % 1000
    every = Slices(np.zeros(count, np.int64), np.arange(1, count + 1))
    zeros = np.zeros(count, np.int64)
    assert extremes(values, every, np.maximum).tolist() == [min(each, 999) for each in range(count)]
    assert distinct_counts(values, zeros, zeros, every, zeros).tolist() == [
        min(each + 1, 1000) for each in range(count)
    ]
