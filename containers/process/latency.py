"""How long a model takes for a row that comes alone, and for each of many."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pandas as pd

from sluice.payloads.evaluation import Latency

_MOST_CALLS = 30
_LEAST_CALLS = 5
_SECONDS = 0.3


def measure(
    features: pd.DataFrame, predict: Callable[[pd.DataFrame], object], batch_seconds: float
) -> Latency:
    """Ask for single rows until there are thirty answers, or five and the time is over.

    Args:
        features: of the held-out rows.
        predict: the model.
        batch_seconds: what all of them took at once.
    """
    taken: list[float] = []
    until = time.perf_counter() + _SECONDS
    while len(taken) < _MOST_CALLS and (len(taken) < _LEAST_CALLS or time.perf_counter() < until):
        row = features.iloc[[len(taken) % len(features)]]
        start = time.perf_counter()
        predict(row)
        taken.append(time.perf_counter() - start)
    return Latency(row_ms=1e3 * statistics.median(taken), batch_row_us=1e6 * batch_seconds / len(features))
