"""One connection of the server without a socket: its transport is taken down, its time passes when told to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.server import ServerState

from containers.serve.limits import Limits
from containers.serve.protocol import Protocol

RECORD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]"
CHUNKED = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


class Transport:
    """Takes down, in order, what an event loop's transport is asked."""

    def __init__(self) -> None:
        self.done: list[tuple[str, bytes]] = []
        self.is_read = True
        self._closing = False
        self.unsent = 0  # of what was written
        self.lost: Callable[[], object] = lambda: None

    def write(self, data: bytes) -> None:
        assert not self._closing, "a transport that is closing drops what is written to it"
        self.done.append(("write", bytes(data)))

    def write_eof(self) -> None:
        self.done.append(("write_eof", b""))

    def close(self) -> None:
        if not self._closing:
            self.done.append(("close", b""))
            if not self.unsent:
                self.lost()
                self.lost = lambda: None
        self._closing = True

    def abort(self) -> None:
        self._closing = True
        self.done.append(("abort", b""))
        self.lost()
        self.lost = lambda: None

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, _name: str) -> None:
        return None

    def set_protocol(self, _protocol: object) -> None:
        self.done.append(("set_protocol", b""))

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    @property
    def sent(self) -> bytes:
        return b"".join(data for _, data in self.done)


class Clock:
    """The event loop, with a time that passes when it is told to."""

    def __init__(self, now: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._timers: list[asyncio.TimerHandle] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *arguments)

    def call_at(self, when: float, callback: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        # Never run by the loop itself: it is only asked when it is due, and whether it was cancelled.
        timer = asyncio.TimerHandle(when, callback, arguments, self._loop)
        self._timers.append(timer)
        return timer

    def forward(self, seconds: float) -> None:
        until = self._now + seconds
        while due := [timer for timer in self._timers if not timer.cancelled() and timer.when() <= until]:
            first = min(due, key=asyncio.TimerHandle.when)
            self._timers.remove(first)
            self._now = max(self._now, first.when())
            first._run()
        self._now = until


class Served:
    """A protocol on a transport that is taken down, with an app that answers when it is told to.

    Args:
        limits: shared with other connections.
        now: the time at which the connection is made.
        early: answer with this status without having read the body; a 413 ends the connection.
    """

    made: ClassVar[list[Served]] = []

    def __init__(self, limits: Limits | None = None, *, early: int | None = None, now: float = 0.0) -> None:
        self.early = early
        self.transport = Transport()
        self.may_answer = asyncio.Event()
        self.asked: list[bytes] = []
        self.headers: list[
            list[tuple[bytes, bytes]]
        ] = []  # of each request; filled on, where there are trailers
        self.gone = 0  # requests whose client was gone before all of it was there
        self.clock = Clock(now)
        config = Config(self._app, interface="asgi3", proxy_headers=False, log_config=None)
        config.load()
        self.protocol = Protocol(
            config=config,
            server_state=ServerState(),
            app_state={},
            _loop=self.clock,
        )
        self.transport.lost = lambda: self.clock.call_soon(self.protocol.connection_lost, None)
        self.protocol.limits = limits or Limits()
        self.protocol.connection_made(self.transport)
        self.made.append(self)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.headers.append(scope["headers"])
        if self.early is not None:
            headers = [
                (b"content-length", b"2"),
                (b"connection", b"close" if self.early == 413 else b"keep-alive"),
            ]
            await send({"type": "http.response.start", "status": self.early, "headers": headers})
            await send({"type": "http.response.body", "body": b"no"})
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            body += message["body"]
            more = message["more_body"]
        self.asked.append(body)
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0)

    async def turns(self) -> None:
        """Let everything happen that needs no time to pass."""
        for _ in range(50):
            await asyncio.sleep(0)

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", self.transport.sent)]

    @property
    def is_closed(self) -> bool:
        """Closed, or at the end of what is said on it."""
        return self.transport.is_closing() or ("write_eof", b"") in self.transport.done


def run(scenario: Callable[[], Any]) -> None:
    """Run a scenario; the connections that it made are lost at its end, and nobody waits on them for ever."""

    async def whole() -> None:
        try:
            await scenario()
        finally:
            while Served.made:
                served = Served.made.pop()
                served.transport.abort()
                await served.turns()

    asyncio.run(whole())
