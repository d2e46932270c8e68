"""The area under the ROC curve with DeLong's standard error: exact, without resampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sluice.judging.intervals import Bools, Floats, Spread, normal_quantile

_Placements = tuple[Floats, Floats]


def spreads(
    actual: Bools, scores: Sequence[Floats], confidence: float
) -> tuple[list[Spread | None], Spread | None]:
    """Give the spread of each model's area, and of the first's minus the second's where there are two.

    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, by placement values; a tie counts one half. The work is
    that of a sort.

    Args:
        actual: (n,) whether the row is of the positive class.
        scores: (n,) of each model.
        confidence: of each bound.

    Returns:
        Nones where a class has fewer than two rows.
    """
    if min(np.sum(actual), np.sum(~actual)) < 2:
        return [None for _ in scores], None
    placed = [_placements(actual, each) for each in scores]
    z = normal_quantile(confidence)
    single: list[Spread | None] = [_spread(each, z) for each in placed]
    if len(placed) < 2:
        return single, None
    (first, second) = placed
    return single, _spread((first[0] - second[0], first[1] - second[1]), z)


def _spread(placed: _Placements, z: float) -> Spread:
    positives, negatives = placed
    variance = np.var(positives, ddof=1) / len(positives) + np.var(negatives, ddof=1) / len(negatives)
    half = z * math.sqrt(float(variance))
    return Spread(half, half)


def _placements(actual: Bools, scores: Floats) -> _Placements:
    """Give the share of negatives below each positive, and of positives above each negative."""
    positives, negatives = np.sort(scores[actual]), np.sort(scores[~actual])
    # Of each row in its own place: two models' values are subtracted row by row.
    return _below(scores[actual], negatives), 1 - _below(scores[~actual], positives)


def _below(these: Floats, others: npt.NDArray[np.float64]) -> Floats:
    ranks = np.searchsorted(others, these, "left") + np.searchsorted(others, these, "right")
    return np.asarray(ranks / (2 * len(others)), dtype=np.float64)
