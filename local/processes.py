"""Child processes that are certain to end with the server, however the server ends.

Each child leads a process group of its own. A group is killed in one of two ways: by `Children.close()` when
the server stops in good order, or by the guard, a tiny process that reads the groups from a pipe and kills
them when the pipe closes, which the kernel sees to even after SIGKILL. (PR_SET_PDEATHSIG would not do: it is
Linux only, reaches no grandchildren, and fires when the *thread* that spawned ends.)

A child starts through a shell that waits for one line on its stdin before it becomes the command. The line is
written after the guard knows the group, so there is no moment in which a child runs unguarded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TypeAlias

Output: TypeAlias = int | IO[bytes]

_GATE = 'read -r go && exec "$@" </dev/null'


class Children:
    """The server's child processes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._closed = False
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C in a terminal is for the server, not for the guard
        )

    @property
    def guard_pid(self) -> int:
        return self._guard.pid

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdout: Output = subprocess.DEVNULL,
        stderr: Output = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start `argv` in a process group of its own, with an empty stdin.

        Raises FileNotFoundError when there is no such program, RuntimeError when the server is stopping.
        """
        if shutil.which(argv[0], path=env.get("PATH", os.defpath)) is None:
            raise FileNotFoundError(f"no program {argv[0]!r} on the PATH of the child process")
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the local AWS is stopping: {argv[0]} was not started")
            self._forget_ended()
            process = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, "sh", *argv],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                process_group=0,
            )
            self._running[process.pid] = process
            self._tell_guard("+", process.pid)
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # killed already: its exit code says so
                process.stdin.write(b"go\n")
                process.stdin.close()
        return process

    def terminate(self, process: subprocess.Popen[bytes], grace_seconds: float = 5) -> None:
        """SIGTERM the child's group, SIGKILL what is left of it after the grace; wait for the child."""
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        with self._lock:
            self._forget_ended()

    def close(self, grace_seconds: float = 5) -> None:
        """End every child, then the guard. No child can be started any more."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for process in running:
            _signal_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def _forget_ended(self) -> None:
        """Drop ended children, so that the guard never signals a group id that has gone to somebody else."""
        for pid, process in list(self._running.items()):
            if process.poll() is not None:
                _signal_group(pid, signal.SIGKILL)  # what the child left behind
                self._tell_guard("-", pid)
                del self._running[pid]

    def _tell_guard(self, sign: str, pid: int) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{sign}{pid}\n".encode())
        self._guard.stdin.flush()


def _signal_group(group: int, number: signal.Signals) -> None:
    # Gone, or (macOS) nothing but zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
