"""How far the figures of both models may be from the truth, and what the two differ by on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

from containers.answers import spread
from containers.process.judging import Judged
from sluice.judging.intervals import Spread
from sluice.judging.spreads import Asked, Spreads
from sluice.payloads.evaluation import Bounds, Comparison


@dataclass(frozen=True)
class Compared:
    """The bounds of either model's figures, by metric, and of their differences."""

    challenger: dict[str, Bounds]
    champion: dict[str, Bounds]
    differences: dict[str, Comparison]


def compare(challenger: Judged, champion: Judged | None, asked: Asked) -> Compared:
    """Compare two models; without a champion there are only the challenger's bounds."""
    models = [each for each in (challenger, champion) if each is not None]
    found = spread([each.answers for each in models], asked)
    intervals = [
        {
            name: bounds
            for name, spreads in found.items()
            if (bounds := bounds_of(spreads.models[place], model.metrics[name])) is not None
        }
        for place, model in enumerate(models)
    ]
    differences = {}
    if champion is not None:
        differences = {
            name: comparison(challenger.metrics[name], champion.metrics[name], spreads)
            for name, spreads in found.items()
        }
    return Compared(intervals[0], intervals[1] if len(intervals) > 1 else {}, differences)


def comparison(value: float, other: float, spreads: Spreads) -> Comparison:
    """Give the difference of two figures, exact, with the bounds of its spread."""
    difference = value - other
    checks = {name: bounds_of(check, difference) for name, check in spreads.checks.items()}
    return Comparison(
        difference=difference,
        bounds=bounds_of(spreads.difference, difference),
        method=spreads.method,
        checks={name: bounds for name, bounds in checks.items() if bounds is not None},
    )


def bounds_of(spread_: Spread | None, figure: float) -> Bounds | None:
    """Put a spread around a figure."""
    if spread_ is None:
        return None
    low, high = spread_.around(figure)
    return Bounds(low=low, high=high)
