"""Points for the report's plots: at most 200 of them a curve, whatever the number of held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics

from sluice.judging.calibration import Calibration

MAX_POINTS = 200

Floats = npt.NDArray[np.float64]


def binary_curves(
    actual: npt.NDArray[np.bool_], positive: Floats, reliability: Calibration
) -> dict[str, Any]:
    """Give `roc` (false, true positive rate), `precision_recall` (recall, precision) and `calibration`.

    Calibration points are (mean predicted probability, share of positives, rows) of sluice.judging.calibration's
    bins.
    """
    false_rate, true_rate, _ = metrics.roc_curve(actual, positive)
    precision, recall, _ = metrics.precision_recall_curve(actual, positive)
    return {
        "roc": _points(false_rate, true_rate),
        "precision_recall": _points(recall[::-1], precision[::-1]),
        "calibration": [[each.predicted, each.seen, each.rows] for each in reliability.bins],
    }


def confusion(
    actual: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], classes: list[Any]
) -> dict[str, Any]:
    """Give `confusion`: rows are actual classes, columns predicted ones, in the order of `classes`."""
    matrix = metrics.confusion_matrix(actual, labels, labels=np.arange(len(classes)))
    return {"confusion": {"classes": classes, "counts": matrix.tolist()}}


def regression_curves(actual: Floats, predicted: Floats) -> dict[str, Any]:
    """Give `predicted_actual`: (actual, predicted) of a spread of the rows, smallest actual first."""
    order = np.argsort(actual, kind="stable")
    return {"predicted_actual": _points(actual[order], predicted[order])}


def _points(x: Floats, y: Floats) -> list[list[float]]:
    """Thin a curve evenly; its ends stay."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(MAX_POINTS, len(x))).round().astype(np.int64))
    return [[float(x[i]), float(y[i])] for i in kept]
