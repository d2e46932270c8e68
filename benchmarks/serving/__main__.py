"""The serving benchmark: our container beside other servers, one model, one machine.

    python -m benchmarks.serving [compare] [--quick] [--without PEER] [--out FILE] [--docs]
    python -m benchmarks.serving soak [--minutes 30] [--out FILE]

`compare` prints tables, writes all figures as JSON, and exits with 1 where a bar (of a ratio, CPU or exactness) is
missed.
`--docs` also writes the tables and the plot into docs/. `soak` exits with 1 on an error, growth or creep.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.serving import bars, report, soak
from benchmarks.serving.environments import PeerMissing
from benchmarks.serving.figures import Figure, Figures, LoadFigures, ScaleFigures, ServerFigures
from benchmarks.serving.measure import Bench, Seen, Settings, say
from benchmarks.serving.model import ROOT, Shape, example
from benchmarks.serving.servers import OURS, Server, servers
from local.processes import Children

OUT = ROOT / "build" / "bench"
DOCS = ROOT / "docs"
SCALES = (Shape(100, 19), Shape(500, 19), Shape(2_000, 19), Shape(150, 20), Shape(150, 100), Shape(150, 500))
QUICK = Settings(repeats=1, seconds=1.5, warmup_seconds=0.5)
SCALE_SETTINGS = Settings(repeats=3, seconds=2.0, warmup_seconds=0.5)

_SOAK_WINDOW_SECONDS = 30.0


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.what == "soak":
            return _soak(arguments.minutes, arguments.out or OUT / "soak.json")
        return _compare(arguments)
    except PeerMissing as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 2


def _arguments() -> argparse.Namespace:
    peers = [server.name for server in servers() if server.name != OURS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="?", choices=("compare", "soak"), default="compare")
    parser.add_argument("--quick", action="store_true", help="one short repeat, one model: for development")
    parser.add_argument("--without", action="append", default=[], choices=peers, help="leave a peer out")
    parser.add_argument("--out", type=Path, help="the figures as JSON; default build/bench/serving.json")
    parser.add_argument("--docs", action="store_true", help="write docs/serving.md and docs/serving.svg")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the soak")
    return parser.parse_args()


@contextmanager
def _place() -> Iterator[tuple[Children, Path]]:
    """Give what starts processes, and a folder; both end with this process, however it ends."""
    children = Children()
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-serving-") as scratch:
            yield children, Path(scratch)
    finally:
        children.close()


def _compare(arguments: argparse.Namespace) -> int:
    settings = QUICK if arguments.quick else Settings()
    those = [server for server in servers() if server.name not in arguments.without]
    machine = _machine()
    with _place() as (children, scratch):
        bench = Bench(children, scratch, settings)
        say("training the model")
        main_example = example(Shape())
        ceiling = LoadFigures.of(bench.ceiling(main_example), 1, None)
        seen = bench.compare(those, main_example)
        scaling = Bench(children, scratch, SCALE_SETTINGS)
        scales = [_scale(scaling, shape) for shape in (() if arguments.quick else SCALES)]
    found = [_figures_of(server, seen[server.name]) for server in those]
    figures = Figures(
        machine=machine,
        settings={"repeats": settings.repeats, "seconds": settings.seconds},
        ceiling=ceiling,
        ours=found[0],
        peers=tuple(found[1:]),
        scales=tuple(scales),
        left_out=tuple(arguments.without),
    )
    return _tell(figures, arguments.out or OUT / "serving.json", docs=arguments.docs)


def _scale(bench: Bench, shape: Shape) -> ScaleFigures:
    say(f"a model of {shape}")
    (ours,) = (server for server in servers() if server.name == OURS)
    return ScaleFigures(shape.trees, shape.features, _figures_of(ours, bench.scale(example(shape))))


def _figures_of(server: Server, seen: Seen) -> ServerFigures:
    loads = {
        f"{form}/{rows}": LoadFigures.of(runs, rows, seen.exactness[form, rows])
        for (form, rows), runs in seen.runs.items()
    }
    return ServerFigures(server.name, server.title, server.batching, Figure.of(seen.seconds_to_ready), loads)


def _machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        "scikit-learn": version("scikit-learn"),
        "load average before": f"{os.getloadavg()[0]:.1f}",
    }


def _tell(figures: Figures, out: Path, *, docs: bool) -> int:
    verdicts = bars.verdicts(figures)
    text = report.tables(figures, verdicts)
    _write(out, {"benchmark": "serving", **dataclasses.asdict(figures)}, verdicts)
    if docs:
        page = DOCS / "serving.md"
        page.write_text(report.replaced(page.read_text(encoding="utf-8"), text), encoding="utf-8")
        (DOCS / "serving.svg").write_text(report.picture(figures), encoding="utf-8")
    print(text)
    return _exit_code(verdicts)


def _soak(minutes: float, out: Path) -> int:
    seconds = 60 * minutes
    with _place() as (children, scratch):
        count = max(4, round(seconds / _SOAK_WINDOW_SECONDS))
        windows = soak.soak(example(Shape()), seconds, count, children, scratch)
    verdicts = soak.verdicts(windows)
    _write(
        out, {"benchmark": "soak", "windows": [dataclasses.asdict(window) for window in windows]}, verdicts
    )
    print(report.bars(verdicts))
    return _exit_code(verdicts)


def _write(out: Path, figures: dict[str, Any], verdicts: Sequence[bars.Verdict]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    document = {**figures, "bars": [dataclasses.asdict(verdict) for verdict in verdicts]}
    out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    say(f"figures: {out}")


def _exit_code(verdicts: list[bars.Verdict]) -> int:
    missed = bars.missed(verdicts)
    for verdict in missed:
        print(f"missed: {verdict.what}: {verdict.found}, wanted {verdict.wanted}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
