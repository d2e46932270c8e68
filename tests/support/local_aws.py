"""A local AWS as the process that users start, seen from outside, and functions to put on it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
FEATURES_PYTHON = ROOT / ".venv-features" / "bin" / "python"
START_SECONDS = 60.0


class LocalAws:
    """A running `python -m local serve`, from outside."""

    account_id = "123456789012"
    region = "us-east-1"

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        state_dir.mkdir(parents=True, exist_ok=True)
        self.log = state_dir / "server.log"
        started = time.monotonic()
        with self.log.open("wb") as log:
            # Should the tests be killed, the pipe closes and the server ends.
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "local",
                    "serve",
                    "--until-stdin-closes",
                    "--state-dir",
                    str(state_dir),
                    f"--python={FEATURES_PYTHON}",
                ],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            wait_until(lambda: self._ready_file.exists() or self.process.poll() is not None, START_SECONDS)
            assert self.process.poll() is None, self.log.read_text()
        except BaseException:
            self.kill()
            raise
        self.start_seconds = time.monotonic() - started
        ready = json.loads(self._ready_file.read_text())
        self.endpoint_url: str = ready["endpoint_url"]
        self.pid: int = ready["pid"]
        self.env: dict[str, str] = ready["env"]
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str, region: str | None = None) -> Any:
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = boto3.client(  # type: ignore[call-overload]
                    service,
                    region_name=key[1],
                    endpoint_url=self.endpoint_url,
                    aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
                    config=Config(max_pool_connections=32, retries={"total_max_attempts": 1}),
                )
            return self._clients[key]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the server; its exit code."""
        self.process.send_signal(number)
        return self._wait()

    def kill(self) -> None:
        """End the server for certain; the kernel and the guard see to its children."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self._wait()

    def close(self) -> None:
        """Close what the tests hold open, and stop."""
        for client in self._clients.values():
            client.close()
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self.kill()

    @property
    def _ready_file(self) -> Path:
        return self.state_dir / "ready.json"

    def _wait(self) -> int:
        code = self.process.wait(30)
        assert self.process.stdin is not None
        self.process.stdin.close()
        return code


def wait_until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Poll until the condition holds and return its value; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
    return value


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def zip_of(source: str) -> bytes:
    """A deployment package with `source` as app.py."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("app.py", source)
    return archive.getvalue()


def create_function(server: LocalAws, name: str, source: str, **settings: Any) -> str:
    """Create a function whose handler is `handler` in `source`; its ARN."""
    arn: str = server.client("lambda").create_function(
        FunctionName=name,
        Handler="app.handler",
        Role=_role(server),
        Code={"ZipFile": zip_of(source)},
        **{"Runtime": "python3.12", **settings},
    )["FunctionArn"]
    return arn


def _role(server: LocalAws) -> str:
    iam = server.client("iam")
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="functions", AssumeRolePolicyDocument="{}")
    arn: str = iam.get_role(RoleName="functions")["Role"]["Arn"]
    return arn
