"""Where requests to deployed APIs come in: `/_aws/execute-api/<api>/<stage>/…`, before moto.

On AWS an API has a host of its own, `<api>.execute-api.<region>.amazonaws.com`, for which there is no name here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from local.apigateway.requests import Request

if TYPE_CHECKING:
    from local.apigateway.stages import Gateway
    from local.dynamodb.front import Application, Environ, StartResponse

_ADDRESS = re.compile(r"/_aws/execute-api/(?P<api>[^/]+)/(?P<stage>[^/]+)(?P<path>/.*)?")


class Listener:
    """A WSGI application before another."""

    gateway: Gateway | None = None

    def __init__(self, behind: Application) -> None:
        self._behind = behind

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        found = _ADDRESS.fullmatch(environ.get("PATH_INFO", ""))
        if found is None or self.gateway is None:
            return self._behind(environ, start_response)
        body = environ["wsgi.input"].read()
        request = Request.of(environ, unquote(found["path"] or "/"), body)
        response = self.gateway.answer(found["api"], found["stage"], request)
        start_response(f"{response.status} {response.phrase}", list(response.headers))
        return [response.body]
