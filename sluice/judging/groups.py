"""What a binary model does to groups of people, and how far two groups are apart.

Demographic parity and equal opportunity as in Hardt, Price and Srebro (2016), NeurIPS 29; calibration within groups
as in Kleinberg, Mullainathan and Raghavan (2017), ITCS. Where the groups' shares of positives differ, no model has
all three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from sluice.judging import calibration
from sluice.judging.intervals import Bools, Spread, of_mean, of_share
from sluice.judging.scores import BinaryScores
from sluice.judging.slices import Part

GAPS = ("demographic_parity", "equal_opportunity", "calibration")


@dataclass(frozen=True)
class Share:
    """A figure of a group with its spread; NaN without rows to have it of."""

    value: float
    spread: Spread | None


@dataclass(frozen=True)
class Group:
    """Attributes:
    rows, positives: how many there are.
    figures: by the gap that they make: the share predicted positive, the share of the positives predicted so, the
        mean probability minus the share of positives.
    calibration_error: the expected calibration error of the group; NaN without rows.
    """

    value: str
    rows: int
    positives: int
    figures: dict[str, Share]
    calibration_error: float


@dataclass(frozen=True)
class Gap:
    """The largest difference of a figure between two groups, the larger one first."""

    name: str
    between: tuple[str, str]
    value: float
    spread: Spread | None


def group(part: Part, actual: Bools, model: BinaryScores, confidence: float) -> Group:
    """Give what the model does to the rows of a part; `actual` is (n,), of all rows."""
    here, scores = actual[part.rows], model.of(part.rows)
    selected, found, bias = scores.says_so, scores.says_so[here], scores.chance - here
    return Group(
        value=part.value,
        rows=len(here),
        positives=int(here.sum()),
        figures={
            "demographic_parity": Share(_mean(selected), of_share(selected, confidence)),
            "equal_opportunity": Share(_mean(found), of_share(found, confidence)),
            "calibration": Share(_mean(bias), of_mean(bias, confidence)),
        },
        calibration_error=calibration.of(here, scores.chance, confidence).error if len(here) else math.nan,
    )


def gap(name: str, groups: Sequence[Group]) -> Gap | None:
    """Give the largest gap of that name; None of fewer than two groups that have the figure.

    Its spread is that of a difference of two independent figures, from their own (Newcombe (1998), Statistics in
    Medicine 17, method 10).
    """
    shares = [(each.value, each.figures[name]) for each in groups if math.isfinite(each.figures[name].value)]
    if len(shares) < 2:
        return None
    high, most = max(shares, key=lambda share: share[1].value)
    low, least = min(reversed(shares), key=lambda share: share[1].value)
    spread = None
    if most.spread is not None and least.spread is not None:
        spread = Spread(
            math.hypot(most.spread.below, least.spread.above),
            math.hypot(most.spread.above, least.spread.below),
        )
    return Gap(name, (high, low), most.value - least.value, spread)


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else math.nan
