"""Permutation importance: how much worse a model predicts the held-out rows where one feature is shuffled."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from containers.process.answers import Answers
from containers.process.measured import Important
from sluice.judging.figures import gain
from sluice.payloads.evaluation import Importance, Importances

SHUFFLES = 3
_MOST_ROWS = 1_000
_LEAST_ROWS = 100
# Rows that are predicted for it in all: with many features fewer of the held-out rows are taken.
_BUDGET = 100_000


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
    for name in features.columns:
        losses = []
        for _ in range(SHUFFLES):
            shuffled = sample.copy()
            shuffled[name] = sample[name].to_numpy()[draw.permutation(len(sample))]
            shuffled[name] = shuffled[name].astype(sample[name].dtype)
            worse = answers(shuffled, rows).figures([asked.metric])[asked.metric]
            losses.append(gain(asked.metric, figure, worse))
        error = float(np.std(losses, ddof=1)) / math.sqrt(SHUFFLES)
        found.append(Importance(feature=str(name), loss=float(np.mean(losses)), error=error))
    found.sort(key=lambda each: -each.loss)
    return Importances(metric=asked.metric, rows=len(sample), shuffles=SHUFFLES, features=tuple(found))
