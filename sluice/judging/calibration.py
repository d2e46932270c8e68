"""Whether probabilities can be taken at their word: reliability by bins of as many rows each, and its sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sluice.judging.intervals import Bools, Floats, of_share

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Rows of similar probability.

    Attributes:
        predicted: their mean probability.
        seen: the share of positives among them, with the bounds `low` and `high`.
        rows: how many they are.
    """

    predicted: float
    seen: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class Calibration:
    """Attributes:
    error: the expected calibration error: what the bins' `seen` is off `predicted`, on average over the rows.
    bias: the mean probability minus the share of positives.
    reliability, resolution, uncertainty: Murphy's parts of the Brier score (1973, Journal of Applied Meteorology
        12): reliability - resolution + uncertainty is the Brier score of the bins' mean probabilities.
    bins: from the lowest probabilities to the highest.
    """

    error: float
    bias: float
    reliability: float
    resolution: float
    uncertainty: float
    bins: tuple[Bin, ...]


def of(actual: Bools, chance: Floats, confidence: float) -> Calibration:
    """Judge probabilities (n,) of the positive class, n at least 1; `confidence` is that of each bin's bounds.

    The bins are cut at deciles (Naeini et al. (2015), AAAI); equal probabilities stay in one bin, so there may be
    fewer.
    """
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, BINS + 1)[1:-1]))
    numbers = np.searchsorted(edges, chance, "left")
    bins = tuple(
        _bin(actual[inside], chance[inside], confidence)
        for inside in (numbers == number for number in range(len(edges) + 1))
        if inside.any()
    )
    weights = np.array([each.rows for each in bins]) / len(actual)
    predicted = np.array([each.predicted for each in bins])
    seen = np.array([each.seen for each in bins])
    share = float(actual.mean())
    return Calibration(
        error=float(weights @ np.abs(predicted - seen)),
        bias=float(chance.mean()) - share,
        reliability=float(weights @ (predicted - seen) ** 2),
        resolution=float(weights @ (seen - share) ** 2),
        uncertainty=share * (1 - share),
        bins=bins,
    )


def _bin(actual: Bools, chance: Floats, confidence: float) -> Bin:
    seen = float(actual.mean())
    spread = of_share(actual, confidence)
    assert spread is not None
    low, high = spread.around(seen)
    return Bin(float(chance.mean()), seen, low, high, len(actual))
