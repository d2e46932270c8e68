"""A figure against its limit, as a rule: what both gates of all rows and those of a part of them are made of."""

from __future__ import annotations

import math

from sluice.errors import GateFailed
from sluice.payloads.documents import ModelEvaluation
from sluice.payloads.training import Rule
from sluice.problems import SMALLER_IS_BETTER


def against_limit(name: str, metric: str, value: float, limit: float, where: str = "") -> Rule:
    """Hold a metric against the least, of an error the most, that it may be; `where` says of which rows it is."""
    met = within(metric, value, limit)
    bound, beyond = ("at most", "above") if metric in SMALLER_IS_BETTER else ("at least", "below")
    shown, wanted = shown_apart(value, limit)
    if met:
        sentence = f"{metric}{where} is {shown}, and {bound} {wanted} was asked for."
    elif math.isnan(value):
        sentence = f"{metric}{where} is NaN, where {bound} {wanted} was asked for."
    else:
        sentence = f"{metric}{where} is {shown}, {beyond} the {wanted} that was asked for."
    return Rule(name=name, figure=finite_or_none(value), limit=limit, passed=met, sentence=sentence)


def within(metric: str, value: float, limit: float) -> bool:
    """Say whether a metric is as good as its limit; NaN is not."""
    return value <= limit if metric in SMALLER_IS_BETTER else value >= limit


def gain(metric: str, value: float, other: float) -> float:
    """Give by how much the first is better; below 0 where it is worse."""
    return other - value if metric in SMALLER_IS_BETTER else value - other


def metric_of(model: ModelEvaluation, name: str) -> float:
    """Give a model's figure.

    Raises:
        GateFailed: the evaluation lacks it.
    """
    try:
        return model.metrics[name]
    except KeyError:
        found = ", ".join(sorted(model.metrics)) or "none"
        raise GateFailed(
            f"the evaluation has no {name}",
            where="evaluation.json",
            why=f"its metrics are: {found}",
            fix="evaluate again with the project.toml whose [gates] are to decide",
        ) from None


def shown_apart(value: float, other: float) -> tuple[str, str]:
    """Write two figures with as many digits as it takes to tell them apart, four at least."""
    for digits in range(4, 17):
        pair = f"{value:.{digits}g}", f"{other:.{digits}g}"
        if value == other or pair[0] != pair[1]:
            return pair
    return repr(value), repr(other)


def finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
