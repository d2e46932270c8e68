"""Problems as they go out over HTTP: RFC 9457, https://www.rfc-editor.org/rfc/rfc9457.

A problem's `type` is about:blank and its `title` the status's own phrase: there is no page to point to. What programs
tell problems apart by is `code`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"

TITLES = {
    **{status.value: status.phrase for status in HTTPStatus},
    # Python names it by an older standard, until 3.13.
    413: "Content Too Large",
    422: "Unprocessable Content",
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "What went wrong: RFC 9457.",
    "required": ["type", "title", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "description": "What programs tell problems apart by."},
        "detail": {"type": "string", "description": "What is wrong with this request, for a person."},
        "request_id": {"type": "string", "description": "API Gateway's id of the request."},
        "inference_id": {"type": "string", "description": "The id that the prediction would have had."},
    },
}


def problem(
    status: int, code: str, detail: str, *, request_id: str, inference_id: str = ""
) -> dict[str, Any]:
    """Make a problem; `inference_id` only where the request had got one."""
    made: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": request_id,
    }
    return made | ({"inference_id": inference_id} if inference_id else {})
