"""The verdict on a window: which columns moved, by how much, and what the window could have shown.

Chance raises an alarm in a window with a probability of at most the month's budget divided by the month's windows.
Whatever windows share (a reference, customers), the expected number of false alarms a month is at most the budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from sluice.monitoring import chances
from sluice.monitoring.counts import Counts, Window
from sluice.monitoring.reference import Column, Reference
from sluice.payloads.base import Document, Payload

Outcome = Literal["stable", "drift", "too_few", "no_traffic"]
Question = Literal["values", "missing", "new", "range"]

_SEEN = 0.8
_EVENLY = 0.5
"""The part of the error that is spread evenly; the rest goes by importance."""
_SAID: dict[Question, str] = {
    "values": "its values are spread differently",
    "missing": "values are missing more or less often",
    "new": "values outside of the known ones are more frequent",
    "range": "numbers outside of what the training rows span are more frequent",
}


@dataclass(frozen=True)
class Sensitivity:
    """How much is to be noticed, and how often it may be in vain.

    Attributes:
        alarms: false alarms a month that are put up with, in the mean.
        windows: how many verdicts are given a month.
        least_rows: below which a window is not judged.
        least_effect: Jensen-Shannon distance below which a difference is none that matters, however sure it is; a
            mean that moved by an eighth of the standard deviation makes 0.05.
    """

    alarms: float = 0.5
    windows: int = 30
    least_rows: int = 300
    least_effect: float = 0.05

    @property
    def chance(self) -> float:
        """What one window may use up of the month's budget."""
        return min(0.5, self.alarms / self.windows)


class Answer(Payload):
    """One question about a column: the chance of as much without any drift, and the effect's size, 0 to 1."""

    question: Question
    chance: float
    effect: float


class ColumnVerdict(Payload):
    """One column.

    Attributes:
        importance: its share of what the model uses; None where nothing is known of that.
        adjusted: the least of its chances, for as many questions and columns as were asked.
        visible: the change of a share (of numbers, of the rows up to some value) that this window would have shown in
            at least four cases of five; None where there are no values to compare.
    """

    answers: tuple[Answer, ...]
    importance: float | None
    adjusted: float
    drifted: bool
    visible: float | None
    sentence: str


class Verdict(Document):
    """What became of a window.

    Attributes:
        left_out: columns that were not looked at, and why.
    """

    outcome: Outcome
    rows: int
    chance: float
    columns: dict[str, ColumnVerdict]
    left_out: dict[str, str]
    sentence: str


def verdict(
    reference: Reference,
    window: Window,
    sensitivity: Sensitivity,
    importances: Mapping[str, float] | None = None,
) -> Verdict:
    """Hold a window against a reference.

    Args:
        reference: of training rows, or a seasonal one; drift of predictions and of labels is the same question.
        window: counted by it.
        sensitivity: what is to be noticed.
        importances: not negative; by columns, those that are not named are not used at all.
    """
    if window.reference != reference.name:
        raise ValueError(f"counts by {window.reference} cannot be held against {reference.name}")
    if window.rows < sensitivity.least_rows:
        few = f"{window.rows:,} rows came, and fewer than {sensitivity.least_rows:,} are not judged."
        outcome: Outcome = "too_few" if window.rows else "no_traffic"
        return _without_columns(
            reference, window, sensitivity, outcome, few if window.rows else "Nothing came."
        )
    answers = {name: _ask(column, window.columns[name]) for name, column in reference.columns.items()}
    weights = _weights(list(answers), importances)
    adjusted = chances.false_discoveries(
        [min(1.0, len(asked) * min(answer.chance for answer in asked)) for asked in answers.values()],
        list(weights.values()),
    )
    columns = {
        name: _of_column(
            asked,
            reference.columns[name],
            window.columns[name],
            adjusted=chance,
            allowed=sensitivity,
            strictest=sensitivity.chance * weights[name] / _toll(len(answers)) / len(asked),
            importance=None if importances is None else importances.get(name, 0.0),
        )
        for (name, asked), chance in zip(answers.items(), adjusted, strict=True)
    }
    moved = sorted(
        (name for name in columns if columns[name].drifted), key=lambda name: columns[name].adjusted
    )
    return Verdict(
        outcome="drift" if moved else "stable",
        rows=window.rows,
        chance=sensitivity.chance,
        columns=columns,
        left_out=reference.left_out,
        sentence=(
            f"{len(moved)} of {len(columns)} columns moved: {', '.join(moved)}."
            if moved
            else f"None of {len(columns)} columns moved noticeably in {window.rows:,} rows."
        ),
    )


