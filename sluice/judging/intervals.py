"""Intervals: how far a figure, or the difference of two figures on the same rows, may be from the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Spread:
    """How far below and above a figure the truth may lie, each with the confidence it was asked for.

    Each bound is one-sided: both at 0.95 enclose an interval of 90 %.
    """

    below: float
    above: float

    def around(self, figure: float) -> tuple[float, float]:
        return figure - self.below, figure + self.above


def normal_quantile(confidence: float) -> float:
    return NormalDist().inv_cdf(confidence)


def t_quantile(confidence: float, degrees: int) -> float:
    """Give the quantile of Student's t, to a per mille from three degrees of freedom on.

    The expansion around the normal quantile: Abramowitz and Stegun (1964), 26.7.5. With one and two degrees it falls
    short, and there the quantiles are exact.
    """
    if degrees == 1:
        return math.tan(math.pi * (confidence - 0.5))
    if degrees == 2:
        return (2 * confidence - 1) / math.sqrt(2 * confidence * (1 - confidence))
    z = normal_quantile(confidence)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + math.fsum(term / float(degrees) ** power for power, term in enumerate(terms, start=1))


def of_mean(values: Floats, confidence: float) -> Spread | None:
    """Give the spread of a mean: of losses, of paired differences, or of a statistic's influence values.

    Args:
        values: (n,) one a row.
        confidence: of each bound.

    Returns:
        Student's t interval; None of fewer than two rows.
    """
    if len(values) < 2:
        return None
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = t_quantile(confidence, len(values) - 1) * error
    return Spread(half, half)


def of_share(hits: Bools, confidence: float) -> Spread | None:
    """Give the spread of the share of hits by Wilson's score: it holds for few rows, too, and near 0 and 1.

    Wilson (1927), JASA 22; None where there are no rows.
    """
    rows = len(hits)
    if not rows:
        return None
    z, share = normal_quantile(confidence), float(np.mean(hits))
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return Spread(share - (middle - half), middle + half - share)


def of_share_difference(first: Bools, second: Bools, confidence: float) -> Spread | None:
    """Give the spread of the difference of two shares on the same rows, (n,) each.

    Bonett and Price (2012), Journal of Educational and Behavioral Statistics 37: Wald's interval with one row more of
    either disagreement. Without that, three disagreements that all favour one side would already count as shown.
    Two that agree in every row do not differ, however few the rows are.
    """
    rows = len(first)
    if not rows:
        return None
    better, worse = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    if better == worse == 0:
        return Spread(0.0, 0.0)
    more, less = (better + 1) / (rows + 2), (worse + 1) / (rows + 2)
    half = normal_quantile(confidence) * math.sqrt((more + less - (more - less) ** 2) / (rows + 2))
    difference, middle = (better - worse) / rows, more - less
    return Spread(difference - (middle - half), middle + half - difference)
