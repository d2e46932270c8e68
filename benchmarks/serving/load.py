"""The load generator, a process of its own: so many connections, each asks again when it is answered.

It does as little as it can for each request: bodies are made before, heads are looked up, and the answer is compared
with the bytes that were found to be right before.
"""

from __future__ import annotations

import asyncio
import pickle
import resource
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvloop

from benchmarks.serving.answers import AnswerReader, UnreadableAnswer
from benchmarks.serving.proctree import machine_cpu_seconds, usage

_ANSWER_SECONDS = 60.0
"""A request under way at the end may take so long before it counts as lost."""

_CONNECT_SECONDS = 30.0


@dataclass(frozen=True)
class Load:
    """What to ask for.

    Attributes:
        port: of the server, on 127.0.0.1.
        requests: whole requests, head and body; taken in turn.
        answers: the right body for each of them.
        connections: kept alive; one request under way on each.
        warmup_seconds: asked before anything counts.
        seconds: what counts.
        server: process id, to read what its tree uses while it counts; None not to.
    """

    port: int
    requests: Sequence[bytes]
    answers: Sequence[bytes]
    connections: int
    warmup_seconds: float
    seconds: float
    server: int | None


@dataclass
class Outcome:
    """What came of it, warm-up excluded except where an answer was wrong.

    Attributes:
        seconds: how long it counted.
        latencies: from writing a request to having its answer whole, in seconds, as they came.
        server_cpu_seconds: what the server's tree used.
        load_cpu_seconds: what this process used.
        machine_cpu_seconds: what the whole machine used.
        rss_bytes: the server's largest process at the end.
        wrong: at most a few of the answers that were not right, worded; the warm-up's too.
        wrong_count: how many there were.
    """

    seconds: float = 0.0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    server_cpu_seconds: float = 0.0
    load_cpu_seconds: float = 0.0
    machine_cpu_seconds: float = 0.0
    rss_bytes: int = 0
    wrong: list[str] = field(default_factory=list)
    wrong_count: int = 0


_MOST_WORDED = 3


class _Run:
    """State that the connections share."""

    def __init__(self, load: Load) -> None:
        self.requests = load.requests
        self.answers = load.answers
        self.outcome = Outcome()
        self.latencies = array("d")
        self.next = 0
        self.stopping = False
        self.open = load.connections
        loop = asyncio.get_running_loop()
        self.finished = loop.create_future()
        # An exception in a callback would only be logged, and its connection would wait for ever.
        loop.set_exception_handler(lambda _loop, context: self.fail(context))

    def complain(self, text: str) -> None:
        self.outcome.wrong_count += 1
        if len(self.outcome.wrong) < _MOST_WORDED:
            self.outcome.wrong.append(text)

    def fail(self, context: dict[str, Any]) -> None:
        if not self.finished.done():
            self.finished.set_exception(context.get("exception") or RuntimeError(context["message"]))

    async def wait(self, seconds: float) -> bool:
        """Wait until no connection is left, at most so long; tell whether that is so."""
        done, _ = await asyncio.wait([self.finished], timeout=seconds)
        if done:
            self.finished.result()
        return bool(done)

    def leave(self) -> None:
        self.open -= 1
        if not self.open and not self.finished.done():
            self.finished.set_result(None)


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._reader = AnswerReader()
        self._number = 0
        self._sent = 0.0
        self._idle = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not say so
        self._ask()

    def _ask(self) -> None:
        run = self._run
        self._number = number = run.next
        run.next = (number + 1) % len(run.requests)
        self._sent = time.perf_counter()
        self._transport.write(run.requests[number])

    def data_received(self, data: bytes) -> None:
        run = self._run
        try:
            answer = self._reader.feed(data)
        except UnreadableAnswer as error:
            run.complain(str(error))
            self._transport.abort()
            return
        if answer is None:
            return
        run.latencies.append(time.perf_counter() - self._sent)
        status, body = answer
        if status != 200 or body != run.answers[self._number]:
            run.complain(
                f"request {self._number}: {status} {body[:200]!r}, right: {run.answers[self._number][:200]!r}"
            )
        if run.stopping:
            self._idle = True
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self._idle:
            self._run.complain(f"the server closed the connection under request {self._number}")
        self._run.leave()


async def run(load: Load) -> Outcome:
    """Ask, and count.

    Raises:
        OSError: no connection could be made.
        ProcessLookupError: the server has ended.
    """
    loop = asyncio.get_running_loop()
    state = _Run(load)
    async with asyncio.timeout(_CONNECT_SECONDS):
        for _ in range(load.connections):
            await loop.create_connection(lambda: _Connection(state), "127.0.0.1", load.port)
    await state.wait(load.warmup_seconds)
    _count(state, load, state.outcome)
    await state.wait(load.seconds)
    _stop_counting(state, load, state.outcome)
    if not await state.wait(_ANSWER_SECONDS):
        state.complain(f"{state.open} requests had no answer after {_ANSWER_SECONDS:g} s")
    return state.outcome


def _count(state: _Run, load: Load, outcome: Outcome) -> None:
    """Note where everything stands."""
    if load.server is not None:
        outcome.server_cpu_seconds = -usage(load.server).cpu_seconds
    outcome.machine_cpu_seconds = -machine_cpu_seconds()
    outcome.load_cpu_seconds = -_own_cpu_seconds()
    outcome.seconds = -time.perf_counter()
    # The connections write into the array they find here.
    state.latencies = array("d")


def _stop_counting(state: _Run, load: Load, outcome: Outcome) -> None:
    outcome.seconds += time.perf_counter()
    outcome.latencies, state.latencies = state.latencies, array("d")
    outcome.load_cpu_seconds += _own_cpu_seconds()
    outcome.machine_cpu_seconds += machine_cpu_seconds()
    if load.server is not None:
        found = usage(load.server)
        outcome.server_cpu_seconds += found.cpu_seconds
        outcome.rss_bytes = found.largest_rss_bytes
    state.stopping = True


def _own_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Read a Load from the first file named, write its Outcome into the second."""
    asked, answered = map(Path, sys.argv[1:])
    outcome = uvloop.run(run(pickle.loads(asked.read_bytes())))
    answered.write_bytes(pickle.dumps(outcome))
