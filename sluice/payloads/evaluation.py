"""The parts of evaluation.json: figures with how far they may be from the truth, by part of the rows, by group.

Bounds are one-sided, each with the evaluation's confidence: both at 0.95 enclose an interval of 90 %.
"""

from __future__ import annotations

from pydantic import Field

from sluice.payloads.base import Payload


class Bounds(Payload):
    """How low and how high the truth may be."""

    low: float
    high: float


class Figure(Payload):
    """A metric of some of the rows; no value, and why, where they do not have one."""

    value: float | None = None
    bounds: Bounds | None = Field(default=None, description="null where the rows are too few to tell")
    why: str | None = None


class Comparison(Payload):
    """What challenger and champion differ by in a metric, on the same rows: challenger minus champion.

    Attributes:
        bounds: of the difference, paired; null where the rows are too few to tell.
        method: how they were found.
        checks: the same by other methods.
    """

    difference: float
    bounds: Bounds | None
    method: str
    checks: dict[str, Bounds] = Field(default={})


class ReliabilityBin(Payload):
    """Rows of similar probability: their mean probability, and the share of positives seen among them."""

    predicted: float
    seen: float
    bounds: Bounds
    rows: int


class CalibrationSummary(Payload):
    """Whether probabilities can be taken at their word; sluice.judging.calibration says what each part is."""

    error: float
    bias: float
    reliability: float
    resolution: float
    uncertainty: float
    bins: tuple[ReliabilityBin, ...]


class Latency(Payload):
    """How long the fitted pipeline took in the evaluation, where nothing else of the model ran.

    Attributes:
        row_ms: the median for a row that comes alone.
        batch_row_us: for each of the held-out rows, all at once.
    """

    row_ms: float
    batch_row_us: float


class SliceEvaluation(Payload):
    """A part of the held-out rows, by the values of a column.

    Attributes:
        gate: which of gates.slices asks for it, from 0.
        rows: how many it has.
        unjudged: why it is held against nothing; null where it is.
        challenger, champion: their figures there.
        comparison: of gates.compare; null without a champion, or where one of both has no figure.
    """

    gate: int
    column: str
    value: str
    rows: int
    unjudged: str | None = None
    challenger: dict[str, Figure] = Field(default={})
    champion: dict[str, Figure] = Field(default={})
    comparison: Comparison | None = None


class GroupEvaluation(Payload):
    """What the challenger does to a group of people, by the value of a column.

    Attributes:
        rows, positives: how many there are.
        unjudged: why the group is in no gap; null where it is.
        selected: the share that is predicted positive.
        found: the share of the positives that is predicted so.
        bias: mean probability minus share of positives.
        calibration_error: the expected calibration error within the group.
    """

    column: str
    value: str
    rows: int
    positives: int
    unjudged: str | None = None
    selected: Figure
    found: Figure
    bias: Figure
    calibration_error: float | None


class Gap(Payload):
    """The largest difference between two groups of a column.

    Attributes:
        name: demographic_parity (of `selected`), equal_opportunity (of `found`), calibration (of `bias`).
        between: the groups, that with the larger figure first.
        value: null where fewer than two groups have the figure.
        bounds: of the difference between these two. They were picked for being furthest apart, so that with many
            groups it is larger than the truth.
    """

    column: str
    name: str
    between: tuple[str, str] | None = None
    value: float | None = None
    bounds: Bounds | None = None


class Importance(Payload):
    """By how much the challenger's gates.compare gets worse, in its own unit, where a feature is shuffled."""

    feature: str
    loss: float
    error: float = Field(description="the standard error over the shuffles")


class Importances(Payload):
    """Permutation importance, on some of the held-out rows.

    Breiman (2001), Machine Learning 45. Features that say the same share what they are worth.
    """

    metric: str
    rows: int = 0
    shuffles: int = 0
    features: tuple[Importance, ...] = Field(default=(), description="the most important first")
    unmeasured: str | None = Field(
        default=None, description="why there are none: the model refused such rows"
    )
