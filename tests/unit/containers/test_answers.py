"""Figures and spreads of what two models answer to the same rows, also where they learned of different classes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from containers.answers import BinaryAnswers, ClassAnswers, ValueAnswers, spread
from sluice.judging.scores import BinaryScores, ClassScores, ValueScores
from sluice.judging.spreads import Asked

ASKED = Asked(confidence=0.95, seed=1, replicates=100)
TRUTH = list("aabbcc") * 20


def of_classes(classes: str, said: list[str]) -> ClassAnswers:
    """A model that knows some classes, and is sure of what it says."""
    says = np.array([classes.index(label) for label in said], dtype=np.int64)
    actual = np.array([classes.find(label) for label in TRUTH], dtype=np.int64)
    return ClassAnswers(TRUTH, actual, ClassScores(np.eye(len(classes))[says], says), tuple(classes))


def test_models_of_different_classes_are_compared_row_by_row() -> None:
    challenger = of_classes("abc", TRUTH)
    champion = of_classes("ba", ["a" if label == "c" else label for label in TRUTH])
    found = spread([challenger, champion], ASKED)
    accuracy = found["accuracy"].difference
    assert accuracy is not None
    # Every c is one that only the challenger gets right: 40 of 120 rows.
    low, high = accuracy.around(challenger.figures()["accuracy"] - champion.figures()["accuracy"])
    assert low < 40 / 120 < high
    assert low > 0.2
    assert found["log_loss"].difference is not None
    assert found["f1_macro"].difference is not None


def test_equal_answers_in_another_order_of_classes_do_not_differ() -> None:
    said = list("abacbc") * 20
    for each in spread([of_classes("abc", said), of_classes("cab", said)], ASKED).values():
        assert each.difference is not None
        assert (each.difference.below, each.difference.above) == (0.0, 0.0)


def test_some_of_the_rows_have_the_figures_of_these() -> None:
    kept = np.array([label != "c" for label in TRUTH])
    part = of_classes("abc", ["a"] * len(TRUTH)).of(kept)
    assert part.truth == list("aabb") * 20
    assert part.figures(["accuracy"]) == {"accuracy": 0.5}


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "f1", "precision", "recall"])
def test_rows_of_one_class_lack_what_needs_both(metric: str, positive: bool) -> None:
    chance = np.linspace(0, 1, 10)
    answers = BinaryAnswers(np.full(10, positive), BinaryScores(chance, chance > 0.5))
    assert answers.lacking(metric) == f"all of its rows are {'positive' if positive else 'negative'}"
    assert answers.lacking("brier") == ""
    assert math.isfinite(answers.figures(["log_loss"])["log_loss"])
    assert answers.figures().keys() >= {metric}, "and no warning"


def test_rows_of_one_value_explain_nothing() -> None:
    answers = ValueAnswers(np.full(5, 2.0), ValueScores(np.arange(5.0)))
    assert answers.lacking("r2") == "all of its rows have the same value"
    assert answers.lacking("rmse") == ""
    assert ValueAnswers(np.arange(5.0), ValueScores(np.arange(5.0))).lacking("r2") == ""
