"""The Lambda Runtime API for one worker: hands it invocations and takes its results.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Result:
    """What came of an invocation: the payload, and whether it is an error's JSON."""

    payload: bytes
    is_error: bool


@dataclass(frozen=True)
class Invocation:
    """One event on its way through a worker."""

    request_id: str
    event: bytes
    function_arn: str
    timeout_seconds: float
    client_context: str | None = None
    result: Future[Result] = field(default_factory=Future)

    def resolve(self, result: Result) -> None:
        """Set the result; the first one counts (the worker's answer, its end, or the clock)."""
        with contextlib.suppress(InvalidStateError):
            self.result.set_result(result)


class RuntimeApi:
    """Listens on a loopback port of its own: a port is all that the runtime client can be told."""

    def __init__(self) -> None:
        self.init_error: bytes | None = None
        self.initialised = threading.Event()
        self._pending: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._current: Invocation | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_class(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="runtime-api", daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def submit(self, invocation: Invocation) -> None:
        """Hand the invocation to the worker; its `result` resolves when the worker answers."""
        self._pending.put(invocation)

    def next(self) -> Invocation | None:
        """Block until there is an invocation; None when the server is closed."""
        self.initialised.set()
        self._current = self._pending.get()
        return self._current

    def resolve(self, request_id: str, result: Result) -> bool:
        """Take the result of the current invocation; False when it is of another one."""
        if self._current is None or self._current.request_id != request_id:
            return False
        self._current.resolve(result)
        return True

    def close(self) -> None:
        self._pending.put(None)
        self._server.shutdown()
        self._server.server_close()


def _handler_class(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if not self.path.endswith("/runtime/invocation/next"):
                self._answer(404)
                return
            invocation = api.next()
            if invocation is None:
                self.close_connection = True
                return
            deadline = int((time.time() + invocation.timeout_seconds) * 1000)
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
                "Content-Type": "application/json",
            }
            if invocation.client_context is not None:
                headers["Lambda-Runtime-Client-Context"] = invocation.client_context
            self._answer(200, invocation.event, headers)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            *_, request_id, kind = self.path.split("/")
            if (request_id, kind) == ("init", "error"):
                api.init_error = body
            elif kind not in ("response", "error"):
                self._answer(404)
                return
            elif not api.resolve(request_id, Result(body, is_error=kind == "error")):
                self._answer(400)
                return
            self._answer(202, b'{"status":"OK"}')

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True  # the worker has ended; who waits for it sees that

        def log_message(self, *_args: object) -> None:
            """Say nothing: the function's log is in CloudWatch Logs."""

        def _answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers_with(body)

        def end_headers_with(self, body: bytes) -> None:
            # One write for the head and the body: two would wait for each other's acknowledgement.
            self._headers_buffer += [b"\r\n", body]  # type: ignore[attr-defined]  # not in typeshed
            self.flush_headers()

    return Handler
