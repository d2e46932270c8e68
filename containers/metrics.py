"""A model's figures on the held-out rows: scikit-learn's metrics under the names project.toml knows."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from sluice.contract import ModelContract
from sluice.judging.scores import BinaryScores, ClassScores, ValueScores

OF_LABELS = frozenset({"accuracy", "f1", "f1_macro", "precision", "recall"})
"""The metrics that ask what class a model says; the others only ask how likely it takes each to be."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def binary_metrics(
    actual: npt.NDArray[np.bool_], scores: BinaryScores, only: Collection[str] | None = None
) -> dict[str, float]:
    """Judge probabilities, by `only` some metrics if they are given; `actual` is (n,), true of the positive class."""
    chance, says_so = scores.chance, scores.says_so
    return _computed(
        {
            "roc_auc": lambda: metrics.roc_auc_score(actual, chance),
            "average_precision": lambda: metrics.average_precision_score(actual, chance),
            "log_loss": lambda: metrics.log_loss(actual, chance, labels=[False, True]),
            "accuracy": lambda: metrics.accuracy_score(actual, says_so),
            "f1": lambda: metrics.f1_score(actual, says_so, zero_division=0.0),
            "precision": lambda: metrics.precision_score(actual, says_so, zero_division=0.0),
            "recall": lambda: metrics.recall_score(actual, says_so, zero_division=0.0),
            "brier": lambda: metrics.brier_score_loss(actual, chance),
        },
        only,
    )


def multiclass_metrics(
    actual: Integers, scores: ClassScores, only: Collection[str] | None = None
) -> dict[str, float]:
    """Judge class probabilities; `actual` is (n,), -1 where the row's class is one the model has never seen."""
    # Such a row is a miss with a probability of nothing, which log_loss takes for the smallest it knows.
    unseen = np.where(actual < 0, scores.chances.shape[1], actual)

    def log_loss() -> float:
        widened = np.column_stack([scores.chances, np.zeros(len(actual))])
        return float(metrics.log_loss(unseen, widened, labels=np.arange(widened.shape[1])))

    return _computed(
        {
            "accuracy": lambda: metrics.accuracy_score(unseen, scores.says),
            "f1_macro": lambda: metrics.f1_score(unseen, scores.says, average="macro", zero_division=0.0),
            "log_loss": log_loss,
        },
        only,
    )


def regression_metrics(
    actual: Floats, scores: ValueScores, only: Collection[str] | None = None
) -> dict[str, float]:
    """Judge values; `actual` is (n,)."""
    return _computed(
        {
            "rmse": lambda: metrics.root_mean_squared_error(actual, scores.values),
            "mae": lambda: metrics.mean_absolute_error(actual, scores.values),
            "r2": lambda: metrics.r2_score(actual, scores.values),
        },
        only,
    )


def class_positions(actual: list[object], contract: ModelContract) -> Integers:
    """Give each row's class as its position in the contract; -1 where it is none of them."""
    positions = {label: i for i, label in enumerate(contract.target.classes)}
    return np.array([positions.get(label, -1) for label in actual], dtype=np.int64)  # type: ignore[call-overload]


def _computed(figures: dict[str, Callable[[], float]], only: Collection[str] | None) -> dict[str, float]:
    return {name: float(compute()) for name, compute in figures.items() if only is None or name in only}
