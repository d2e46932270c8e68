"""AnswerRequest: what API Gateway hands on is asked of the endpoint, and its answer goes back over HTTP."""

from __future__ import annotations

import logging
from typing import Any

from lambdas.adapters.inference import ask, inference_settings
from sluice.api.proxied import Asked, Refused, predicted, refused, request_id_of

_LOGGER = logging.getLogger("sluice")
_LOGGER.setLevel(logging.INFO)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a proxy integration's event: predictions, or a problem (RFC 9457)."""
    request_id, inference_id = request_id_of(event), ""
    try:
        asked = Asked.of(event, inference_settings().most_bytes)
        inference_id = asked.inference_id
        answer = predicted(asked, ask(asked))
    except Refused as why:
        answer = refused(why, request_id, inference_id)
        # Nothing of the request's values is in the log: a refusal of the model may hold one.
        _LOGGER.info("refused", extra={"request": request_id, "status": why.status, "code": why.code})
    return answer
