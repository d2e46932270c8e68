"""What a model says of the held-out rows, as the statistics take it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice.errors import EvaluationFailed
from sluice.judging.intervals import Bools, Floats

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BinaryScores:
    """Of a binary problem: the probability of the positive class, and whether the model says so; both (n,).

    Raises:
        EvaluationFailed: a probability is no number.
    """

    chance: Floats
    says_so: Bools

    def __post_init__(self) -> None:
        check_finite(self.chance)

    def of(self, rows: Bools) -> BinaryScores:
        return BinaryScores(self.chance[rows], self.says_so[rows])


@dataclass(frozen=True)
class ClassScores:
    """Of a multiclass problem: probabilities (n, classes), and the positions of the classes it says (n,)."""

    chances: Floats
    says: Integers

    def __post_init__(self) -> None:
        check_finite(self.chances)

    def of(self, rows: Bools) -> ClassScores:
        return ClassScores(self.chances[rows], self.says[rows])


@dataclass(frozen=True)
class ValueScores:
    """Of a regression: values (n,)."""

    values: Floats

    def __post_init__(self) -> None:
        check_finite(self.values)

    def of(self, rows: Bools) -> ValueScores:
        return ValueScores(self.values[rows])


def check_finite(values: Floats) -> None:
    """Refuse what no statistic can be made of.

    Raises:
        EvaluationFailed: a value is NaN or infinite.
    """
    broken = ~np.isfinite(values)
    if broken.any():
        rows = int(broken.reshape(len(values), -1).any(axis=1).sum())
        raise EvaluationFailed(
            f"{rows:,} of {len(values):,} predictions are {'NaN' if np.isnan(values).any() else 'infinite'}",
            where="the predictions for the held-out rows",
            why="a model is judged by finite numbers only: such rows cannot be left out without flattering it",
            fix="look for a division by zero, a logarithm of zero or a diverged fit in train.py",
        )
