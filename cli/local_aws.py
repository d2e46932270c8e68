"""The local AWS as a process: started, found again, stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from cli import toolchain
from cli.progress import say

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class LocalAws:
    """The local AWS of a state folder: one that runs there already, or a process of ours."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_ours(self) -> bool:
        """Whether `start` started it, and `stop` will stop it."""
        return self._process is not None

    def start(self) -> dict[str, str]:
        """Start the server, unless one runs already, and return the environment its clients need.

        Raises:
            ToolFailed: it did not come up.
        """
        self.state_dir.mkdir(parents=True, exist_ok=True)
        ready = self.state_dir / "ready.json"
        running = _running(ready)
        if running is not None:
            return running
        ready.unlink(missing_ok=True)
        log = self.state_dir / "local-aws.log"
        argv = [sys.executable, "-m", "local", "serve", "--state-dir", str(self.state_dir)]
        _end_in_good_order()
        with log.open("ab") as sink:
            # The server lives as long as the pipe to this process, until `release`: even kill -9 ends it.
            self._process = subprocess.Popen(
                [*argv, "--until-stdin-closes", f"--python={toolchain.FEATURES_PYTHON}"],
                cwd=toolchain.ROOT,
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise toolchain.ToolFailed("the local AWS did not start", where=str(log), why="\n" + tail)
            time.sleep(0.02)
        env: dict[str, str] = json.loads(ready.read_text())["env"]
        return env

    def release(self) -> None:
        """Let the server outlive this process. Not before it is deployed to: what ends half-way leaves nothing."""
        if self._process and self._process.stdin:
            self._process.stdin.write(b"stay\n")
            self._process.stdin.close()

    def wait(self) -> None:
        if self._process:
            self._process.wait()

    def stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # Its guard ends what it has started; what was done with it is not lost for this.
                say(
                    f"  the local AWS did not stop within {_STOP_SECONDS:.0f} s and was killed: {self.state_dir}"
                )
                self._process.kill()
                self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def _end_in_good_order() -> None:
    """Make SIGTERM and SIGHUP end this process as an exception does: what it has started is stopped.

    Who has said already what they do, such as a test run, is left to it.
    """

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def _running(ready: Path) -> dict[str, str] | None:
    """Give the environment for the server that a ready.json tells of; None where it is gone."""
    try:
        told = json.loads(ready.read_text())
        env: dict[str, str] = told["env"]
        return env if answers(told["endpoint_url"]) else None
    except (FileNotFoundError, ValueError, LookupError):  # never there, or cut off as the machine went down
        return None


def answers(endpoint_url: str) -> bool:
    """Tell whether something listens at the address, at once."""
    address = urlsplit(endpoint_url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), timeout=5).close()
    except OSError:
        return False
    return True


def wake(url: str) -> None:
    """Let what starts with its first request start now, beside whatever else is to be done."""

    def ask() -> None:
        # Whoever needs it asks again, and says what is wrong.
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(f"{url}/health", timeout=300).close()  # noqa: S310 - our own address

    threading.Thread(target=ask, name="wake", daemon=True).start()


def stop(state_dir: Path) -> None:
    """Stop the local AWS of a state folder that `sluice up --detach` left running.

    Raises:
        ToolFailed: it did not stop.
    """
    argv = [sys.executable, "-m", "local", "stop", "--state-dir", str(state_dir)]
    result = subprocess.run(argv, cwd=toolchain.ROOT, check=False)
    if result.returncode:
        raise toolchain.ToolFailed("the local AWS did not stop", where=str(state_dir))
