"""Capture records as SageMaker writes them, one a line."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid4

TEXTS = {"text/csv": "CSV", "application/json": "JSON", "application/jsonlines": "JSON"}
"""What infra declares as text; all else is base64."""


def side(mode: str, content_type: str, body: bytes) -> dict[str, str]:
    encoding = TEXTS.get(content_type.partition(";")[0], "BASE64")
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def record(
    body: bytes,
    answer: bytes | None,
    *,
    content_type: str = "text/csv",
    answer_type: str = "application/json",
    at: str = "2026-03-01T12:00:00Z",
    **more: Any,
) -> bytes:
    """One line, with its end."""
    captured = {"endpointInput": side("INPUT", content_type, body)}
    if answer is not None:
        captured["endpointOutput"] = side("OUTPUT", answer_type, answer)
    document = {
        "captureData": captured,
        "eventMetadata": {"eventId": str(uuid4()), "inferenceTime": at},
        "eventVersion": "0",
        **more,
    }
    return json.dumps(document).encode() + b"\n"
