"""HTTP/1.1 as a client, in the worker's own event loop: connections that are kept, one request at a time on each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

# A BatchGetItem is 16 MB at the most; in base64, with names and braces, that is less than this.
_MOST_REPLY_BYTES = 64 * 1024 * 1024
_PORTS = {"http": 80, "https": 443}


class Broken(Exception):
    """The connection ended before the reply did, or what came is no reply."""


@dataclass(frozen=True)
class Endpoint:
    """Where requests are sent to."""

    host: str
    port: int
    is_tls: bool

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Read scheme, host and port of a URL.

        Raises:
            ValueError: it has no scheme of ours, no host, or no such port.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"{url!r} is no http or https URL")
        return cls(parts.hostname, parts.port or _PORTS[parts.scheme], parts.scheme == "https")

    @property
    def authority(self) -> str:
        """As it stands in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.is_tls else "http"] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Reply:
    """A whole HTTP response; its headers by lower-case name."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Connection(asyncio.Protocol):
    """One connection; whoever cancels an exchange, or sees it fail, has ended it."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, request: bytes) -> Reply:
        """Send a request and give its reply.

        Raises:
            Broken: there was none.
        """
        if self._transport is None or not self.is_usable:
            raise Broken("the connection is closed")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(request)
            return await self._waiter
        except BaseException:
            # What is still to come is the reply to nothing.
            self.close()
            raise
        finally:
            self._waiter = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a stream, as asyncio has it

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.close()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(f"no HTTP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was lost: {error or 'the server closed it'}")
        self._transport = None

    def _fail(self, why: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Broken(why))

    # What the parser finds.

    def on_message_begin(self) -> None:
        self._headers, self._pieces, self._size = {}, [], 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        self._size += len(body)
        if self._size > _MOST_REPLY_BYTES:
            self._fail(f"a reply of more than {_MOST_REPLY_BYTES:,} bytes")

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return  # an interim reply: the other one follows
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(Reply(status, self._headers, b"".join(self._pieces)))
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()


Connect: TypeAlias = Callable[[], Awaitable[Connection]]


def connecting(endpoint: Endpoint) -> Connect:
    """Give what opens connections to an endpoint; over TLS its certificate is checked."""
    context = ssl.create_default_context() if endpoint.is_tls else None

    async def connect() -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, endpoint.host, endpoint.port, ssl=context)
        return connection

    return connect


class Pool:
    """Connections to one endpoint, kept while they are good."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._idle: list[Connection] = []

    async def exchange(self, request: bytes, seconds: float) -> Reply:
        """Send a request on a connection that is idle, or on a new one.

        Raises:
            Broken: the connection ended, or was none.
            TimeoutError: there was no whole reply after so many seconds, a new connection's making included.
        """
        async with asyncio.timeout(seconds):
            connection = self._kept()
            if connection is None:
                try:
                    connection = await self._connect()
                except OSError as error:
                    raise Broken(f"no connection: {error}") from error
            reply = await connection.exchange(request)
        if connection.is_usable:
            self._idle.append(connection)
        return reply

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    def close(self) -> None:
        """End the idle connections."""
        while self._idle:
            self._idle.pop().close()
