"""DecideGate: is the challenger good enough to replace what is in production?"""

from __future__ import annotations

from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import project, settings
from lambdas.adapters.wire import on_the_wire
from sluice import naming
from sluice.errors import GateFailed
from sluice.judging.gates import decide
from sluice.judging.skew import also_judged
from sluice.payloads.documents import Evaluation
from sluice.payloads.training import DecideGateInput


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.GateDecision`: a refusal is a value, not an error."""
    asked = DecideGateInput.model_validate(event)
    _, key = naming.split_uri(asked.evaluation_uri)
    body = S3Artifacts(settings().artifacts_bucket).read(key)
    if body is None:
        raise GateFailed(
            "there is no evaluation to decide on", where=asked.evaluation_uri, fix="start the execution again"
        )
    evaluation = Evaluation.model_validate_json(body)
    gates = project().gates
    decision = also_judged(decide(evaluation, gates), asked.skew, gates.max_skew)
    # What a user's code says of its failure may quote a row.
    unsaid = [model.error for model in (evaluation.challenger, evaluation.champion) if model and model.error]
    reasons = [_without(unsaid, reason) for reason in decision.reasons]
    decided("gate", execution=asked.execution, promote=decision.promote, reasons=reasons)
    return decision.model_dump(mode="json")


def _without(unsaid: list[str], reason: str) -> str:
    for text in unsaid:
        reason = reason.replace(text, "see evaluation.json")
    return reason
