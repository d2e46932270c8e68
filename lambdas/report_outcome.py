"""ReportOutcome: one report for people and programs, and the message that goes out, however it ended."""

from __future__ import annotations

from typing import Any

from lambdas.adapters import endpoints
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import project, settings
from lambdas.adapters.wire import on_the_wire
from sluice.errors import SluiceError, StorageUnavailable
from sluice.payloads.training import ReportedOutcome, ReportOutcomeInput
from sluice.reporting.outcome import outcome_without_report, report_outcome

# As often as the state tries again. Who then still has no report is told without one.
_RETRIES = 6


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.ReportedOutcome`."""
    told = ReportOutcomeInput.model_validate(event)
    reported = _report(told)
    decided(
        "outcome",
        execution=told.execution,
        outcome=told.outcome,
        error=reported.error,
        report_uri=reported.report_uri,
    )
    return reported.model_dump(mode="json")


def _report(told: ReportOutcomeInput) -> ReportedOutcome:
    endpoint = None if told.endpoint_name is None else endpoints.look(told.endpoint_name)
    try:
        return report_outcome(told, project(), S3Artifacts(settings().artifacts_bucket), endpoint)
    except StorageUnavailable as error:
        if told.retries < _RETRIES:
            raise
        return outcome_without_report(told, project(), endpoint, error)
    except SluiceError as error:
        return outcome_without_report(told, project(), endpoint, error)
