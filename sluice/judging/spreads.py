"""The spread of every figure of one or two models on the same rows, by problem: which method is whose."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from sluice.judging import bootstrap, delong
from sluice.judging.intervals import (
    Bools,
    Floats,
    Spread,
    of_mean,
    of_share,
    of_share_difference,
)
from sluice.judging.scores import BinaryScores, ClassScores, Integers, ValueScores, check_finite

RESAMPLED = "Poisson bootstrap"
MEAN = "mean of paired differences, Student's t"
SHARE = "paired shares, Bonett and Price"
DELTA = "delta method, Student's t"
DELONG = "DeLong"


@dataclass(frozen=True)
class Asked:
    """How spreads are asked for.

    Attributes:
        confidence: of each bound.
        seed: of the resamples: the same rows, models and seed give the same spreads.
        replicates: how many resamples.
        metrics: only of these; None for all of the problem.
    """

    confidence: float
    seed: int
    replicates: int = bootstrap.REPLICATES
    metrics: Collection[str] | None = None

    def wants(self, name: str) -> bool:
        return self.metrics is None or name in self.metrics


@dataclass(frozen=True)
class Spreads:
    """Of one metric: each model's, the difference's (first minus second) where there are two, and by which method.

    A spread is None where the rows are too few to tell: fewer than two, or fewer than two of a class.
    """

    models: tuple[Spread | None, ...]
    difference: Spread | None
    method: str
    checks: dict[str, Spread | None] = field(default_factory=dict)


def binary(actual: Bools, models: Sequence[BinaryScores], asked: Asked) -> dict[str, Spreads]:
    """Give the spreads of the figures of a binary problem; `actual` is (n,), true of the positive class."""
    found = {
        "log_loss": _means([_log_losses(np.where(actual, m.chance, 1 - m.chance)) for m in models], asked),
        "brier": _means([(m.chance - actual) ** 2 for m in models], asked),
        "accuracy": _shares([m.says_so == actual for m in models], asked),
    }
    wanted = [name for name in bootstrap.BINARY_METRICS if asked.wants(name)]
    if wanted:
        resampled = bootstrap.binary(
            actual, models, replicates=asked.replicates, seed=asked.seed, metrics=wanted
        )
        rarest = int(min(actual.sum(), (~actual).sum()))
        for name, each in resampled.items():
            found[name] = _resampled(each, len(models), asked, rarest)
    if asked.wants("roc_auc"):
        _, difference = delong.spreads(actual, [model.chance for model in models], asked.confidence)
        area = found["roc_auc"]
        found["roc_auc"] = Spreads(area.models, area.difference, area.method, {DELONG: difference})
    return {name: each for name, each in found.items() if asked.wants(name)}


def multiclass(actual: Integers, models: Sequence[ClassScores], asked: Asked) -> dict[str, Spreads]:
    """Give the spreads of the figures of a multiclass problem.

    Args:
        actual: (n,) class positions; -1 of a class that no model knows.
        models: one or two, on the same rows.
        asked: how.
    """
    classes = models[0].chances.shape[1]
    known = np.where(actual < 0, classes, actual)
    found = {
        "accuracy": _shares([model.says == actual for model in models], asked),
        "log_loss": _means([_log_losses(_chance_of(known, model)) for model in models], asked),
    }
    if asked.wants("f1_macro"):
        rows = np.bincount(known)
        resampled = bootstrap.macro_f1(known, models, classes, replicates=asked.replicates, seed=asked.seed)
        found["f1_macro"] = _resampled(
            resampled, len(models), asked, int(rows[rows > 0].min(initial=len(known)))
        )
    return {name: each for name, each in found.items() if asked.wants(name)}


def regression(actual: Floats, models: Sequence[ValueScores], asked: Asked) -> dict[str, Spreads]:
    """Give the spreads of the figures of a regression; `actual` is (n,).

    rmse and r2 are functions of means: their influence values are averaged, as the delta method has it (van der
    Vaart (1998), Asymptotic Statistics, 3.1).

    Raises:
        EvaluationFailed: a value of `actual` is no finite number.
    """
    check_finite(actual)
    squares = [(model.values - actual) ** 2 for model in models]
    variation = (actual - actual.mean()) ** 2
    found = {
        "mae": _means([np.abs(model.values - actual) for model in models], asked),
        "rmse": _means([_of_root(each) for each in squares], asked, DELTA),
        "r2": _means([_of_share_explained(each, variation) for each in squares], asked, DELTA),
    }
    return {name: each for name, each in found.items() if asked.wants(name)}


BY_PROBLEM: dict[str, Callable[..., dict[str, Spreads]]] = {
    "binary": binary,
    "multiclass": multiclass,
    "regression": regression,
}


def _means(values: list[Floats], asked: Asked, method: str = MEAN) -> Spreads:
    models = tuple(of_mean(each, asked.confidence) for each in values)
    difference = of_mean(values[0] - values[1], asked.confidence) if len(values) == 2 else None
    return Spreads(models, difference, method)


def _shares(hits: list[Bools], asked: Asked) -> Spreads:
    models = tuple(of_share(each, asked.confidence) for each in hits)
    difference = of_share_difference(hits[0], hits[1], asked.confidence) if len(hits) == 2 else None
    return Spreads(models, difference, SHARE)


def _resampled(drawn: bootstrap.Replicates, models: int, asked: Asked, rarest: int) -> Spreads:
    confidence = asked.confidence
    return Spreads(
        tuple(drawn.spread(model, confidence, rarest) for model in range(models)),
        drawn.spread_of_difference(confidence, rarest) if models == 2 else None,
        f"{RESAMPLED}, {asked.replicates:,} replicates",
    )


def _log_losses(chances: Floats) -> Floats:
    # As scikit-learn has it: a chance of nothing costs as much as the least one above it does.
    return -np.log(np.clip(chances, np.finfo(np.float64).eps, 1.0))


def _chance_of(actual: Integers, model: ClassScores) -> Floats:
    widened = np.column_stack([model.chances, np.zeros(len(actual))])
    return np.asarray(widened[np.arange(len(actual)), actual], dtype=np.float64)


def _of_root(squares: Floats) -> Floats:
    """Give the influence values of a root mean square: their mean's spread is its spread."""
    root = float(np.sqrt(squares.mean()))
    return squares / (2 * root) if root else squares


def _of_share_explained(squares: Floats, variation: Floats) -> Floats:
    """Give those of one minus a ratio of means."""
    whole = float(variation.mean())
    if not whole:
        return np.full(len(squares), np.nan)
    ratio = float(squares.mean()) / whole
    return -(squares - ratio * variation) / whole
