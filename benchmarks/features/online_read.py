"""How long it takes to read 20 features online, beside Feast's own reading, from the same store: prints JSON.

    python -m benchmarks.features.online_read --feast PYTHON [--store stub|local|URL] [--repeats 5] [--calls 200]

`--feast` is the interpreter of an environment with Feast. The store is a stub that answers from memory, so that it is
the clients that are measured; or the DynamoDB of a local AWS, whose own time both wait for, so that there the figures
are told and no bar holds. Ours is what the serving container does for a request: the items' names, a signed
BatchGetItem on a connection that is kept, the values. Theirs is `FeatureStore.get_online_features(…).to_dict()`, of a
store object that is kept, too. The two take turns, and their values are compared. Bars: 4, 6 and 8 times faster at 1,
10 and 100 ids, of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvloop

from benchmarks.features import feast_reader
from benchmarks.features.online_rows import FEATURES, PLAN, STORE, VIEW, customers, rows
from benchmarks.features.stub_store import store_of
from containers.serve.online.connection import Endpoint, Pool, connecting
from containers.serve.online.credentials import Fixed
from containers.serve.online.reader import Reader
from containers.serve.online.signing import Credentials, Signer
from containers.serve.online.store import Store
from containers.serve.online.views import stored_views

BARS = {1: 4.0, 10: 6.0, 100: 8.0}
Values = list[list[Any]]
"""By feature, one a customer."""


class Uncounted:
    """Nobody counts here."""

    def read(self, keys: int) -> None: ...

    def again(self) -> None: ...


class Ours:
    """The serving container's reading."""

    def __init__(self, url: str) -> None:
        endpoint = Endpoint.of(url)
        (self._view,) = views = stored_views(PLAN, STORE)
        signer = Signer(endpoint.authority, "us-east-1")
        source = Fixed(Credentials("testing", "testing"))
        self._reader = Reader(Store(views, Pool(connecting(endpoint)), signer, source, Uncounted()))

    async def read(self, wanted: Sequence[str]) -> Values:
        places = [(0, self._view.ids.of([customer])) for customer in wanted]
        found = await self._reader.read(places, 10)
        of_customers = [row.values for row in map(found.get, places) if row is not None]
        return [list(values) for values in zip(*of_customers, strict=True)]

    async def timed(self, calls: Sequence[Sequence[str]]) -> tuple[list[float], list[Values]]:
        seconds, values = [], []
        for wanted in calls:
            started = time.perf_counter()
            found = await self.read(wanted)
            seconds.append(time.perf_counter() - started)
            values.append(found)
        return seconds, values


class Theirs:
    """Feast, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def timed(self, calls: Sequence[Sequence[str]]) -> tuple[list[float], list[Values]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"customers": calls}), file=self._process.stdin, flush=True)
        told = json.loads(self._process.stdout.readline())
        return told["seconds"], told["values"]


@contextmanager
def feast(python: str, url: str) -> Iterator[Theirs]:
    names = ",".join(f"{value.name}:{value.type}" for value in FEATURES)
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [python, str(feast_reader.__file__), url, folder, names, STORE, VIEW],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            while (line := process.stdout.readline()) != "ready\n":
                if not line:
                    raise RuntimeError("Feast's process has ended")
            yield Theirs(process)
        finally:
            process.kill()
            process.wait()


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Give p50 and p99 in milliseconds."""
    return {
        "p50_ms": round(1e3 * statistics.median(seconds), 3),
        "p99_ms": round(1e3 * statistics.quantiles(seconds, n=100, method="inclusive")[98], 3),
    }


async def measured(url: str, theirs: Theirs, repeats: int, calls: int, *, has_bars: bool) -> dict[str, Any]:
    ours, stored, draw = Ours(url), rows(), random.Random(11)
    report: dict[str, Any] = {}
    for size, bar in BARS.items():
        count = max(20, calls // size if size > 1 else calls)
        seconds: dict[str, list[float]] = {"sluice": [], "feast": []}
        ratios, equal, compared = [], 0, 0
        for repeat in range(-1, repeats):
            asked = [draw.sample(customers(), size) for _ in range(count)]
            our_seconds, our_values = await ours.timed(asked)
            their_seconds, their_values = theirs.timed(asked)
            for wanted, mine, feasts in zip(asked, our_values, their_values, strict=True):
                right = [list(values) for values in zip(*(stored[each] for each in wanted), strict=True)]
                compared += 1
                equal += mine == feasts == right
            if repeat >= 0:  # the first one warms both up
                seconds["sluice"] += our_seconds
                seconds["feast"] += their_seconds
                ratios.append(statistics.median(their_seconds) / statistics.median(our_seconds))
        report[f"{size} ids"] = {
            **{name: quantiles(taken) for name, taken in seconds.items()},
            "times_faster": round(statistics.median(ratios), 2),
            "spread": [round(min(ratios), 2), round(max(ratios), 2)],
            "bar": bar if has_bars else None,
            "met": equal == compared and (not has_bars or statistics.median(ratios) >= bar),
            "equal": f"{equal} of {compared} calls",
        }
    return report


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--feast", required=True, help="the interpreter of Feast's environment")
    parser.add_argument(
        "--store", default="stub", help="stub (default), local, or the URL of a local DynamoDB"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200)
    given = parser.parse_args()
    load_before = os.getloadavg()[0]
    with store_of(given.store) as (url, store), feast(given.feast, url) as theirs:
        report = uvloop.run(measured(url, theirs, given.repeats, given.calls, has_bars=store != "local"))
    run = {"cores": os.cpu_count(), "load_before": round(load_before, 2), "repeats": given.repeats}
    print(json.dumps({"store": store, "run": run, "features": len(FEATURES)} | report, indent=2))
    return 0 if all(each["met"] for each in report.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
