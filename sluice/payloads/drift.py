"""What the states of the machine `drift` hand to the functions, and what those answer."""

from __future__ import annotations

from datetime import datetime

from sluice.outcomes import DriftOutcome
from sluice.payloads.base import Payload


class PlanDriftInput(Payload):
    """What PlanDrift is asked. The last three are the release record's; null where nothing was released yet."""

    execution: str
    model_name: str | None
    model_uri: str | None
    released_at: datetime | None


class PartToCount(Payload):
    """A part of a window, which one call counts."""

    window: str
    part: int


class DriftPlan(Payload):
    """What PlanDrift answers.

    Attributes:
        window: null where nothing was released: there is nothing to look at.
        resumed: an earlier run had opened the window, and ended before it was closed.
        objects: how many capture objects it looks at; `left` are the next window's.
    """

    window: str | None
    resumed: bool
    objects: int
    left: int
    parts: tuple[PartToCount, ...]


class CountedPart(Payload):
    """What CountCaptures answers; the counts themselves are in S3."""

    rows: int
    records: int


class JudgeDriftInput(Payload):
    """What JudgeDrift is asked."""

    execution: str
    window: str


class JudgedDrift(Payload):
    """What JudgeDrift answers, and `drift` ends with.

    Attributes:
        rows: that were held against the reference.
        drifted: columns that moved, the surest first.
    """

    outcome: DriftOutcome
    window: str
    rows: int
    drifted: tuple[str, ...]
    sentence: str
    verdict_uri: str
    report_uri: str
