"""What the connections of one worker may take together, and which of them goes where it is too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

# What all bodies that are still arriving may hold, and all answers that nobody takes: over ten of the largest.
MOST_ARRIVING_BYTES = 128 * 1024 * 1024
MOST_UNREAD_BYTES = 128 * 1024 * 1024


class Connection(Protocol):
    """What is asked of a connection."""

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
        self._open: set[Connection] = set()

    def admit(self, connection: Connection) -> bool:
        """Take the connection in; False where there is no room and nobody may be sent away for it."""
        has_room = len(self._open) < self._most or self._make_room()
        self._open.add(connection)
        return has_room

    def leave(self, connection: Connection) -> None:
        self._open.discard(connection)
        self.arriving.release(connection)
        self.unread.release(connection)

    def _make_room(self) -> bool:
        waiting = ((since, other) for other in self._open if (since := other.waits_since()) is not None)
        longest = min(waiting, key=lambda pair: pair[0], default=None)
        if longest is None:
            return False
        longest[1].drop()
        return True
