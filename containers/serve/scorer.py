"""From a request's rows to predictions: the one seam between the HTTP side and the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from containers.frames import frame_of
from containers.model import Model, Predictions
from sluice.contract import Columns, ModelContract


class Scorer(Protocol):
    """What `/invocations` needs of a model."""

    @property
    def contract(self) -> ModelContract: ...

    @property
    def about(self) -> dict[str, Any]:
        """How rows are scored, and why so, for `/ping` and the log."""

    def score(self, columns: Columns) -> Predictions:
        """Predict for columns that keep the contract; may block, and is never called twice at once."""

    def answer(self, body: bytes, media_type: str, accepted: str) -> bytes | None:
        """Answer a body from its bytes, on the event loop; None wherever `score` has to look at it."""


class ModelScorer:
    """Scores with the model as it was trained, through a data frame."""

    def __init__(self, folder: Path, why: str = "") -> None:
        self._model = Model.load(folder)
        self.about: dict[str, Any] = {"path": "scikit-learn", "why": why}

    @property
    def contract(self) -> ModelContract:
        return self._model.contract

    def score(self, columns: Columns) -> Predictions:
        return self._model.predict(frame_of(columns, self.contract))

    def answer(self, _body: bytes, _media_type: str, _accepted: str) -> bytes | None:
        return None


def load_scorer(folder: Path) -> Scorer:
    """Load a model folder.

    Raises:
        SluiceError: the model cannot be served.
    """
    return ModelScorer(folder)
