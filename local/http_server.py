"""HTTP in front of moto: keep-alive and one write per answer, which werkzeug's server does not have."""

from __future__ import annotations

import http.client
import json
import logging
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import LimitedStream

logger = logging.getLogger(__name__)

_NO_BODY = {204, 304}
_OWN_HEADERS = {"connection", "content-length", "date", "server", "transfer-encoding"}


class RequestHandler(MotoRequestHandler):
    """Answers requests on one connection, one after the other, until the client closes it."""

    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        body = environ["wsgi.input"]
        if not environ.get("wsgi.input_terminated"):
            body = LimitedStream(self.rfile, int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = body
        try:
            status, headers, content = self._run(environ)
        except (ConnectionError, ClientDisconnected):
            self.close_connection = True
            return
        except Exception as error:
            logger.error("%s %s failed\n%s", self.command, self.path, traceback.format_exc())
            status, headers, content = _internal_failure(environ, error)
        # What the application left unread would be taken for the next request.
        try:
            while body.read(1 << 20):
                pass
        except ClientDisconnected:
            self.close_connection = True
        self._answer(status, headers, content)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        logger.debug("%s %s %s %s", self.command, self.path, code, size)

    def _run(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], list[bytes]]:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], _exc_info: object = None
        ) -> Callable[[bytes], object]:
            started.append((status, headers))
            return written.append

        written: list[bytes] = []
        chunks: Iterable[bytes] = self.server.app(environ, start_response)
        try:
            written.extend(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        return *started[-1], written

    def _answer(self, status: str, headers: list[tuple[str, str]], content: list[bytes]) -> None:
        code_text, _, reason = status.partition(" ")
        code = int(code_text)
        bodiless = self.command == "HEAD" or code in _NO_BODY
        payload = b"" if bodiless else b"".join(content)
        self.send_response(code, reason)
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                self.send_header(name, value)  # of the body that GET would have
            elif name.lower() not in _OWN_HEADERS:
                self.send_header(name, value)
        if not bodiless:
            self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        # One write for the head and the body: two would wait for each other's acknowledgement.
        buffer: list[bytes] = self._headers_buffer
        buffer.append(b"\r\n")
        if payload:
            buffer.append(payload)
        self.flush_headers()


def _internal_failure(
    environ: dict[str, Any], error: Exception
) -> tuple[str, list[tuple[str, str]], list[bytes]]:
    """An unexpected exception as an error of the protocol that the SDK expects, with the reason in it."""
    code, message = "InternalFailure", f"the local AWS failed: {type(error).__name__}: {error}"
    status = f"500 {http.client.responses[500]}"
    escaped = message.replace("&", "&amp;").replace("<", "&lt;")
    details = f"<Code>{code}</Code><Message>{escaped}</Message>"
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        xml = f"<ErrorResponse><Error><Type>Receiver</Type>{details}</Error></ErrorResponse>"
    elif "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
        xml = f"<Error>{details}</Error>"
    else:
        body = json.dumps({"__type": code, "message": message}).encode()
        return status, [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)], [body]
    return status, [("Content-Type", "application/xml")], [xml.encode()]
