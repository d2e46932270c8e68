"""The pre-fork parent, with workers that are a few lines: run in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_PARENT = """
import os, select, signal, sys
from containers.serve.workers import Workers

def say(text):
    # In one piece: two workers write to one pipe.
    os.write(1, f"{{text}}\\n".encode())

def until_told(lifeline):
    # As uvicorn does: SIGTERM ends it in an orderly way, and so does the parent's end.
    select.select([lifeline], [], [])
    say("orphaned")
    return 0

{work}

say(f"parent {{os.getpid()}}")
code = Workers(work, {count}, {grace}).run(lambda: None)
say(f"code {{code}}")
"""


def parent(work: str, *, count: int = 2, grace: float = 5.0) -> subprocess.Popen[str]:
    program = _PARENT.format(work=textwrap.dedent(work), count=count, grace=grace)
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        process_group=0,
    )


def read_until(process: subprocess.Popen[str], wanted: str, count: int) -> list[str]:
    assert process.stdout is not None
    found: list[str] = []
    while len(found) < count:
        line = process.stdout.readline()
        assert line, f"ended after {found}"
        if line.startswith(wanted):
            found.append(line.strip())
    return found


READY = """
def work(number, lifeline):
    say(f"ready {os.getpid()} {number}")
    return until_told(lifeline)
"""


def rest_of(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    process.stdout.close()
    process.wait(20)
    return lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_workers_in_order(number: signal.Signals) -> None:
    process = parent(READY)
    read_until(process, "ready", 2)
    process.send_signal(number)
    assert rest_of(process) == ["code 0"]


def test_a_worker_that_dies_is_started_again() -> None:
    process = parent(READY)
    first = {line.split()[2]: int(line.split()[1]) for line in read_until(process, "ready", 2)}
    os.kill(first["1"], signal.SIGKILL)
    (again,) = read_until(process, "ready", 1)
    assert again.split()[2] == "1"
    assert int(again.split()[1]) != first["1"]
    process.send_signal(signal.SIGTERM)
    assert rest_of(process) == ["code 0"]


def test_workers_that_keep_dying_end_the_server() -> None:
    process = parent("def work(number, lifeline):\n    return 1\n")
    assert rest_of(process)[-1] == "code 1"


def test_a_worker_that_cannot_serve_is_not_started_again() -> None:
    work = """
    def work(number, lifeline):
        say("tried")
        return 3
    """
    process = parent(work, count=1)
    assert rest_of(process)[1:] == ["tried", "code 1"]


def test_workers_end_when_their_parent_is_killed() -> None:
    process = parent(READY)
    read_until(process, "ready", 2)
    process.kill()
    assert rest_of(process) == ["orphaned", "orphaned"]  # the pipe is at its end: nobody holds it any more


def test_a_worker_that_does_not_end_is_killed_after_its_grace() -> None:
    work = """
    def work(number, lifeline):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("ready")
        while True:
            signal.pause()
    """
    process = parent(work, count=1, grace=0.2)
    read_until(process, "ready", 1)
    process.send_signal(signal.SIGTERM)
    assert rest_of(process) == ["code 0"]
