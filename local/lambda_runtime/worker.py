"""One warm process of a function: starts it, gives it one event at a time, watches the clock and its life."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.core.utils import unix_time_millis, utcnow
from moto.logs.models import logs_backends

from local.context import Context
from local.lambda_runtime.function import Function, unpack
from local.lambda_runtime.log_lines import Report, framed
from local.lambda_runtime.runtime_api import Invocation, Result, RuntimeApi

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_RESPONSE_BYTES = 6_291_556
_LOG_TAIL_BYTES = 4096
# AWS gives the initialisation 10 s. A laptop that imports pandas from a cold disk may need longer.
_INIT_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    """The result of an invocation and the tail of its log, base64 as the Invoke API returns it."""

    request_id: str
    result: Result
    duration_ms: float
    log_tail: str


class Worker:
    """A process that runs `python -m awslambdaric`. The pool lends it to one caller at a time."""

    def __init__(self, context: Context, function: Function, code: bytes) -> None:
        self.function = function
        self._context = context
        root = context.state_dir / "lambda"
        task_root = unpack(code, function.code_sha256, root / "code")
        worker_id = uuid.uuid4().hex
        self._tmp = root / "tmp" / f"{function.name}-{worker_id}"
        self._tmp.mkdir(parents=True)
        self._log_stream = f"{utcnow():%Y/%m/%d}/[{function.version}]{worker_id}"
        self._api = RuntimeApi()
        self._current: Invocation | None = None
        self._started = time.monotonic()
        self._init_ms: float | None = None
        log = self._tmp.with_suffix(".log")
        self._log = log.open("a+b")  # append: the process goes on at the new end when we empty the file
        log.unlink()
        self._process: subprocess.Popen[bytes] = context.spawn(
            [sys.executable, "-m", "awslambdaric", function.handler],
            env=self._environment(task_root),
            cwd=task_root,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._watch, name=f"lambda-{function.name}", daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def invoke(self, event: bytes, timeout_seconds: float, client_context: str | None) -> Outcome:
        """Run one event. A timeout kills the process; `alive` says whether the worker can be used again."""
        invocation = Invocation(
            str(uuid.uuid4()), event, self.function.arn, timeout_seconds, client_context=client_context
        )
        cold = self._current is None
        self._current = invocation
        if cold:
            self._await_init(invocation)
        started = time.monotonic()
        self._api.submit(invocation)
        if not self.alive:
            self._resolve_as_ended(invocation)
        timed_out = False
        try:
            result = invocation.result.result(timeout_seconds)
        except FutureTimeout:
            result, timed_out = self._time_out(invocation, timeout_seconds), True
        duration_ms = 1000 * (time.monotonic() - started)
        if not result.is_error and len(result.payload) > MAX_RESPONSE_BYTES:
            result = _error(
                "Function.ResponseSizeTooLarge",
                f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).",
            )
        report = Report(
            request_id=invocation.request_id,
            status="timeout" if timed_out else "error" if result.is_error else "success",
            duration_ms=duration_ms,
            init_ms=self._init_ms if cold else None,
            timeout_seconds=timeout_seconds,
        )
        return Outcome(invocation.request_id, result, duration_ms, self._write_log(report))

    def close(self) -> None:
        """End the process and forget its /tmp."""
        self._context.terminate(self._process, grace_seconds=2)
        self._api.close()
        self._log.close()
        shutil.rmtree(self._tmp, ignore_errors=True)

    def _environment(self, task_root: Path) -> dict[str, str]:
        function = self.function
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html: the reserved ones win.
        return {
            **self._context.child_env(),
            **dict(function.environment),
            "_HANDLER": function.handler,
            "AWS_DEFAULT_REGION": function.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": function.version,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": function.log_format,
            **({"AWS_LAMBDA_LOG_LEVEL": function.log_level} if function.log_level else {}),
            "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self._log_stream,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_REGION": function.region,
            "LAMBDA_TASK_ROOT": str(task_root),
            "PYTHONPATH": str(task_root),  # third-party packages come from this interpreter
            "TMPDIR": str(self._tmp),
            "TZ": ":UTC",
        }

    def _watch(self) -> None:
        self._process.wait()
        self._api.initialised.set()  # it never will be: let who waits for it look at the process
        if self._current is not None:
            self._resolve_as_ended(self._current)

    def _await_init(self, invocation: Invocation) -> None:
        if not self._api.initialised.wait(_INIT_SECONDS):
            self._kill()
            text = f"Init timed out after {_INIT_SECONDS:.2f} seconds"
            invocation.resolve(
                _error("Sandbox.Timedout", f"RequestId: {invocation.request_id} Error: {text}")
            )
        self._init_ms = 1000 * (time.monotonic() - self._started)

    def _resolve_as_ended(self, invocation: Invocation) -> None:
        if self._api.init_error is not None:
            invocation.resolve(Result(self._api.init_error, is_error=True))
            return
        code = self._process.wait()
        if code == 0:
            reason = "Runtime exited without providing a reason"
        elif code < 0:
            reason = f"Runtime exited with error: signal: {(signal.strsignal(-code) or str(-code)).lower()}"
        else:
            reason = f"Runtime exited with error: exit status {code}"
        invocation.resolve(_error("Runtime.ExitError", f"RequestId: {invocation.request_id} Error: {reason}"))

    def _time_out(self, invocation: Invocation, seconds: float) -> Result:
        text = f"Task timed out after {seconds:.2f} seconds"
        invocation.resolve(_error("Sandbox.Timedout", f"RequestId: {invocation.request_id} Error: {text}"))
        self._kill()
        return invocation.result.result()

    def _kill(self) -> None:
        self._context.terminate(self._process, grace_seconds=0)

    def _write_log(self, report: Report) -> str:
        """Move what the function wrote to its log stream, framed by the platform's own; return the tail."""
        self._log.seek(0)
        written = self._log.read().decode("utf-8", "replace").splitlines()
        self._log.truncate(0)  # the process appends
        lines = framed(self.function, report, written)
        backend: Any = logs_backends[self._context.account_id][self.function.region]
        backend.ensure_log_group(self.function.log_group)
        backend.ensure_log_stream(self.function.log_group, self._log_stream)
        events = [{"timestamp": unix_time_millis(), "message": line} for line in lines]
        backend.put_log_events(self.function.log_group, self._log_stream, events)
        return base64.b64encode("\n".join(lines).encode()[-_LOG_TAIL_BYTES:]).decode()


def _error(kind: str, message: str) -> Result:
    return Result(json.dumps({"errorType": kind, "errorMessage": message}).encode(), is_error=True)
