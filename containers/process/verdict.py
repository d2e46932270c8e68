"""Challenger and champion on the same rows, put together as the document that the gate decides on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from containers.process.columns import Columns
from containers.process.comparing import compare
from containers.process.judging import Judged
from containers.process.parting import Models, group_evaluations, slice_evaluations
from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.gate_tables import Gates
from sluice.judging.calibration import Calibration
from sluice.judging.spreads import Asked
from sluice.payloads.documents import Evaluation, ModelEvaluation
from sluice.payloads.evaluation import Bounds, CalibrationSummary, Importances, ReliabilityBin


@dataclass
class Contest:
    """Two models that were judged on the same rows.

    Attributes:
        table, given: the held-out rows with their contract.
        gates: what is to be looked at.
        seed: of the resamples.
        champion: None where there is none, or none that could be judged.
    """

    table: Table
    given: ModelContract
    gates: Gates
    seed: int
    challenger: Judged
    champion: Judged | None = None

    def evaluation(
        self,
        *,
        held_out_sha256: str,
        challenger: ModelEvaluation,
        champion: ModelEvaluation | None,
        importance: Importances | None,
    ) -> Evaluation:
        """Write the document.

        Args:
            held_out_sha256: of the rows' file.
            challenger: what is known of it beside its figures.
            champion: the same; None where there is none.
            importance: of the challenger's features.

        Raises:
            EvaluationFailed: the rows cannot be parted as the gates ask.
        """
        confidence = self.gates.confidence
        asked = Asked(confidence, self.seed)
        compared = compare(self.challenger, self.champion, asked)
        models = Models(self.challenger.answers, None if self.champion is None else self.champion.answers)
        columns = Columns(self.table, self.given)
        groups, gaps = group_evaluations(models.challenger, columns, self.gates.fairness, confidence)
        if champion is not None and self.champion is not None:
            champion = _with_figures(champion, self.champion, compared.champion)
        judged = {"challenger": self.challenger} | (
            {} if self.champion is None else {"champion": self.champion}
        )
        return Evaluation(
            problem=self.given.target.problem,
            held_out_rows=self.table.num_rows,
            held_out_sha256=held_out_sha256,
            confidence=confidence,
            challenger=_with_figures(challenger, self.challenger, compared.challenger),
            champion=champion,
            comparisons=compared.differences,
            slices=tuple(slice_evaluations(models, columns, self.gates, asked)),
            groups=tuple(groups),
            gaps=tuple(gaps),
            importance=importance,
            curves={name: each.curves for name, each in judged.items()},
        )


def _with_figures(told: ModelEvaluation, judged: Judged, intervals: dict[str, Bounds]) -> ModelEvaluation:
    figures: dict[str, Any] = {
        "metrics": judged.metrics,
        "intervals": intervals,
        "predictions_sha256": judged.predictions_sha256,
    }
    if judged.calibration is not None:
        figures["calibration"] = _summary(judged.calibration)
    return told.model_copy(update=figures)


def _summary(found: Calibration) -> CalibrationSummary:
    bins = tuple(
        ReliabilityBin(
            predicted=each.predicted,
            seen=each.seen,
            rows=each.rows,
            bounds=Bounds(low=each.low, high=each.high),
        )
        for each in found.bins
    )
    return CalibrationSummary.model_validate({**asdict(found), "bins": bins})
