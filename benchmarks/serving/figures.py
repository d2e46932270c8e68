"""What was measured as figures: medians over the repeats, and how far the repeats lie apart."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from benchmarks.serving.load import Outcome


@dataclass(frozen=True)
class Exactness:
    """How answers compare with scikit-learn's own.

    Attributes:
        rows: compared.
        equal: with all bits equal.
        largest_difference: of a probability.
    """

    rows: int
    equal: int
    largest_difference: float

    @property
    def exact(self) -> bool:
        return self.equal == self.rows


@dataclass(frozen=True)
class Run:
    """One load on one server.

    Attributes:
        p50_ms: median latency; p99_ms: of 99 in 100 requests.
        cpu_us: server CPU time a request, in microseconds, all its processes.
        load_cpu_us: the load generator's.
        others_share: of all cores' time, what neither of the two used: noise.
        rss_mb: resident memory of the server's largest process at the end, in 2^20 bytes.
        wrong: answers that were not the right bytes, refused or lost.
        wrong_examples: some of them, worded.
    """

    requests: int
    requests_per_second: float
    rows_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    load_cpu_us: float
    others_share: float
    rss_mb: float
    wrong: int
    wrong_examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, outcome: Outcome, rows_each: int, cores: int | None = None) -> Self:
        """Reckon from what the load generator noted.

        Raises:
            ValueError: not one request was answered.
        """
        count = len(outcome.latencies)
        if not count:
            raise ValueError(f"no request was answered in {outcome.seconds:.1f} s: {outcome.wrong}")
        ordered = sorted(outcome.latencies)
        used = outcome.server_cpu_seconds + outcome.load_cpu_seconds
        core_seconds = outcome.seconds * (cores or os.cpu_count() or 1)
        return cls(
            requests=count,
            requests_per_second=count / outcome.seconds,
            rows_per_second=count * rows_each / outcome.seconds,
            p50_ms=1000 * quantile(ordered, 0.5),
            p99_ms=1000 * quantile(ordered, 0.99),
            cpu_us=1e6 * outcome.server_cpu_seconds / count,
            load_cpu_us=1e6 * outcome.load_cpu_seconds / count,
            others_share=max(0.0, (outcome.machine_cpu_seconds - used) / core_seconds),
            rss_mb=outcome.rss_bytes / 2**20,
            wrong=outcome.wrong_count,
            wrong_examples=tuple(outcome.wrong),
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Give the least value that at least `share` of the ordered values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True)
class Figure:
    """A figure over repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(statistics.median(values), min(values), max(values))

    @property
    def spread(self) -> float:
        """How far the repeats lie apart, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


@dataclass(frozen=True)
class LoadFigures:
    """One kind of load on one server, over the repeats; units as in Run."""

    rows_each: int
    requests_per_second: Figure
    rows_per_second: Figure
    p50_ms: Figure
    p99_ms: Figure
    cpu_us: Figure
    load_cpu_us: Figure
    others_share: Figure
    rss_mb: Figure
    wrong: int
    wrong_examples: tuple[str, ...]
    exactness: Exactness | None

    @classmethod
    def of(cls, runs: Sequence[Run], rows_each: int, exactness: Exactness | None) -> Self:
        return cls(
            rows_each=rows_each,
            requests_per_second=Figure.of([run.requests_per_second for run in runs]),
            rows_per_second=Figure.of([run.rows_per_second for run in runs]),
            p50_ms=Figure.of([run.p50_ms for run in runs]),
            p99_ms=Figure.of([run.p99_ms for run in runs]),
            cpu_us=Figure.of([run.cpu_us for run in runs]),
            load_cpu_us=Figure.of([run.load_cpu_us for run in runs]),
            others_share=Figure.of([run.others_share for run in runs]),
            rss_mb=Figure.of([run.rss_mb for run in runs]),
            wrong=sum(run.wrong for run in runs),
            wrong_examples=tuple(text for run in runs for text in run.wrong_examples),
            exactness=exactness,
        )


@dataclass(frozen=True)
class ServerFigures:
    """One server: `loads` by "json" or "csv" and the rows of a request, as in "json/1"."""

    name: str
    title: str
    batching: bool
    ready_s: Figure
    loads: dict[str, LoadFigures]

    def load(self, form: str, rows: int) -> LoadFigures | None:
        """Give one kind of load; None where the server does not take that form."""
        return self.loads.get(f"{form}/{rows}")


@dataclass(frozen=True)
class ScaleFigures:
    """Our server with a model of another size."""

    trees: int
    features: int
    server: ServerFigures


@dataclass(frozen=True)
class Figures:
    """All of a run.

    Attributes:
        machine: cores, versions, load average before.
        settings: repeats and seconds.
        ceiling: the load generator against a server that does nothing.
        ours: our server.
        peers: the others.
        scales: our server with other models.
        left_out: peers that were not asked for.
    """

    machine: dict[str, str]
    settings: dict[str, float]
    ceiling: LoadFigures
    ours: ServerFigures
    peers: tuple[ServerFigures, ...]
    scales: tuple[ScaleFigures, ...]
    left_out: tuple[str, ...] = ()
