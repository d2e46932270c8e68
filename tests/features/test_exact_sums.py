"""Sums and deviations of slices, against Python's own exact ones."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.features.exact_sums import ExactColumn, standard_deviations
from sluice.features.slices import Slices
from tests.features.brute_force import nearest

_bounds = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=8)
_doubles = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-10, 10),
    st.sampled_from([1e308, -1e308, 5e-324, -5e-324, 2.0**53, 1.0, -1.0, 2.0**-1022, 0.0, -0.0]),
)
_integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9)


def _slices(bounds: list[tuple[int, int]], length: int) -> Slices:
    pairs = [sorted((min(a, length), min(b, length))) for a, b in bounds]
    return Slices(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))


def _members(values: Sequence[float], slices: Slices) -> list[Sequence[float]]:
    return [values[a:b] for a, b in zip(slices.first.tolist(), slices.last.tolist(), strict=True)]


@settings(deadline=None, max_examples=300)
@given(st.lists(_doubles, max_size=40), _bounds)
def test_a_sum_of_doubles_is_the_one_nearest_to_the_true_sum(
    values: list[float], bounds: list[tuple[int, int]]
) -> None:
    slices = _slices(bounds, len(values))
    found = ExactColumn(np.array(values, np.float64)).sums([slices])[0].nearest()
    expected = [nearest(sum(map(Fraction, each), Fraction(0))) for each in _members(values, slices)]
    assert found.tobytes() == np.array(expected, np.float64).tobytes()


@settings(deadline=None)
@given(st.lists(st.floats(-1e300, 1e300), max_size=40))
def test_a_sum_has_the_bits_of_fsum(values: list[float]) -> None:
    whole = Slices(np.array([0]), np.array([len(values)]))
    found = ExactColumn(np.array(values, np.float64)).sums([whole])[0].nearest()
    assert found.tobytes() == np.array([math.fsum(values)]).tobytes()


@settings(deadline=None)
@given(st.lists(_integers, max_size=40), _bounds)
def test_a_sum_of_integers_is_the_double_nearest_to_it(
    values: list[int], bounds: list[tuple[int, int]]
) -> None:
    slices = _slices(bounds, len(values))
    sums = ExactColumn(np.array(values, np.int64)).sums([slices])[0]
    expected = [sum(each) for each in _members(values, slices)]
    assert sums.integers() == expected
    assert sums.nearest().tolist() == [float(each) for each in expected]


@settings(deadline=None)
@given(st.one_of(st.lists(_doubles, max_size=30), st.lists(_integers, max_size=30)), _bounds)
def test_a_deviation_is_the_double_nearest_to_the_true_one(
    values: list[float], bounds: list[tuple[int, int]]
) -> None:
    slices = _slices(bounds, len(values))
    slices = slices.where(slices.lengths >= 2)
    doubles = all(isinstance(each, float) for each in values)
    column = ExactColumn(np.array(values, np.float64) if doubles else np.array(values, np.int64))
    found = standard_deviations(slices.lengths, column.sums([slices])[0], column.sums_of_squares([slices])[0])
    expected: list[float] = []
    for each in _members(values, slices):
        try:
            expected.append(float(statistics.stdev(map(Fraction, each))))
        except OverflowError:
            expected.append(math.inf)
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0**53, 1.0], 2.0**53),  # half way: to the even one
        ([2.0**53 + 2, 1.0], 2.0**53 + 4),
        ([2.0**53, 1.0, 5e-324], 2.0**53 + 2),  # above half way by the least there is
        ([-(2.0**53), -1.0, -5e-324], -(2.0**53) - 2),
        ([2.0**53, 1.0, -5e-324], 2.0**53),
        ([1e308, 1e308, -1e308], 1e308),  # no overflow on the way
        ([1e308, 1e308], math.inf),
        ([-1e308, -1e308], -math.inf),
        ([1e16, 1.0, -1e16], 1.0),
        ([5e-324, 5e-324], 1e-323),
    ],
)
def test_sums_at_the_edges(values: list[float], expected: float) -> None:
    whole = Slices(np.array([0]), np.array([len(values)]))
    assert ExactColumn(np.array(values)).sums([whole])[0].nearest().tolist() == [expected]


def test_a_sum_of_zeros_is_plus_zero_as_that_of_fsum() -> None:
    whole = Slices(np.array([0]), np.array([2]))
    found = ExactColumn(np.array([-0.0, -0.0])).sums([whole])[0].nearest()
    assert math.copysign(1, found[0]) == 1 == math.copysign(1, math.fsum([-0.0, -0.0]))


def test_running_totals_stay_exact_over_many_of_the_largest_digits() -> None:
    # Each value fills its digits with ones; a total in doubles would have lost bits long before the end.
    value, count = 2.0**53 - 1, 200_000
    last = Slices(np.array([0, count - 3]), np.array([count, count]))
    found = ExactColumn(np.full(count, value)).sums([last])[0]
    assert found.integers() == [(2**53 - 1) * count, (2**53 - 1) * 3]
