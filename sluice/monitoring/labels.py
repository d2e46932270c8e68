"""Which label is believed of a prediction: every label that arrives has one fate, whatever the order they come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sluice.payloads.base import Payload

Fate = Literal["accepted", "repeated", "corrected", "contradictory", "orphan"]


class Label(Payload):
    """One label as it was uploaded.

    Attributes:
        inference_id: of the prediction that it is the truth of.
        known_at: when the truth was established, with a zone; a later one corrects an earlier one.
    """

    inference_id: str
    value: str | float
    known_at: datetime


@dataclass(frozen=True)
class Joined:
    """What the labels are, by inference id, and what became of each that arrived.

    Attributes:
        fates: how many labels of each fate; together all that arrived.
        late: accepted ones that were known later than expected.
    """

    truths: dict[str, Label]
    fates: dict[Fate, int]
    late: int


def join(predicted_at: Mapping[str, datetime], labels: Iterable[Label], expected: timedelta) -> Joined:
    """Join labels to predictions.

    The same value of the same moment again is repeated. What was known last is believed, and what it replaces is
    corrected. Where different values were known last at one moment, nobody can say which holds: all of that moment
    are contradictory, and the prediction has no truth until a later one settles it.

    Args:
        predicted_at: when each prediction was made, with a zone, by inference id.
        labels: in any order.
        expected: how long a label usually takes; a later one is counted as late, and holds.
    """
    arrived: dict[str, Counter[Label]] = {}
    for label in labels:
        arrived.setdefault(label.inference_id, Counter())[label] += 1
    fates: Counter[Fate] = Counter()
    truths: dict[str, Label] = {}
    for name, times in arrived.items():
        if name not in predicted_at:
            fates["orphan"] += times.total()
            continue
        last = max(label.known_at for label in times)
        newest = [label for label in times if label.known_at == last]
        fates["repeated"] += times.total() - len(times)
        fates["corrected"] += len(times) - len(newest)
        if len(newest) > 1:
            fates["contradictory"] += len(newest)
        else:
            fates["accepted"] += 1
            truths[name] = newest[0]
    late = sum(label.known_at - predicted_at[name] > expected for name, label in truths.items())
    return Joined(truths=truths, fates=dict(fates), late=late)
