"""ReportOutcome: one report for people and programs, and the message that goes out, however it ended."""

from __future__ import annotations

from typing import Any

from lambdas.artifacts import Artifacts
from lambdas.settings import project, settings
from sluice.events import ReportOutcomeInput
from sluice.outcome import report_outcome


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.events.ReportedOutcome`."""
    told = ReportOutcomeInput.model_validate(event)
    return report_outcome(told, project(), Artifacts(settings().artifacts_bucket)).model_dump()
