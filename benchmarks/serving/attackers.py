"""Bad clients: python -m benchmarks.serving.attackers NAME PORT is bad in one way until its stdin closes."""

from __future__ import annotations

import io
import os
import random
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.serving.model import Shape, example

MOST_SECONDS = 60.0
"""An attacker ends then, whoever started it."""

CONTENT = "content"
"""The part of attacks that are whole requests, bad by what their body holds."""

_POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n"
_JSON = _POST % b"application/json"
_LARGE = _JSON + b"Content-Length: 6000000\r\n\r\n"
_ENDLESS = _JSON + b"Content-Length: 2000000000\r\n\r\n"
_CHUNKED = _JSON + b"Transfer-Encoding: chunked\r\n\r\n"
_PIECE = 256 * 1024
_MOST_NEW = 10  # connections between two looks at the others
_RESET = b"\1\0\0\0\0\0\0\0"


@dataclass(frozen=True)
class Attack:
    """One way to be bad.

    Attributes:
        connections: held open at once; one that the server ends is opened anew.
        first: sent on a new connection.
        more: sent again and again; empty for a client that says nothing more.
        repeats: sends `first` again and again, each time when it was answered.
        pause: seconds between two pieces of `more` on one connection.
        reads: takes what the server answers, and drops it.
        resets: ends each connection by a reset as soon as `first` is sent.
        is_cut_short: the server ends these connections as soon as it sees what they are; others in time, or never.
        part: "connection", or CONTENT.
    """

    connections: int
    first: Callable[[], bytes] = lambda: b""
    more: bytes = b""
    repeats: bool = False
    pause: float = 0.0
    reads: bool = True
    resets: bool = False
    is_cut_short: bool = False
    part: str = "connection"


