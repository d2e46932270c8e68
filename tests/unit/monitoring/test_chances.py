import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from sluice.monitoring import chances


@pytest.mark.parametrize("scaled", [0.2, 0.5, 0.99, 1.0, 1.01, 1.36, 2.0, 4.0])
def test_kolmogorovs_tail_is_scipys(scaled: float) -> None:
    assert chances.kolmogorov_tail(scaled) == pytest.approx(stats.kstwobign.sf(scaled), rel=1e-8, abs=1e-15)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 30, 101, 1_000])
@pytest.mark.parametrize("quantile", [0.3, 0.5, 0.95, 0.9999, 1 - 1e-9])
def test_the_tail_of_chi_square_is_scipys(degrees: int, quantile: float) -> None:
    at = stats.chi2.ppf(quantile, degrees)
    assert chances.chi_square_tail(at, degrees) == pytest.approx(stats.chi2.sf(at, degrees), rel=1e-8)


@pytest.mark.parametrize(
    ("before", "rows", "now", "later"),
    [
        (0, 50_000, 2, 500),
        (10, 1_000, 20, 500),
        (500, 1_000, 251, 500),
        (0, 900, 0, 300),
        (7, 7, 4, 4),
        (90, 100, 3, 100),
    ],
)
def test_the_chance_of_more_hits_is_fishers(before: int, rows: int, now: int, later: int) -> None:
    table = [[now, later - now], [before, rows - before]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert chances.more_often(before, rows, now, later) == pytest.approx(expected, rel=1e-6)


def test_chi_square_of_large_cells_is_scipys() -> None:
    before, now = [400, 300, 300], [210, 140, 150]
    expected = stats.chi2_contingency([before, now], correction=False)
    chance, degrees = chances.chi_square(before, now)
    assert chance == pytest.approx(expected.pvalue)
    assert degrees == expected.dof


def test_small_cells_are_taken_together() -> None:
    assert chances.chi_square([900, 90, 8, 7, 2], [450, 46, 4, 3, 3])[1] == 2
    assert chances.chi_square([900, 90, 2, 1, 0], [450, 46, 1, 0, 1])[1] == 1


def test_one_value_alone_cannot_differ() -> None:
    assert chances.chi_square([100, 0], [50, 0]) == (1.0, 0)


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=30))
def test_adjusted_chances_are_scipys(values: list[float]) -> None:
    expected = stats.false_discovery_control(values, method="by")
    assert chances.false_discoveries(values, [1.0] * len(values)) == pytest.approx(list(expected))


def test_what_weighs_more_is_found_more_easily() -> None:
    light, heavy = chances.false_discoveries([0.01, 0.01], [0.5, 1.5])
    assert heavy < light


def test_distance_is_nought_of_the_same_and_one_of_what_shares_nothing() -> None:
    assert chances.jensen_shannon([5, 5], [50, 50]) == 0.0
    assert chances.jensen_shannon([7, 0], [0, 9]) == pytest.approx(1.0)


def test_chance_alone_makes_a_small_distance_in_a_thousand_bins() -> None:
    draws = np.random.default_rng(1)
    before, now = (np.bincount(draws.integers(0, 1_000, rows), minlength=1_000) for rows in (500_000, 20_000))
    assert chances.jensen_shannon(before.tolist(), now.tolist()) < 0.04
