"""From columns that keep the contract to predictions: the one seam between the HTTP side and the model."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from containers.frames import frame_of
from containers.model import Model, Predictions
from sluice.contract import Columns, ModelContract


class Scorer(Protocol):
    """What `/invocations` needs of a model."""

    @property
    def contract(self) -> ModelContract: ...

    def score(self, columns: Columns) -> Predictions:
        """Predict for columns in contract order; may block, and is never called twice at once."""


class ModelScorer:
    """Scores with the model as it was trained, through a data frame."""

    def __init__(self, folder: Path) -> None:
        self._model = Model.load(folder)

    @property
    def contract(self) -> ModelContract:
        return self._model.contract

    def score(self, columns: Columns) -> Predictions:
        return self._model.predict(frame_of(columns, self.contract))
