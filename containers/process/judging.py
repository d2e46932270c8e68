"""A model's answers, figures and curves, from its predictions for the held-out rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from containers.answers import Answers, BinaryAnswers, ClassAnswers, answers_of
from containers.predictions import Predictions
from containers.process import curves
from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.errors import EvaluationFailed
from sluice.judging import calibration
from sluice.judging.calibration import Calibration


@dataclass(frozen=True)
class Judged:
    """What is told of one model."""

    answers: Answers
    metrics: dict[str, float]
    curves: dict[str, Any]
    calibration: Calibration | None = None
    predictions_sha256: str = ""


def judge(predictions: Predictions, contract: ModelContract, table: Table, confidence: float) -> Judged:
    """Judge a model.

    Args:
        predictions: for the rows of `table`, in their order.
        contract: the model's own.
        table: the held-out rows.
        confidence: of each bound.

    Raises:
        EvaluationFailed: a prediction is no number, or a figure cannot be computed from these rows.
    """
    judged = _judged(predictions, contract, table, confidence)
    return replace(judged, predictions_sha256=predictions.sha256)


def _judged(predictions: Predictions, contract: ModelContract, table: Table, confidence: float) -> Judged:
    answers = answers_of(predictions, contract, table)
    found = answers.figures()
    undefined = [name for name, value in found.items() if not math.isfinite(value) or answers.lacking(name)]
    if undefined:
        raise EvaluationFailed(
            f"{', '.join(undefined)} cannot be computed from {table.num_rows:,} held-out rows",
            where="the held-out rows",
            why="there are too few of them, or they are all alike",
            fix="upload more rows, or raise split.held_out_share",
        )
    if isinstance(answers, BinaryAnswers):
        reliability = calibration.of(answers.actual, answers.scores.chance, confidence)
        drawn = curves.binary_curves(answers.actual, answers.scores.chance, reliability)
        return Judged(answers, found, drawn, reliability)
    if isinstance(answers, ClassAnswers):
        matrix = curves.confusion(answers.actual, answers.scores.says, list(answers.classes))
        return Judged(answers, found, matrix)
    return Judged(answers, found, curves.regression_curves(answers.actual, answers.scores.values))
