"""HTTP as uvicorn speaks it, with bounds for all that a client may do, and its refusals as JSON like all others."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from containers.serve.limits import Limits

# nginx's default is four times 8 KiB; what a load balancer adds has room, too.
MOST_HEAD_BYTES = 64 * 1024

# Of a body whose request was answered without it so much is read and thrown away. A plain client sends all it has
# before it looks for an answer, and one that is cut off loses the answer with the connection.
MOST_DRAINED_BYTES = 64 * 1024 * 1024

# What a body holds beyond this is read by turns. A batch of a thousand rows is below it, and does not wait.
_LARGE_BODY_BYTES = 512 * 1024

# The parser does not say where in what it was fed a request began: it is fed no more than this at once.
_SLICE_BYTES = 4 * 1024

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

    Args:
        on_close: called instead of closing; `hang_up` closes.
    """

    def __init__(self, transport: Any, on_close: Callable[[], None] | None = None) -> None:
        self._transport = transport
        self._on_close = on_close
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
        if self._on_close is None or self.is_closing():
            self.hang_up()
        else:
            self._on_close()

    def forget_owner(self) -> None:
        """Refer no more to who gave `on_close`."""
        self._on_close = None

    def hang_up(self) -> None:
        """Close, also where the client is still sending."""
        self.flush()
        self._transport.close()


class Flow(FlowControl):
    """Reads no more while there is enough: uvicorn's own goes on with each request that is begun.

    Attributes:
        is_held: requests wait for their turn, or bytes to be parsed.
    """

    is_held = False

    def resume_reading(self) -> None:
        if self.read_paused and not self.is_held:
            super().resume_reading()


class Protocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        seconds: a request's head may take so long, and then the beginning of its body; uvicorn would wait for ever.
            So long, too, it is waited for the end of what is thrown away.
        unread_seconds: an answer that does not fit the buffers has to be taken within so long.
        limits: what all connections of the worker keep to together.
    """

    seconds = 20.0
    unread_seconds = 55.0
    limits = Limits()

    flow: Flow
    transport: Corked  # type: ignore[assignment]  # a transport by what it does, not by its class

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._part = _BETWEEN
        self._body_begun = False
        self._moved = False  # what was fed last was more than the middle of something
        self._framing_bytes = 0  # fed since then, and the end of it is still to come
        self._body_bytes = 0
        self._arrived_bytes = 0  # of a body that does not come in one piece
        self._drained_bytes = 0
        self._unfed = b""  # read, and from this place on not parsed yet
        self._unfed_from = 0
        self._since = 0.0
        self._deadline = _NEVER
        self._alarm: asyncio.TimerHandle | None = None
        self._unread_alarm: asyncio.TimerHandle | None = None
        self._deaf = False  # nothing more is parsed of what the client says
        self._lingers = False  # all is said; the client may not have heard it yet
        self._has_ended = False  # the client says nothing more
        self._last_words: bytes | None = None  # said when all that was asked before is answered

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Corked(transport, self._on_close))  # type: ignore[arg-type]
        self.flow = Flow(self.transport)  # type: ignore[arg-type]
        self._give_until(self.seconds)
        if not self.limits.admit(self):
            message = "all connections that this server takes are at work; come back in a second"
            self._refuse(503, "Overloaded", message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.leave(self)
        self._deaf = True
        self._unfed = b""
        for alarm in (self._alarm, self._unread_alarm):
            if alarm is not None:
                alarm.cancel()
        super().connection_lost(exc)
        # Not only when the collector comes by: a head may hold thousands of objects, and floods are quick.
        self.transport.forget_owner()
        self.scope = self.headers = None  # type: ignore[assignment]

    def waits_since(self) -> tuple[bool, float] | None:
        """Since when, by the loop's clock, the client has to do something; see `limits.Connection`."""
        cycle = self.cycle
        if self._lingers or self._unread_alarm is not None or cycle is None:
            return False, self._since
        if self.pipeline or self._last_words is not None:
            return None
        if self._part == _BODY:
            return False, self._since
        return (self._part == _BETWEEN, self._since) if cycle.response_complete else None

    def drop(self) -> None:
        """End the connection at once, whatever was to be said."""
        self.limits.leave(self)
        self._deaf = True
        self.limits.count("dropped")
        self.transport.abort()

    # What the parser finds.

    def on_message_begin(self) -> None:
        self._part = _HEAD
        self._moved = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._part == _HEAD:  # and no trailer: RFC 9110, 6.5.1, forbids to take those for headers
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

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
        self._body_bytes = 0
        if self.pipeline:
            self.flow.is_held = True

    def _announces_body(self) -> bool:
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        )

    def _head_bytes(self) -> int:
        # As sent but for spaces: "GET /path HTTP/1.1", and ": " and the line's end with each header.
        line = len(self.parser.get_method()) + len(self.url) + len(" " + " HTTP/1.1\r\n")
        return line + sum(len(name) + len(value) + 4 for name, value in self.headers) + 2

    def on_body(self, body: bytes) -> None:
        self._moved = self._body_begun = True
        self._body_bytes += len(body)
        cycle = self.cycle
        if cycle.response_complete:
            self._drained_bytes += len(body)
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._part = _BETWEEN
        self._moved = True
        if self._arrived_bytes:
            self._arrived_bytes = 0
            self.limits.arriving.release(self)
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()
        elif not self.pipeline:
            self._give_until(self.timeout_keep_alive)

    # What the transport tells.

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._drained_bytes += len(data)
            if self._drained_bytes > MOST_DRAINED_BYTES:
                self._hang_up()
        elif self._unfed:
            self._unfed += data
        elif len(data) <= _SLICE_BYTES:
            self._feed(data)
        else:
            self._unfed = data
            # Mostly this is a head and then its body, which costs little to take. Of all else the others have their
            # turns between two pieces, and reading waits for its end.
            if self.parse_on() and (not self._body_left() or self.parse_on()):
                self.flow.is_held = True
                self.flow.pause_reading()
                self.limits.turns.wait(self, self.loop)

    def _feed(self, data: bytes | memoryview) -> None:
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

    def parse_on(self) -> bool:
        """Parse the next slice of what was read, but not past requests that wait for their turn."""
        if self._deaf or self.pipeline or not self._unfed or self.transport.is_closing():
            return False
        start = self._unfed_from
        self._unfed_from += max(_SLICE_BYTES, self._body_left())
        self._feed(memoryview(self._unfed)[start : self._unfed_from])
        if self._unfed_from >= len(self._unfed):
            self._unfed, self._unfed_from = b"", 0
            if self._part == _BODY and self._body_bytes > _LARGE_BODY_BYTES and not self._deaf:
                # Many large bodies at once keep the loop busy with nothing but copying: they are read by turns.
                self.flow.is_held = True
                self.flow.pause_reading()
                self.limits.turns.wait_to_read(self, self.loop)
            else:
                self.read_on()
            return False
        return not (self._deaf or self.pipeline)

    def _body_left(self) -> int:
        """Give how much is to come of a body that says its length: the parser only copies that."""
        if self._part != _BODY:
            return 0
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        return int(length) - self._body_bytes

    def read_on(self) -> None:
        """Have what is there parsed, or read more, where nothing waits before it."""
        if self.pipeline or self._deaf:
            return
        if self._unfed:
            self.limits.turns.wait(self, self.loop)
            return
        if self.flow.is_held:
            self.flow.is_held = False
            self.flow.resume_reading()
        if self._has_ended:
            self.eof_received()

    def _wait_for_more(self, size: int) -> None:
        self._framing_bytes = 0 if self._moved else self._framing_bytes + size
        if self._framing_bytes > MOST_HEAD_BYTES:
            self._refuse_framing()
        elif self._part == _BODY and (self._body_begun or self.cycle.response_complete):
            self._follow_body(size)
        elif self._moved or self._deadline == _NEVER:
            self._give_until(self.seconds)

    def _follow_body(self, size: int) -> None:
        if self.cycle.response_complete:
            if self._drained_bytes > MOST_DRAINED_BYTES:
                self._end(b"")
            return
        if not self._arrived_bytes:
            # How long it may take is up to the application, which waits for it.
            self._since, self._deadline = self.loop.time(), _NEVER
        self._arrived_bytes += size
        self.limits.arriving.hold(self, self._arrived_bytes)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection of a client that has said all it had to say, until it is answered; then close it.

        Always True: the event loop would close its own transport, past what is corked.
        """
        self._has_ended = True
        cycle = self.cycle
        if self._lingers:
            self._hang_up()
        elif self._deaf or self._unfed:
            pass  # it ends as it is, or after what is still to be parsed
        elif self._part != _BODY and cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
        else:
            self._end(b"")
        return True

    def pause_writing(self) -> None:
        """Give the client its time to read; until then the worker holds the answer for it."""
        super().pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_alarm is not None:
            self._unread_alarm.cancel()
            self._unread_alarm = None
            self.limits.unread.release(self)

    def _watch_unread(self) -> None:
        if self._unread_alarm is None:
            self._since = self.loop.time()
            self._unread_alarm = self.loop.call_later(self.unread_seconds, self.drop)
            self.limits.unread.hold(self, self.transport.get_write_buffer_size())

    # How it goes on, and ends.

    def on_response_complete(self) -> None:
        # All of uvicorn's own, but for a timer that it makes and cancels with each request.
        self.server_state.total_requests += 1
        self.transport.flush()
        if self._lingers or self.transport.is_closing():
            return
        if self.pipeline:
            self.limits.turns.wait_to_start(self, self.loop)
        elif self._last_words is not None:
            self._say(self._last_words)
            return
        elif self._part == _BETWEEN:
            self._give_until(self.timeout_keep_alive)
        elif self._part == _BODY:
            self._drained_bytes = 0
            self._give_until(self.seconds)
        if self.flow.is_held:
            self.read_on()
        else:
            self.flow.resume_reading()

    def start_next(self) -> None:
        """Begin to work on the request that has waited for those before it."""
        if self._lingers or self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            if self.flow.is_held:
                self.read_on()
        elif self._last_words is not None:
            self._say(self._last_words)

    def shutdown(self) -> None:
        """End after what is owed; where last words wait for that, they end the connection."""
        if self._lingers:
            self._hang_up()
        elif self._last_words is None:
            super().shutdown()

    def _give_until(self, seconds: float) -> None:
        self._since = self.loop.time()
        self._deadline = self._since + seconds
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
        if self._lingers:
            self.transport.abort()
        elif self._part == _HEAD:
            self._refuse(408, "RequestTimeout", f"the headers were not there after {self.seconds:g} s")
        elif self.cycle is None or self.cycle.response_complete:
            self._end(b"")
        elif self._part == _BODY and not self._body_begun:
            self._refuse(408, "RequestTimeout", f"the body had not begun after {self.seconds:g} s")

    def _refuse_framing(self) -> None:
        in_body = self._part == _BODY
        what = "a chunk's extensions or the trailers" if in_body else "a request's line and headers"
        message = f"{what} may hold {MOST_HEAD_BYTES:,} bytes, found more"
        self._refuse(431, "RequestHeaderFieldsTooLarge", message)

    def _refuse(self, status: int, error: str, message: str) -> None:
        if self._deaf or self.transport.is_closing():
            return
        self.limits.count(str(status))
        body = orjson.dumps({"error": error, "message": message})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self._end(STATUS_LINE[status] + head % len(body) + body)

    def _end(self, words: bytes) -> None:
        """Hear nothing more, and end with these words when what was asked before is answered (RFC 9112, 9.3.2)."""
        if self._deaf or self.transport.is_closing():
            return
        self._deaf = True
        self._unfed = b""
        self._deadline = _NEVER
        self.limits.arriving.release(self)
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
            self.flow.is_held = True
            self.flow.pause_reading()
        else:
            self._say(words)

    def _say(self, words: bytes) -> None:
        if words:
            self.transport.write(words)
            self.transport.close()
        else:
            self._hang_up()

    def _on_close(self) -> None:
        """Close when the client has had time to hear what was said, where it may still be sending.

        Bytes that are not read make the system answer a close by a reset, which takes the answer with it.
        """
        if self._lingers:
            return
        if self._has_ended or not (self._deaf or self._part == _BODY):
            self._hang_up()
            return
        self._deaf = self._lingers = True
        self._unfed = b""
        self._drained_bytes = 0
        self._leave_requests()
        self.transport.write_eof()
        self.flow.is_held = False
        self.flow.resume_reading()
        self._give_until(self.seconds)

    def _leave_requests(self) -> None:
        self.pipeline.clear()
        self.limits.arriving.release(self)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _hang_up(self) -> None:
        self._deaf = True
        self.transport.hang_up()
        if self.transport.get_write_buffer_size():
            self._watch_unread()
