"""Permutation importance: how much worse a model predicts the held-out rows where one feature is shuffled."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from containers.answers import Answers
from containers.process.measured import Important
from sluice.judging.figures import gain
from sluice.payloads.evaluation import Importance, Importances

SHUFFLES = 3
_MOST_ROWS = 1_000
_LEAST_ROWS = 100
# Rows that are predicted for it in all: with many features fewer of the held-out rows are taken.
_BUDGET = 100_000
# Cells in one call: some tens of megabytes.
_MOST_CELLS = 5_000_000


def permutation(
    features: pd.DataFrame,
    answers: Callable[[pd.DataFrame, npt.NDArray[np.int64]], Answers],
    asked: Important,
) -> Importances | None:
    """Shuffle one feature after the other, three times each.

    Args:
        features: of the held-out rows, as the model takes them.
        answers: predicts such rows, and puts the predictions beside the truth of the rows at these positions.
        asked: the metric, and the seed.

    Returns:
        None where the rows that are taken have no such figure.
    """
    draw = np.random.default_rng(asked.seed)
    count = max(_LEAST_ROWS, min(_MOST_ROWS, _BUDGET // (SHUFFLES * features.shape[1])))
    rows = np.sort(draw.permutation(len(features))[:count])
    sample = features.iloc[rows].reset_index(drop=True)
    as_they_are = answers(sample, rows)
    if as_they_are.lacking(asked.metric):
        return None
    figure = as_they_are.figures([asked.metric])[asked.metric]
    found = []
    at_once = max(1, _MOST_CELLS // (SHUFFLES * sample.size))
    for first in range(0, sample.shape[1], at_once):
        names = list(sample.columns[first : first + at_once])
        shuffled = {name: [draw.permutation(len(sample)) for _ in range(SHUFFLES)] for name in names}
        worse = _figures(sample, shuffled, rows, answers, asked.metric)
        for name in names:
            losses = [gain(asked.metric, figure, each) for each in worse[name]]
            error = float(np.std(losses, ddof=1)) / math.sqrt(SHUFFLES)
            found.append(Importance(feature=str(name), loss=float(np.mean(losses)), error=error))
    found.sort(key=lambda each: -each.loss)
    return Importances(metric=asked.metric, rows=len(sample), shuffles=SHUFFLES, features=tuple(found))


def _figures(
    sample: pd.DataFrame,
    shuffled: dict[str, list[npt.NDArray[np.int64]]],
    rows: npt.NDArray[np.int64],
    answers: Callable[[pd.DataFrame, npt.NDArray[np.int64]], Answers],
    metric: str,
) -> dict[str, list[float]]:
    """Give each feature's figures, predicted in one call: what a call costs by itself is most of what few rows do."""
    count = len(sample)
    blocks = [(name, order) for name, orders in shuffled.items() for order in orders]
    as_it_is = np.tile(np.arange(count), len(blocks))
    columns = {}
    for column in sample.columns:
        taken = as_it_is.copy()
        for place, (name, order) in enumerate(blocks):
            if name == column:
                taken[place * count : (place + 1) * count] = order
        columns[column] = sample[column].array.take(taken)
    answered = answers(pd.DataFrame(columns), np.tile(rows, len(blocks)))
    block = np.repeat(np.arange(len(blocks)), count)
    figures: dict[str, list[float]] = {name: [] for name in shuffled}
    for place, (name, _) in enumerate(blocks):
        figures[name].append(answered.of(block == place).figures([metric])[metric])
    return figures
