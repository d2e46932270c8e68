"""Ways to serve as straight lines over predictions, and where two of them cost the same."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.costing import prices
from sluice.costing.assumptions import HOURS_A_MONTH, Assumptions
from sluice.costing.prices import PriceList
from sluice.instances import TRANSFORM, Use
from sluice.project import Project

_KB_A_GB = 1e6
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html
_MOST_CONCURRENT = 200


@dataclass(frozen=True)
class Way:
    """A way to serve: US dollars a month whatever is asked, and for each prediction; None: a price is not known."""

    name: str
    fixed: float | None
    each: float
    note: str

    def monthly(self, predictions: float) -> float | None:
        return None if self.fixed is None else self.fixed + self.each * predictions

    def per_million(self, predictions: float) -> float | None:
        """Give US dollars a million predictions; None where there are none, or a price is not known."""
        monthly = self.monthly(predictions)
        return None if monthly is None or not predictions else monthly / predictions * 1e6


@dataclass(frozen=True)
class Crossing:
    """Below `predictions` a month `below` is cheaper, above it `above`."""

    predictions: float
    below: str
    above: str


def ways(project: Project, given: Assumptions, known: PriceList) -> list[Way]:
    """Give the three ways for a project's model: its fleet, a serverless endpoint, and batch jobs.

    A prediction is one row in one request, but for a batch.
    """
    serving = project.serving
    hourly = known.hourly(Use.ENDPOINT, serving.instance_type)
    data = given.request_kb / _KB_A_GB * prices.ENDPOINT_GB.usd
    batch = known.hourly(Use.TRANSFORM, TRANSFORM)
    seconds = given.request_ms / 1_000
    most = _MOST_CONCURRENT / seconds if seconds else float("inf")
    return [
        Way(
            "instances",
            None if hourly is None else serving.instance_count * HOURS_A_MONTH * hourly,
            data,
            f"{serving.instance_count} × {serving.instance_type}, always on",
        ),
        Way(
            "serverless",
            0.0,
            seconds * given.memory_gb * prices.SERVERLESS_GB_SECOND.usd + data,
            f"{given.memory_gb:g} GB, {given.request_ms:g} ms; to {most:,.0f}/s; no capture, no canary",
        ),
        Way(
            "batch",
            None if batch is None else given.batches * given.job_minutes / 60 * batch,
            0.0 if batch is None else given.row_ms / 3.6e6 * batch,
            f"{given.batches:g} jobs on {TRANSFORM}; answers when the job has run",
        ),
    ]


def crossings(found: Sequence[Way]) -> list[Crossing]:
    """Give where two ways cost the same, by predictions a month, in order. Ways that never meet have none."""
    met = []
    for one, other in itertools.combinations(found, 2):
        if one.fixed is None or other.fixed is None or one.each == other.each:
            continue
        predictions = (one.fixed - other.fixed) / (other.each - one.each)
        if predictions > 0:
            above, below = (one, other) if one.each < other.each else (other, one)
            met.append(Crossing(predictions, below.name, above.name))
    return sorted(met, key=lambda each: each.predictions)


def cheapest(found: Sequence[Way], predictions: float) -> Way | None:
    """Give the way that costs least; None where no price is known."""
    priced = [(cost, way) for way in found if (cost := way.monthly(predictions)) is not None]
    return min(priced, key=lambda each: each[0])[1] if priced else None
