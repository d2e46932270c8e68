"""Analytic intervals, against scipy's, published formulas worked by hand, and their own coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from sluice.judging.intervals import of_mean, of_share, of_share_difference, t_quantile


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95, 0.975, 0.99])
@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 10, 30, 49, 1_000, 10**6])
def test_the_quantile_is_students_to_a_few_per_mille(confidence: float, degrees: int) -> None:
    assert t_quantile(confidence, degrees) == pytest.approx(
        stats.t.ppf(confidence, degrees), rel=0.02, abs=1e-9
    )
    if degrees >= 10:
        assert t_quantile(confidence, degrees) == pytest.approx(
            stats.t.ppf(confidence, degrees), rel=1e-4, abs=1e-9
        )


def test_a_means_spread_is_students_interval() -> None:
    values = np.random.default_rng(1).gamma(2, size=40)
    low, high = stats.t.interval(0.9, 39, values.mean(), stats.sem(values))
    spread = of_mean(values, 0.95)
    assert spread is not None
    assert spread.around(values.mean()) == pytest.approx((low, high), rel=1e-6)


def test_of_one_row_nothing_can_be_told() -> None:
    assert of_mean(np.array([1.0]), 0.95) is None
    assert of_share(np.array([], dtype=bool), 0.95) is None
    assert of_share_difference(np.array([], dtype=bool), np.array([], dtype=bool), 0.95) is None


@given(st.integers(0, 60), st.integers(0, 60).filter(bool))
def test_a_shares_spread_is_wilsons_interval(hits: int, misses: int) -> None:
    rows = np.array([True] * hits + [False] * misses)
    expected = stats.binomtest(hits, hits + misses).proportion_ci(0.9, method="wilson")
    spread = of_share(rows, 0.95)
    assert spread is not None
    assert spread.around(rows.mean()) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "better", "worse", "low", "high"),
    [
        # (b+1, c+1) of n+2 rows: 6 and 1 of 52, so 5/52 ± 1.6449 √((7/52 - (5/52)²)/52).
        (50, 5, 0, 0.0153, 0.1770),
        (50, 3, 0, -0.0118, 0.1272),
        (100, 20, 8, 0.0314, 0.2039),
    ],
)
def test_a_difference_of_shares_is_bonett_and_prices(
    rows: int, better: int, worse: int, low: float, high: float
) -> None:
    first, second = np.zeros((2, rows), dtype=bool)
    first[:better] = True
    second[better : better + worse] = True
    spread = of_share_difference(first, second, 0.95)
    assert spread is not None
    assert spread.around((better - worse) / rows) == pytest.approx((low, high), abs=1e-4)
    turned = of_share_difference(second, first, 0.95)
    assert turned is not None
    assert turned.around((worse - better) / rows) == pytest.approx((-high, -low), abs=1e-4)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_two_that_agree_in_every_row_do_not_differ_and_others_may(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    spread = of_share_difference(first, second, 0.95)
    assert spread is not None
    low, high = spread.around(first.mean() - second.mean())
    assert low <= high
    assert ((low, high) == (0.0, 0.0)) == bool((first == second).all())


@pytest.mark.parametrize("rows", [50, 300])
def test_one_of_two_equal_ones_is_shown_to_be_better_no_more_often_than_is_said(rows: int) -> None:
    """With few disagreements, too, where Wald's interval takes three to none for shown."""
    draw = np.random.default_rng(3)
    shown, runs = 0, 4_000
    for _ in range(runs):
        first, second = draw.random((2, rows)) < 0.9
        spread = of_share_difference(first, second, 0.95)
        assert spread is not None
        shown += spread.around(float(first.mean() - second.mean()))[0] > 0
    assert shown / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
