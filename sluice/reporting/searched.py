"""A search of hyperparameters in words, rows and a plot."""

from __future__ import annotations

from itertools import accumulate

from sluice.errors import from_wire
from sluice.payloads.search import Search
from sluice.problems import SMALLER_IS_BETTER
from sluice.reporting.plots import Numbered, numbered


def sentence(search: Search) -> str:
    """Say how many trials there were, what became of them, and how good the best one is."""
    said = f"{len(search.trials)} trial{'' if len(search.trials) == 1 else 's'}"
    if search.failed:
        said += f", {search.failed} failed"
    if search.stopped:
        said += f", {search.stopped} stopped early"
    best = search.found
    if best is None or best.objective is None:
        return f"{said}; none is the best"
    number = "one" if best.number is None else str(best.number)
    return f"{said}; the best is {number} with {search.metric} {best.objective:.4f}"


def values(search: Search) -> list[list[str]]:
    """Give hyperparameter and value of the best trial."""
    return [[name, str(value)] for name, value in search.values.items()]


def first_failure(search: Search) -> str:
    """Say why the first of the failed trials did; empty where none failed."""
    if search.first_failure is None:
        return ""
    text = search.first_failure.removeprefix("AlgorithmError: ")
    own = from_wire(text.rpartition(", exit code: ")[0] or text)
    return search.first_failure if own is None else f"{own.what} ({own.where}): {own.why}"


def plot(search: Search) -> str:
    """Draw each trial's objective, and the best so far; nothing where no trial has one."""
    judged = [
        (number, trial)
        for number, trial in enumerate(search.trials, start=1)
        if trial.objective is not None and trial.status != "Failed"
    ]
    if not judged:
        return ""
    better = min if search.metric in SMALLER_IS_BETTER else max
    points = [(number, float(trial.objective or 0.0)) for number, trial in judged]
    best = accumulate((value for _, value in points), better)
    shown = [
        Numbered(number, value, so_far, faint=trial.status == "Stopped")
        for (number, value), so_far, (_, trial) in zip(points, best, judged, strict=True)
    ]
    return numbered("Objective by trial", "trial", search.metric, shown)
