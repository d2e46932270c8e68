"""A model's figures and curves, from its predictions for the held-out rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from containers.frames import target_of
from containers.predictions import Predictions
from containers.process import curves, metrics
from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed
from sluice.payloads.documents import ModelEvaluation


@dataclass(frozen=True)
class Judged:
    """What is told of one model."""

    metrics: dict[str, float]
    curves: dict[str, Any]

    def evaluation(self, model_uri: str, scoring: str | None) -> ModelEvaluation:
        return ModelEvaluation(model_uri=model_uri, metrics=self.metrics, scoring=scoring)


def judge(predictions: Predictions, contract: ModelContract, table: Table) -> Judged:
    """Judge a model.

    Args:
        predictions: for the rows of `table`, in their order.
        contract: the model's own.
        table: the held-out rows.

    Raises:
        EvaluationFailed: a figure cannot be computed from these rows.
    """
    actual = target_of(table, contract)
    if predictions.labels is None:
        values = actual.to_numpy(dtype=np.float64)
        judged = Judged(
            metrics.regression_metrics(values, predictions.values),
            curves.regression_curves(values, predictions.values),
        )
    else:
        positions = metrics.class_positions(actual.tolist(), contract)
        classes = contract.target.classes
        if contract.target.problem == "binary" and contract.target.positive is not None:
            positive = classes.index(contract.target.positive)
            is_positive = positions == positive
            chance = predictions.values[:, positive]
            judged = Judged(
                metrics.binary_metrics(is_positive, chance, predictions.labels == positive),
                curves.binary_curves(is_positive, chance),
            )
        else:
            judged = Judged(
                metrics.multiclass_metrics(positions, predictions.values, predictions.labels),
                curves.confusion(positions, predictions.labels, list(classes)),
            )
    undefined = [name for name, value in judged.metrics.items() if not math.isfinite(value)]
    if undefined:
        raise EvaluationFailed(
            f"{', '.join(undefined)} cannot be computed from {len(actual):,} held-out rows",
            where="the held-out rows",
            why="there are too few of them, or they are all alike",
            fix="upload more rows, or raise split.held_out_share",
        )
    return judged
