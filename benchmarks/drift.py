"""How often the drift verdict cries wolf, and how soon it finds what was planted: prints JSON.

    python benchmarks/drift.py [--months 20] [--rows 800] [--counting 10000000] [--only false planted cost]

Twenty columns of a customer table, 16 numbers and 4 texts, that depend on each other. Three questions:

- false: alarms in months of 30 windows, each month with a reference of its own; unchanged, and with a weekly
  season held against the same weekdays of the four weeks before;
- false: alarms in months of 30 windows, each month with a reference of its own; unchanged, and with a
  weekly season held against the same weekdays of the four weeks before;
- cost: seconds of processor time and the peak of memory for counting rows, in a process of its own.

Bars: false alarms a month at most the budget of 0.5, plus what so many months may be off by (2.33 standard errors of
a Poisson count, 1 in 100); 60 s and 2 GB. Exit 1 where one is missed. No peer is measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.monitoring.reference import Reference, reference_of
from sluice.monitoring.verdict import Sensitivity, verdict

NUMBERS, TEXTS = 16, 4
REFERENCE_ROWS = 20_000
WINDOWS = 30
SENSITIVITY = Sensitivity(alarms=0.5, windows=WINDOWS)
MOST_SECONDS, MOST_MB = 60.0, 2_000.0
_SURE = 2.326
_BATCH = 131_072

Draws = np.random.Generator
Planted = Callable[[dict[str, Any], float, Draws, bool], None]


def table(
    draws: Draws, rows: int, planted: Planted | None = None, part: float = 0.0, everywhere: bool = False
) -> Any:
    """Draw rows; `part` of the planted drift, 0 to 1, is in them."""
    shared = draws.normal(size=rows)
    columns: dict[str, Any] = {f"x{n}": 0.5 * shared + draws.normal(size=rows) for n in range(NUMBERS)}
    columns |= {f"c{n}": draws.choice(np.array(list("abcde")), rows) for n in range(TEXTS)}
    if planted is not None and part:
        planted(columns, part, draws, everywhere)
    return pa.record_batch({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def _chosen(letter: str, everywhere: bool) -> list[str]:
    return [f"{letter}{n}" for n in range((NUMBERS if letter == "x" else TEXTS) if everywhere else 1)]


def mean(columns: dict[str, Any], part: float, _draws: Draws, everywhere: bool) -> None:
    for name in _chosen("x", everywhere):
        columns[name] += 0.5 * part


def variance(columns: dict[str, Any], part: float, _draws: Draws, everywhere: bool) -> None:
    for name in _chosen("x", everywhere):
        columns[name] *= 1 + part


def missing(columns: dict[str, Any], part: float, draws: Draws, everywhere: bool) -> None:
    for name in _chosen("x", everywhere):
        columns[name][draws.random(len(columns[name])) < 0.1 * part] = np.nan


def category(columns: dict[str, Any], part: float, draws: Draws, everywhere: bool) -> None:
    for name in _chosen("c", everywhere):
        columns[name][draws.random(len(columns[name])) < 0.05 * part] = "z"


def labels(columns: dict[str, Any], part: float, draws: Draws, everywhere: bool) -> None:
    for name in _chosen("c", everywhere):
        columns[name][draws.random(len(columns[name])) < 0.25 * part] = "a"


PLANTED: dict[str, Planted] = {
    "mean": mean,
    "variance": variance,
    "missing": missing,
    "category": category,
    "labels": labels,
}


def alarm(reference: Reference, batch: Any) -> bool:
    return verdict(reference, reference.count(batch), SENSITIVITY).outcome == "drift"


def fresh(draws: Draws) -> Reference:
    return reference_of("benchmark", [table(draws, REFERENCE_ROWS)].copy)


def unchanged(draws: Draws, months: int, rows: int) -> int:
    alarms = 0
    for _ in range(months):
        reference = fresh(draws)
        alarms += sum(alarm(reference, table(draws, rows)) for _ in range(WINDOWS))
    return alarms


def seasonal(draws: Draws, months: int, rows: int) -> int:
    """The means of all numbers move by a standard deviation at weekends."""

    def day(number: int) -> Any:
        return reference.count(table(draws, rows, mean, 2.0 * (number % 7 >= 5), everywhere=True))

    alarms = 0
    for _ in range(months):
        reference = fresh(draws)
        days = [day(number) for number in range(28 + WINDOWS)]
        for number in range(28, 28 + WINDOWS):
            weekdays = reference.seasonal([days[number - 7 * week] for week in range(1, 5)])
            alarms += verdict(weekdays, days[number], SENSITIVITY).outcome == "drift"
    return alarms


def found(
    draws: Draws, months: int, rows: int, planted: Planted, ramp: int, everywhere: bool
) -> dict[str, Any]:
    delays = []
    for _ in range(months):
        reference = fresh(draws)
        parts = (min(1.0, (window + 1) / ramp) for window in range(WINDOWS))
        alarms = (alarm(reference, table(draws, rows, planted, part, everywhere)) for part in parts)
        delays.append(next((window for window, raised in enumerate(alarms, start=1) if raised), None))
    seen = [delay for delay in delays if delay is not None]
    return {"found": len(seen) / months, "windows": statistics.median(seen) if seen else None}


def batches(rows: int) -> Iterator[Any]:
    draws = np.random.default_rng(3)
    for begin in range(0, rows, _BATCH):
        yield table(draws, min(_BATCH, rows - begin))


def count(rows: int) -> dict[str, float]:
    """Count rows; what drawing them takes is measured apart, and not counted."""
    reference = fresh(np.random.default_rng(4))
    window, seconds = reference.empty(), 0.0
    for batch in batches(rows):
        begin = _processor()
        window += reference.count(batch)
        seconds += _processor() - begin
    begin = _processor()
    verdict(reference, window, SENSITIVITY)
    seconds += _processor() - begin
    return {"rows": rows, "seconds": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--months", type=int, default=20)
    parser.add_argument("--rows", type=int, default=800, help="of a window")
    parser.add_argument("--counting", type=int, default=10_000_000, help="rows whose counting is measured")
    parser.add_argument(
        "--only", nargs="*", choices=("false", "planted", "cost"), default=("false", "planted", "cost")
    )
    parser.add_argument("--count", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.count:
        print(json.dumps(count(asked.count)))
        return 0
    report: dict[str, Any] = {
        "months": asked.months,
        "rows": asked.rows,
        "load": os.getloadavg()[0],
        "peers": "none",
    }
    passed = True
    draws = np.random.default_rng(12)
    if "false" in asked.only:
        budget = SENSITIVITY.alarms * asked.months
        most = budget + _SURE * math.sqrt(budget)
        alarms = {kind.__name__: kind(draws, asked.months, asked.rows) for kind in (unchanged, seasonal)}
        report["false"] = {"windows": asked.months * WINDOWS, "alarms": alarms, "at_most": most}
        passed &= max(alarms.values()) <= most
    if "planted" in asked.only:
        report["planted"] = {
            f"{name}, {'sudden' if ramp == 1 else 'gradual'}, {'all' if everywhere else 'one'}": found(
                draws, asked.months, asked.rows, planted, ramp, everywhere
            )
            for name, planted in PLANTED.items()
            for ramp in (1, 10)
            for everywhere in (False, True)
        }
    if "cost" in asked.only:
        command = [sys.executable, __file__, "--count", str(asked.counting)]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."}
        )
        report["cost"] = json.loads(done.stdout)
        passed &= report["cost"]["seconds"] <= MOST_SECONDS and report["cost"]["mb"] <= MOST_MB
    print(json.dumps({**report, "passed": passed}, indent=2))
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
