"""Reliability and its sums, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.judging import calibration


def test_bins_hold_as_many_rows_each() -> None:
    draw = np.random.default_rng(0)
    chance = draw.beta(1, 5, 1_000)
    found = calibration.of(draw.random(1_000) < chance, chance, 0.95)
    assert [each.rows for each in found.bins] == [100] * 10
    assert [each.predicted for each in found.bins] == sorted(each.predicted for each in found.bins)
    assert found.error < 0.05
    assert all(each.low <= each.seen <= each.high for each in found.bins)


def test_what_is_known_by_heart() -> None:
    """Of four rows at 0.25 one is positive, of four at 0.75 two: off by 0 and by 0.25."""
    chance = np.array([0.25] * 4 + [0.75] * 4)
    actual = np.array([1, 0, 0, 0, 1, 1, 0, 0], dtype=bool)
    found = calibration.of(actual, chance, 0.95)
    assert [(each.predicted, each.seen, each.rows) for each in found.bins] == [
        (0.25, 0.25, 4),
        (0.75, 0.5, 4),
    ]
    assert found.error == pytest.approx(0.125)
    assert found.bias == pytest.approx(0.125)
    assert found.reliability == pytest.approx(0.25**2 / 2)
    assert found.resolution == pytest.approx(0.125**2)
    assert found.uncertainty == pytest.approx(3 / 8 * 5 / 8)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=80))
def test_equal_probabilities_share_a_bin_and_the_parts_make_the_brier_score(
    rows: list[tuple[bool, float]],
) -> None:
    actual, chance = (np.array(column) for column in zip(*rows, strict=True))
    found = calibration.of(actual, chance, 0.95)
    assert sum(each.rows for each in found.bins) == len(rows)
    assert 1 <= len(found.bins) <= 10
    edges = [0, *np.cumsum([each.rows for each in found.bins])]
    ordered = np.sort(chance)
    assert all(ordered[at - 1] < ordered[at] for at in edges[1:-1])
    order = np.argsort(chance, kind="stable")
    of_bins = np.repeat([each.predicted for each in found.bins], [each.rows for each in found.bins])
    brier = np.mean((of_bins - actual[order]) ** 2)
    assert found.reliability - found.resolution + found.uncertainty == pytest.approx(brier, abs=1e-9)


def test_a_model_that_is_always_sure_and_wrong_is_as_far_off_as_can_be() -> None:
    found = calibration.of(np.zeros(20, dtype=bool), np.ones(20), 0.95)
    assert (found.error, found.bias) == (1.0, 1.0)
