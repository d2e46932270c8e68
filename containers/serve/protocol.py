"""HTTP as uvicorn speaks it, with bounds for the head of a request, and its refusals as JSON like all others."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Any

import orjson
from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# nginx's default is four times 8 KiB; what a load balancer adds has room, too.
MOST_HEAD_BYTES = 64 * 1024

# The parser does not say where in what it was fed a request began: it is fed no more than this at once.
_SLICE_BYTES = 16 * 1024

# What the next byte belongs to.
_BETWEEN, _HEAD, _BODY = range(3)
_NEVER = math.inf
_INTERIM = b"HTTP/1.1 1"


class _Refused(Exception):
    """Stops the parser; the refusal is on its way."""


class Corked:
    """A transport that sends an answer as one.

    uvicorn writes head and body apart, and a system call is a fifth of what an answer costs. So what is written
    waits for `flush`, but for an interim answer, which the client waits for. Nothing that was written is lost:
    whatever else is done to the transport that has to come after it, closing above all, sends it first. So nobody but
    this class may close the transport underneath; `Protocol.eof_received` keeps the event loop from doing so.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.is_closing = transport.is_closing  # asked several times a request: not by way of __getattr__
        self._pending: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._pending.append(data)
        if data.startswith(_INTERIM):
            self.flush()

    def writelines(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def flush(self) -> None:
        """Hand over what is pending; of a connection that is lost there is nobody to hand it to."""
        if self._pending and not self.is_closing():
            self._transport.write(b"".join(self._pending))
        self._pending.clear()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def get_write_buffer_size(self) -> int:
        waiting: int = self._transport.get_write_buffer_size()
        return waiting + sum(map(len, self._pending))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.flush()
        self._transport.set_protocol(protocol)

    def close(self) -> None:
        self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        seconds: a request's head may take so long, and then the beginning of its body; uvicorn would wait for ever.
    """

    seconds = 20.0

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._part = _BETWEEN
        self._body_begun = False
        self._moved = False  # what was fed last was more than the middle of something
        self._framing_bytes = 0  # fed since then, and the end of it is still to come
        self._deadline = _NEVER
        self._alarm: asyncio.TimerHandle | None = None
        self._deaf = False  # nothing more is read of what the client says
        self._last_words: bytes | None = None  # said when all that was asked before is answered

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Corked(transport))  # type: ignore[arg-type]
        self._give_until(self.seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._part = _HEAD
        self._moved = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._moved = True
        self._deadline = _NEVER
        # Most heads need no counting: this one began in the slice before what was counted, and ends in this one.
        if self._framing_bytes > MOST_HEAD_BYTES - 2 * _SLICE_BYTES and self._head_bytes() > MOST_HEAD_BYTES:
            self._refuse_framing()
            raise _Refused
        self._framing_bytes = 0
        if self.parser.should_upgrade() and self._announces_body():
            # The parser takes a body behind this for the other protocol.
            message = "this server speaks HTTP/1.1 alone: send a body without a Connection: Upgrade header"
            self._refuse(400, "BadRequest", message)
            raise _Refused
        super().on_headers_complete()
        self._part = _BODY
        self._body_begun = False

    def on_body(self, body: bytes) -> None:
        self._moved = self._body_begun = True
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._part = _BETWEEN
        self._moved = True
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def on_response_complete(self) -> None:
        # All of uvicorn's own, but for a timer that it makes and cancels with each request.
        self.server_state.total_requests += 1
        self.transport.flush()  # type: ignore[attr-defined]
        if self.transport.is_closing():
            return
        if not self._deaf:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_words is not None:
            self._say(self._last_words)
        elif self._part == _BETWEEN:
            self._give_until(self.timeout_keep_alive)

    def shutdown(self) -> None:
        """End after what is owed; where last words wait for that, they end the connection."""
        if self._last_words is None:
            super().shutdown()

    def _announces_body(self) -> bool:
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        )

    def _head_bytes(self) -> int:
        # As sent but for spaces: "GET /path HTTP/1.1", and ": " and the line's end with each header.
        line = len(self.parser.get_method()) + len(self.url) + len(" " + " HTTP/1.1\r\n")
        return line + sum(len(name) + len(value) + 4 for name, value in self.headers) + 2

    def data_received(self, data: bytes) -> None:
        if len(data) > _SLICE_BYTES:
            whole = memoryview(data)
            for start in range(0, len(data), _SLICE_BYTES):
                self.data_received(whole[start : start + _SLICE_BYTES])  # type: ignore[arg-type]
            return
        if self._deaf or self.transport.is_closing():
            return
        self._moved = False
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade:
            pass  # to a protocol that is not spoken here: the request is answered as if it had not asked
        except HttpParserError:
            self._refuse(400, "BadRequest", "Invalid HTTP request received.")
        # Most requests come in one piece, and are done with here.
        if not ((self._moved and self._part == _BETWEEN) or self._deaf):
            self._wait_for_more(len(data))

    def _wait_for_more(self, size: int) -> None:
        self._framing_bytes = 0 if self._moved else self._framing_bytes + size
        if self._framing_bytes > MOST_HEAD_BYTES:
            self._refuse_framing()
        elif self._part == _BODY and self._body_begun:
            self._deadline = _NEVER
        elif self._moved or self._deadline == _NEVER:
            self._give_until(self.seconds)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection of a client that has said all it had to say, until it is answered; then close it.

        Always True: the event loop would close its own transport, past what is corked.
        """
        cycle = self.cycle
        if self._deaf:
            pass  # it ends as it is
        elif self._part != _BODY and cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
        else:
            self._end(b"")
        return True

    def _give_until(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        # One alarm is enough while the deadline moves away; what is on a connection's way costs each request.
        if self._alarm is None or self._alarm.when() > self._deadline:
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        self._alarm = None
        if self._deadline == _NEVER or self.transport.is_closing():
            return
        if self.flow.read_paused:
            self._give_until(self.seconds)  # it is not the client who keeps us waiting
        elif self.loop.time() < self._deadline:
            self._set_alarm()
        else:
            self._give_up()

    def _give_up(self) -> None:
        self._deadline = _NEVER
        if self._part == _BETWEEN:
            if self.cycle is None or self.cycle.response_complete:
                self._end(b"")
        elif self._part == _HEAD:
            self._refuse(408, "RequestTimeout", f"the headers were not there after {self.seconds:g} s")
        elif not self._body_begun and not self.cycle.response_complete:
            self._refuse(408, "RequestTimeout", f"the body had not begun after {self.seconds:g} s")

    def _refuse_framing(self) -> None:
        what = (
            "a chunk's extensions or the trailers" if self._part == _BODY else "a request's line and headers"
        )
        message = f"{what} may hold {MOST_HEAD_BYTES:,} bytes, found more"
        self._refuse(431, "RequestHeaderFieldsTooLarge", message)

    def _refuse(self, status: int, error: str, message: str) -> None:
        body = orjson.dumps({"error": error, "message": message})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
            body
        )
        self._end(STATUS_LINE[status] + head + body)

    def _end(self, words: bytes) -> None:
        """Hear nothing more, and end with these words when what was asked before is answered (RFC 9112, 9.3.2)."""
        if self._deaf or self.transport.is_closing():
            return
        self._deaf = True
        self._deadline = _NEVER
        cycle = self.cycle
        if self._part != _BODY:
            owes = cycle is not None and not cycle.response_complete
        elif self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # its turn has not come, and the rest of it never will
            owes = True
        else:
            owes = False
            if cycle.response_started:
                words = b""  # a request is answered once
        if owes:
            self._last_words = words
            self.flow.pause_reading()
        else:
            self._say(words)

    def _say(self, words: bytes) -> None:
        if words:
            self.transport.write(words)
        self.transport.close()