def _without_columns(
    reference: Reference, window: Window, sensitivity: Sensitivity, outcome: Outcome, sentence: str
) -> Verdict:
    return Verdict(
        outcome=outcome,
        rows=window.rows,
        chance=sensitivity.chance,
        columns={},
        left_out=reference.left_out,
        sentence=sentence,
    )


def _toll(columns: int) -> float:
    """Give what the least of so many chances is multiplied by."""
    return columns * math.fsum(1 / rank for rank in range(1, columns + 1))


def _weights(names: list[str], importances: Mapping[str, float] | None) -> dict[str, float]:
    total = 0.0 if importances is None else math.fsum(importances.get(name, 0.0) for name in names)
    if importances is None or not total:
        return dict.fromkeys(names, 1.0)
    by_use = (1 - _EVENLY) * len(names) / total
    return {name: _EVENLY + by_use * importances.get(name, 0.0) for name in names}


def _ask(column: Column, now: Counts) -> tuple[Answer, ...]:
    before = column.counts
    answers = [_missing(before, now)]
    if not before.values or not now.values:
        return tuple(answers)
    if column.kind == "number":
        chance = chances.kolmogorov_smirnov(before.bins, now.bins)
        outside = (before.below, now.below), (before.above, now.above)
        beyond = min(1.0, 2 * min(_more(before, now, *side) for side in outside))
        effect = _of_share(before, before.below + before.above, now, now.below + now.above)
        answers += [
            Answer(question="values", chance=chance, effect=chances.jensen_shannon(before.bins, now.bins)),
            Answer(question="range", chance=beyond, effect=effect),
        ]
    else:
        order = sorted(range(len(before.bins)), key=lambda place: -before.bins[place])
        effect = chances.jensen_shannon(
            [before.bins[place] for place in order], [now.bins[place] for place in order]
        )
        new = before.bins[-1], now.bins[-1]
        answers += [
            Answer(question="values", chance=chances.chi_square(before.bins, now.bins)[0], effect=effect),
            Answer(
                question="new", chance=_more(before, now, *new), effect=_of_share(before, new[0], now, new[1])
            ),
        ]
    return tuple(answers)


def _missing(before: Counts, now: Counts) -> Answer:
    return Answer(
        question="missing",
        chance=chances.share_differs(before.nulls, before.rows, now.nulls, now.rows),
        effect=chances.jensen_shannon((before.nulls, before.values), (now.nulls, now.values)),
    )


def _more(before: Counts, now: Counts, hits_before: int, hits_now: int) -> float:
    return chances.more_often(hits_before, before.values, hits_now, now.values)


def _of_share(before: Counts, hits_before: int, now: Counts, hits_now: int) -> float:
    return chances.jensen_shannon(
        (hits_before, before.values - hits_before), (hits_now, now.values - hits_now)
    )


def _of_column(
    answers: tuple[Answer, ...],
    column: Column,
    now: Counts,
    *,
    adjusted: float,
    allowed: Sensitivity,
    strictest: float,
    importance: float | None,
) -> ColumnVerdict:
    telling = min(answers, key=lambda answer: (answer.chance, -answer.effect))
    sure = adjusted <= allowed.chance
    drifted = sure and telling.effect >= allowed.least_effect
    if drifted:
        sentence = f"It moved: {_SAID[telling.question]} (effect {telling.effect:.2g})."
    elif sure:
        sentence = f"A difference is sure, and too small to matter (effect {telling.effect:.2g})."
    else:
        sentence = "It did not move noticeably."
    return ColumnVerdict(
        answers=answers,
        importance=importance,
        adjusted=adjusted,
        drifted=drifted,
        visible=visible(column, now, strictest),
        sentence=sentence,
    )


def visible(column: Column, now: Counts, chance: float) -> float | None:
    """Give the least change of a share that is found with a probability of at least 0.8; 1 where none is.

    The test's statistic is at least that of the two cells on either side of where the change is, and the share seen
    there is off by no more than sqrt(1/4 / effective rows): so it is the change that reaches the critical value, and
    0.84 of that more. Between two edges of a number's bins a change is not seen.
    """
    before = column.counts
    if not before.values or not now.values:
        return None
    rows = chances.effective(before.values, now.values)
    if column.kind == "number":
        limit = chances.critical(chances.kolmogorov_tail, chance)
    else:
        degrees = max(1, chances.chi_square(before.bins, now.bins)[1])
        limit = math.sqrt(chances.critical(lambda at: chances.chi_square_tail(at, degrees), chance)) / 2
    return min(1.0, (limit + NormalDist().inv_cdf(_SEEN) / 2) / math.sqrt(rows))
