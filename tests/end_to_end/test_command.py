"""The `sluice` command as a process: how it ends, and its version."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from cli.toolchain import ROOT

_ENTRY = """
import atexit, os, sys
from cli import main

def command(argv=None):
    {body}

main.main = command
main.entry()
"""


def ends(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _ENTRY.format(body=body)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("return 0", 0),
        ("return 3", 3),
        ("sys.exit(2)", 2),
        ("sys.exit()", 0),
        ("sys.exit('why')", 1),
        ("raise KeyError('x')", 1),
    ],
)
def test_the_process_ends_with_the_status_its_handlers_run_and_its_output_written(
    body: str, status: int
) -> None:
    handler = "atexit.register(lambda: print('handlers ran'))"
    done = ends(f"{handler}; print('x' * 70_000); print('told', file=sys.stderr); {body}")

    assert done.returncode == status
    assert done.stdout == "x" * 70_000 + "\nhandlers ran\n"
    assert done.stderr.startswith("told\n")


def test_what_reads_ahead_at_the_end_cannot_abort_it() -> None:
    """A thread that never ends stands for it: an interpreter that is taken down would wait for it."""
    thread = "import threading; threading.Thread(target=threading.Event().wait).start(); return 1"
    assert ends(thread).returncode == 1


def test_a_reader_that_goes_away_ends_it_without_a_word() -> None:
    program = (
        "import os, sys; from cli import main; main.commands.down = lambda _: print('x' * 9) or 0;"
        "sys.argv = ['sluice', 'down']; r, w = os.pipe(); os.dup2(w, 1); os.close(r); main.entry()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 141
    assert "Traceback" not in done.stderr


def test_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "--version"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"sluice {metadata.version('sluice')}\n")
