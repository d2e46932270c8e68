"""One instance of a variant or a transform job: a serving process, its health check, its replacement when it dies."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local import images
from local.sagemaker.connections import HOST, ConnectionPool, ModelTimeout, ModelUnreachable
from local.sagemaker.container import Container
from local.sagemaker.errors import JobFailed
from local.sagemaker.logs import LogStream

if TYPE_CHECKING:
    from local.context import Context

logger = logging.getLogger(__name__)

PING_TIMEOUT_SECONDS = 2.0
PING_INTERVAL_SECONDS = 0.05
STOP_GRACE_SECONDS = 30.0  # SageMaker: SIGKILL 30 s after SIGTERM
PORT_ATTEMPTS = 5
MAX_RESTART_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Serving:
    """What an instance runs."""

    unhealthy: str  # the failure reason, in AWS's words, where it does not come up
    image: images.Image
    environment: dict[str, str]
    root: Path
    health_check_seconds: float


class PortTaken(Exception):
    """Somebody else got the port between its choice and its use."""


class Instance:
    """A serving process that is healthy after `start` and is replaced whenever it dies, until `stop`."""

    def __init__(self, context: Context, serving: Serving, log: LogStream) -> None:
        self._context = context
        self._serving = serving
        self._log = log
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._container: Container | None = None
        self.pool: ConnectionPool | None = None  # None while no process is ready
        self.restarts = 0
        self.in_flight = 0

    def start(self) -> None:
        """Start the process and wait for /ping; raise JobFailed when it dies or does not become healthy."""
        container = self._launch()
        threading.Thread(
            target=self._supervise, args=(container,), name=f"instance-{self._log.stream}", daemon=True
        ).start()

    def cancel(self) -> None:
        """Give up a start in progress, or a replacement."""
        self._stopping.set()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when the process is gone."""
        with self._lock:
            self._stopping.set()
            container, pool = self._container, self.pool
            self.pool = None
        if container is not None:
            container.stop(STOP_GRACE_SECONDS)
            container.drain()
        if pool is not None:
            pool.close()

    def _launch(self) -> Container:
        for _ in range(PORT_ATTEMPTS):
            port = _free_port()
            with self._lock:
                if self._stopping.is_set():
                    raise JobFailed("The endpoint was deleted while it started.")
                container = self._container = Container(
                    self._context,
                    self._serving.image,
                    arguments=["serve"],
                    environment={**self._serving.environment, "SAGEMAKER_BIND_TO_PORT": str(port)},
                    root=self._serving.root,
                    log=self._log,
                )
            try:
                pool = self._await_health(container, port)
            except PortTaken:
                logger.warning("port %d was taken before %s could bind it", port, self._log.stream)
                continue
            except JobFailed:
                container.stop(STOP_GRACE_SECONDS)
                raise
            with self._lock:
                if not self._stopping.is_set():
                    self.pool = pool
            return container
        raise JobFailed(f"No port of this machine stayed free in {PORT_ATTEMPTS} attempts.")

    def _await_health(self, container: Container, port: int) -> ConnectionPool:
        pool = ConnectionPool(port)
        try:
            self._ping_until_healthy(container, pool, port)
        except BaseException:
            pool.close()
            raise
        return pool

    def _ping_until_healthy(self, container: Container, pool: ConnectionPool, port: int) -> None:
        deadline = time.monotonic() + self._serving.health_check_seconds
        last = "no answer"
        while True:
            if container.wait(PING_INTERVAL_SECONDS) is not None:
                if _is_taken(port):
                    raise PortTaken
                container.drain()
                raise self._unhealthy(f"the process ended with exit code {container.exit_code}")
            if self._stopping.is_set():
                raise JobFailed("The endpoint was deleted while it started.")
            try:
                answer = pool.request("GET", "/ping", timeout=PING_TIMEOUT_SECONDS)
            except (ModelUnreachable, ModelTimeout) as error:
                last = str(error)
            else:
                if answer.status == 200:
                    return
                last = f"/ping answered {answer.status}"
            if time.monotonic() > deadline:
                limit = f"{self._serving.health_check_seconds:g} s"
                raise self._unhealthy(f"not healthy within {limit}: {last}")

    def _unhealthy(self, why: str) -> JobFailed:
        """The failure; AWS's reason says where to look, and there we say why."""
        self._log.write([why])
        return JobFailed(self._serving.unhealthy)

    def _supervise(self, container: Container) -> None:
        """Replace the process each time it dies, as SageMaker replaces a failed instance."""
        while True:
            container.wait()
            with self._lock:
                if self._stopping.is_set() or self._context.stopping.is_set():
                    return
                pool, self.pool = self.pool, None
            if pool is not None:
                pool.close()
            container.drain()
            self.restarts += 1
            text = f"the serving process ended with exit code {container.exit_code}: restart {self.restarts}"
            logger.warning("%s: %s", self._log.stream, text)
            self._log.write([text])
            replacement = self._replace()
            if replacement is None:
                return
            container = replacement

    def _replace(self) -> Container | None:
        pause = 0.0
        while not self._stopping.wait(pause) and not self._context.stopping.is_set():
            try:
                return self._launch()
            except JobFailed as error:
                logger.error("%s was not replaced: %s", self._log.stream, error)
                pause = min(max(1.0, pause * 2), MAX_RESTART_PAUSE_SECONDS)
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is not taken
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
        return False
