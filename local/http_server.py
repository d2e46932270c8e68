"""HTTP in front of moto: keep-alive, one write per answer, and no ear for web pages."""

from __future__ import annotations

import http.client
import json
import logging
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import LimitedStream

logger = logging.getLogger(__name__)

_NO_BODY = {204, 304}
# A bucket's own name stands before it: bucket.s3.localhost. Resolvers answer no name below localhost from outside.
_LOOPBACK = re.compile(r"(127\.0\.0\.1|\[::1\]|([a-z0-9_-]+\.)*localhost)\.?(:\d+)?", re.IGNORECASE)
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
        refusal = _refusal(environ)
        try:
            status, headers, content = (
                self._run(environ) if refusal is None else _failure(environ, 403, "AccessDenied", refusal)
            )
        except (ConnectionError, ClientDisconnected):
            self.close_connection = True
            return
        except Exception as error:
            logger.error("%s %s failed\n%s", self.command, self.path, traceback.format_exc())
            text = f"the local AWS failed: {type(error).__name__}: {error}"
            status, headers, content = _failure(environ, 500, "InternalFailure", text)
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


def _refusal(environ: Mapping[str, Any]) -> str | None:
    """Why a request is none of an SDK, a tool or a person; None where it may be.

    Any web page can make a browser on this machine send requests here. A page's own requests carry its Origin, its
    images and links say so in Sec-Fetch-Site, and a name that it has pointed at 127.0.0.1 stands in Host.
    """
    host = environ.get("HTTP_HOST", "")
    if not _LOOPBACK.fullmatch(host):
        return (
            f"The local AWS answers to 127.0.0.1, localhost and names below localhost, not to the Host {host!r}. "
            f"Set the endpoint URL that ready.json names."
        )
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and origin != f"http://{host}":
        return f"The local AWS takes no requests from web pages; this one comes from the Origin {origin!r}."
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site not in (None, "none", "same-origin"):
        return f"The local AWS takes no requests from web pages; a browser calls this one {site!r}."
    return None


def _failure(
    environ: Mapping[str, Any], code: int, name: str, message: str
) -> tuple[str, list[tuple[str, str]], list[bytes]]:
    """An error in the protocol that the SDK expects, with the reason in it."""
    status = f"{code} {http.client.responses[code]}"
    escaped = message.replace("&", "&amp;").replace("<", "&lt;")
    details = f"<Code>{name}</Code><Message>{escaped}</Message>"
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        xml = f"<ErrorResponse><Error><Type>Receiver</Type>{details}</Error></ErrorResponse>"
    elif "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
        xml = f"<Error>{details}</Error>"
    else:
        body = json.dumps({"__type": name, "message": message}).encode()
        return status, [("Content-Type", "application/json"), ("x-amzn-ErrorType", name)], [body]
    return status, [("Content-Type", "application/xml")], [xml.encode()]
