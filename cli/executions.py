"""Training executions from a client's side: upload a file, follow its execution, sum it up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cli.progress import say
from cli.stack import Stack
from sluice import keys, naming
from sluice.datasets import signatures
from sluice.errors import SluiceError

_PUT_LIMIT = 5 * 1024**3  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
_START_SECONDS = 120.0
_POLL_SECONDS = 0.25
_POLL_SECONDS_ON_AWS = 2.0  # of what an account may ask, other clients want their share
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_GetExecutionHistory.html
_PAGE_EVENTS = 1_000


class NotStarted(SluiceError):
    """The upload arrived and no execution began."""


@dataclass(frozen=True)
class Upload:
    """One object version in the uploads bucket."""

    bucket: str
    key: str
    version_id: str

    @property
    def uri(self) -> str:
        return f"{naming.uri(self.bucket, self.key)}?versionId={self.version_id}"


@dataclass
class Progress:
    """What the history of an execution says so far: seconds and answers by state, in order."""

    seconds: dict[str, float] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    entered: dict[str, datetime] = field(default_factory=dict)
    state: str = ""
    """The one that was entered last."""
    seen: int = 0
    """The id of the last event."""


def upload(
    stack: Stack,
    file: Path,
    key: str | None = None,
    place: str = keys.INCOMING_TRAINING,
    said: Mapping[str, str] | None = None,
) -> Upload:
    """Put `file` where the pipeline picks it up, by default `<place><file name>`.

    `said` are fields of `sluice.payloads.documents.Uploaded` that the object is to say of itself.
    """
    bucket = stack.output("UploadsBucketName")
    s3 = stack.client("s3")

    def start() -> bytes:
        with file.open("rb") as body:
            return body.read(4)

    key = key or place + name_with_format(file.name, start)
    more = {"Metadata": metadata(said or {})}
    if file.stat().st_size < _PUT_LIMIT:
        with file.open("rb") as body:
            version_id = s3.put_object(Bucket=bucket, Key=key, Body=body, **more)["VersionId"]
    else:
        s3.upload_file(str(file), bucket, key, ExtraArgs=more)
        version_id = s3.head_object(Bucket=bucket, Key=key)["VersionId"]
    return Upload(bucket, key, version_id)


def name_with_format(name: str, start: Callable[[], bytes]) -> str:
    """Give a file's name; where its ending says nothing (`adult.data`), one that says how it is read is added.

    Args:
        name: the file's.
        start: gives its first four bytes.
    """
    if Path(name).suffix.lower() in keys.TRAINING_SUFFIXES:
        return name
    return name + (".parquet" if signatures.is_parquet(start()) else ".csv")


def metadata(said: Mapping[str, str]) -> dict[str, str]:
    """Write what an object says of itself as its metadata, which is ASCII."""
    return {keys.SAID[name]: quote(text, safe="/:=+,.@-_ ") for name, text in said.items()}


def caller(stack: Stack) -> dict[str, str]:
    """Give who the credentials belong to, as `said`; nothing where STS does not tell, which stops no upload."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return {"by": stack.client("sts").get_caller_identity()["Arn"]}
    except (BotoCoreError, ClientError) as error:
        say(f"  the upload will not say who made it: STS does not tell ({error})")
        return {}


def execution_arn(stack: Stack, upload: Upload) -> str:
    """The ARN of the execution that EventBridge starts, or has started, for the upload."""
    machine: str = stack.output(_machine_of(upload.key))
    name = naming.execution_name(upload.bucket, upload.key, upload.version_id)
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def _machine_of(key: str) -> str:
    """Name the output with the machine that takes an upload of this key, as statemachines/intake.asl.yaml does."""
    if key.startswith(keys.INCOMING_EVENTS):
        return "EventsArn"
    return "BatchArn" if key.startswith(keys.INCOMING_BATCH) else "TrainingArn"


def follow(stack: Stack, arn: str) -> dict[str, Any]:
    """Wait for the end of the execution, telling each state on stderr, and return its summary.

    The summary holds at least `outcome`, `execution_arn`, `dataset_version`, `rows`, `rejected_rows`,
    `metrics`, `endpoint_name`, `report_uri`, `seconds` (by state) and, after a failure, `error` and `cause`.

    Raises:
        NotStarted: no such execution within two minutes.
    """
    status, progress = watch(stack, arn)
    return _summary(arn, status, progress)


