"""What a window of captured traffic shows: the verdict, what was not judged, and the figures that are watched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sluice.column_names import PREDICTION
from sluice.monitoring.captures import SAID, Aside, Reason
from sluice.monitoring.model_reference import ModelReference
from sluice.monitoring.parts import PartCounts
from sluice.monitoring.verdict import ColumnVerdict, Outcome, Sensitivity, Verdict, verdict
from sluice.monitoring.windows import DriftWindow
from sluice.outcomes import DriftOutcome
from sluice.payloads.base import Document
from sluice.serving_tables import Drift

_OUTCOMES: Mapping[Outcome, DriftOutcome] = {
    "drift": DriftOutcome.DRIFTED,
    "stable": DriftOutcome.STABLE,
    "too_few": DriftOutcome.TOO_FEW,
    "no_traffic": DriftOutcome.NO_TRAFFIC,
}


class DriftVerdict(Document):
    """verdict.json of a window.

    Attributes:
        window: the name of the execution that opened it.
        first, last: when the judged rows were answered, UTC.
        records: captured requests; those of an `earlier` model and the `unread` ones are among them.
        aside: where unread lines lie.
        gone: objects that were deleted, or had expired, before they were counted.
        left: objects that did not fit into the window, and are the next one's.
        verdict: of features and answers alike; its columns are empty where nothing was judged.
    """

    outcome: DriftOutcome
    window: str
    model_name: str
    model_uri: str
    judged: datetime
    first: datetime | None
    last: datetime | None
    objects: int
    gone: int
    left: int
    records: int
    earlier: int
    unread: dict[Reason, int]
    aside: tuple[Aside, ...]
    verdict: Verdict
    sentence: str

    @property
    def is_judged(self) -> bool:
        return self.outcome in (DriftOutcome.DRIFTED, DriftOutcome.STABLE)

    @property
    def drifted(self) -> tuple[str, ...]:
        """The columns that moved, the surest first."""
        moved = [name for name, column in self.verdict.columns.items() if column.drifted]
        return tuple(sorted(moved, key=lambda name: self.verdict.columns[name].adjusted))

    @property
    def unread_records(self) -> int:
        return sum(self.unread.values())

    @property
    def visible(self) -> float | None:
        """The change of a share that would have been found in each column, in four cases of five."""
        seen = [each.visible for each in self.verdict.columns.values() if each.visible is not None]
        return max(seen, default=None)


def sensitivity_of(drift: Drift) -> Sensitivity:
    """Give what project.toml asks for."""
    return Sensitivity(
        alarms=drift.false_alarms_a_month,
        windows=drift.windows,
        least_rows=drift.least_rows,
        least_effect=drift.least_effect,
    )


def judge(
    window: DriftWindow, counted: PartCounts, model: ModelReference, sensitivity: Sensitivity, at: datetime
) -> DriftVerdict:
    """Hold what a window held against the model's reference."""
    found = verdict(model.reference, counted.window, sensitivity, model.importances)
    outcome = _OUTCOMES[found.outcome]
    if outcome is DriftOutcome.NO_TRAFFIC and counted.unread:
        outcome = DriftOutcome.TOO_FEW
    return DriftVerdict(
        outcome=outcome,
        window=window.name,
        model_name=window.model_name,
        model_uri=window.model_uri,
        judged=at,
        first=counted.first,
        last=counted.last,
        objects=len(window.objects),
        gone=counted.gone,
        left=window.left,
        records=counted.records,
        earlier=counted.earlier,
        unread=counted.unread,
        aside=counted.aside,
        verdict=found,
        sentence=_sentence(found, counted),
    )


def consumed(found: DriftVerdict, window: DriftWindow, counted: PartCounts) -> tuple[str, ...]:
    """Give the objects that are done with: rows that are too few to judge wait, for the next ones."""
    return window.objects if found.is_judged else counted.bare


def figures(found: DriftVerdict) -> dict[str, float]:
    """Give the metrics of a window. What was not judged has none that say so: zero drift is a finding."""
    told: dict[str, float] = {
        "Rows": found.verdict.rows,
        "UnreadRecords": found.unread_records,
    }
    if not found.is_judged:
        return told
    answers = found.verdict.columns[PREDICTION]
    told |= {
        "DriftedColumns": len([name for name in found.drifted if name != PREDICTION]),
        "PredictionDrifted": float(answers.drifted),
        "PredictionDrift": effect(answers),
    }
    if found.visible is not None:
        told["VisibleShift"] = found.visible
    return told


def effect(column: ColumnVerdict) -> float:
    """Give the largest effect of a column's questions, 0 to 1."""
    return max(answer.effect for answer in column.answers)


def _sentence(found: Verdict, counted: PartCounts) -> str:
    parts = ["Nothing could be read." if not found.rows and counted.unread else found.sentence]
    if found.outcome == "too_few":
        parts.append("They wait for the next window.")
    if counted.earlier:
        parts.append(f"{counted.earlier:,} requests were answered before this model was released.")
    if counted.gone:
        parts.append(f"{counted.gone:,} capture objects were gone before they were counted.")
    parts += [f"{count:,} {SAID[reason]}." for reason, count in sorted(counted.unread.items())]
    return " ".join(parts)
