"""Runs one image as a child process: its command, its environment, its log, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from local import images
from local.sagemaker.errors import JobFailed
from local.sagemaker.logs import LogStream

if TYPE_CHECKING:
    from local.context import Context

DRAIN_SECONDS = 10.0


class Container:
    """A started image. `root` holds its opt/ml; its output goes to `log`."""

    def __init__(
        self,
        context: Context,
        image: images.Image,
        *,
        arguments: list[str],
        environment: dict[str, str],
        root: Path,
        log: LogStream,
        entrypoint: list[str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        """Start the image's entrypoint (or `entrypoint` instead of it) with `arguments`."""
        self._context = context
        temporary = root / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        argv = [*(_local_python(entrypoint) if entrypoint else image.argv), *arguments]
        try:
            self.process = context.spawn(
                argv,
                env={
                    **context.child_env(),
                    **image.env,
                    "PYTHONUNBUFFERED": "1",  # a container's stdout is a pipe too: lines must not wait
                    **environment,
                    "TMPDIR": str(temporary),
                    "SAGEMAKER_BASE_DIR": str(root / "opt" / "ml"),
                },
                cwd=image.cwd,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise JobFailed(f"ClientError: the container could not be started: {argv}: {error}") from error
        self._changed = threading.Event()
        self._drained = log.pump(self.process.stdout, on_line)
        threading.Thread(target=self._watch, name=f"container-{self.process.pid}", daemon=True).start()

    def _watch(self) -> None:
        self.process.wait()
        # What the main process started ends with it, as in a container; it may also hold the log pipe open.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._changed.set()

    @property
    def exit_code(self) -> int | None:
        """As Docker reports it: 128 + the signal for a process that was killed; None while it runs."""
        code = self.process.returncode
        return 128 - code if code is not None and code < 0 else code

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait until the process ends, `interrupt` is called or the time is over."""
        self._changed.wait(timeout)
        return self.exit_code

    def interrupt(self) -> None:
        """Wake `wait` while the process still runs."""
        self._changed.set()

    def stop(self, grace_seconds: float) -> int:
        """SIGTERM, then SIGKILL after the grace, to the whole process group; return the exit code."""
        self._context.terminate(self.process, grace_seconds)
        self.process.wait()
        return self.exit_code or 0

    def drain(self) -> None:
        """Wait until everything the process printed has reached its log stream."""
        self._drained.join(DRAIN_SECONDS)


def _local_python(command: list[str]) -> list[str]:
    """`python` of an image is the interpreter this server runs on (as `local.images` does for ENTRYPOINT)."""
    first, *rest = command
    return [sys.executable if Path(first).name in {"python", "python3"} else first, *rest]
