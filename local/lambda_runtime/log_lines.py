"""What the platform writes around a function's own lines, in the format of the function's LoggingConfig."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from moto.core.utils import utcnow

from local.lambda_runtime.function import Function


@dataclass(frozen=True)
class Report:
    """What became of one invocation. `status` is success, error or timeout; times are milliseconds."""

    request_id: str
    status: str
    duration_ms: float
    init_ms: float | None
    timeout_seconds: float


def framed(function: Function, report: Report, written: list[str]) -> list[str]:
    """The lines of one invocation's log, as they go to CloudWatch."""
    own = [line for line in written if line]  # CloudWatch refuses an empty message
    return (_json if function.log_format == "JSON" else _text)(function, report, own)


def _text(function: Function, report: Report, own: list[str]) -> list[str]:
    request = f"RequestId: {report.request_id}"
    seconds = report.timeout_seconds
    stamp = f"{utcnow():%Y-%m-%dT%H:%M:%S}Z {report.request_id}"
    note = [f"{stamp} Task timed out after {seconds:.2f} seconds"] if report.status == "timeout" else []
    figures = [
        f"REPORT {request}",
        f"Duration: {report.duration_ms:.2f} ms",
        f"Billed Duration: {math.ceil(report.duration_ms)} ms",
        f"Memory Size: {function.memory_mb} MB",
    ]
    if report.init_ms is not None:
        figures.append(f"Init Duration: {report.init_ms:.2f} ms")
    start = f"START {request} Version: {function.version}"
    return [start, *own, *note, f"END {request}", "\t".join(figures)]


def _json(function: Function, report: Report, own: list[str]) -> list[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html"""
    if function.system_log_level == "WARN":
        return own
    metrics = {
        "durationMs": round(report.duration_ms, 3),
        "billedDurationMs": math.ceil(report.duration_ms),
        "memorySizeMB": function.memory_mb,
    }
    if report.init_ms is not None:
        metrics["initDurationMs"] = round(report.init_ms, 3)
    start = {"requestId": report.request_id, "version": function.version}
    end = {"requestId": report.request_id, "metrics": metrics, "status": report.status}
    return [_platform_event("platform.start", start), *own, _platform_event("platform.report", end)]


def _platform_event(kind: str, record: Mapping[str, object]) -> str:
    time = utcnow().isoformat(timespec="milliseconds") + "Z"
    return json.dumps({"time": time, "type": kind, "record": record})
