"""ReportOutcome: one report for people and programs, and the message that goes out, however it ended."""

from __future__ import annotations

from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import project, settings
from lambdas.adapters.wire import on_the_wire
from sluice.payloads.training import ReportOutcomeInput
from sluice.reporting.outcome import report_outcome


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.ReportedOutcome`."""
    told = ReportOutcomeInput.model_validate(event)
    reported = report_outcome(told, project(), S3Artifacts(settings().artifacts_bucket))
    decided(
        "outcome",
        execution=told.execution,
        outcome=told.outcome,
        error=reported.error,
        report_uri=reported.report_uri,
    )
    return reported.model_dump(mode="json")
