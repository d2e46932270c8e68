"""What bad clients cost a good one: prints a table and JSON.

    python benchmarks/attacks.py [--only NAME ...] [--seconds 4] [--connection]

One worker serves; a good client asks for one row after another, now and then on a new connection, while attackers in
a process of their own are bad in one way. Bars: each answer is right; the good client's p99 stays under 100 ms; the
worker's resident memory grows by no more than 320 MB. Exit 1 where one is missed. `--connection` leaves out attacks
by what a body holds.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.serving import workload
from benchmarks.serving.attackers import ATTACKS, CONTENT
from benchmarks.serving.figures import quantile
from benchmarks.serving.measure import check
from benchmarks.serving.model import ROOT, Example, Shape, example
from benchmarks.serving.servers import OURS, running, servers
from local.processes import Children

P99_BAR_MS = 100.0
RSS_BAR_MB = 320.0
"""What arriving bodies and answers that nobody takes may hold (`containers/serve/limits.py`), and a quarter more."""

_NEW_CONNECTION_EACH = 20
_PAUSE_SECONDS = 0.002


@dataclass(frozen=True)
class Figures:
    """What a good client saw during one attack.

    Attributes:
        requests, wrong: sent; not answered, or not as without an attack.
        p50_ms, p99_ms, worst_ms: latencies, those of new connections with the time to connect.
        rss_mb, growth_mb: the worker's most resident memory, and by how much that is more than before.
        ended: connections of the attackers that the server ended.
    """

    attack: str
    requests: int
    wrong: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    rss_mb: float
    growth_mb: float
    ended: int

    @property
    def is_met(self) -> bool:
        return self.wrong == 0 and self.p99_ms <= P99_BAR_MS and self.growth_mb <= RSS_BAR_MB


class GoodClient:
    """Sends right requests, one at a time, and compares the answers."""

    def __init__(self, port: int, requests: list[bytes], answers: list[bytes]) -> None:
        self._port = port
        self._pairs = list(zip(requests, answers, strict=True))
        self._socket: socket.socket | None = None
        self.latencies: list[float] = []
        self.wrong: list[str] = []

    def ask(self) -> None:
        """Send the next request; each twentieth is the first of a connection."""
        number = len(self.latencies)
        request, answer = self._pairs[number % len(self._pairs)]
        started = time.perf_counter()
        if number % _NEW_CONNECTION_EACH == 0:
            self.close()
        try:
            found = self._exchange(request)
        except OSError as error:
            found = repr(error).encode()
            self.close()
        self.latencies.append(time.perf_counter() - started)
        if found != answer:
            self.wrong.append(found[:300].decode(errors="replace"))

    def _exchange(self, request: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        data = b""
        while True:
            head, separator, body = data.partition(b"\r\n\r\n")
            if separator and len(body) >= _length(head):
                return body
            piece = self._socket.recv(1 << 16)
            if not piece:
                raise ConnectionError(f"closed after {data[:100]!r}")
            data += piece

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _length(head: bytes) -> int:
    (length,) = (line[16:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: "))
    return int(length)


@contextmanager
def attacked(name: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """Have attackers act; they have begun when this is entered, and are told to stop at its end."""
    command = [sys.executable, "-m", "benchmarks.serving.attackers", name, str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "acting\n":
                break
        else:
            raise RuntimeError(f"the attackers of {name!r} did not begin: they ended with {process.wait()}")
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def ended_by(process: subprocess.Popen[str]) -> int:
    """Tell the attackers to stop, and give how many of their connections the server ended."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("the attackers have no pipes")
    process.stdin.close()
    return int(process.stdout.read().split()[-1])


def worker_of(parent: int) -> int:
    """Give the process of the one worker."""
    (worker,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(worker)


def resident_mb(pid: int) -> float:
    """Give a process's resident memory in MB."""
    (line,) = (
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


def work_of(found: Example, port: int) -> tuple[list[bytes], list[bytes]]:
    """Give requests of one row with their right answers, as they are without an attack.

    Raises:
        RuntimeError: an answer is not what scikit-learn says.
    """
    (ours,) = (server for server in servers() if server.name == OURS)
    work = workload.work(found, ours.dialects["json"], 1, 50)
    answers, exactness = check(port, work)
    if not exactness.exact:
        raise RuntimeError(f"{exactness.equal} of {exactness.rows} rows are scikit-learn's")
    return work.requests, answers


def measure(
    name: str, port: int, worker: int, seconds: float, work: tuple[list[bytes], list[bytes]]
) -> Figures:
    """Put a good client beside one attack for so many seconds."""
    client = GoodClient(port, *work)
    before = most = resident_mb(worker)
    with attacked(name, port) as attackers:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            client.ask()
            most = max(most, resident_mb(worker))
            time.sleep(_PAUSE_SECONDS)
        ended = ended_by(attackers)
    client.close()
    ordered = sorted(1000 * latency for latency in client.latencies)
    return Figures(
        attack=name,
        requests=len(ordered),
        wrong=len(client.wrong),
        p50_ms=round(quantile(ordered, 0.5), 2),
        p99_ms=round(quantile(ordered, 0.99), 2),
        worst_ms=round(ordered[-1], 2),
        rss_mb=round(most, 1),
        growth_mb=round(most - before, 1),
        ended=ended,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connection", action="store_true")
    options = parser.parse_args()
    names = [name for name in options.only if not (options.connection and ATTACKS[name].part == CONTENT)]
    (ours,) = (server for server in servers() if server.name == OURS)
    found, children, figures = example(Shape()), Children(), []
    print(
        f"{'attack':<30}{'requests':>9}{'wrong':>7}{'p50 ms':>8}{'p99 ms':>8}{'worst':>8}{'RSS MB':>8}{'growth':>8}"
        f"{'ended':>7}",
        file=sys.stderr,
    )
    try:
        for name in names:
            # A worker of its own for each: what one attack left behind is not the next one's.
            with tempfile.TemporaryDirectory() as folder, running(ours, found, children, Path(folder)) as at:
                work = work_of(found, at.port)
                one = measure(name, at.port, worker_of(at.pid), options.seconds, work)
            figures.append(one)
            print(
                f"{one.attack:<30}{one.requests:>9}{one.wrong:>7}{one.p50_ms:>8}{one.p99_ms:>8}{one.worst_ms:>8}"
                f"{one.rss_mb:>8}{one.growth_mb:>8}{one.ended:>7}{'' if one.is_met else '  missed'}",
                file=sys.stderr,
                flush=True,
            )
    finally:
        children.close()
    bars = {"p99_ms": P99_BAR_MS, "growth_mb": RSS_BAR_MB}
    print(
        json.dumps(
            {"benchmark": "attacks", "bars": bars, "attacks": [asdict(one) for one in figures]}, indent=2
        )
    )
    return 0 if all(one.is_met for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
