"""What quality is to be expected before labels are there: estimates, as good as the probabilities are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def expected_accuracy(probabilities: Floats, threshold: float) -> float | None:
    """Give how often the class at a threshold is right by the positive class's probability, (n,); None of none."""
    if not len(probabilities):
        return None
    return float(np.mean(np.where(probabilities >= threshold, probabilities, 1 - probabilities)))


def expected_auc(probabilities: Floats) -> float | None:
    """Give the expected pairs in right order over the expected pairs of a positive and a negative, equals for half.

    Rows are taken as independent, given their probabilities, (n,). None where no such pair is to be expected.
    """
    values, counts = np.unique(probabilities, return_counts=True)
    positives, negatives = values * counts, (1 - values) * counts
    within = positives * negatives - values * (1 - values) * counts  # no row makes a pair with itself
    below = np.cumsum(negatives) - negatives
    pairs = float(positives.sum() * negatives.sum() - (values * (1 - values) * counts).sum())
    if pairs <= 0:
        return None
    return float((positives * below + within / 2).sum()) / pairs
