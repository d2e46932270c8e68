"""The servers: how each is started, asked, and known to be ready. One worker each, one thread for numerics."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving import workload
from benchmarks.serving.environments import PEERS, PeerMissing, environment
from benchmarks.serving.model import ROOT, Example
from benchmarks.serving.workload import Dialect
from local.processes import Children

OURS = "sluice"
READY_SECONDS = 120.0

_POLL_SECONDS = 0.002
_LOG_LINES = 20
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Place:
    """Where a server runs: the port it has to take, the example it serves, and a folder for its own files."""

    port: int
    example: Example
    scratch: Path


@dataclass(frozen=True)
class Server:
    """One server.

    Attributes:
        name: in the figures.
        title: in tables and plots.
        environment: the peer's folder and environment; empty for ours.
        command: what starts it in the environment's bin folder.
        variables: environment variables it needs.
        ready: the path that answers 200 when it serves.
        dialects: "json", and "csv" where it takes that.
        batching: it answers several requests at once.
        prepare: made once for each example, before the first start.
    """

    name: str
    title: str
    environment: str
    command: Callable[[Place], list[str]]
    ready: str
    dialects: Mapping[str, Dialect]
    variables: Callable[[Place], dict[str, str]] = field(default=lambda _place: {})
    batching: bool = False
    prepare: Callable[[Path, Place], None] = field(default=lambda _binaries, _place: None)


@dataclass(frozen=True)
class Running:
    """A server that serves.

    Attributes:
        pid: of its first process, the root of its tree.
        seconds_to_ready: from the start of the process to the first 200.
    """

    pid: int
    port: int
    seconds_to_ready: float


@contextmanager
def running(server: Server, example: Example, children: Children, scratch: Path) -> Iterator[Running]:
    """Start a server and wait until it is ready; end it afterwards.

    Raises:
        PeerMissing: its environment cannot be made.
        RuntimeError: it ended, or was not ready in time.

    Whatever is raised while it runs carries the end of its log.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    place = Place(free_port(), example, scratch)
    binaries = environment(server.environment) if server.environment else Path(sys.executable).parent
    server.prepare(binaries, place)
    command = server.command(place)
    log = scratch / f"{server.name}.log"
    variables = {**os.environ, **_ONE_THREAD, "MODEL_FOLDER": str(example.model), **server.variables(place)}
    variables["PATH"] = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = children.spawn(
            [str(binaries / command[0]), *command[1:]],
            env=variables,
            cwd=PEERS / server.environment if server.environment else ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(server, process, place.port)
        yield Running(process.pid, place.port, time.perf_counter() - started)
    except Exception as error:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        error.add_note(f"the end of {server.title}'s log:\n{end}")
        raise
    finally:
        children.terminate(process)


def _wait(server: Server, process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(port, server.ready):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{server.title} is not ready on {server.ready}")
        time.sleep(_POLL_SECONDS)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):  # not listening, or not speaking yet
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ours_variables(place: Place) -> dict[str, str]:
    return {
        "SAGEMAKER_BASE_DIR": str(place.example.folder),
        "SAGEMAKER_BIND_TO_PORT": str(place.port),
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
    }


def _gunicorn(place: Place) -> list[str]:
    # As sagemaker-containers' _server.py starts it, without nginx before it.
    more = ["--timeout", "60", "-k", "gevent", "--worker-connections", "1000", "--log-level", "info"]
    return ["gunicorn", *more, "-w", "1", "-b", f"127.0.0.1:{place.port}", "app:app"]


def _fastapi(place: Place) -> list[str]:
    return ["uvicorn", "--host", "127.0.0.1", "--port", str(place.port), "--workers", "1", "app:app"]


def _bentoml(place: Place) -> list[str]:
    return ["bentoml", "serve", "service:Example", "--host", "127.0.0.1", "--port", str(place.port)]


def _bentoml_variables(rows: str) -> Callable[[Place], dict[str, str]]:
    def variables(place: Place) -> dict[str, str]:
        return {
            "ROWS": rows,
            "BENTOML_HOME": str(place.scratch / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
        }

    return variables


def _mlserver_variables(place: Place) -> dict[str, str]:
    return {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(place.port),
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
    }


def _mlflow(place: Place) -> list[str]:
    model = str(_mlflow_model(place))
    where = ["-h", "127.0.0.1", "-p", str(place.port)]
    return ["mlflow", "models", "serve", "-m", model, "--env-manager", "local", "--workers", "1", *where]


def _mlflow_model(place: Place) -> Path:
    return place.scratch / f"mlflow-{place.example.shape.trees}x{place.example.shape.features}"


def _save_mlflow_model(binaries: Path, place: Place) -> None:
    target = _mlflow_model(place)
    if target.exists():
        return
    rows = place.scratch / "rows.json"
    rows.write_text(json.dumps(place.example.rows[: workload.BATCH_ROWS]))
    script = str(PEERS / "mlflow" / "save_model.py")
    done = subprocess.run(
        [str(binaries / "python"), script, str(place.example.model), str(target), str(rows)],
        capture_output=True,
        text=True,
        check=False,
        cwd=place.scratch,
    )
    if done.returncode:
        raise PeerMissing(
            f"mlflow: the model cannot be saved; `--without mlflow` leaves it out\n{done.stderr}"
        )


_JSON, _CSV = "application/json", "text/csv"


def servers() -> list[Server]:
    """Give all servers, ours first."""
    bentoml = Dialect("/predict", _JSON, workload.rows_argument, workload.read_list)
    v2 = Dialect("/v2/models/example/infer", _JSON, workload.open_inference, workload.read_open_inference)
    return [
        Server(
            OURS,
            "Sluice",
            "",
            lambda _place: ["python", "-m", "containers.serve", "serve"],
            "/ping",
            {
                "json": Dialect("/invocations", _JSON, workload.record_or_instances, workload.read_labelled),
                "csv": Dialect("/invocations", _CSV, workload.csv, workload.read_csv),
            },
            variables=_ours_variables,
        ),
        Server(
            "flask_gunicorn",
            "gunicorn + flask",
            "flask_gunicorn",
            _gunicorn,
            "/ping",
            {
                "json": Dialect("/invocations", _JSON, workload.instances, workload.read_predictions),
                "csv": Dialect("/invocations", _CSV, workload.csv, workload.read_csv),
            },
        ),
        Server(
            "mlflow",
            "MLflow serve",
            "mlflow",
            _mlflow,
            "/ping",
            {
                "json": Dialect("/invocations", _JSON, workload.dataframe_split, workload.read_both_classes),
                "csv": Dialect("/invocations", _CSV, workload.csv_with_header, workload.read_both_classes),
            },
            variables=lambda _place: {"MLFLOW_DISABLE_TELEMETRY": "true"},
            prepare=_save_mlflow_model,
        ),
        Server(
            "bentoml",
            "BentoML",
            "bentoml",
            _bentoml,
            "/readyz",
            {"json": bentoml},
            variables=_bentoml_variables("frame"),
        ),
        Server(
            "bentoml_batching",
            "BentoML, batching",
            "bentoml",
            _bentoml,
            "/readyz",
            {"json": bentoml},
            variables=_bentoml_variables("models"),
            batching=True,
        ),
        Server(
            "mlserver",
            "MLServer",
            "mlserver",
            lambda _place: ["mlserver", "start", "."],
            "/v2/models/example/ready",
            {"json": v2},
            variables=_mlserver_variables,
        ),
        Server(
            "fastapi",
            "FastAPI",
            "fastapi",
            _fastapi,
            "/ping",
            {"json": Dialect("/predict", _JSON, workload.records, workload.read_predictions)},
        ),
    ]
