"""An end that the state machine could not tell of, as the outcome that it would have told."""

from __future__ import annotations

import json

from pydantic import ValidationError

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.errors import ExecutionAborted, ExecutionTimedOut, PipelineFailed, SluiceError, to_wire
from sluice.outcomes import Outcome
from sluice.payloads.endings import Ending
from sluice.payloads.training import ReportOutcomeInput, Source, StateFailure

_CAUSE_BYTES = 30_000
_MOST_JUDGEMENTS = 5  # statemachines/training.asl.yaml


def outcome_of(ending: Ending, state: str, endpoint_name: str, artifacts: Artifacts) -> ReportOutcomeInput:
    """Say how an execution ended in `state`, with what it left in S3 so far."""
    error = _error(ending, state)
    judged = (keys.evaluation(ending.name, judgement) for judgement in range(_MOST_JUDGEMENTS, 0, -1))
    evaluation = next(filter(artifacts.exists, judged), None)
    return ReportOutcomeInput(
        execution=ending.name,
        execution_arn=ending.executionArn,
        outcome=Outcome.FAILED,
        source=_source(ending),
        evaluation_uri=None if evaluation is None else artifacts.uri(evaluation),
        endpoint_name=endpoint_name,
        failure=StateFailure(state=state, error=error.name, cause=to_wire(error, most_bytes=_CAUSE_BYTES)),
    )


def _error(ending: Ending, state: str) -> SluiceError:
    said = ": ".join(part for part in (ending.error, ending.cause) if part)
    where = f"execution {ending.executionArn}"
    match ending.status:
        case "ABORTED":
            return ExecutionAborted(
                f"the execution was aborted in {state}",
                where=where,
                why=said or "somebody stopped it, and gave no reason",
                fix="upload the file again to start anew",
            )
        case "TIMED_OUT":
            return ExecutionTimedOut(
                f"the execution was ended in {state}: its time was over",
                where=where,
                why=said or "it ran into the time limit of the state machine",
                fix="look at its history for what took so long, then upload the file again",
            )
        case "FAILED":
            return PipelineFailed(
                f"the execution failed in {state}, and could not tell of it itself",
                where=where,
                why=said or "it left no reason",
                fix="look at its history: what it failed of is nothing that the state machine may catch",
            )


def _source(ending: Ending) -> Source:
    """What it was started with, which may be anything that a person typed."""
    try:
        given = json.loads(ending.input or "{}")
        return Source.model_validate({name: given.get(name) for name in ("bucket", "key", "version_id")})
    except (ValueError, AttributeError, ValidationError):
        return Source()
