"""The measuring: starts servers, checks every answer once, puts load on them, and notes what was seen."""

from __future__ import annotations

import http.client
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving import servers, workload
from benchmarks.serving.figures import Exactness, Run
from benchmarks.serving.load import Load, Outcome
from benchmarks.serving.model import ROOT, Example
from benchmarks.serving.servers import Running, Server, free_port, running
from benchmarks.serving.workload import Work
from local.processes import Children

SINGLE_CONNECTIONS = 32
BATCH_CONNECTIONS = 4
_LOAD = "from benchmarks.serving.load import main; main()"
_LOAD_SLACK_SECONDS = 150.0


@dataclass(frozen=True)
class Settings:
    """How long and how often.

    Attributes:
        repeats: of everything, on servers started anew, in alternating order.
        seconds: that count, of each load.
        warmup_seconds: before; BentoML learns its batch size in it.
    """

    repeats: int = 3
    seconds: float = 3.0
    warmup_seconds: float = 2.0


@dataclass
class Seen:
    """What was seen of one server: lists in the order of the repeats.

    Attributes:
        runs: by "json" or "csv" and the rows of a request.
        exactness: by the same; over all distinct requests, and for ours over all rows one by one.
    """

    seconds_to_ready: list[float] = field(default_factory=list)
    runs: dict[tuple[str, int], list[Run]] = field(default_factory=dict)
    exactness: dict[tuple[str, int], Exactness] = field(default_factory=dict)


class Bench:
    """Measures servers, in a scratch folder; a context manager would end what `children` started."""

    def __init__(self, children: Children, scratch: Path, settings: Settings) -> None:
        self._children = children
        self._scratch = scratch
        self._settings = settings

    def compare(self, those: Sequence[Server], example: Example) -> dict[str, Seen]:
        """Measure servers beside each other, on one row and on many."""
        seen = {server.name: Seen() for server in those}
        answers: dict[tuple[str, str, int], list[bytes]] = {}
        for repeat in range(self._settings.repeats):
            # What warms up or slows down over the time hits the first and the last alike.
            for server in those if repeat % 2 == 0 else reversed(those):
                self._measure(server, example, seen[server.name], answers)
        return seen

    def _measure(
        self,
        server: Server,
        example: Example,
        seen: Seen,
        answers: dict[tuple[str, str, int], list[bytes]],
        sizes: Sequence[int] = (1, workload.BATCH_ROWS),
    ) -> None:
        with running(server, example, self._children, self._scratch) as at:
            seen.seconds_to_ready.append(at.seconds_to_ready)
            for form, dialect in server.dialects.items():
                for rows in sizes:
                    count = workload.SINGLES if rows == 1 else workload.BATCHES
                    work = workload.work(example, dialect, rows, count)
                    key = server.name, form, rows
                    if key not in answers:
                        answers[key], exactness = check(at.port, work)
                        if server.name == servers.OURS and rows == 1:
                            _, exactness = check(
                                at.port, workload.work(example, dialect, 1, len(example.rows))
                            )
                        seen.exactness[form, rows] = exactness
                    run = self._load(at, work, answers[key])
                    seen.runs.setdefault((form, rows), []).append(run)
                    say(
                        f"  {server.title:<18} {form:<4} {rows:>5} rows  {run.requests_per_second:>9,.1f} req/s"
                    )

    def scale(self, example: Example) -> Seen:
        """Measure our own server with one model, on one row at a time."""
        seen = Seen()
        answers: dict[tuple[str, str, int], list[bytes]] = {}
        (ours,) = (server for server in servers.servers() if server.name == servers.OURS)
        for _ in range(self._settings.repeats):
            self._measure(ours, example, seen, answers, sizes=(1,))
        return seen

    def ceiling(self, example: Example) -> list[Run]:
        """Measure a server that does nothing: what the load generator itself can ask for."""
        from benchmarks.serving.echo import BODY

        (ours,) = (server for server in servers.servers() if server.name == servers.OURS)
        work = workload.work(example, ours.dialects["csv"], 1, workload.SINGLES)
        port = free_port()
        process = self._children.spawn(
            [sys.executable, "-m", "benchmarks.serving.echo", str(port)], env=os.environ, cwd=ROOT
        )
        try:
            _wait_for_port(port)
            at = Running(process.pid, port, 0.0)
            return [self._load(at, work, [BODY] * len(work.requests)) for _ in range(self._settings.repeats)]
        finally:
            self._children.terminate(process)

    def _load(self, at: Running, work: Work, answers: list[bytes]) -> Run:
        connections = SINGLE_CONNECTIONS if work.rows_each == 1 else BATCH_CONNECTIONS
        timing = self._settings.warmup_seconds, self._settings.seconds
        load = Load(at.port, work.requests, answers, connections, *timing, at.pid)
        return Run.of(put_load(load, self._children, self._scratch), work.rows_each)


def put_load(load: Load, children: Children, scratch: Path) -> Outcome:
    """Run the load generator in a process of its own.

    Raises:
        RuntimeError: it failed; its log says why.
    """
    asked, answered, log = scratch / "load.pickle", scratch / "outcome.pickle", scratch / "load.log"
    asked.write_bytes(pickle.dumps(load))
    answered.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = children.spawn(
            [sys.executable, "-c", _LOAD, str(asked), str(answered)],
            env=os.environ,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        process.wait(load.warmup_seconds + load.seconds + _LOAD_SLACK_SECONDS)
    finally:
        children.terminate(process)
    if process.returncode:
        raise RuntimeError(f"the load generator failed:\n{log.read_text(errors='replace')}")
    outcome: Outcome = pickle.loads(answered.read_bytes())
    return outcome


def check(port: int, work: Work) -> tuple[list[bytes], Exactness]:
    """Ask everything once, one after the other; give the answers and how they compare.

    Raises:
        RuntimeError: an answer is no answer at all.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answers, equal, largest = [], 0, 0.0
    for request, expected in zip(work.requests, work.expected, strict=True):
        body = _ask(connection, request)
        found = work.read(body)
        if len(found) != len(expected):
            raise RuntimeError(f"{len(expected)} rows were asked for, {len(found)} answered: {body[:200]!r}")
        equal += sum(a == b for a, b in zip(found, expected, strict=True))
        largest = max(largest, *(abs(a - b) for a, b in zip(found, expected, strict=True)))
        answers.append(body)
    connection.close()
    return answers, Exactness(len(work.requests) * work.rows_each, equal, largest)


def _ask(connection: http.client.HTTPConnection, request: bytes) -> bytes:
    head, body = request.split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {found[:500]!r}")
    return found


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + servers.READY_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.connect()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
        finally:
            connection.close()


def say(text: str) -> None:
    """Tell a person how far it is; the figures go to stdout."""
    print(text, file=sys.stderr, flush=True)
