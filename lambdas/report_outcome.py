"""ReportOutcome: one report for people and programs, and the message that goes out, however it ended."""

from __future__ import annotations

from typing import Any

from lambdas.adapters import endpoints, trials
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import project, settings, tracking_settings
from lambdas.adapters.tracking import tracker
from lambdas.adapters.wire import on_the_wire
from sluice import keys
from sluice.errors import SluiceError, StorageUnavailable, TrackingUnavailable
from sluice.outcomes import Outcome
from sluice.payloads.training import ReportedOutcome, ReportOutcomeInput
from sluice.reporting.outcome import outcome_without_report, report_outcome
from sluice.tracking.registry import take_back
from sluice.tracking.runs import end_run, ending_of, trials_of

# As often as the state tries again. Who then still has no report is told without one.
_RETRIES = 6
# So often the run's end is tried again before people are told that it has none: the report is worth more.
_RUN_RETRIES = 3


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.ReportedOutcome`."""
    told = ReportOutcomeInput.model_validate(event)
    reported = _report(told)
    unended = _end_run(told)
    if unended is not None:
        reported = _report(told.model_copy(update={"unended": unended}))
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


def _end_run(told: ReportOutcomeInput) -> str | None:
    """End the execution's run, with the report in it; say why that cannot be done, if so."""
    if told.run_id is None or told.outcome is None:
        return None
    artifacts = S3Artifacts(settings().artifacts_bucket)
    page = keys.page(told.execution)
    try:
        body = artifacts.read(page)
        kept = None if body is None else (artifacts.uri(page), body)
        if told.search is not None and told.search.trials:
            below = trials_of(told.search, trials.hyperparameters(told.search.trials[0].tuning_job))
            tracker().nest(tracking_settings().experiment, told.run_id, below)
        end_run(told.run_id, ending_of(told.outcome), kept, tracker())
        if (
            told.outcome is Outcome.ROLLED_BACK
            and told.registered is not None
            and told.deployment is not None
        ):
            why = told.deployment.alarm.name if told.deployment.alarm else told.deployment.reason
            take_back(
                told.registered.name, told.registered.version, why or "SageMaker gave no reason", tracker()
            )
    except TrackingUnavailable as error:
        if told.retries < _RUN_RETRIES:
            raise
        return error.what
    except SluiceError as error:
        return error.what
    return None
