"""Keep-alive HTTP connections to one serving process."""

from __future__ import annotations

import http.client
import threading
import time
from collections import deque
from dataclasses import dataclass

HOST = "127.0.0.1"
MAX_IDLE = 64


class ModelUnreachable(Exception):
    """The serving process did not answer: refused, closed, or broken off."""


class ModelTimeout(Exception):
    """The serving process did not answer in time."""


@dataclass(frozen=True)
class Answer:
    """What the model answered, and how long that took."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes
    microseconds: float


class ConnectionPool:
    """Idle connections of one process, the latest used first; every request may open another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[http.client.HTTPConnection] = deque()
        self._lock = threading.Lock()
        self._closed = False

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        timeout: float,
    ) -> Answer:
        """Send one request; raise ModelUnreachable or ModelTimeout when no answer comes."""
        started = time.perf_counter()
        while True:
            connection, reused = self._take(timeout)
            try:
                connection.request(method, path, body=body or None, headers=headers or {})
                response = connection.getresponse()
                content = response.read()
            except TimeoutError as error:
                connection.close()
                raise ModelTimeout(f"no answer within {timeout:g} s") from error
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # The server may close an idle connection at the moment it is used again: then nothing of
                # the request was answered, and a new connection decides.
                if reused and isinstance(error, http.client.RemoteDisconnected | ConnectionError):
                    continue
                raise ModelUnreachable(f"{type(error).__name__}: {error}") from error
            self._give_back(connection, reusable=not response.will_close)
            return Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.getheaders()},
                body=content,
                microseconds=(time.perf_counter() - started) * 1e6,
            )

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()

    def _take(self, timeout: float) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            return http.client.HTTPConnection(HOST, self._port, timeout=timeout), False
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection, True

    def _give_back(self, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        with self._lock:
            if reusable and not self._closed and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()