def _said(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def _posted(kind: bytes, body: bytes) -> bytes:
    return _POST % kind + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _npy_without_bytes() -> bytes:
    """A million rows whose cells take no byte."""
    return _posted(b"application/x-npy", _npy("<U0", 1_000_000))


def _npy_of_a_huge_shape() -> bytes:
    return _posted(b"application/x-npy", _npy("<f8", 2**40) + bytes(1000))


def _npy(kind: str, rows: int) -> bytes:
    sink = io.BytesIO()
    header = {"descr": kind, "fortran_order": False, "shape": (rows, Shape().features)}
    np.lib.format.write_array_header_1_0(sink, header)
    return sink.getvalue()


def _parquet_bomb() -> bytes:
    """A million rows that are all the same: a few kilobytes."""
    rows = 1_000_000
    text = pa.DictionaryArray.from_arrays(np.zeros(rows, dtype=np.int32), pa.array(["a"]))
    columns = {
        feature.name: text if feature.kind == "category" else pa.array(np.ones(rows))
        for feature in example(Shape()).contract.features
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return _posted(b"application/x-parquet", sink.getvalue())


_GARBAGE = random.Random(7).randbytes(4096)

ATTACKS = {
    "nothing bad": Attack(1, _said(b"GET /ping HTTP/1.1\r\n\r\n")),
    "says nothing": Attack(1500, is_cut_short=True),
    "a head byte by byte": Attack(300, _said(_JSON + b"A: "), b"a", pause=0.2),
    "a body byte by byte": Attack(300, _said(_LARGE), b" ", pause=0.2),
    "line ends for ever": Attack(50, more=b"\r\n", pause=0.05),
    "bodies that almost end": Attack(100, _said(_LARGE + b" " * 5_999_999), is_cut_short=True),
    "a body too large": Attack(4, _said(_ENDLESS), b" " * _PIECE, is_cut_short=True),
    "a body that nobody asked for": Attack(
        4, _said(_ENDLESS.replace(b"invocations", b"nowhere")), b" " * _PIECE, is_cut_short=True
    ),
    "a head without end": Attack(4, _said(_JSON + b"A: "), b"a" * _PIECE, is_cut_short=True),
    "headers without end": Attack(4, _said(_JSON), b"A: b\r\n" * (_PIECE // 6), is_cut_short=True),
    "a trailer without end": Attack(
        4, _said(_CHUNKED + b"2\r\n[]\r\n0\r\nA: "), b"a" * _PIECE, is_cut_short=True
    ),
    "trailers without end": Attack(
        4, _said(_CHUNKED + b"2\r\n[]\r\n0\r\n"), b"A: b\r\n" * (_PIECE // 6), is_cut_short=True
    ),
    "an extension without end": Attack(4, _said(_CHUNKED + b"2;a="), b"a" * _PIECE, is_cut_short=True),
    "chunks of one byte": Attack(4, _said(_CHUNKED), b"1\r\n \r\n" * (_PIECE // 6)),
    "requests in a flood": Attack(4, more=b"GET / HTTP/1.1\r\n\r\n" * (_PIECE // 18)),
    "never reads": Attack(50, more=b"GET /metrics HTTP/1.1\r\n\r\n" * 1000, reads=False),
    "no HTTP": Attack(4, _said(_GARBAGE), is_cut_short=True),
    "connects and resets": Attack(4, _said(_JSON), resets=True),
    "an NPY without bytes": Attack(2, _npy_without_bytes, repeats=True, part=CONTENT),
    "an NPY of a huge shape": Attack(2, _npy_of_a_huge_shape, repeats=True, part=CONTENT),
    "a Parquet bomb": Attack(2, _parquet_bomb, repeats=True, part=CONTENT),
    "JSON a million deep": Attack(
        2, lambda: _posted(b"application/json", b"[" * 1_000_000), repeats=True, part=CONTENT
    ),
}


class _Client:
    """One connection of an attacker."""

    def __init__(self, attack: Attack, port: int, first: bytes) -> None:
        self._attack = attack
        self._first = first
        self._rest = memoryview(first)
        self._more = attack.more
        self._next = 0.0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setblocking(False)

    @property
    def wants_to_send(self) -> bool:
        return bool(self._rest) or (bool(self._more) and time.monotonic() >= self._next)

    def read(self) -> bool:
        """Drop what came; False at the end."""
        if self._attack.repeats:
            self._more = self._first
        return bool(self.socket.recv(1 << 20))

    def send(self) -> bool:
        """Send a piece; False where the connection is done with."""
        if not self._rest:
            self._rest = memoryview(self._more)
        self._rest = self._rest[self.socket.send(self._rest) :]
        if not self._rest:
            self._next = time.monotonic() + self._attack.pause
            self._more = b"" if self._attack.repeats else self._attack.more
        if self._attack.resets and not self._rest:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return False
        return True


def act(attack: Attack, port: int, say: Callable[[str], None], until: Callable[[], bool]) -> int:
    """Be bad until told to stop; says "acting" when all connections were made once, then "ended" when one was ended.

    Returns how many of them the server ended.
    """
    first = attack.first()
    clients: dict[int, _Client] = {}
    ended = 0
    told = is_said = False
    try:
        while not until():
            for _ in range(min(attack.connections - len(clients), _MOST_NEW)):
                with suppress(OSError):  # a backlog that is full: the next turn tries again
                    client = _Client(attack, port, first)
                    clients[client.socket.fileno()] = client
            if not told and (told := len(clients) + ended >= attack.connections):
                say("acting")
            for number, alive in _turns(attack, clients):
                if not alive:
                    clients.pop(number).socket.close()
                    ended += 1
            if told and ended and not is_said:
                is_said = True
                say("ended")
    finally:
        for client in clients.values():
            client.socket.close()
    return ended


def _turns(attack: Attack, clients: dict[int, _Client]) -> Iterator[tuple[int, bool]]:
    poll = select.poll()
    for number, client in clients.items():
        poll.register(
            number, (select.POLLIN if attack.reads else 0) | (select.POLLOUT if client.wants_to_send else 0)
        )
    for number, event in poll.poll(20):
        try:
            alive = not event & (select.POLLHUP | select.POLLERR)
            if alive and event & select.POLLIN:
                alive = clients[number].read()
            if alive and event & select.POLLOUT:
                alive = clients[number].send()
        except BlockingIOError:
            alive = True
        except OSError:
            alive = False
        yield number, alive


def main(arguments: list[str]) -> int:
    name, port = arguments
    # In the world they are machines of their own: here they leave the server its cores.
    os.nice(19)
    end = time.monotonic() + MOST_SECONDS

    def is_over() -> bool:
        return time.monotonic() > end or bool(select.select([sys.stdin], [], [], 0)[0])

    ended = act(ATTACKS[name], int(port), lambda text: print(text, flush=True), is_over)
    print(ended, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
