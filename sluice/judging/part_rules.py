"""The rules of parts of the held-out rows: limits and margins in every slice, gaps between groups of people."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.errors import GateFailed
from sluice.gate_tables import Gates, SliceGate
from sluice.judging.figures import against_limit, gain
from sluice.judging.superiority import gains, sure
from sluice.payloads.documents import Evaluation
from sluice.payloads.evaluation import Gap, SliceEvaluation
from sluice.payloads.training import Rule

_GAPS = {
    "demographic_parity": "The share that is predicted positive",
    "equal_opportunity": "The share of the positives that is found",
    "calibration": "What probabilities are off the share of positives",
}


def of(evaluation: Evaluation, gates: Gates) -> Iterator[Rule]:
    """Give a rule for each limit and margin of gates.slices, and for each limit of gates.fairness.

    Raises:
        GateFailed: the evaluation was not asked for them.
    """
    for number, gate in enumerate(gates.slices):
        slices = [each for each in evaluation.slices if each.gate == number and each.column == gate.column]
        if not slices:
            raise _not_evaluated(f"slices of {gate.column!r}")
        for metric, limit in gate.minimum.items():
            yield _limit(gate, slices, metric, limit)
        if gate.margin is not None and evaluation.comparisons and evaluation.confidence is not None:
            yield _margin(gate, slices, gates.compare, gate.margin, evaluation.confidence)
    if gates.fairness is not None:
        for column in gates.fairness.columns:
            for name, most in gates.fairness.limits.items():
                if most is not None:
                    yield _gap(evaluation, column, name, most, gates.fairness.min_rows)


def _limit(gate: SliceGate, slices: list[SliceEvaluation], metric: str, limit: float) -> Rule:
    name = f"slices.{gate.column}.minimum.{metric}"
    figures = {}
    without = {}
    for each in slices:
        figure = each.challenger.get(metric)
        if each.unjudged is not None:
            without[each.value] = each.unjudged
        elif figure is None:
            raise _not_evaluated(f"{metric} in slices of {gate.column!r}")
        elif figure.value is None:
            without[each.value] = figure.why or f"it has no {metric}"
        else:
            figures[each.value] = figure.value
    if not figures or (gate.values and without):
        return _unjudged(name, gate, without, limit)
    worst = min(figures, key=lambda value: gain(metric, figures[value], limit))
    where = f" where {gate.column} is {worst!r}, of {_parts(len(figures))} the worst,"
    rule = against_limit(name, metric, figures[worst], limit, where)
    return rule.model_copy(update={"sentence": rule.sentence + _left_out(without)})


def _margin(
    gate: SliceGate, slices: list[SliceEvaluation], metric: str, margin: float, confidence: float
) -> Rule:
    name = f"slices.{gate.column}.margin"
    lows = {}
    without = {}
    for each in slices:
        bounds = None if each.comparison is None else gains(metric, each.comparison)
        if each.unjudged is not None:
            without[each.value] = each.unjudged
        elif bounds is None:
            without[each.value] = f"its {each.rows:,} rows are too few to tell {metric} of both models apart"
        else:
            lows[each.value] = bounds.low
    if not lows or (gate.values and without):
        return _unjudged(name, gate, without, -margin)
    worst = min(lows, key=lambda value: lows[value])
    low, passed = lows[worst], lows[worst] > -margin
    if low >= 0:
        found = f"{metric} is no worse than the champion's in any of {_parts(len(lows))} of {gate.column}"
    else:
        found = (
            f"Where {gate.column} is {worst!r}, of {_parts(len(lows))} the worst, {metric} may be worse than the "
            f"champion's by {-low:.2g}"
        )
    sentence = f"{found} ({sure(confidence)}), and less than {margin:g} is allowed.{_left_out(without)}"
    return Rule(name=name, figure=low, limit=-margin, passed=passed, sentence=sentence)


def _unjudged(name: str, gate: SliceGate, without: dict[str, str], limit: float) -> Rule:
    """Refuse where what was asked for cannot be judged: a rule that nobody could look at is not met."""
    what = "not every value that gates.slices names" if gate.values else "no part"
    reasons = _reasons(without)
    sentence = f"Of {gate.column} {what} could be judged: {reasons}."
    return Rule(name=name, figure=None, limit=limit, passed=False, sentence=sentence)


def _left_out(without: dict[str, str]) -> str:
    return f" Not judged: {_reasons(without)}." if without else ""


def _reasons(without: dict[str, str], most: int = 5) -> str:
    shown = [f"{value!r} ({why})" for value, why in list(without.items())[:most]]
    return ", ".join(shown) + (f" and {len(without) - most:,} more" if len(without) > most else "")


def _parts(count: int) -> str:
    return f"{count:,} part{'s' if count > 1 else ''}"


def _gap(evaluation: Evaluation, column: str, name: str, most: float, min_rows: int) -> Rule:
    gap = next((each for each in evaluation.gaps if (each.column, each.name) == (column, name)), None)
    if gap is None:
        raise _not_evaluated(f"groups of {column!r}")
    passed = gap.value is not None and gap.value <= most
    return Rule(
        name=f"fairness.max_{name}.{column}",
        figure=gap.value,
        limit=most,
        passed=passed,
        sentence=_gap_sentence(gap, most, min_rows),
    )


def _gap_sentence(gap: Gap, most: float, min_rows: int) -> str:
    if gap.value is None or gap.between is None:
        return (
            f"{gap.name} between groups of {gap.column} could not be judged: fewer than two of them have "
            f"{min_rows:,} rows and the figure."
        )
    high, low = gap.between
    verb = "at most" if gap.value <= most else "no more than"
    return (
        f"{_GAPS[gap.name]} differs by {gap.value:.3g} between {gap.column} {high!r} and {low!r}, "
        f"and {verb} {most:g} is allowed."
    )


def _not_evaluated(what: str) -> GateFailed:
    return GateFailed(
        f"the evaluation has no {what}",
        where="evaluation.json",
        why="it was made with another project.toml",
        fix="evaluate again with the project.toml whose [gates] are to decide",
    )
