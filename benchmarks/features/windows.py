"""Windowed aggregates for training and as of a moment: time, processor time and peak RSS, on data made here.

    python benchmarks/features/windows.py
    python benchmarks/features/windows.py --events 100000 --labels 10000 --entities 1000 --repeats 1

Prints JSON. Each measurement is a process of its own, so that its peak RSS is its own, and stands beside a bare read
of the same columns by pyarrow. Bars, for 1 M labels, 10 M events and 10 aggregates on two cores: at most 60 s and
4 GB. CPU seconds are those of all threads: on a busy machine they say more than the clock does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.arrow import Array
    from sluice.features.windows import Engine

BAR_SECONDS = 60
BAR_RSS_MB = 4096

_DAY = 86_400_000_000
_YEARS = 2 * 365 * _DAY
_PARTS = 4


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--busiest", type=float, default=0.0, help="the share of events that one entity has")
    parser.add_argument("--measure", choices=["bare", "training", "as_of"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        _measure(arguments.measure, arguments.folder, arguments.threads)
        return 0
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        _generate(folder, arguments.events, arguments.labels, arguments.entities, arguments.busiest)
        runs: dict[str, list[dict[str, float]]] = {"bare": [], "training": [], "as_of": []}
        for _ in range(arguments.repeats):
            for what, measured in runs.items():
                argv = [sys.executable, __file__, "--measure", what, "--folder", name]
                argv += ["--threads", str(arguments.threads)]
                measured.append(json.loads(subprocess.check_output(argv)))
        megabytes = sum(part.stat().st_size for part in folder.glob("part-*.parquet")) / 1e6
    medians = {
        what: {figure: statistics.median(run[figure] for run in measured) for figure in measured[0]}
        for what, measured in runs.items()
    }
    peak = max(run["peak_rss_mb"] for measured in (runs["training"], runs["as_of"]) for run in measured)
    figures = {
        "benchmark": "features/windows",
        "events": arguments.events,
        "labels": arguments.labels,
        "entities": arguments.entities,
        "aggregates": 10,
        "threads": arguments.threads,
        "parquet_mb": round(megabytes),
        **{
            what: {figure: round(value, 2) for figure, value in each.items()}
            for what, each in medians.items()
        },
        "training_labels_s": round(arguments.labels / medians["training"]["seconds"]),
        "as_of_entities_s": round(medians["as_of"]["rows"] / medians["as_of"]["seconds"]),
        "bar_seconds": BAR_SECONDS,
        "peak_rss_mb": round(peak),
        "bar_rss_mb": BAR_RSS_MB,
        "load_before_and_after": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        "all_seconds": {
            what: [round(run["seconds"], 2) for run in measured] for what, measured in runs.items()
        },
    }
    print(json.dumps(figures, indent=2))
    within = medians["training"]["seconds"] <= BAR_SECONDS and peak <= BAR_RSS_MB
    return 0 if within else 1


def _measure(what: str, folder: Path, threads: int) -> None:
    # The imports are no part of what is measured.
    import pyarrow.parquet as pq

    import sluice.features.windows  # noqa: F401

    parts = sorted(folder.glob("part-*.parquet"))
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    if what == "bare":
        rows = 0
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(1 << 18):
                rows += batch.num_rows
    elif what == "training":
        labels = pq.read_table(folder / "labels.parquet")
        rows = _engine(parts, folder, threads).at_moments(labels, "moment").num_rows
    else:
        rows = sum(table.num_rows for table in _engine(parts, folder, threads).as_of(_YEARS))
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss: bytes on macOS, kilobytes elsewhere
    measured = {
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_rss_mb": after.ru_maxrss / unit,
        "rows": rows,
    }
    print(json.dumps(measured))


def _engine(parts: list[Path], scratch: Path, threads: int) -> Engine:
    from sluice.features.plan import Aggregation, Function, Key, Type, Value, View
    from sluice.features.windows import Engine

    asked: list[tuple[Function, str | None, int | None, Type]] = [
        ("count", None, 7, "integer"),
        ("sum", "amount", 30, "number"),
        ("mean", "amount", 30, "number"),
        ("std", "amount", 90, "number"),
        ("min", "amount", 90, "number"),
        ("max", "pieces", None, "integer"),
        ("last", "channel", None, "string"),
        ("count_distinct", "channel", 30, "integer"),
        ("share", "channel", 90, "number"),
        ("days_since_last", "at", None, "number"),
    ]
    aggregations = [
        Aggregation(
            name=f"{function}_{days or 'ever'}",
            function=function,
            column=column,
            category="channel 3" if function == "share" else None,
            window_microseconds=days and days * _DAY,
        )
        for function, column, days, _ in asked
    ]
    features = [
        Value(name=each.name, type=kind) for each, (*_, kind) in zip(aggregations, asked, strict=True)
    ]
    view = View(
        name="activity",
        keys=(Key(name="customer", type="string"),),
        features=tuple(features),
        aggregations=tuple(aggregations),
    )
    return Engine(parts, view, "at", scratch=scratch, threads=threads)


def _generate(folder: Path, events: int, labels: int, entities: int, busiest: float) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(0)
    names = pa.array([f"customer-{number:07d}" for number in range(entities)])
    channels = pa.array([f"channel {number}" for number in range(20)])
    times = pa.timestamp("us")
    for part in range(_PARTS):
        rows = events * (part + 1) // _PARTS - events * part // _PARTS
        who = np.where(draw.random(rows) < busiest, 0, draw.integers(0, entities, rows))
        table = pa.table(
            {
                "customer": names.take(who),
                "at": pa.array(np.sort(draw.integers(0, _YEARS, rows)), times),
                "amount": pa.array(np.round(draw.lognormal(3, 1, rows), 2), mask=draw.random(rows) < 0.02),
                "pieces": pa.array(draw.integers(1, 100, rows)),
                "channel": channels.take(draw.integers(0, len(channels), rows)),
            }
        )
        pq.write_table(table, folder / f"part-{part}.parquet")
    asked: dict[str, Array] = {
        "customer": names.take(draw.integers(0, entities, labels)),
        "moment": pa.array(draw.integers(0, _YEARS, labels), times),
    }
    pq.write_table(pa.table(asked), folder / "labels.parquet")


if __name__ == "__main__":
    sys.exit(main())
