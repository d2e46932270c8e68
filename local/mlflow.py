"""MLflow's own server, which SageMaker's MLflow apps answer with here: a process that begins with the first request.

It takes seconds of processor time to start, and most stacks of a day never ask it anything. So an address is there
from the beginning, and a connection to it waits until the server is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.context import Context

_START_SECONDS = 300.0
_PIECE = 1 << 16


def program(pythons: Sequence[str]) -> Path | None:
    """Find MLflow's command beside one of the interpreters; None where no environment has MLflow as a whole.

    The client alone (mlflow-skinny) has the command, too, and cannot serve.
    """
    for python in pythons:
        folder = Path(python).parent
        if any(folder.parent.glob("lib*/python*/site-packages/mlflow-[0-9]*.dist-info")):
            return folder / "mlflow"
    return None


class MlflowServer:
    """One server for all apps of this local AWS. Its store is in the state folder, and goes with the last app."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folder = context.state_dir / "mlflow"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.endpoint_url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    @property
    def log(self) -> Path:
        return self._folder / "server.log"

    def serve(self) -> None:
        """Take connections from now on, in threads of their own."""
        threading.Thread(target=self._accept, name="mlflow", daemon=True).start()

    def forget(self) -> None:
        """End the server and what it keeps; the next connection starts one that knows nothing."""
        with self._lock:
            if self._process is not None:
                self._context.children.terminate(self._process)
                self._process = None
            shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while not self._context.stopping.is_set():
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), name="mlflow", daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client:
            server = self._connected()
            if server is None:
                return  # as a server that is not there: the client is told of a connection that ended
            with server:
                back = threading.Thread(target=_copy, args=(server, client), name="mlflow", daemon=True)
                back.start()
                _copy(client, server)
                back.join()

    def _connected(self) -> socket.socket | None:
        """Connect to the server, which is started first where none runs."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                found = program(self._context.pythons)
                if found is None or self._context.stopping.is_set():
                    return None
                self._start(found)
            process = self._process
        assert process is not None
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", self._port))
            if self._context.stopping.wait(0.05):
                break
        return None

    def _start(self, found: Path) -> None:
        self._folder.mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        # One parent makes the store's tables before its one worker begins: two processes on a fresh file would race.
        argv = [str(found), "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(self._port)]
        argv += ["--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}"]
        argv += ["--no-serve-artifacts", "--default-artifact-root", str(self._folder / "artifacts")]
        argv += ["--allowed-hosts", "127.0.0.1:*,localhost:*"]
        env = {
            **self._context.child_env(),
            # Eight more processes and 800 MB, for jobs that nothing here has.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        }
        with self.log.open("ab") as log:
            self._process = self._context.spawn(
                argv, env=env, cwd=self._folder, stdout=log, stderr=subprocess.STDOUT
            )


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until there are no more, and say so."""
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def install(context: Context) -> None:
    """Give the local AWS an address for MLflow; call it before anything of it is started."""
    server = MlflowServer(context)
    context.mlflow_endpoint, context.forget_runs = server.endpoint_url, server.forget
    server.serve()
    # The processes that this one starts, and moto's own calls.
    os.environ.update(context.aws_env())
