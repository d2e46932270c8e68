"""What models say of rows beside what is true of them: figures and spreads, of all rows or of some."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, TypeAlias

import numpy as np

from containers import metrics
from containers.frames import target_of
from containers.predictions import Predictions
from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.judging import spreads
from sluice.judging.intervals import Bools, Floats
from sluice.judging.scores import BinaryScores, ClassScores, Integers, ValueScores
from sluice.judging.spreads import Asked, Spreads

# Of rows of one class these say nothing, or what scikit-learn puts for nothing.
_NEED_BOTH_CLASSES = frozenset({"roc_auc", "average_precision", "f1", "precision", "recall"})


@dataclass(frozen=True)
class BinaryAnswers:
    """Of a binary problem; `actual` is (n,), true of the positive class."""

    actual: Bools
    scores: BinaryScores

    def of(self, rows: Bools) -> BinaryAnswers:
        return BinaryAnswers(self.actual[rows], self.scores.of(rows))

    def figures(self, only: Collection[str] | None = None) -> dict[str, float]:
        # Without the warning where there is none: `lacking` says so.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return metrics.binary_metrics(self.actual, self.scores, only)

    def lacking(self, metric: str) -> str:
        """Say why these rows have no such figure; empty where they have."""
        if metric not in _NEED_BOTH_CLASSES or len(set(self.actual.tolist())) == 2:
            return ""
        return f"all of its rows are {'positive' if self.actual.all() else 'negative'}"


@dataclass(frozen=True)
class ClassAnswers:
    """Of a multiclass problem: `truth` is each row's class, `actual` its position among the model's `classes`."""

    truth: Sequence[Any]
    actual: Integers
    scores: ClassScores
    classes: tuple[Any, ...]

    def of(self, rows: Bools) -> ClassAnswers:
        kept = list(compress(self.truth, rows.tolist()))
        return ClassAnswers(kept, self.actual[rows], self.scores.of(rows), self.classes)

    def figures(self, only: Collection[str] | None = None) -> dict[str, float]:
        return metrics.multiclass_metrics(self.actual, self.scores, only)

    def lacking(self, _metric: str) -> str:
        return ""

    def among(self, classes: tuple[Any, ...]) -> tuple[Integers, ClassScores]:
        """Give truth and scores by positions among `classes`, all of the model's own among them."""
        positions = {label: place for place, label in enumerate(classes)}
        places = np.array([positions[label] for label in self.classes], dtype=np.int64)
        chances = np.zeros((len(self.actual), len(classes)))
        chances[:, places] = self.scores.chances
        actual = np.array([positions.get(label, -1) for label in self.truth], dtype=np.int64)
        return actual, ClassScores(chances, places[self.scores.says])


@dataclass(frozen=True)
class ValueAnswers:
    """Of a regression; `actual` is (n,)."""

    actual: Floats
    scores: ValueScores

    def of(self, rows: Bools) -> ValueAnswers:
        return ValueAnswers(self.actual[rows], self.scores.of(rows))

    def figures(self, only: Collection[str] | None = None) -> dict[str, float]:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return metrics.regression_metrics(self.actual, self.scores, only)

    def lacking(self, metric: str) -> str:
        alike = metric == "r2" and (self.actual == self.actual[0]).all()
        return "all of its rows have the same value" if alike else ""


Answers: TypeAlias = BinaryAnswers | ClassAnswers | ValueAnswers


def answers_of(predictions: Predictions, contract: ModelContract, table: Table) -> Answers:
    """Put predictions beside what is true of the rows.

    Raises:
        EvaluationFailed: a prediction is no number.
    """
    actual = target_of(table, contract)
    if predictions.labels is None:
        return ValueAnswers(actual.to_numpy(dtype=np.float64), ValueScores(predictions.values))
    truth = actual.tolist()
    positions = metrics.class_positions(truth, contract)
    classes = contract.target.classes
    if contract.target.problem == "binary" and contract.target.positive is not None:
        positive = classes.index(contract.target.positive)
        chance, says_so = predictions.values[:, positive], predictions.labels == positive
        return BinaryAnswers(positions == positive, BinaryScores(chance, says_so))
    return ClassAnswers(truth, positions, ClassScores(predictions.values, predictions.labels), classes)


def spread(models: Sequence[Answers], asked: Asked) -> dict[str, Spreads]:
    """Give the spreads of one or two models' figures on the same rows, each of the same problem."""
    first, *_ = models
    if isinstance(first, BinaryAnswers):
        scores = [each.scores for each in models if isinstance(each, BinaryAnswers)]
        return spreads.binary(first.actual, scores, asked)
    if isinstance(first, ValueAnswers):
        values = [each.scores for each in models if isinstance(each, ValueAnswers)]
        return spreads.regression(first.actual, values, asked)
    # Two models may have learned of different classes: what one does not know it gives no chance.
    known = [each for each in models if isinstance(each, ClassAnswers)]
    classes = tuple(dict.fromkeys(label for each in known for label in each.classes))
    placed = [each.among(classes) for each in known]
    return spreads.multiclass(placed[0][0], [scores for _, scores in placed], asked)
