"""A local AWS of its own for a benchmark, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0


@dataclass(frozen=True)
class LocalAws:
    """Where it listens, and its process."""

    url: str
    pid: int


@contextmanager
def local_aws() -> Iterator[LocalAws]:
    """Start one, and end it."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        argv = [sys.executable, "-m", "local", "serve", "--until-stdin-closes", f"--state-dir={folder}"]
        process = subprocess.Popen(
            argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=sys.stderr, stderr=sys.stderr, text=True
        )
        try:
            ready, deadline = Path(folder) / "ready.json", time.monotonic() + _START_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the local AWS did not start; see above")
                time.sleep(0.01)
            yield LocalAws(json.loads(ready.read_text())["endpoint_url"], process.pid)
        finally:
            process.terminate()
            process.wait(30)
