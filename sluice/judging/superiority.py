"""Challenger against champion: better for sure, or at least not worse by a margin, by the bounds of their difference.

Improvement: the lower bound of the paired gain is above 0. Equals pass as rarely as the confidence says, 1 in 20 at
0.95, and a model that is worse more rarely still. Non-inferiority: the lower bound is above minus the margin; a model
that is worse by just the margin passes that rarely. (Piaggio et al. (2012), JAMA 308, on such trials.)
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.gate_tables import Gates
from sluice.judging.figures import gain, shown_apart
from sluice.payloads.evaluation import Bounds, Comparison
from sluice.payloads.training import Rule
from sluice.problems import SMALLER_IS_BETTER


@dataclass(frozen=True)
class Compared:
    """A metric of challenger and champion on the same rows, and what they differ by."""

    metric: str
    value: float
    best: float
    comparison: Comparison
    confidence: float
    rows: int


def gains(metric: str, comparison: Comparison) -> Bounds | None:
    """Give how much better the challenger is, at the least and at the most; None where nothing can be told."""
    bounds = comparison.bounds
    if bounds is None or metric not in SMALLER_IS_BETTER:
        return bounds
    return Bounds(low=-bounds.high, high=-bounds.low)


def rule(compared: Compared, gates: Gates) -> Rule:
    """Hold the difference against the project's rule."""
    limit = 0.0 if gates.margin is None else -gates.margin
    bounds = gains(compared.metric, compared.comparison)
    value, best = shown_apart(compared.value, compared.best)
    both = f"{compared.metric} is {value}, the champion's {best} on the same {compared.rows:,} rows."
    if bounds is None:
        said = "They are too few to tell one from the other."
    elif gates.margin is None:
        said = _of_improvement(compared, bounds)
    else:
        said = _of_non_inferiority(bounds, gates.margin, sure(compared.confidence))
    return Rule(
        name=gates.rule,
        figure=None if bounds is None else bounds.low,
        limit=limit,
        passed=bounds is not None and bounds.low > limit,
        sentence=f"{both} {said}",
    )


def sure(confidence: float) -> str:
    return f"with {100 * confidence:g} % confidence"


def _of_improvement(compared: Compared, bounds: Bounds) -> str:
    confident = sure(compared.confidence)
    if bounds.low > 0:
        return f"It is better, {confident} by {bounds.low:.2g} at least."
    if bounds.low == bounds.high == 0:
        return "They do not differ, and an equal model takes nobody's place."
    if bounds.high < 0:
        return f"It is worse, {confident} by {-bounds.high:.2g} at least."
    looks = "better" if gain(compared.metric, compared.value, compared.best) > 0 else "no better"
    lowest = f"be worse by {-bounds.low:.2g}" if bounds.low < 0 else "be no better"
    return f"It looks {looks}, which may be luck: {confident} one can only say that it may {lowest}."


def _of_non_inferiority(bounds: Bounds, margin: float, confident: str) -> str:
    if bounds.low >= 0:
        return f"It is no worse, {confident}."
    lowest = f"{-bounds.low:.2g}"
    if bounds.low > -margin:
        return (
            f"If it is worse, then {confident} by no more than {lowest}, and less than {margin:g} is allowed."
        )
    return f"It may be worse by {lowest} ({confident}), and less than {margin:g} is allowed."
