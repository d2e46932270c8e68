"""Where requests to deployed APIs come in: `/_aws/execute-api/<api>/<stage>/…`, before moto.

On AWS an API has a host of its own, `<api>.execute-api.<region>.amazonaws.com`, for which there is no name here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from local.apigateway.stages import Gateway
    from local.context import Context
    from local.dynamodb.front import Application, Environ, StartResponse

_ADDRESS = re.compile(r"/_aws/execute-api/(?P<api>[^/]+)/(?P<stage>[^/]+)(?P<path>/.*)?")
_CONTROL_PLANE = "/restapis"


class Listener:
    """A WSGI application before another. `context` is there once the server is up."""

    context: Context | None = None

    def __init__(self, behind: Application) -> None:
        self._behind = behind
        self._gateway: Gateway | None = None
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        address = environ.get("PATH_INFO", "")
        found = _ADDRESS.fullmatch(address)
        if self.context is None or (found is None and not address.startswith(_CONTROL_PLANE)):
            return self._behind(environ, start_response)
        gateway = self._ready(self.context)
        if found is None:
            return self._behind(environ, start_response)
        from local.apigateway.requests import Request

        body = environ["wsgi.input"].read()
        request = Request.of(environ, unquote(found["path"] or "/"), body)
        response = gateway.answer(found["api"], found["stage"], request)
        start_response(f"{response.status} {response.phrase}", list(response.headers))
        return [response.body]

    def _ready(self, context: Context) -> Gateway:
        """The gateway. It is made before moto sees the first API, so that each deployment keeps what it holds.

        Not with the server: moto's API Gateway takes 0.4 s to import, and most servers have no API.
        """
        with self._lock:
            if self._gateway is None:
                from local.apigateway import snapshots
                from local.apigateway.stages import Gateway

                snapshots.install()
                self._gateway = Gateway(context)
            return self._gateway
