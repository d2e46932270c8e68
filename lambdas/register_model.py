"""RegisterModel: a model that was judged becomes a version in the registry, or its version hears of the judgement."""

from __future__ import annotations

from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import settings, tracking_settings
from lambdas.adapters.tracking import tracker
from lambdas.adapters.wire import on_the_wire
from sluice import keys, naming
from sluice.contract import ModelContract
from sluice.errors import PipelineFailed
from sluice.payloads.documents import Evaluation
from sluice.payloads.tracking import RegisterModelInput
from sluice.tracking.registry import register


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.tracking.RegisteredModel`: called again, the same version."""
    asked = RegisterModelInput.model_validate(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    _, model = naming.split_uri(asked.model_uri)
    evaluation = _there(artifacts, naming.split_uri(asked.evaluation_uri)[1])
    registered = register(
        asked,
        tracking_settings().experiment,
        Evaluation.model_validate_json(evaluation),
        ModelContract.model_validate_json(_there(artifacts, keys.contract(model))),
        artifacts.read(keys.input_example(model)),
        tracker(),
    )
    decided("registry", execution=asked.execution, **registered.model_dump(mode="json", exclude={"name"}))
    return registered.model_dump(mode="json")


def _there(artifacts: S3Artifacts, key: str) -> bytes:
    body = artifacts.read(key)
    if body is None:
        raise PipelineFailed(
            "what EvaluateModel wrote is not there any more",
            where=artifacts.uri(key),
            fix="start the execution again",
        )
    return body
