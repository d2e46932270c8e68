"""Rows of two models to be judged, drawn: what they see of the truth, and how much noise of their own they add."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sluice.judging.scores import BinaryScores


def binary(
    rows: int, share: float, noises: tuple[float, ...], *, seed: int = 0
) -> tuple[npt.NDArray[np.bool_], list[BinaryScores]]:
    """Two models with as much noise are equal, and differ row by row."""
    draw = np.random.default_rng(seed)
    actual = draw.random(rows) < share
    signal = draw.normal(size=rows) + 1.5 * actual - 1
    models = []
    for noise in noises:
        chance = 1 / (1 + np.exp(-(signal + noise * draw.normal(size=rows))))
        models.append(BinaryScores(chance, chance > 0.5))
    return actual, models
