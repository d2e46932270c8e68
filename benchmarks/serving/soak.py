"""The soak: hours of small requests to one worker; nothing may fail, grow or slow down."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import workload
from benchmarks.serving.bars import Verdict
from benchmarks.serving.figures import quantile
from benchmarks.serving.load import Load
from benchmarks.serving.measure import SINGLE_CONNECTIONS, check, put_load, say
from benchmarks.serving.model import Example
from benchmarks.serving.servers import OURS, running, servers
from local.processes import Children

RSS_GROWTH_MB = 1.0
LATENCY_RATIO = 1.25

_SINGLES_OF_EACH = 200
_BATCHES = 8
_BATCH_ROWS = 100


@dataclass(frozen=True)
class Window:
    """A part of the soak: new connections, then so many seconds of load; units as in figures.Run."""

    requests: int
    p50_ms: float
    p99_ms: float
    rss_mb: float
    wrong: int
    wrong_examples: tuple[str, ...]


def soak(example: Example, seconds: float, windows: int, children: Children, scratch: Path) -> list[Window]:
    """Keep our server under load: CSV and JSON, single rows and now and then a batch; each answer is compared."""
    (ours,) = (server for server in servers() if server.name == OURS)
    found = []
    with running(ours, example, children, scratch) as at:
        requests, answers = _mixed(example, at.port)
        for number in range(windows):
            load = Load(at.port, requests, answers, SINGLE_CONNECTIONS, 0.0, seconds / windows, at.pid)
            outcome = put_load(load, children, scratch)
            ordered = sorted(outcome.latencies)
            window = Window(
                requests=len(ordered),
                p50_ms=1000 * quantile(ordered, 0.5),
                p99_ms=1000 * quantile(ordered, 0.99),
                rss_mb=outcome.rss_bytes / 2**20,
                wrong=outcome.wrong_count,
                wrong_examples=tuple(outcome.wrong),
            )
            found.append(window)
            say(
                f"  {number + 1:>3} of {windows}  {window.requests:>9,} requests  p50 {window.p50_ms:.2f} ms  "
                f"p99 {window.p99_ms:.2f} ms  {window.rss_mb:.2f} MB  {window.wrong} wrong"
            )
    return found


def _mixed(example: Example, port: int) -> tuple[list[bytes], list[bytes]]:
    """Give requests of all kinds with their right answers.

    Raises:
        RuntimeError: an answer is not what scikit-learn says.
    """
    (ours,) = (server for server in servers() if server.name == OURS)
    requests: list[bytes] = []
    answers: list[bytes] = []
    for form, dialect in ours.dialects.items():
        for rows, count in ((1, _SINGLES_OF_EACH), (_BATCH_ROWS, _BATCHES)):
            work = workload.work(example, dialect, rows, count)
            found, exactness = check(port, work)
            if not exactness.exact:
                raise RuntimeError(f"{form}: {exactness.equal} of {exactness.rows} rows are scikit-learn's")
            requests += work.requests
            answers += found
    return requests, answers


def verdicts(windows: Sequence[Window], latency_ratio: float = LATENCY_RATIO) -> list[Verdict]:
    """Judge a soak: quarters and halves of it against each other, so that neither start nor a blip decides.

    Raises:
        ValueError: there are less than four windows.
    """
    if len(windows) < 4:
        raise ValueError(f"{len(windows)} windows: quarters cannot be compared")
    quarter, half = len(windows) // 4, len(windows) // 2
    # The first quarter warms up: allocator arenas and caches fill.
    before = statistics.median(window.rss_mb for window in windows[quarter : 2 * quarter])
    after = statistics.median(window.rss_mb for window in windows[-quarter:])
    first = statistics.median(window.p50_ms for window in windows[:half])
    second = statistics.median(window.p50_ms for window in windows[half:])
    wrong = sum(window.wrong for window in windows)
    requests = sum(window.requests for window in windows)
    examples = "; ".join(text for window in windows for text in window.wrong_examples)
    return [
        Verdict(
            "no error",
            "0 wrong answers",
            f"{wrong} of {requests:,} {examples}".strip(),
            wrong == 0,
            enforced=True,
        ),
        Verdict(
            "no growth of resident memory",
            f"<= {RSS_GROWTH_MB:g} MB from the second quarter to the last",
            f"{after - before:+.2f} MB ({before:.1f} to {after:.1f})",
            after - before <= RSS_GROWTH_MB,
            enforced=True,
        ),
        Verdict(
            "no latency creep",
            f"median of the second half <= {latency_ratio:g} times that of the first",
            f"{second / first:.2f} times ({first:.2f} to {second:.2f} ms)",
            second <= latency_ratio * first,
            enforced=True,
        ),
    ]
