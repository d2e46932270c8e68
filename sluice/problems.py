"""What can be predicted, and by which metrics a model of it is judged."""

from __future__ import annotations

from typing import Literal

Problem = Literal["binary", "multiclass", "regression"]

METRICS: dict[Problem, frozenset[str]] = {
    "binary": frozenset(
        {"roc_auc", "average_precision", "log_loss", "accuracy", "f1", "precision", "recall", "brier"}
    ),
    "multiclass": frozenset({"accuracy", "f1_macro", "log_loss"}),
    "regression": frozenset({"rmse", "mae", "r2"}),
}
COMPARED: dict[Problem, str] = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "rmse"}
"""The metric a challenger is compared with the champion by, where a project names none."""
SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae"})
