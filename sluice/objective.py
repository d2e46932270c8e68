"""The line by which a trial of a search tells how good it is, and how SageMaker reads it from the job's log."""

from __future__ import annotations

import math

# Without a backslash: it goes through JSON and JSONata on its way.
PATTERN = "search objective ([-+.0-9e]+) after fold"
"""The regular expression of the tuning job's metric; its group is the figure."""


def line(value: float, *, fold: int, folds: int) -> str:
    """Tell the mean of the folds so far.

    The last one is the trial's objective; the ones before are what early stopping compares trials by, fold by fold.

    Raises:
        ValueError: the value is no figure that could be compared.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is no figure")
    return f"search objective {value!r} after fold {fold} of {folds}"
