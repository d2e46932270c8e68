"""Each figure's spread by the method that is its own, against resampling every row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from sluice.errors import EvaluationFailed
from sluice.judging import spreads
from sluice.judging.scores import BinaryScores, ClassScores, ValueScores
from sluice.judging.spreads import Asked
from sluice.problems import METRICS
from tests.unit.judging.rows import binary

ASKED = Asked(confidence=0.95, seed=1)
Z95 = 1.6448536


def values(rows: int, *, seed: int = 0) -> tuple[Any, list[ValueScores]]:
    draw = np.random.default_rng(seed)
    actual = draw.gamma(2, 3, rows)
    return actual, [ValueScores(actual + noise * draw.standard_t(6, rows)) for noise in (1.0, 1.3)]


def classes(rows: int, *, seed: int = 0) -> tuple[Any, list[ClassScores]]:
    draw = np.random.default_rng(seed)
    actual = draw.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    models = []
    for noise in (0.8, 1.2):
        logits = 2.0 * np.eye(4)[actual] + noise * draw.normal(size=(rows, 4))
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        models.append(
            ClassScores(chances[:, :3] / chances[:, :3].sum(axis=1, keepdims=True), chances[:, :3].argmax(1))
        )
    # The fourth class is one that no model knows.
    return np.where(actual == 3, -1, actual), models


def of_resamples(figure: Callable[[Any], float], rows: int, times: int = 500) -> float:
    """How far below the figure the truth may be, by drawing rows."""
    draw = np.random.default_rng(4)
    drawn = [figure(draw.integers(0, rows, rows)) for _ in range(times)]
    return Z95 * float(np.std(drawn))


def test_there_is_one_of_every_metric_of_a_problem() -> None:
    for found, problem in (
        (spreads.binary(*binary(200, 0.3, (0.5, 0.6)), ASKED), "binary"),
        (spreads.multiclass(*classes(200), ASKED), "multiclass"),
        (spreads.regression(*values(200), ASKED), "regression"),
    ):
        assert found.keys() >= METRICS[problem]  # type: ignore[index]
        for each in found.values():
            assert each.difference is not None
            assert len(each.models) == 2
            assert None not in each.models


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("rmse", metrics.root_mean_squared_error),
        ("mae", metrics.mean_absolute_error),
        ("r2", metrics.r2_score),
    ],
)
def test_a_regressions_spreads_are_those_of_its_resamples(name: str, figure: Callable[..., float]) -> None:
    actual, (first, second) = values(1_500)
    found = spreads.regression(actual, [first, second], ASKED)[name]
    difference = of_resamples(
        lambda at: figure(actual[at], first.values[at]) - figure(actual[at], second.values[at]), len(actual)
    )
    alone = of_resamples(lambda at: figure(actual[at], first.values[at]), len(actual))
    assert found.difference is not None
    assert found.models[0] is not None
    assert found.difference.below == pytest.approx(difference, rel=0.12)
    assert found.models[0].below == pytest.approx(alone, rel=0.12)


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "f1_macro"])
def test_a_multiclass_problems_spreads_are_those_of_its_resamples(name: str) -> None:
    actual, (first, second) = classes(1_500)
    known = np.where(actual < 0, 3, actual)

    def figure(at: Any, model: ClassScores) -> float:
        if name == "accuracy":
            return float(metrics.accuracy_score(known[at], model.says[at]))
        if name == "f1_macro":
            return float(metrics.f1_score(known[at], model.says[at], average="macro", zero_division=0.0))
        widened = np.column_stack([model.chances, np.zeros(len(actual))])
        return float(metrics.log_loss(known[at], widened[at], labels=[0, 1, 2, 3]))

    found = spreads.multiclass(actual, [first, second], ASKED)[name]
    expected = of_resamples(lambda at: figure(at, first) - figure(at, second), len(actual), 300)
    assert found.difference is not None
    assert found.difference.below == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("name", ["log_loss", "brier", "accuracy", "f1", "precision", "recall"])
def test_a_binary_problems_spreads_are_those_of_its_resamples(name: str) -> None:
    actual, (first, second) = binary(1_500, 0.3, (0.4, 0.8), seed=9)

    def figure(at: Any, model: BinaryScores) -> float:
        chance, label = model.chance[at], model.says_so[at]
        by_name: dict[str, Callable[[], float]] = {
            "log_loss": lambda: metrics.log_loss(actual[at], chance),
            "brier": lambda: metrics.brier_score_loss(actual[at], chance),
            "accuracy": lambda: metrics.accuracy_score(actual[at], label),
            "f1": lambda: metrics.f1_score(actual[at], label),
            "precision": lambda: metrics.precision_score(actual[at], label),
            "recall": lambda: metrics.recall_score(actual[at], label),
        }
        return by_name[name]()

    found = spreads.binary(actual, [first, second], ASKED)[name]
    expected = of_resamples(lambda at: figure(at, first) - figure(at, second), len(actual), 300)
    assert found.difference is not None
    assert found.difference.below == pytest.approx(expected, rel=0.15)


def test_an_area_is_checked_by_delong() -> None:
    found = spreads.binary(*binary(800, 0.3, (0.5, 0.6)), ASKED)["roc_auc"]
    check = found.checks["DeLong"]
    assert check is not None
    assert found.difference is not None
    assert found.difference.below == pytest.approx(check.below, rel=0.15)


def test_only_what_is_asked_for_is_computed() -> None:
    asked = Asked(confidence=0.95, seed=1, metrics=["accuracy"])
    assert spreads.binary(*binary(200, 0.3, (0.5, 0.6)), asked).keys() == {"accuracy"}


def test_equals_do_not_differ_by_any_metric() -> None:
    actual, (model,) = binary(200, 0.3, (0.5,))
    found = spreads.binary(actual, [model, model], ASKED)
    truth, (numbers, _) = values(200)
    found |= spreads.regression(truth, [numbers, numbers], ASKED)
    position, (labels, _) = classes(200)
    found |= spreads.multiclass(position, [labels, labels], ASKED)
    for each in found.values():
        assert each.difference is not None
        assert (each.difference.below, each.difference.above) == (0.0, 0.0)


def test_the_more_confidence_is_asked_for_the_wider_it_is() -> None:
    rows = binary(400, 0.3, (0.5, 0.6))
    for name in METRICS["binary"]:
        widths = []
        for confidence in (0.5, 0.8, 0.95, 0.99):
            difference = spreads.binary(*rows, Asked(confidence, seed=1))[name].difference
            assert difference is not None
            widths.append(difference.below + difference.above)
        assert widths == sorted(widths)
        assert widths[0] < widths[-1]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_few_rows_give_what_can_be_told_of_them_and_no_error(rows: int) -> None:
    actual = np.arange(rows) % 2 == 0
    models = [BinaryScores(np.linspace(0.1, 0.9, rows), actual), BinaryScores(np.full(rows, 0.5), ~actual)]
    found = spreads.binary(actual, models, ASKED)
    assert found["roc_auc"].difference is None
    assert (found["brier"].difference is None) == (rows < 2)
    spreads.regression(np.linspace(0, 1, rows), [ValueScores(np.zeros(rows))] * 2, ASKED)
    spreads.multiclass(
        np.arange(rows) % 2, [ClassScores(np.full((rows, 2), 0.5), np.zeros(rows, np.int64))], ASKED
    )


def test_rows_of_one_class_leave_the_losses_and_no_area() -> None:
    _, models = binary(100, 0.3, (0.5, 0.6))
    found = spreads.binary(np.ones(100, dtype=bool), models, ASKED)
    assert found["roc_auc"].difference is None
    assert found["roc_auc"].models == (None, None)
    assert found["log_loss"].difference is not None


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "made",
    [
        lambda values: BinaryScores(values, values > 0.5),
        lambda values: ClassScores(np.column_stack([values, 1 - values]), np.zeros(3, np.int64)),
        ValueScores,
    ],
)
def test_a_prediction_that_is_no_number_is_refused_with_how_many(
    broken: float, made: Callable[..., Any]
) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        made(np.array([0.1, broken, 0.3]))
    kind = "NaN" if math.isnan(broken) else "infinite"
    assert caught.value.what == f"1 of 3 predictions are {kind}"
    assert "train.py" in caught.value.fix
