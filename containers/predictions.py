"""What a model answers, however it was asked; light to import, for the process that only serves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice.errors import SluiceError


class PredictionFailed(SluiceError):
    """The model does not load, does not predict, or its predictions are no figures."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of n rows.

    Attributes:
        values: (n, classes) probabilities in the contract's class order, or (n,) values of a regression.
        labels: (n,) indexes of the predicted classes; None for a regression.
    """

    values: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64] | None

    @property
    def sha256(self) -> str:
        """A hash of every bit of them, whatever machine they were made on."""
        digest = hashlib.sha256(repr(self.values.shape).encode())
        digest.update(np.ascontiguousarray(self.values, dtype="<f8").tobytes())
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        return digest.hexdigest()


def joined(blocks: Sequence[Predictions]) -> Predictions:
    """Give the predictions of several blocks of rows as those of all of them."""
    labels = [block.labels for block in blocks if block.labels is not None]
    return Predictions(
        np.concatenate([block.values for block in blocks]), np.concatenate(labels) if labels else None
    )
