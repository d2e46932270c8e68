"""The local AWS as one process: moto's server, the extensions, the ready file, and an orderly end."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from local.context import Context
from local.errors import LocalAwsError

# Each has `install(context)`. MLflow comes first, as its address is part of the environment that all give; then
# CloudFormation: the others replace what it creates.
EXTENSIONS = [
    "local.mlflow",
    "local.cloudformation",
    "local.images",
    "local.lambda_runtime",
    "local.stepfunctions",
    "local.eventbridge",
    "local.cloudwatch",
    "local.iam",
    "local.conditional_writes",
    "local.dynamodb",
    "local.apigateway",
    "local.sagemaker",
]

READY_FILE = "ready.json"
_LOCK_FILE = "server.lock"

_DOCKER_WRAPPER = """\
#!/bin/sh
# What the CDK CLI calls instead of docker (CDK_DOCKER).
export PYTHONPATH={root} SLUICE_LOCAL_STATE={state_dir} SLUICE_LOCAL_PYTHONS={pythons}
exec {python} -m local.docker_shim "$@"
"""


def serve(
    state_dir: Path, *, port: int = 0, until_stdin_closes: bool = False, pythons: Sequence[str] = ()
) -> None:
    """Serve until SIGINT or SIGTERM, or until the parent closes our stdin if asked to; a line there sets us free.

    An image runs on the first of this interpreter and `pythons` that has the packages which the image installs.
    Port 0 lets the kernel choose; `ready.json` in `state_dir` says which, and appears when it answers.
    Raises LocalAwsError when the folder is in use by another server, OSError when the port is.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    lock = _lock(state_dir)
    if lock is None:
        raise LocalAwsError(
            "a local AWS is running on this state folder already",
            where=str(state_dir),
            fix=f"use it, stop it (python -m local stop --state-dir {state_dir}), or name another folder",
        )
    ready = state_dir / READY_FILE
    ready.unlink(missing_ok=True)  # of a server that was killed
    server = _bind(port)
    context = Context(port=server.server_port, state_dir=state_dir, pythons=pythons)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: context.stopping.set())
        if until_stdin_closes:
            threading.Thread(target=_stop_at_eof, args=(context,), name="stdin", daemon=True).start()
        _configure(context)
        threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
        for name in EXTENSIONS:
            importlib.import_module(name).install(context)
        _write_docker_wrapper(context, pythons)
        _write_ready(context, ready)
        print(f"local AWS: {context.endpoint_url} (state in memory; {ready})", flush=True)
        context.stopping.wait()
    finally:
        context.stopping.set()
        ready.unlink(missing_ok=True)
        server.server_close()
        context.children.close()
        lock.close()


def ready_env(context: Context) -> dict[str, str]:
    """The environment in which `aws`, `cdk` and boto3 use this server."""
    return {
        **context.aws_env(),
        "CDK_DOCKER": str(context.state_dir / "bin" / "docker"),
        "CDK_DEFAULT_ACCOUNT": context.account_id,
        "CDK_DEFAULT_REGION": context.region,
        "SLUICE_LOCAL_STATE": str(context.state_dir),
    }


def stop(state_dir: Path, timeout_seconds: float = 20) -> bool:
    """Stop the server of `state_dir`; False when none is running. SIGKILL when it does not end in time."""
    # A server holds the lock for as long as it lives: while it is held, the pid in it is the server's.
    if not (state_dir / _LOCK_FILE).exists() or _is_free(state_dir):
        return False
    pid = int((state_dir / _LOCK_FILE).read_text())
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_seconds
    while not _is_free(state_dir):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.02)
    return True


def _bind(port: int) -> Any:
    """A listening server on the loopback interface; requests queue in the kernel until it serves."""
    # moto is imported late, so that `--help` and `stop` stay quick and the setting is read.
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "1"  # no web page has business with the local AWS
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    from local.apigateway import Listener
    from local.dynamodb import Front
    from local.http_server import RequestHandler

    app = Listener(Front(DomainDispatcherApplication(create_backend_app)))
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=RequestHandler)


def _configure(context: Context) -> None:
    """Moto's settings, and an environment for the AWS calls that moto makes to itself."""
    from moto.core.config import default_user_config

    default_user_config["stepfunctions"]["execute_state_machine"] = True
    default_user_config["iam"]["load_aws_managed_policies"] = True  # cdk bootstrap attaches some; 0.1 s
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # nothing of a real account
    os.environ.update(context.aws_env())
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    os.environ["MOTO_PORT"] = str(context.port)
    os.environ["NO_PROXY"] = ",".join(filter(None, ["127.0.0.1,localhost", os.environ.get("NO_PROXY")]))


def _stop_at_eof(context: Context) -> None:
    told = os.read(sys.stdin.fileno(), 4096)
    if not told:
        context.stopping.set()


def _lock(state_dir: Path) -> IO[str] | None:
    """Take the folder's lock and write our pid into it; None when a living server holds it."""
    file = (state_dir / _LOCK_FILE).open("a+")
    if not _try_lock(file):
        file.close()
        return None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _is_free(state_dir: Path) -> bool:
    with (state_dir / _LOCK_FILE).open() as file:
        return _try_lock(file)


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_docker_wrapper(context: Context, pythons: Sequence[str]) -> None:
    wrapper = context.state_dir / "bin" / "docker"
    wrapper.parent.mkdir(exist_ok=True)
    root = Path(__file__).resolve().parent.parent
    places = {
        "root": str(root),
        "state_dir": str(context.state_dir),
        "python": sys.executable,
        "pythons": os.pathsep.join(pythons),
    }
    wrapper.write_text(_DOCKER_WRAPPER.format_map({name: shlex.quote(path) for name, path in places.items()}))
    wrapper.chmod(0o755)


def _write_ready(context: Context, ready: Path) -> None:
    content = {"endpoint_url": context.endpoint_url, "pid": os.getpid(), "env": ready_env(context)}
    partial = ready.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(ready)
