"""What Step Functions tells of an execution that starts or ends: metrics, and the event of its status change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moto.stepfunctions.parser.api import StateMachineType

from local import metrics, service_events

# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
_METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "ABORTED": "ExecutionsAborted",
    "TIMED_OUT": "ExecutionsTimedOut",
}
_MAX_PAYLOAD_BYTES = 248 * 1024


def started(execution: Any) -> None:
    """Tell CloudWatch and EventBridge that moto's `execution` runs, even where it has ended since."""
    described = execution.to_describe_output()
    kept = ("executionArn", "stateMachineArn", "name", "startDate", "input")
    _tell(execution, "RUNNING", {name: described[name] for name in kept})


def ended(execution: Any) -> None:
    """Tell CloudWatch and EventBridge of the status that moto's `execution` has ended in."""
    described = execution.to_describe_output()
    _tell(execution, str(described["status"].value), described)


def _tell(execution: Any, status: str, described: Mapping[str, Any]) -> None:
    values = {_METRICS[status]: (1.0, "Count")}
    if described.get("stopDate") is not None:
        taken = (_epoch(described["stopDate"]) - _epoch(described["startDate"])) * 1000
        values["ExecutionTime"] = (taken, "Milliseconds")
    account, region = execution.account_id, execution.region_name
    metrics.put(account, region, "AWS/States", values, {"StateMachineArn": str(described["stateMachineArn"])})
    if execution.sm_type == StateMachineType.EXPRESS:
        return  # of these AWS tells no events
    kind, resources = "Step Functions Execution Status Change", [str(described["executionArn"])]
    service_events.emit(
        service_events.event(
            account, region, "aws.states", kind, resources, _detail(execution, status, described)
        )
    )


def _detail(execution: Any, status: str, described: Mapping[str, Any]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html"""
    text, output = described.get("input"), described.get("output")
    output_fits = _escaped(output) <= _MAX_PAYLOAD_BYTES
    input_fits = _escaped(text) + _escaped(output) <= _MAX_PAYLOAD_BYTES
    stopped = described.get("stopDate")
    return {
        "executionArn": str(described["executionArn"]),
        "stateMachineArn": str(described["stateMachineArn"]),
        "stateMachineVersionArn": getattr(execution, "version_arn", None),
        "stateMachineAliasArn": getattr(execution, "alias_arn", None),
        "name": str(described["name"]),
        "status": status,
        "startDate": int(_epoch(described["startDate"]) * 1000),
        "stopDate": None if stopped is None else int(_epoch(stopped) * 1000),
        "input": text if input_fits else None,
        "inputDetails": {"included": input_fits},
        "output": output if output_fits else None,
        "outputDetails": None if output is None else {"included": output_fits},
        "error": described.get("error"),
        "cause": described.get("cause"),
        "redriveCount": 0,
        "redriveDate": None,
        **_redrive(status),
    }


def _redrive(status: str) -> dict[str, Any]:
    """The local AWS redrives nothing; the fields say what AWS would."""
    if status in ("RUNNING", "SUCCEEDED"):
        reason = f"Execution is {status} and cannot be redriven"
        return {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}
    return {"redriveStatus": "REDRIVABLE", "redriveStatusReason": None}


def _escaped(payload: str | None) -> int:
    return 0 if payload is None else len(json.dumps(payload))


def _epoch(moment: datetime | float) -> float:
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)
