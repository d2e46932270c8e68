"""The figures of both models on parts of the held-out rows: slices and groups of people, as [gates] has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from containers.answers import Answers, BinaryAnswers, spread
from containers.process.columns import Columns
from containers.process.comparing import bounds_of, comparison
from sluice.gate_tables import FairnessGate, Gates, SliceGate
from sluice.judging import groups, slices
from sluice.judging.slices import Part
from sluice.judging.spreads import Asked, Spreads
from sluice.payloads.evaluation import Bounds, Figure, Gap, GroupEvaluation, SliceEvaluation


@dataclass(frozen=True)
class Models:
    """What both say of the same rows; no champion where there is none, or none that could be judged."""

    challenger: Answers
    champion: Answers | None

    @property
    def both(self) -> list[Answers]:
        return [self.challenger] if self.champion is None else [self.challenger, self.champion]

    def of(self, part: Part) -> Models:
        champion = None if self.champion is None else self.champion.of(part.rows)
        return Models(self.challenger.of(part.rows), champion)


def slice_evaluations(
    models: Models, columns: Columns, gates: Gates, asked: Asked
) -> Iterator[SliceEvaluation]:
    """Judge both models on each slice that [[gates.slices]] asks for.

    Raises:
        EvaluationFailed: the held-out rows have no such column, or it has too many values to be parted by.
    """
    for number, gate in enumerate(gates.slices):
        only = replace(asked, metrics={gates.compare, *gate.minimum})
        for part in _parts(gate, columns):
            rows = int(part.rows.sum())
            told = SliceEvaluation(gate=number, column=part.column, value=part.value, rows=rows)
            if rows < gate.min_rows:
                yield told.model_copy(update={"unjudged": _too_few(rows, gate.min_rows)})
            else:
                yield _judged(told, models.of(part), gates.compare, only)


def _parts(gate: SliceGate, columns: Columns) -> Iterable[Part]:
    if gate.cuts:
        return slices.between(gate.column, columns.numbers(gate.column), gate.cuts)
    texts = columns.texts(gate.column)
    if gate.values:
        return slices.of_values(gate.column, texts, [as_text(value) for value in gate.values])
    return slices.by_value(gate.column, texts)


def as_text(value: str | int | bool) -> str:
    """Give a value of project.toml as the text that it is among the held-out rows."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _too_few(rows: int, least: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}, and {least:,} are needed"


def _judged(told: SliceEvaluation, models: Models, compared: str, asked: Asked) -> SliceEvaluation:
    found = spread(models.both, asked)
    figures = [
        {name: _figure(answers, name, found.get(name), place) for name in sorted(asked.metrics or ())}
        for place, answers in enumerate(models.both)
    ]
    difference = None
    if len(figures) == 2:
        values = [figure[compared].value for figure in figures]
        if values[0] is not None and values[1] is not None:
            difference = comparison(values[0], values[1], found[compared])
    return told.model_copy(
        update={
            "challenger": figures[0],
            "champion": figures[1] if len(figures) == 2 else {},
            "comparison": difference,
        }
    )


def _figure(answers: Answers, name: str, spreads: Spreads | None, place: int) -> Figure:
    why = answers.lacking(name)
    if why:
        return Figure(why=why)
    value = answers.figures([name])[name]
    bounds = None if spreads is None else bounds_of(spreads.models[place], value)
    return Figure(value=value, bounds=bounds)


def group_evaluations(
    challenger: Answers, columns: Columns, gate: FairnessGate | None, confidence: float
) -> tuple[list[GroupEvaluation], list[Gap]]:
    """Tell what the challenger does to each group that [gates.fairness] names, and how far they are apart.

    Raises:
        EvaluationFailed: the held-out rows have no such column, or it has too many values.
    """
    told: list[GroupEvaluation] = []
    gaps: list[Gap] = []
    if gate is None or not isinstance(challenger, BinaryAnswers):
        return told, gaps
    for column in gate.columns:
        parts = slices.by_value(column, columns.texts(column))
        found = [groups.group(part, challenger.actual, challenger.scores, confidence) for part in parts]
        told += [_group(column, each, gate.min_rows) for each in found]
        judged = [each for each in found if each.rows >= gate.min_rows]
        gaps += [_gap(column, name, groups.gap(name, judged)) for name in groups.GAPS]
    return told, gaps


def _group(column: str, found: groups.Group, least: int) -> GroupEvaluation:
    return GroupEvaluation(
        column=column,
        value=found.value,
        rows=found.rows,
        positives=found.positives,
        unjudged=_too_few(found.rows, least) if found.rows < least else None,
        selected=_share(found.figures["demographic_parity"]),
        found=_share(found.figures["equal_opportunity"]),
        bias=_share(found.figures["calibration"]),
        calibration_error=found.calibration_error,
    )


def _share(share: groups.Share) -> Figure:
    if math.isnan(share.value):
        return Figure(why="none of its rows is positive")
    return Figure(value=share.value, bounds=bounds_of(share.spread, share.value))


def _gap(column: str, name: str, found: groups.Gap | None) -> Gap:
    if found is None:
        return Gap(column=column, name=name)
    bounds: Bounds | None = bounds_of(found.spread, found.value)
    return Gap(column=column, name=name, between=found.between, value=found.value, bounds=bounds)