def watch(stack: Stack, arn: str) -> tuple[dict[str, Any], Progress]:
    """Wait for the end of an execution, telling each state on stderr; give its description and what it went through.

    Raises:
        NotStarted: no such execution within two minutes.
    """
    sfn = stack.client("stepfunctions")
    pause = poll_seconds(stack)
    _await_start(sfn, arn, pause)
    progress = Progress()
    while True:
        status = sfn.describe_execution(executionArn=arn)
        for event in _new_events(sfn, arn, progress.seen):
            progress.seen = event["id"]
            _record(progress, event)
        if status["status"] != "RUNNING":
            return status, progress
        time.sleep(pause)


def poll_seconds(stack: Stack) -> float:
    """How long to wait between two looks."""
    return _POLL_SECONDS if stack.aws_env else _POLL_SECONDS_ON_AWS


def _await_start(sfn: Any, arn: str, pause: float) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            sfn.describe_execution(executionArn=arn)
            return
        except sfn.exceptions.ExecutionDoesNotExist:
            if time.monotonic() > deadline:
                raise NotStarted(
                    "the upload started no execution",
                    where=arn,
                    why=f"nothing of that name after {_START_SECONDS:.0f} s",
                    fix="look at the intake state machine's executions and the EventBridge rule's metrics",
                ) from None
            time.sleep(pause)


def _new_events(sfn: Any, arn: str, seen: int) -> list[dict[str, Any]]:
    """Read the events after the one with the id `seen`, oldest first: from the end back, and no further.

    Ids are 1, 2, 3 …: the newest says how many are new.
    """
    request = {"executionArn": arn, "reverseOrder": True}
    found: list[dict[str, Any]] = sfn.get_execution_history(**request, maxResults=1)["events"]
    new = found[0]["id"] - seen if found else 0
    if new <= 1:
        return found[:new]
    pages = sfn.get_paginator("get_execution_history").paginate(
        **request, PaginationConfig={"PageSize": min(new, _PAGE_EVENTS)}
    )
    found = []
    for page in pages:
        found += (event for event in page["events"] if event["id"] > seen)
        if any(event["id"] <= seen + 1 for event in page["events"]):
            break
    return sorted(found, key=lambda event: int(event["id"]))


def _record(progress: Progress, event: dict[str, Any]) -> None:
    kind = event["type"]
    if kind.endswith("StateEntered"):
        progress.state = event["stateEnteredEventDetails"]["name"]
        progress.entered[progress.state] = event["timestamp"]
    elif kind.endswith("StateExited"):
        details = event["stateExitedEventDetails"]
        name = details["name"]
        seconds = (event["timestamp"] - progress.entered[name]).total_seconds()
        progress.seconds[name] = round(seconds, 3)
        progress.outputs[name] = json.loads(details.get("output") or "null")
        if kind.startswith("TaskState"):
            say(f"  ✓ {name:<34} {seconds:6.1f} s  {_remark(name, progress.outputs[name])}".rstrip())
    elif kind == "TaskSubmitted" and progress.state == "AwaitApproval":
        say("  … waits for an approval: `sluice approvals` says how to answer")
    elif kind == "TaskFailed":
        details = event["taskFailedEventDetails"]
        say(f"  ✗ {details.get('error', 'failed')}")


def _remark(state: str, output: Any) -> str:
    payload = output.get("Payload") if isinstance(output, dict) else None
    if state == "ValidateDataset" and isinstance(payload, dict) and "rows" in payload:
        return (
            f"{payload['rows']:,} rows, {payload['rejected_rows']:,} rejected → {payload['dataset_version']}"
        )
    if state == "PrepareBatch" and isinstance(payload, dict) and "sent" in payload:
        return f"{payload['sent']:,} rows to predict, {payload['rows'] - payload['sent']:,} set aside"
    if state == "DecideGate" and isinstance(payload, dict):
        return "promoted" if payload["promote"] else "refused"
    return ""


def _summary(arn: str, status: dict[str, Any], progress: Progress) -> dict[str, Any]:
    reported = progress.outputs.get("ReportOutcome") or {}
    payload = reported.get("Payload") if isinstance(reported, dict) else None
    summary: dict[str, Any] = {
        "outcome": "Failed",
        "execution_arn": arn,
        **dict.fromkeys(
            ("dataset_version", "rows", "rejected_rows", "metrics", "endpoint_name", "report_uri")
        ),
        **((payload or {}).get("summary") or {}),
        "seconds": progress.seconds,
    }
    if status["status"] != "SUCCEEDED":
        summary["outcome"] = "Failed"
        summary["error"] = status.get("error") or status["status"]
        summary["cause"] = status.get("cause") or f"the execution is {status['status']}"
    return summary
