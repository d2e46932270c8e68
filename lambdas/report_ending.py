"""ReportEnding: the report and the message of an execution that ended before it could tell of it itself."""

from __future__ import annotations

import json
from typing import Any

from lambdas.adapters import endpoints, executions
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.messages import publish
from lambdas.adapters.settings import ending_settings, is_tracked, project, settings, tracking_settings
from lambdas.adapters.tracking import tracker
from lambdas.adapters.wire import on_the_wire
from sluice import keys, naming
from sluice.errors import SluiceError
from sluice.outcomes import Outcome
from sluice.payloads.endings import Ending
from sluice.reporting.endings import outcome_of
from sluice.reporting.outcome import report_outcome
from sluice.tracking.runs import end_run


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take an event "Step Functions Execution Status Change"; answer `{"told": <whether it sent a message>}`."""
    ending = Ending.model_validate(event["detail"])
    end = executions.end_of(ending.executionArn)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    # An event may come twice.
    told = not end.told and not artifacts.exists(keys.told(ending.name))
    if told:
        outcome = outcome_of(ending, end.state, ending_settings().endpoint_name, artifacts)
        if is_tracked():
            outcome = outcome.model_copy(update=_end_run(ending))
        seen = endpoints.look(ending_settings().endpoint_name)
        reported = report_outcome(outcome, project(), artifacts, seen)
        publish(ending_settings().topic_arn, reported, Outcome.FAILED)
        artifacts.write(
            keys.told(ending.name), json.dumps({"status": ending.status}).encode(), "application/json"
        )
    decided("ending", execution=ending.name, status=ending.status, state=end.state, told=told)
    return {"told": told}


def _end_run(ending: Ending) -> dict[str, str | None]:
    """End the run that the execution left open, if it came to one; give what the report is to say of it."""
    told = tracking_settings()
    run = None
    try:
        run = tracker().find(
            told.experiment, naming.job(project().name, told.environment, ending.executionArn)
        )
        if run is not None:
            end_run(run, "KILLED" if ending.status == "ABORTED" else "FAILED", None, tracker())
    except SluiceError as error:
        return {"run_id": run, "unended": error.what}
    return {"run_id": run}
