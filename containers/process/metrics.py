"""A model's figures on the held-out rows: scikit-learn's metrics under the names project.toml knows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from sluice.contract import ModelContract

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def binary_metrics(
    actual: npt.NDArray[np.bool_], positive: Floats, labels: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Judge probabilities.

    Args:
        actual: (n,) whether the row is of the positive class.
        positive: (n,) the probability that it is.
        labels: (n,) whether the model says so.
    """
    return _plain(
        {
            "roc_auc": metrics.roc_auc_score(actual, positive),
            "average_precision": metrics.average_precision_score(actual, positive),
            "log_loss": metrics.log_loss(actual, positive, labels=[False, True]),
            "accuracy": metrics.accuracy_score(actual, labels),
            "f1": metrics.f1_score(actual, labels, zero_division=0.0),
            "brier": metrics.brier_score_loss(actual, positive),
        }
    )


def multiclass_metrics(actual: Integers, probabilities: Floats, labels: Integers) -> dict[str, float]:
    """Judge class probabilities; `actual` is -1 where the row's class is one the model has never seen.

    Args:
        actual: (n,) class positions.
        probabilities: (n, classes).
        labels: (n,) predicted class positions.
    """
    # Such a row is a miss with a probability of nothing, which log_loss takes for the smallest it knows.
    unseen = np.where(actual < 0, probabilities.shape[1], actual)
    widened = np.column_stack([probabilities, np.zeros(len(actual))])
    return _plain(
        {
            "accuracy": metrics.accuracy_score(unseen, labels),
            "f1_macro": metrics.f1_score(unseen, labels, average="macro", zero_division=0.0),
            "log_loss": metrics.log_loss(unseen, widened, labels=np.arange(widened.shape[1])),
        }
    )


def regression_metrics(actual: Floats, predicted: Floats) -> dict[str, float]:
    """Judge values; both (n,)."""
    return _plain(
        {
            "rmse": metrics.root_mean_squared_error(actual, predicted),
            "mae": metrics.mean_absolute_error(actual, predicted),
            "r2": metrics.r2_score(actual, predicted),
        }
    )


def class_positions(actual: list[object], contract: ModelContract) -> Integers:
    """Give each row's class as its position in the contract; -1 where it is none of them."""
    positions = {label: i for i, label in enumerate(contract.target.classes)}
    return np.array([positions.get(label, -1) for label in actual], dtype=np.int64)  # type: ignore[call-overload]


def _plain(values: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
