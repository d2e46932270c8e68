"""ReportOutcome: one report for people and programs, and the message that goes out, however it ended."""

from __future__ import annotations

from typing import Any

from lambdas.artifacts import Artifacts
from lambdas.settings import project, settings
from sluice.payloads.training import ReportOutcomeInput
from sluice.reporting.outcome import report_outcome


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.ReportedOutcome`."""
    told = ReportOutcomeInput.model_validate(event)
    return report_outcome(told, project(), Artifacts(settings().artifacts_bucket)).model_dump()
