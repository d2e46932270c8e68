"""What runs and the registry add to an execution: the calls of OpenRun, RegisterModel, MoveAlias and ReportOutcome.

    python -m benchmarks.tracking [--executions 10]

MLflow's own server on this machine, told by our tracker of executions one after the other; JSON on stdout. Seconds
are of one execution, in which a function keeps its connection; the start of functions is not in them.

Bar: the median takes no more than 3 s.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lambdas.adapters.mlflow import MlflowTracker
from lambdas.adapters.mlflow_wire import RestWire
from sluice.tracking.registry import move_alias, register
from sluice.tracking.runs import end_run, open_run
from tests.support.judged import ASKED, CONTRACT, EVALUATION, asked

ROOT = Path(__file__).resolve().parents[1]
_BAR_SECONDS = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mlflow", type=Path, default=ROOT / ".venv-features" / "bin" / "mlflow")
    parser.add_argument("--executions", type=int, default=10)
    arguments = parser.parse_args()
    with _server(arguments.mlflow) as (url, start_seconds):
        wire = RestWire(url)
        tracker = MlflowTracker(wire, url)
        seconds = [_execution(tracker, f"bank-dev-{number}") for number in range(arguments.executions)]
        wire.close()
    median = statistics.median(seconds)
    told = {
        "execution_s": round(median, 3),
        "slowest_s": round(max(seconds), 3),
        "server_start_s": round(start_seconds, 1),
        "executions": len(seconds),
        "bar_s": _BAR_SECONDS,
    }
    print(json.dumps(told, indent=2))
    return int(median > _BAR_SECONDS)


def _execution(tracker: MlflowTracker, name: str) -> float:
    page = ("s3://artifacts/report.html", b"<html>" + b"x" * 100_000)
    started = time.perf_counter()
    run = open_run(ASKED.model_copy(update={"model_name": name}), "bank-dev", tracker).run_id
    registered = register(asked(run, name=name), "bank-dev", EVALUATION, CONTRACT, b"{}", tracker)
    move_alias("bank-dev", registered.version, tracker)
    end_run(run, "FINISHED", page, tracker)
    return time.perf_counter() - started


@contextmanager
def _server(mlflow: Path) -> Iterator[tuple[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        argv = [str(mlflow), "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
        argv += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", folder]
        env = {
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        started = time.perf_counter()
        process = subprocess.Popen(
            argv, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        try:
            while not _answers(f"http://127.0.0.1:{port}/health"):
                assert process.poll() is None, "the server ended"
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}", time.perf_counter() - started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (OSError, urllib.error.URLError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
