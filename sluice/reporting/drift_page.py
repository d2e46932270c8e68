"""The page of a window of captured traffic: what moved, by how much, and what could have been seen."""

from __future__ import annotations

from itertools import accumulate

from markupsafe import Markup

from sluice.column_names import PREDICTION
from sluice.monitoring.captures import SAID
from sluice.monitoring.counts import Counts, Window
from sluice.monitoring.drift import DriftVerdict, effect
from sluice.monitoring.reference import Column, Reference
from sluice.outcomes import DriftOutcome
from sluice.reporting.page import css, environment
from sluice.reporting.plots import Bar, Series, bars, unit_curves

_MOST_PLOTS = 12
_MOST_BARS = 20
_MOST_POINTS = 100
_TONES = {DriftOutcome.DRIFTED: ("bad", "drifted"), DriftOutcome.STABLE: ("good", "stable")}
_NOT_JUDGED = ("held", "not judged")


def render_drift(found: DriftVerdict, reference: Reference, window: Window, *, project: str) -> str:
    """Write report.html of a window."""
    tone, word = _TONES.get(found.outcome, _NOT_JUDGED)
    by_effect = sorted(
        found.verdict.columns.items(), key=lambda each: (not each[1].drifted, -effect(each[1]))
    )
    return (
        environment()
        .get_template("drift.html.j2")
        .render(
            found=found,
            project=project,
            css=css(),
            tone=tone,
            word=word,
            rows=[
                [
                    shown(name),
                    "yes" if column.drifted else "no",
                    f"{effect(column):.3f}",
                    f"{column.adjusted:.2g}",
                    "" if column.visible is None else f"{column.visible:.3f}",
                    column.sentence,
                ]
                for name, column in by_effect
            ],
            unread=[[SAID[reason], f"{count:,}"] for reason, count in sorted(found.unread.items())],
            aside=[[each.key, str(each.line), each.reason.replace("_", " ")] for each in found.aside],
            plots=[Markup(drawn) for drawn in _plots(found, reference, window)],  # noqa: S704 - plots.py escapes what it draws
        )
    )


def shown(name: str) -> str:
    """Name a column as people read it."""
    return "what the model answers" if name == PREDICTION else name


def _plots(found: DriftVerdict, reference: Reference, window: Window) -> list[str]:
    effects = sorted(((effect(each), name) for name, each in found.verdict.columns.items()), reverse=True)
    if not effects:
        return []
    drawn = [
        bars(
            "How far each column moved",
            "Jensen-Shannon distance, 0 to 1",
            [Bar(shown(name), size, 0.0) for size, name in effects[:_MOST_BARS]],
        )
    ]
    for name in found.drifted[:_MOST_PLOTS]:
        before, now = reference.columns[name], window.columns[name]
        if before.counts.values and now.values:
            drawn.append(_shares(name, before, now))
    return drawn


def _shares(name: str, column: Column, now: Counts) -> str:
    """Plot the share of rows up to each value, in the window over the reference: the diagonal where nothing moved."""
    order = list(range(len(column.counts.bins)))
    if column.kind == "category":
        order.sort(key=lambda place: -column.counts.bins[place])
    before = list(accumulate(column.counts.bins[place] for place in order))
    later = list(accumulate(now.bins[place] for place in order))
    points = [(0.0, 0.0), *((x / before[-1], y / later[-1]) for x, y in zip(before, later, strict=True))]
    step = max(1, len(points) // _MOST_POINTS)
    kept = [*points[:-1:step], points[-1]]
    up_to = "values up to one" if column.kind == "number" else "values, the most frequent first"
    return unit_curves(
        shown(name),
        f"share of the reference: {up_to}",
        "share of the window",
        [Series("window", kept, "champion")],
        diagonal=True,
    )
