"""The bars: what the serving container has to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.serving.figures import Figures, LoadFigures, ServerFigures

SINGLE, BATCH = 1, 1_000
FORMS = ("csv", "json")

PLAIN_PEER_RATIO = 100.0
BATCHING_PEER_RATIO = 50.0
BATCH_RATIO = 8.0
CPU_US = 50.0
REQUESTS_PER_SECOND = {"csv": 20_000.0, "json": 15_000.0}
P99_MS = 10.0
READY_S = 1.0
RSS_MB = 150.0


@dataclass(frozen=True)
class Verdict:
    """One bar.

    Attributes:
        what: is measured.
        wanted: in words.
        found: in words.
        met: whether it is reached.
        enforced: a missed one fails the benchmark; absolute figures depend on the machine and are only reported.
    """

    what: str
    wanted: str
    found: str
    met: bool
    enforced: bool


def verdicts(figures: Figures) -> list[Verdict]:
    """Judge all bars; those of peers that were left out are not there."""
    found = [*_exactness(figures), *_ratios(figures), *_cpu(figures)]
    return [*found, *_absolute(figures.ours)]


def missed(those: list[Verdict]) -> list[Verdict]:
    """Give the enforced bars that were missed."""
    return [verdict for verdict in those if verdict.enforced and not verdict.met]


def _exactness(figures: Figures) -> Iterator[Verdict]:
    served = [("", figures.ours)]
    served += [(f", {each.trees} trees, {each.features} features", each.server) for each in figures.scales]
    for note, server in served:
        for key, load in server.loads.items():
            form, rows = key.split("/")
            exactness = load.exactness
            equal, of = (exactness.equal, exactness.rows) if exactness else (0, 0)
            yield Verdict(
                f"answers equal to scikit-learn's: {form.upper()}, {_rows(int(rows))}{note}",
                "all bits of all rows; no wrong answer under load",
                f"{equal:,} of {of:,} rows; {load.wrong:,} wrong under load",
                met=of > 0 and equal == of and load.wrong == 0,
                enforced=True,
            )


def _ratios(figures: Figures) -> Iterator[Verdict]:
    for peer in figures.peers:
        wanted = BATCHING_PEER_RATIO if peer.batching else PLAIN_PEER_RATIO
        for form in FORMS:
            ours, theirs = figures.ours.load(form, SINGLE), peer.load(form, SINGLE)
            if ours and theirs:
                what = f"requests/s beside {peer.title}: {form.upper()}, 1 row"
                yield _ratio(what, wanted, ours.requests_per_second.median, theirs.requests_per_second.median)
    for form in FORMS:
        ours = figures.ours.load(form, BATCH)
        rivals = [
            (load.rows_per_second.median, peer.title) for peer, load in _loads(figures.peers, form, BATCH)
        ]
        if ours and rivals:
            best, title = max(rivals)
            what = f"rows/s beside the best peer ({title}): {form.upper()}, {_rows(BATCH)}"
            yield _ratio(what, BATCH_RATIO, ours.rows_per_second.median, best)


def _loads(
    peers: tuple[ServerFigures, ...], form: str, rows: int
) -> Iterator[tuple[ServerFigures, LoadFigures]]:
    for peer in peers:
        load = peer.load(form, rows)
        if load:
            yield peer, load


def _ratio(what: str, wanted: float, ours: float, theirs: float) -> Verdict:
    found = ours / theirs
    text = f"{found:,.1f} times ({ours:,.0f} to {theirs:,.0f})"
    return Verdict(what, f">= {wanted:g} times", text, met=found >= wanted, enforced=True)


def _cpu(figures: Figures) -> Iterator[Verdict]:
    for form in FORMS:
        load = figures.ours.load(form, SINGLE)
        if load:
            found = load.cpu_us.median
            yield Verdict(
                f"server CPU a request: {form.upper()}, 1 row",
                f"<= {CPU_US:g} µs",
                f"{found:.1f} µs",
                met=found <= CPU_US,
                enforced=True,
            )


def _absolute(ours: ServerFigures) -> Iterator[Verdict]:
    for form in FORMS:
        load = ours.load(form, SINGLE)
        if load:
            rate, wanted = load.requests_per_second.median, REQUESTS_PER_SECOND[form]
            what = f"requests/s: {form.upper()}, 1 row, 32 connections"
            yield Verdict(what, f">= {wanted:,.0f}", f"{rate:,.0f}", met=rate >= wanted, enforced=False)
            p99 = load.p99_ms.median
            what = f"p99: {form.upper()}, 1 row, 32 connections"
            yield Verdict(what, f"<= {P99_MS:g} ms", f"{p99:.2f} ms", met=p99 <= P99_MS, enforced=False)
    ready = ours.ready_s.median
    yield Verdict(
        "ready: /ping answers 200",
        f"<= {READY_S:g} s",
        f"{ready:.2f} s",
        met=ready <= READY_S,
        enforced=False,
    )
    rss = max(load.rss_mb.high for load in ours.loads.values())
    yield Verdict(
        "resident memory of a worker", f"<= {RSS_MB:g} MB", f"{rss:.0f} MB", met=rss <= RSS_MB, enforced=False
    )


def _rows(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows:,} rows"
