"""What the compiler of one family of estimators gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from containers.compiled.plan import Doubles, Linear, Link, Trees
from containers.compiled.signals import Matrix


@dataclass(frozen=True)
class CompiledEstimator:
    """An estimator over the signals in front of it.

    Attributes:
        matrix: one signal a slot, taken through what the estimator itself does to its input.
        model: the trees or the weights.
        start: (outputs,) what sums start from, or intercepts.
        link: from sums to answers.
    """

    matrix: Matrix
    model: Trees | Linear
    start: Doubles
    link: Link

    def used(self) -> np.ndarray[tuple[int], np.dtype[np.bool]]:
        """Tell which slots the model looks at."""
        used = np.zeros(max(len(self.matrix.signals), 1), dtype=bool)
        if isinstance(self.model, Linear):
            return ~used
        used[self.model.slot[self.model.slot >= 0]] = True
        return used
