"""Runs the work of a job as a child process: user code that ends its process still leaves a reason behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from containers.failure import report_failure
from sluice.errors import SluiceError


def supervise(module: str, arguments: Sequence[str], *, failure_file: Path, error: type[SluiceError]) -> int:
    """Run `python -m module` and give the exit code to end with: 0, 1, or 128 + the signal the job was sent.

    Whoever runs the job sends SIGTERM to stop it; that is handed on. A child that dies without having written
    `failure_file` gets one.
    """
    failure_file.unlink(missing_ok=True)
    # The same string hashes in every run: an artifact must not depend on the order of a set.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    child = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment)
    received: list[int] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)
    code = child.wait()
    if code == 0:
        return 0
    if received:
        return 128 + received[0]
    if not failure_file.exists():
        report_failure(_silent_death(code, module, error), failure_file, unforeseen=error)
    return 1


def _silent_death(code: int, module: str, error: type[SluiceError]) -> SluiceError:
    if code < 0:
        name = signal.Signals(-code).name
        fix = "see the last lines of the job's log"
        if code == -signal.SIGKILL:
            fix = "it probably ran out of memory: use a larger instance, or less data or a smaller model"
        return error(
            f"the process was killed by {name}", where=module, why="it left no reason behind", fix=fix
        )
    return error(
        f"the process ended itself with exit code {code}",
        where=f"{module}, most likely in code of the project that it runs",
        why="something called os._exit or ended the interpreter, and no reason was left behind",
        fix="raise an exception instead of ending the process; the job's log holds what was printed before",
    )
