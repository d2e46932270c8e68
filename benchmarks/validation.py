"""Throughput and memory of validation, beside a bare pyarrow.csv.open_csv read of the same file in the same run.

    python benchmarks/validation.py --rows 10000000

Prints JSON. Each measurement is a process of its own, so that its peak RSS is its own; the two take turns, and the
medians are compared. Bars: at least 0.55 of the bare throughput, at most 512 MB.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR_RATIO = 0.55
BAR_RSS_MB = 512

_PROJECT = """\
[project]
name = "bench"
[entity]
key = "id"
[target]
column = "churn"
problem = "binary"
positive = "yes"
[columns]
id = { type = "string" }
age = { type = "integer", min = 0, max = 130 }
balance = { type = "number", nullable = true }
amount = { type = "number", min = 0 }
count = { type = "integer", min = 0 }
plan = { type = "string", categories = ["basic", "plus", "max"] }
city = { type = "string" }
active = { type = "boolean" }
since = { type = "timestamp" }
churn = { type = "string", categories = ["no", "yes"] }
[features]
numeric = ["age", "balance", "amount", "count"]
categorical = ["plan", "city"]
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", choices=["bare", "validate"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        _measure(arguments.measure, arguments.folder)
        return 0
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        (folder / "project.toml").write_text(_PROJECT)
        _generate(folder / "data.csv", arguments.rows)
        runs: dict[str, list[dict[str, float]]] = {"bare": [], "validate": []}
        for _ in range(arguments.repeats):
            for what, measured in runs.items():
                argv = [sys.executable, __file__, "--measure", what, "--folder", name]
                measured.append(json.loads(subprocess.check_output(argv)))
        megabytes = (folder / "data.csv").stat().st_size / 1e6
    seconds = {what: statistics.median(run["seconds"] for run in measured) for what, measured in runs.items()}
    figures = {
        "benchmark": "validation",
        "rows": arguments.rows,
        "csv_mb": round(megabytes),
        "bare_mb_s": round(megabytes / seconds["bare"], 1),
        "validate_mb_s": round(megabytes / seconds["validate"], 1),
        "validate_rows_s": round(arguments.rows / seconds["validate"]),
        "ratio": round(seconds["bare"] / seconds["validate"], 3),
        "bar_ratio": BAR_RATIO,
        "peak_rss_mb": round(max(run["peak_rss_mb"] for run in runs["validate"])),
        "bar_rss_mb": BAR_RSS_MB,
        "all_seconds": {
            what: [round(run["seconds"], 2) for run in measured] for what, measured in runs.items()
        },
    }
    print(json.dumps(figures, indent=2))
    return 0 if figures["ratio"] >= BAR_RATIO and figures["peak_rss_mb"] <= BAR_RSS_MB else 1


def _measure(what: str, folder: Path) -> None:
    # The imports are no part of what is measured.
    import pyarrow.csv

    from sluice.datasets.reading import LocalFile
    from sluice.datasets.validation import validate
    from sluice.project import Project

    source = folder / "data.csv"
    start = time.perf_counter()
    if what == "bare":
        with source.open("rb") as stream:
            for _ in pyarrow.csv.open_csv(stream):
                pass
    else:
        with tempfile.TemporaryDirectory(dir=folder) as workdir:
            project = Project.load_file(folder / "project.toml")
            validate(LocalFile(source), project, Path(workdir)).accepted()
    seconds = time.perf_counter() - start
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss: bytes on macOS, kilobytes elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(json.dumps({"seconds": seconds, "peak_rss_mb": peak}))


def _generate(path: Path, rows: int) -> None:
    draw = random.Random(0)
    cities = [f"city {i}" for i in range(200)]
    block = [
        f"{draw.randint(18, 90)},{draw.gauss(1000, 300):.2f},{draw.random() * 500:.2f},{draw.randint(0, 99)},"
        f"{draw.choice(['basic', 'plus', 'max'])},{draw.choice(cities)},{draw.choice(['true', 'false'])},"
        f"2024-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d} 10:00:00,{draw.choice(['no', 'yes'])}\n"
        for _ in range(10_000)
    ]
    with path.open("w") as file:
        file.write("id,age,balance,amount,count,plan,city,active,since,churn\n")
        for i in range(rows):
            file.write(f"customer-{i},{block[i % len(block)]}")


if __name__ == "__main__":
    sys.exit(main())
