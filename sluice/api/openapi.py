"""The OpenAPI document of a project's API: https://spec.openapis.org/oas/v3.1.0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sluice.api import problem_details, schemas
from sluice.api.proxied import INFERENCE_ID, JSON
from sluice.api_table import Api
from sluice.contract import ModelContract, TargetContract
from sluice.project import Project

PATH = "/invocations"
"""As SageMaker calls it: what is asked of the API can be asked of the container."""

_PROBLEMS = {
    400: "The request is not one, or breaks the model's contract: `detail` names row and column.",
    403: "Nobody is asked for: no signature, no key, or one that may not ask.",
    404: "There is no such path, or the online store has no features of an id.",
    409: "The features of an id are older than they may be.",
    413: "The body is too large.",
    415: "The body is no JSON by its Content-Type.",
    429: "More requests than the API takes: ask again after `Retry-After`, or a second.",
    502: "The model failed over this request.",
    503: "There is no model yet, or it takes no more at the moment.",
    504: "The model did not answer in time.",
}
_SECURITY = {
    "iam": {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "description": "AWS Signature Version 4, of the service `execute-api`; the policy that allows it is an "
        "output of the stack.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
    "api_key": {"type": "apiKey", "name": "x-api-key", "in": "header"},
}


def document(
    project: Project,
    contracts: Sequence[ModelContract] = (),
    *,
    url: str | None = None,
    example: Any = None,
) -> dict[str, Any]:
    """Describe the API of a project; the same project and contracts are the same document.

    Args:
        project: one with an [api] table.
        contracts: of the model in service, and of requests by id, where it takes them; none before the first model.
        url: where the API is, if it is anywhere yet.
        example: a request that the model takes.
    """
    api = project.api or Api()
    target = contracts[0].target if contracts else _target(project)
    body: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/PredictionRequest"}}
    if example is not None:
        body["example"] = example
    operation = {
        "operationId": "predict",
        "summary": f"Predict {target.name}",
        "description": (
            f"One prediction for each row, in order; at most {api.max_rows:,} rows and {api.max_body_kb:,} KB. "
            f"A body is {schemas.FORMS}."
        ),
        "parameters": [
            {
                "name": INFERENCE_ID,
                "in": "header",
                "description": "Your own id of this prediction, to join what came true to; made where there is none.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$"},
            }
        ],
        "requestBody": {"required": True, "content": {JSON: body}},
        "responses": {
            "200": {
                "description": "The predictions.",
                "headers": {INFERENCE_ID: {"schema": {"type": "string"}}},
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Predictions"}}},
            },
            **{str(status): _response(description) for status, description in _PROBLEMS.items()},
            "default": _response("Any other problem."),
        },
        "security": [{api.authorization: []}],
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{project.name}: predictions",
            "description": _about(project, contracts),
            "version": contracts[0].dataset_version if contracts and contracts[0].dataset_version else "0",
        },
        **({"servers": [{"url": url}]} if url else {}),
        "paths": {PATH: {"post": operation}},
        "components": {
            "schemas": {
                "PredictionRequest": schemas.request(contracts, api.max_rows),
                "Predictions": schemas.answer(target),
                "Problem": problem_details.SCHEMA,
            },
            "securitySchemes": {api.authorization: _SECURITY[api.authorization]},
        },
    }


def _response(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {problem_details.CONTENT_TYPE: {"schema": schema}}}


def _target(project: Project) -> TargetContract:
    """Give what the project says of its target; the classes are known of a model."""
    return TargetContract(
        name=project.target.column, problem=project.target.problem, positive=project.target.positive
    )


def _about(project: Project, contracts: Sequence[ModelContract]) -> str:
    about = project.project.description or f"Predictions of {project.target.column}."
    if not contracts:
        return f"{about} No model is in service yet: which columns a request has, the first one says."
    return about
