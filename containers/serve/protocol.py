"""HTTP as uvicorn speaks it, with bounds for the head of a request, and its refusals as JSON like all others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# nginx's default is four times 8 KiB; what a load balancer adds has room, too.
MOST_HEAD_BYTES = 64 * 1024


class Corked:
    """A transport that sends what is written in one turn of the event loop as one.

    uvicorn writes head and body apart, and a system call is a fifth of what an answer costs. Nothing that was
    written is lost: whatever else is done to the transport that has to come after it, closing above all, sends it
    first. So nobody but this class may close the transport underneath; `Protocol.eof_received` keeps the event loop
    from doing so.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self.is_closing = transport.is_closing  # asked several times a request: not by way of __getattr__
        self._pending: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._pending:
            self._call_soon(self.flush)
        self._pending.append(data)

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
        self._in_head = True  # the rest of a request's head, or the first one's beginning, is still to come
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(Corked(transport, self.loop))  # type: ignore[arg-type]
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_timer()
        if self.parser.should_upgrade() and self._announces_body():
            # The parser takes a body behind this for the other protocol.
            message = "this server speaks HTTP/1.1 alone: send a body without a Connection: Upgrade header"
            self._refuse(400, "BadRequest", message)
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.transport.is_closing():
            super().on_message_complete()

    def _announces_body(self) -> bool:
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        )

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Most requests come in one piece, and are done with here.
        if (self._in_head or self._awaits_body()) and not self.transport.is_closing():
            self._wait_for_more(len(data))

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection of a client that has said all it had to say, until it is answered; then close it.

        Always True: the event loop would close its own transport, past what is corked.
        """
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.response_complete:
            self.transport.close()
        else:
            cycle.keep_alive = False
        return True

    def _awaits_body(self) -> bool:
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not cycle.body and not cycle.response_complete

    def _wait_for_more(self, size: int) -> None:
        self._head_bytes += size if self._in_head else 0
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(
                431,
                "RequestHeaderFieldsTooLarge",
                f"a request's line and headers may hold {MOST_HEAD_BYTES:,} bytes, found more",
            )
        elif self._timer is None:
            self._start_timer()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes == 0:
            self.transport.close()
        elif self._in_head:
            self._refuse(408, "RequestTimeout", f"the headers were not there after {self.seconds:g} s")
        elif self._awaits_body():
            self._refuse(408, "RequestTimeout", f"the body had not begun after {self.seconds:g} s")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser does not take for HTTP."""
        self._refuse(400, "BadRequest", msg)

    def _refuse(self, status: int, error: str, message: str) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        body = orjson.dumps({"error": error, "message": message})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
            body
        )
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
