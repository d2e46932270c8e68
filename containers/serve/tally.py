"""What a model says, in sum: how many predictions, and of the numbers in them the sum and that of their squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from containers.predictions import Predictions
from containers.serve.encoding import answered
from sluice.contract import ModelContract

Count: TypeAlias = Callable[[int, float, float], None]
"""Takes what `tally` gives; may be called from any thread."""


def uncounted(_count: int, _total: float, _squares: float) -> None:
    """Nobody counts."""


def tally(predictions: Predictions, contract: ModelContract, count: Count) -> Predictions:
    """Count predictions that say one number each: a regression's, or the probability of the positive class."""
    numbers = answered(predictions, contract)
    if numbers.ndim == 1:
        count(len(numbers), float(numbers.sum()), float(numbers @ numbers))
    return predictions
