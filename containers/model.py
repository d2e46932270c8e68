"""A model folder as SageMaker unpacks it: loaded with the code it was pickled with, asked for predictions."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd

from containers.hooks import place_in
from containers.predictions import PredictionFailed, Predictions
from sluice.contract import ClassLabel, ModelContract
from sluice.errors import SluiceError


class Model:
    """An estimator with its contract."""

    def __init__(self, estimator: Any, contract: ModelContract, code: Path) -> None:
        self.contract = contract
        self._estimator = estimator
        self._code = code
        self._positions = {label: i for i, label in enumerate(contract.target.classes)}

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Load a model folder. Its code goes onto sys.path: one process holds one model.

        Raises:
            ProjectError: there is no contract.
            PredictionFailed: the model cannot be unpickled.
        """
        contract = ModelContract.load(folder / "contract.json")
        code = folder / "code"
        sys.path.insert(0, str(code))
        try:
            estimator = joblib.load(folder / "model.joblib")
        except Exception as error:
            traceback.print_exc()
            raise PredictionFailed(
                f"the model does not load: {type(error).__name__}",
                where="model.joblib",
                why=f"{error} (made with {_versions(contract)})",
                fix="what the model needs has to be in the project's folder or in the image",
            ) from error
        return cls(estimator, contract, code)

    def predict(self, features: pd.DataFrame, *, labels: bool = True) -> Predictions:
        """Predict for a frame as `containers.frames` makes them.

        Args:
            features: the rows.
            labels: whether the classes are of any interest; otherwise the likeliest stand for them, for a pipeline
                that is asked for these too works everything out again.

        Raises:
            PredictionFailed: the model raises, or answers with a wrong shape, a NaN or an infinity.
        """
        try:
            if self.contract.target.problem == "regression":
                return Predictions(self._checked(self._estimator.predict(features), (len(features),)), None)
            shape = (len(features), len(self._positions))
            probabilities = self._checked(self._estimator.predict_proba(features), shape)
            if not labels:
                return Predictions(probabilities, probabilities.argmax(axis=1))
            return Predictions(probabilities, self._label_positions(self._estimator.predict(features)))
        except SluiceError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise PredictionFailed(
                f"the model raised {type(error).__name__}",
                where=place_in(error, self._code),
                why=str(error),
                fix="see the log for the whole traceback",
            ) from error

    def _checked(self, answer: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        values = np.asarray(answer, dtype=np.float64)
        if values.shape != shape:
            raise PredictionFailed(
                f"the model's predictions have the shape {values.shape}, expected {shape}",
                where="predict" if len(shape) == 1 else "predict_proba",
                fix="answer one value a row, or one probability a row and class",
            )
        broken = ~np.isfinite(values)
        if broken.any():
            rows = int(broken.reshape(len(values), -1).any(axis=1).sum())
            kind = "NaN" if np.isnan(values).any() else "infinite"
            raise PredictionFailed(
                f"{rows:,} of {len(values):,} predictions are {kind}",
                where="predict" if len(shape) == 1 else "predict_proba",
                why="a prediction has to be a finite number",
                fix="look for a division by zero, a logarithm of zero or a diverged fit in train.py",
            )
        return values

    def _label_positions(self, labels: Any) -> npt.NDArray[np.int64]:
        plain = plain_labels(labels)
        unknown = {label for label in plain if label not in self._positions}
        if unknown:
            raise PredictionFailed(
                f"the model predicts classes unknown to its training data: {sorted(map(str, unknown))}",
                where="predict",
                fix="predict the target's own values",
            )
        return np.array([self._positions[label] for label in plain], dtype=np.int64)


def plain_labels(labels: Any) -> list[ClassLabel]:
    """Give class labels as str, int or bool; a float stands for the integer it is."""
    plain = np.asarray(labels).ravel().tolist()
    return [int(label) if isinstance(label, float) and label.is_integer() else label for label in plain]


def _versions(contract: ModelContract) -> str:
    return ", ".join(f"{name} {version}" for name, version in contract.versions.items()) or "unknown versions"
