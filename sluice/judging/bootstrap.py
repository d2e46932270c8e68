"""The Poisson bootstrap on score cells: rows that a figure cannot tell apart are drawn together, as one count.

A row's weight in a resample is Poisson(1), so a cell's is Poisson(its rows): with 256 bins of scores a model, a
million rows become tens of thousands of cells. Both models are weighted by the same draw, which makes the difference
a paired one. Hanley and MacGibbon (2006), Statistics in Medicine 25; Chamandy et al. (2012), Google report 43157.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sluice.judging.intervals import Bools, Floats, Spread, normal_quantile, t_quantile
from sluice.judging.scores import BinaryScores, ClassScores, Integers

BINS = 256
REPLICATES = 1_000

# Resamples of few rows may lack a class; where more do than this, what is left is no picture of the others.
_LEAST_DEFINED = 0.9
_BLOCK = 50

OF_SCORES = ("roc_auc", "average_precision")
OF_ANSWERS = ("f1", "precision", "recall")
BINARY_METRICS = (*OF_SCORES, *OF_ANSWERS)


@dataclass(frozen=True)
class Replicates:
    """A figure in every resample, (models, replicates), NaN where it has none; and on the cells as they are."""

    drawn: Floats
    centre: Floats

    def spread(self, model: int, confidence: float, rarest: int) -> Spread | None:
        """Give that of a model's figure: as far as the resamples' quantiles are from the figure on the cells."""
        drawn, centre = self.drawn[model], float(self.centre[model])
        if not _tells(drawn, centre, rarest):
            return None
        low, high = np.nanquantile(drawn, [1 - confidence, confidence])
        wider = _widened(confidence, rarest)
        return Spread(max(0.0, centre - float(low)) * wider, max(0.0, float(high) - centre) * wider)

    def spread_of_difference(self, confidence: float, rarest: int) -> Spread | None:
        """Give that of the first model's figure minus the second's.

        Such differences scatter alike to both sides: one quantile of both together is steadier than one of each.
        """
        drawn, centre = self.drawn[0] - self.drawn[1], float(self.centre[0] - self.centre[1])
        if not _tells(drawn, centre, rarest):
            return None
        half = float(np.nanquantile(np.abs(drawn - centre), 2 * confidence - 1)) * _widened(
            confidence, rarest
        )
        return Spread(half, half)


def binary(
    actual: Bools,
    models: Sequence[BinaryScores],
    *,
    replicates: int,
    seed: int,
    metrics: Collection[str] = BINARY_METRICS,
) -> dict[str, Replicates]:
    """Resample figures of BINARY_METRICS.

    Args:
        actual: (n,) whether the row is of the positive class.
        models: one or two, on the same rows.
        replicates: how many resamples.
        seed: the same gives the same.
        metrics: which of them. Rows are told apart no further than these can: of f1 alone there are eight cells.
    """
    by_score = any(name in metrics for name in OF_SCORES)
    by_answer = any(name in metrics for name in OF_ANSWERS)
    code = actual.astype(np.int64)
    for model in models:
        bins = _bins(model.chance, actual) if by_score else 0
        code = (code * BINS + bins) * 2 + (model.says_so if by_answer else 0)
    cells, counts = np.unique(code, return_counts=True)
    of_models: list[tuple[Integers, Integers]] = []
    for _ in models:
        says, cells = cells % 2, cells // 2
        of_models.insert(0, (cells % BINS, says))
        cells = cells // BINS
    positive = cells
    places = [(positive * BINS + of_bin, positive * 2 + says) for of_bin, says in of_models]

    figures: dict[str, list[Floats]] = {name: [] for name in BINARY_METRICS if name in metrics}
    for weights in _weights(counts, replicates, seed):
        blocks = [
            (_of_scores(weights, bins) if by_score else {})
            | (_of_answers(weights, answers) if by_answer else {})
            for bins, answers in places
        ]
        for name, found in figures.items():
            found.append(np.stack([block[name] for block in blocks]))
    return _replicates(figures)


def macro_f1(
    actual: Integers, models: Sequence[ClassScores], classes: int, *, replicates: int, seed: int
) -> Replicates:
    """Resample the mean of the classes' F1, of the classes that are there or are predicted.

    Args:
        actual: (n,) class positions; `classes` for one that no model knows.
        models: one or two, on the same rows.
        classes: how many the models know.
        replicates: how many resamples.
        seed: the same gives the same.
    """
    of = classes + 1
    code = actual
    for model in models:
        code = code * of + model.says
    cells, counts = np.unique(code, return_counts=True)
    says: list[Integers] = []
    for _ in models:
        says.insert(0, cells % of)
        cells = cells // of
    found = [
        np.stack([_macro_f1(weights, cells, each, of) for each in says])
        for weights in _weights(counts, replicates, seed)
    ]
    return _replicates({"f1_macro": found})["f1_macro"]


def _replicates(figures: dict[str, list[Floats]]) -> dict[str, Replicates]:
    """Part what was found on the cells as they are, which comes first, from the resamples."""
    return {
        name: Replicates(np.concatenate(blocks[1:], axis=1), blocks[0][:, 0])
        for name, blocks in figures.items()
    }


def _weights(counts: Integers, replicates: int, seed: int) -> Iterator[Floats]:
    """Give the cells' rows as they are, (1, cells), then resamples, a block of (replicates, cells) at a time."""
    yield counts.astype(np.float64)[np.newaxis]
    draw = np.random.default_rng(seed)
    # Of many cells a few resamples at a time: a block of draws takes 32 MB at most.
    block = max(1, min(_BLOCK, 4_000_000 // len(counts)))
    for start in range(0, replicates, block):
        yield draw.poisson(counts, (min(block, replicates - start), len(counts))).astype(np.float64)


def _bins(scores: Floats, actual: Bools) -> Integers:
    """Give each row's bin: equal scores share one; up to 256 different ones have one each.

    Half of the edges part the positives evenly, half the negatives: of a rare class, too, no bin holds much.
    """
    values = np.unique(scores)
    if len(values) <= BINS:
        return np.searchsorted(values, scores).astype(np.int64)
    shares = np.linspace(0, 1, BINS // 2 + 1)[1:]
    sides = [np.quantile(scores[side], shares, method="lower") for side in (actual, ~actual) if side.any()]
    edges = np.unique(np.concatenate(sides))[: BINS - 1]
    return np.searchsorted(edges, scores, "left").astype(np.int64)


def _sums(weights: Floats, place: Integers, size: int) -> Floats:
    """Add up each resample's weights by place: (replicates, size)."""
    return np.stack([np.bincount(place, row, size) for row in weights])


def _of_scores(weights: Floats, bins: Integers) -> dict[str, Floats]:
    by_bin = _sums(weights, bins, 2 * BINS)
    # From the highest scores down, as one would call rows positive.
    negatives, positives = by_bin[:, BINS - 1 :: -1], by_bin[:, : BINS - 1 : -1]
    called, right = np.cumsum(negatives + positives, axis=1), np.cumsum(positives, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = negatives.sum(axis=1, keepdims=True) - np.cumsum(negatives, axis=1) + negatives / 2
        area = (positives * below).sum(axis=1) / (positives.sum(axis=1) * negatives.sum(axis=1))
        precision = np.where(called > 0, right / called, 0.0)
        return {
            "roc_auc": area,
            "average_precision": (positives * precision).sum(axis=1) / positives.sum(axis=1),
        }


def _of_answers(weights: Floats, answers: Integers) -> dict[str, Floats]:
    of_answers = _sums(weights, answers, 4)
    false_positives, misses, hits = of_answers[:, 1], of_answers[:, 2], of_answers[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        # As scikit-learn has it with zero_division=0: without a positive prediction there is nothing right.
        return {
            "f1": _share(2 * hits, 2 * hits + false_positives + misses),
            "precision": _share(hits, hits + false_positives),
            "recall": hits / (hits + misses),
        }


def _share(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)


def _macro_f1(weights: Floats, actual: Integers, says: Integers, classes: int) -> Floats:
    right = _sums(weights * (actual == says), actual, classes)
    either = _sums(weights, actual, classes) + _sums(weights, says, classes)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(either > 0, 2 * right / either, 0.0)
        return np.asarray(scores.sum(axis=1) / (either > 0).sum(axis=1), dtype=np.float64)


def _tells(drawn: Floats, centre: float, rarest: int) -> bool:
    """Say whether the resamples are a picture of what might have been."""
    return rarest >= 2 and math.isfinite(centre) and bool(np.isfinite(drawn).mean() >= _LEAST_DEFINED)


def _widened(confidence: float, rarest: int) -> float:
    """Give by how much the resamples' quantiles are too near, where m rows are of the rarer class.

    A resample has (m - 1)/m of a sample's variance, and its tails are the normal's, where those of a mean of few rows
    are Student's.
    """
    wider = math.sqrt(rarest / (rarest - 1))
    return (
        wider * t_quantile(confidence, rarest - 1) / normal_quantile(confidence)
        if confidence > 0.5
        else wider
    )
