"""What the process that scores measures of a model beside its predictions, as it hands it to the one that judges."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.payloads.base import Payload
from sluice.payloads.evaluation import Importances, Latency

MEASURED = "measured.json"


@dataclass(frozen=True)
class Important:
    """By which metric features are weighed, and with which seed they are shuffled."""

    metric: str
    seed: int


class Measured(Payload):
    """Nothing of an image of the user's own."""

    latency: Latency | None = None
    importance: Importances | None = None
