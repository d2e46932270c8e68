"""What the connections of one worker may take together, and which of them goes where it is too much."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import islice
from typing import Protocol

# What all bodies that are still arriving may hold, and all answers that nobody takes: over ten of the largest.
MOST_ARRIVING_BYTES = 128 * 1024 * 1024
MOST_UNREAD_BYTES = 128 * 1024 * 1024


# So long, in one turn of the event loop, the bytes of all connections together may be parsed: the rest waits.
_TURN_SECONDS = 0.002

# So many requests that waited for others of their connections are begun in one turn.
_STARTED_AT_ONCE = 8

# So many connections read on in one turn with a body that is large: 256 KiB each.
_READ_AT_ONCE = 2

# Of so many the one that waits for the longest goes: nearly as good as of all, which are too many to look at.
_LOOKED_AT = 32


class Connection(Protocol):
    """What is asked of a connection."""

    def parse_on(self) -> bool:
        """Parse the next few bytes of what was read; True where there are more, and nothing before them."""

    def start_next(self) -> None:
        """Begin to work on the request that has waited for those before it on its connection."""

    def read_on(self) -> None:
        """Read more, where nothing that was read waits before it."""

    def waits_since(self) -> tuple[bool, float] | None:
        """Since when it is the client who has to do something; None while the client waits for us.

        The first tells whether the connection is idle between two requests: what a good client's is, too.
        """

    def drop(self) -> None:
        """End it at once, whatever was to be said."""


class Budget:
    """Bytes that connections hold; over the limit the one that has held some for the longest is dropped."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._total = 0
        self._held: dict[Connection, int] = {}

    def hold(self, connection: Connection, size: int) -> None:
        """Note that the connection now holds `size` bytes."""
        self._total += size - self._held.get(connection, 0)
        self._held[connection] = size
        while self._total > self._most:
            oldest = next(iter(self._held))
            self.release(oldest)
            oldest.drop()

    def release(self, connection: Connection) -> None:
        self._total -= self._held.pop(connection, 0)


class Turns:
    """Has connections go on by turns with what they have read, so that no one's flood keeps the others waiting."""

    def __init__(self) -> None:
        self._starting: dict[Connection, None] = {}
        self._waiting: dict[Connection, None] = {}
        self._reading: dict[Connection, None] = {}
        self._is_called = False

    def wait(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Have the connection parse on, soon."""
        self._waiting[connection] = None
        self._call(loop)

    def wait_to_start(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Have the connection start its next request, soon; what came alone does not wait for this."""
        self._starting[connection] = None
        self._call(loop)

    def wait_to_read(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Have the connection read on, soon."""
        self._reading[connection] = None
        self._call(loop)

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_called:
            self._is_called = True
            loop.call_soon(self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        for connection in list(islice(self._starting, _STARTED_AT_ONCE)):
            del self._starting[connection]
            connection.start_next()
        for connection in list(islice(self._reading, _READ_AT_ONCE)):
            del self._reading[connection]
            connection.read_on()
        until = time.perf_counter() + _TURN_SECONDS
        while self._waiting and time.perf_counter() < until:
            connection = next(iter(self._waiting))
            del self._waiting[connection]
            if connection.parse_on():
                self._waiting[connection] = None
        self._is_called = False
        if self._waiting or self._starting or self._reading:
            self._call(loop)


class Limits:
    """The connections of a worker.

    Args:
        connections: so many may be open. For one more, the one whose client has kept us waiting for the longest goes:
            first of those within a request or before their first, then of those that are idle.
        count: told of each refusal, by its status, and of each connection that is dropped.
    """

    def __init__(
        self,
        connections: int = 1000,
        count: Callable[[str], None] = lambda _what: None,
        arriving: int = MOST_ARRIVING_BYTES,
        unread: int = MOST_UNREAD_BYTES,
    ) -> None:
        self.count = count
        self.arriving = Budget(arriving)
        self.unread = Budget(unread)
        self._most = connections
        self.turns = Turns()
        self._open: dict[Connection, None] = {}

    def admit(self, connection: Connection) -> bool:
        """Take the connection in; False where there is no room and nobody may be sent away for it."""
        has_room = len(self._open) < self._most or self._make_room()
        self._open[connection] = None
        return has_room

    def leave(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        self.arriving.release(connection)
        self.unread.release(connection)

    def _make_room(self) -> bool:
        waiting: list[tuple[tuple[bool, float], Connection]] = []
        for looked_at, connection in enumerate(list(self._open), start=1):
            del self._open[connection]  # to the end: the next look is at others
            self._open[connection] = None
            since = connection.waits_since()
            if since is not None:
                waiting.append((since, connection))
            if waiting and looked_at >= _LOOKED_AT:
                break
        if not waiting:
            return False
        min(waiting, key=lambda pair: pair[0])[1].drop()
        return True
