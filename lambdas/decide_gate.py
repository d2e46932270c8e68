"""DecideGate: is the challenger good enough to replace what is in production?"""

from __future__ import annotations

from typing import Any

from lambdas.artifacts import Artifacts
from lambdas.settings import project, settings
from sluice import naming
from sluice.errors import GateFailed
from sluice.judging.gates import decide
from sluice.payloads.documents import Evaluation
from sluice.payloads.training import DecideGateInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.GateDecision`: a refusal is a value, not an error."""
    uri = DecideGateInput.model_validate(event).evaluation_uri
    _, key = naming.split_uri(uri)
    document = Artifacts(settings().artifacts_bucket).read_json(key)
    if document is None:
        raise GateFailed("there is no evaluation to decide on", where=uri, fix="start the execution again")
    return decide(Evaluation.model_validate(document), project().gates).model_dump()
