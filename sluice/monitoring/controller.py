"""The retraining controller's rules: whether an alarm starts a training, by what was decided before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal

from sluice.payloads.base import Payload

Move = Literal["retrain", "roll_back", "refuse"]
Ending = Literal["runs", "promoted", "rejected", "failed", "rolled_back"]


@dataclass(frozen=True)
class Limits:
    """What retraining may cost, and when.

    Attributes:
        cooldown: from the end of one retraining to the begin of the next.
        runs_a_day, runs_a_month, dollars_a_month: of the last 24 hours and the last 30 days.
        least_rows: newly labelled since the champion's dataset; on the same rows a training makes the same model.
        quiet: from, until (UTC), also across midnight; a roll-back does not wait.
        gives_up_after: retrainings in a row that did not improve anything.
    """

    cooldown: timedelta = timedelta(hours=24)
    runs_a_day: int = 1
    runs_a_month: int = 8
    dollars_a_month: float = 100.0
    least_rows: int = 1_000
    quiet: tuple[time, time] | None = None
    gives_up_after: int = 3


class Alarm(Payload):
    """What is known when an alarm goes off.

    Attributes:
        labelled_rows: new ones, usable for training.
        expected_dollars: of one training.
        previous_is_better: the champion is below its floor, and on the labelled traffic the one before it is
            better for sure.
    """

    name: str
    change: str
    labelled_rows: int
    expected_dollars: float
    previous_is_better: bool = False


class Entry(Payload):
    """One line of the ledger.

    Attributes:
        change: the alarm's change of state that was decided on; each is decided on once.
        ending, ended_at, dollars: of a retraining.
    """

    change: str
    at: datetime
    move: Move
    reason: str
    ending: Ending | None = None
    ended_at: datetime | None = None
    dollars: float = 0.0


class Decision(Payload):
    """What to do, and why in a sentence; `again` where this change of state was decided on before."""

    move: Move
    reason: str
    again: bool = False


def decide(alarm: Alarm, ledger: Sequence[Entry], now: datetime, limits: Limits) -> Decision:
    """Decide on an alarm's change of state.

    Args:
        alarm: as it went off.
        ledger: all that was decided of the last 30 days at least, in any order; times with a zone.
        now: with a zone.
        limits: the project's.
    """
    for entry in ledger:
        if entry.change == alarm.change:
            return Decision(move=entry.move, reason=entry.reason, again=True)
    running = [entry for entry in ledger if entry.ending == "runs"]
    if running:
        return _refuse(f"A retraining has been running since {_said(running[0].at)}.")
    if alarm.previous_is_better:
        return Decision(
            move="roll_back",
            reason="The champion fell through its floor, and the one before it is better on the labelled traffic.",
        )
    trained = sorted((entry for entry in ledger if entry.move == "retrain"), key=lambda entry: entry.at)
    refusal = (
        _fruitless(trained, limits) or _too_soon(trained, now, limits) or _spent(alarm, trained, now, limits)
    )
    if refusal is not None:
        return _refuse(refusal)
    if alarm.labelled_rows < limits.least_rows:
        return _refuse(
            f"{alarm.labelled_rows:,} rows were labelled since the champion's dataset, "
            f"and a retraining wants {limits.least_rows:,}."
        )
    return Decision(move="retrain", reason=f"{alarm.name}: {alarm.labelled_rows:,} newly labelled rows.")


def _refuse(reason: str) -> Decision:
    return Decision(move="refuse", reason=reason)


def _fruitless(trained: Sequence[Entry], limits: Limits) -> str | None:
    """A promotion begins the count anew; what runs was refused before."""
    latest = trained[-limits.gives_up_after :]
    if len(latest) < limits.gives_up_after or any(entry.ending == "promoted" for entry in latest):
        return None
    return (
        f"The last {limits.gives_up_after} retrainings improved nothing, so the loop has stopped itself. "
        "A training that a person starts, and that is promoted, sets it going again."
    )


def _too_soon(trained: Sequence[Entry], now: datetime, limits: Limits) -> str | None:
    if trained:
        over = max(entry.ended_at or entry.at for entry in trained) + limits.cooldown
        if now < over:
            return f"The last retraining's cooldown is over at {_said(over)}."
    if limits.quiet is not None and _within(now.time(), *limits.quiet):
        begin, end = limits.quiet
        return f"It is quiet from {begin:%H:%M} until {end:%H:%M}."
    return None


def _spent(alarm: Alarm, trained: Sequence[Entry], now: datetime, limits: Limits) -> str | None:
    day = [entry for entry in trained if now - entry.at < timedelta(days=1)]
    month = [entry for entry in trained if now - entry.at < timedelta(days=30)]
    dollars = sum(entry.dollars for entry in month)
    if len(day) >= limits.runs_a_day:
        return f"{len(day)} of {limits.runs_a_day} retrainings a day were used up."
    if len(month) >= limits.runs_a_month:
        return f"{len(month)} of {limits.runs_a_month} retrainings in 30 days were used up."
    if dollars + alarm.expected_dollars > limits.dollars_a_month:
        return (
            f"{dollars:.2f} of {limits.dollars_a_month:.2f} dollars in 30 days were used up, "
            f"and one more costs about {alarm.expected_dollars:.2f}."
        )
    return None


def _within(moment: time, begin: time, end: time) -> bool:
    return begin <= moment < end if begin <= end else moment >= begin or moment < end


def _said(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
