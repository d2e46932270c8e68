"""DeLong's standard error, against its definition, one pair of rows at a time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.judging.delong import spreads

Z95 = 1.6448536


def by_definition(actual: npt.NDArray[np.bool_], *scores: npt.NDArray[np.float64]) -> float:
    """The standard error of the area, or of the first's minus the second's."""

    def kernel(score: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        higher, lower = score[actual][:, None], score[~actual][None]
        return np.asarray((higher > lower) + 0.5 * (higher == lower), dtype=np.float64)

    psi = kernel(scores[0]) - (kernel(scores[1]) if len(scores) == 2 else 0.0)
    by_positive, by_negative = psi.mean(axis=1), psi.mean(axis=0)
    return math.sqrt(by_positive.var(ddof=1) / len(by_positive) + by_negative.var(ddof=1) / len(by_negative))


tied = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@given(st.lists(st.tuples(st.booleans(), tied, tied), min_size=4, max_size=30))
def test_it_is_what_its_definition_says_with_ties_too(rows: list[tuple[bool, float, float]]) -> None:
    actual, first, second = (np.array(column) for column in zip(*rows, strict=True))
    single, difference = spreads(actual, [first, second], 0.95)
    if min(actual.sum(), (~actual).sum()) < 2:
        assert single == [None, None]
        assert difference is None
        return
    assert difference is not None
    assert difference.below == difference.above == pytest.approx(Z95 * by_definition(actual, first, second))
    for score, spread in zip((first, second), single, strict=True):
        assert spread is not None
        assert spread.above == pytest.approx(Z95 * by_definition(actual, score))


def test_a_model_does_not_differ_from_itself() -> None:
    draw = np.random.default_rng(0)
    actual, score = draw.random(200) < 0.3, draw.random(200)
    _, difference = spreads(actual, [score, score.copy()], 0.95)
    assert difference is not None
    assert (difference.below, difference.above) == (0.0, 0.0)


def test_of_one_model_there_is_no_difference() -> None:
    actual = np.array([True, False, True, False])
    single, difference = spreads(actual, [np.array([0.9, 0.1, 0.4, 0.5])], 0.95)
    assert len(single) == 1
    assert difference is None
