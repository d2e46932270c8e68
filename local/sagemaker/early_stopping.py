"""Which training job of a tuning job is worse than most were at the same point, and stopped early.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

Series = Sequence[float]


def is_hopeless(running: Series, others: Sequence[Series], *, maximize: bool) -> bool:
    """Whether the last value of a job is worse than the median of what the jobs before averaged up to the same point.

    Args:
        running: the objective of the job after each of its epochs.
        others: the same of the jobs that have ended.
        maximize: whether more is better.
    """
    epoch = len(running)
    if not epoch:
        return False
    averages = [statistics.fmean(series[:epoch]) for series in others if len(series) >= epoch]
    if not averages:
        return False
    median = statistics.median(averages)
    return running[-1] < median if maximize else running[-1] > median
