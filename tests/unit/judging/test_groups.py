"""Gaps between groups, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sluice.judging import groups
from sluice.judging.scores import BinaryScores
from sluice.judging.slices import Part

# Eight rows of a, four of b: what they are, what the model says, and with which probability.
ACTUAL = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0], dtype=bool)
SAYS = np.array([1, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0], dtype=bool)
CHANCE = np.where(SAYS, 0.8, 0.2)
OF_A = np.arange(12) < 8


def of(value: str, rows: np.ndarray) -> groups.Group:
    return groups.group(Part("who", value, rows), ACTUAL, BinaryScores(CHANCE, SAYS), 0.95)


def test_a_group_is_counted() -> None:
    found = of("a", OF_A)
    assert (found.value, found.rows, found.positives) == ("a", 8, 4)
    assert {name: share.value for name, share in found.figures.items()} == pytest.approx(
        {"demographic_parity": 4 / 8, "equal_opportunity": 3 / 4, "calibration": 0.5 - 0.5}
    )
    # Of the four at 0.8 three are positive, of the four at 0.2 one.
    assert found.calibration_error == pytest.approx(0.05)


def test_a_gap_is_between_the_two_that_are_furthest_apart() -> None:
    a, b = of("a", OF_A), of("b", ~OF_A)
    parity = groups.gap("demographic_parity", [b, a])
    assert parity is not None
    assert parity.between == ("a", "b")
    assert parity.value == pytest.approx(4 / 8 - 1 / 4)
    opportunity = groups.gap("equal_opportunity", [a, b])
    assert opportunity is not None
    assert opportunity.between == ("a", "b")
    assert opportunity.value == pytest.approx(3 / 4 - 1 / 2)
    calibration = groups.gap("calibration", [a, b])
    assert calibration is not None
    # b: (0.8 + 3 * 0.2) / 4 = 0.35 predicted, 0.5 seen.
    assert calibration.between == ("a", "b")
    assert calibration.value == pytest.approx(0.15)
    assert parity.spread is not None
    low, high = parity.spread.around(parity.value)
    assert low < parity.value < high


def test_one_group_is_not_apart_from_anything() -> None:
    assert groups.gap("demographic_parity", [of("a", OF_A)]) is None


def test_a_group_without_positives_has_no_share_of_them() -> None:
    without = of("none", OF_A & ~ACTUAL)
    assert math.isnan(without.figures["equal_opportunity"].value)
    assert groups.gap("equal_opportunity", [of("a", OF_A), without]) is None
    empty = of("empty", np.zeros(12, dtype=bool))
    assert (empty.rows, math.isnan(empty.calibration_error)) == (0, True)


def test_equal_groups_have_no_gap() -> None:
    again = groups.gap("demographic_parity", [of("a", OF_A), of("also a", OF_A)])
    assert again is not None
    assert again.value == 0
    assert again.between == ("a", "also a")
