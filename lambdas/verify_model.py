"""VerifyModel: asks the endpoint what the model was asked when it was judged, and compares the answers."""

from __future__ import annotations

import json
from typing import Any

from lambdas.adapters import endpoints
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import settings
from lambdas.adapters.wire import on_the_wire
from sluice import keys, naming
from sluice.payloads.golden import VERIFICATION, GoldenAnswers, Verdict, VerifiedModel, VerifyModelInput
from sluice.release import golden


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.golden.VerifiedModel`."""
    asked = VerifyModelInput.model_validate(event)
    _, model = naming.split_uri(asked.model_uri)
    body = S3Artifacts(settings().artifacts_bucket).read(keys.golden(model))
    found = VerifiedModel(verdict=Verdict.UNRECORDED) if body is None else _verify(asked.endpoint_name, body)
    decided("verification", execution=asked.model_name, **found.model_dump(mode="json"))
    return found.model_dump(mode="json")


def _verify(endpoint: str, body: bytes) -> VerifiedModel:
    recorded = GoldenAnswers.model_validate_json(body)
    request = json.dumps({"instances": recorded.instances}).encode()
    answer = endpoints.ask(endpoint, request, accept="text/csv", inference_id=VERIFICATION)
    if answer.status != 200:
        return golden.refused(recorded, answer.status, answer.body.decode("utf-8", "replace"))
    return golden.verify(recorded, answer.body)
