"""What a Distributed Map gives: the results of its children, as an array or as files in S3."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.credentials import StateCredentials
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

from local.stepfunctions import failures
from local.stepfunctions.interpreter import iso_time

RESULT_WRITER_FAILED = "States.ResultWriterFailed"


def results(children: Iterable[Any], transformation: str) -> list[Any]:
    """The result of each child in order; one that failed takes its place with its status, error and cause.

    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
    """
    given: list[Any] = []
    for child in children:
        if transformation == "NONE":
            given.append(record(child))
        elif child.status != "SUCCEEDED":
            given.append(_without_none(Status=child.status, Error=child.error, Cause=child.cause))
        elif transformation == "FLATTEN" and isinstance(child.output, list):
            given.extend(child.output)
        else:
            given.append(child.output)
    return given


def record(child: Any) -> dict[str, Any]:
    """A child execution as the result files tell of it."""
    if child.execution is None:
        return {"Input": child.text, "InputDetails": {"Included": True}, "Status": child.status}
    succeeded = child.status == "SUCCEEDED"
    return _without_none(
        Cause=child.cause,
        Error=child.error,
        ExecutionArn=child.execution.exec_arn,
        Input=child.text,
        InputDetails={"Included": True},
        Name=child.execution.name,
        Output=_text(child.output) if succeeded else None,
        OutputDetails={"Included": True},
        RedriveCount=0,
        RedriveStatus="NOT_REDRIVABLE" if succeeded else "REDRIVABLE_BY_MAP_RUN",
        RedriveStatusReason="Execution is SUCCEEDED and cannot be redriven" if succeeded else None,
        StartDate=iso_time(child.execution.start_date),
        StateMachineArn=child.execution.state_machine.arn,
        Status=child.status,
        StopDate=iso_time(child.execution.stop_date),
    )


def write(place: Mapping[str, Any], run: Any, transformation: str, env: Any) -> dict[str, Any]:
    """Write the result files and their manifest to a Bucket and Prefix; gives the state's result.

    Raises:
        FailureEventException: States.ResultWriterFailed: S3 refused; nothing is known to be written.
    """
    details = env.aws_execution_details
    client = boto_client_for(
        service="s3",
        region=details.region,
        state_credentials=StateCredentials(role_arn=details.role_arn),
    )
    bucket, prefix = place["Bucket"], place.get("Prefix", "")
    separator = "/" if prefix and not prefix.endswith("/") else ""
    folder = f"{prefix}{separator}{run.map_run_arn.rsplit(':', 1)[-1]}"
    files: dict[str, list[dict[str, Any]]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    try:
        for kind, children in _by_kind(run.children).items():
            entries = results(children, transformation if kind == "SUCCEEDED" else "NONE")
            body = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
            key = f"{folder}/{kind}_0.json"
            client.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
            files[kind].append({"Key": key, "Size": len(body)})
        manifest = {"DestinationBucket": bucket, "MapRunArn": run.map_run_arn, "ResultFiles": files}
        key = f"{folder}/manifest.json"
        client.put_object(
            Bucket=bucket, Key=key, Body=json.dumps(manifest).encode(), ContentType="application/json"
        )
    except (BotoCoreError, ClientError) as error:
        raise failures.raising(failures.task_failure(env, RESULT_WRITER_FAILED, str(error))) from error
    run.results_written = True
    return {"MapRunArn": run.map_run_arn, "ResultWriterDetails": {"Bucket": bucket, "Key": key}}


def _by_kind(children: Sequence[Any]) -> dict[str, list[Any]]:
    """The children of each file: what failed, timed out and was aborted shares one."""
    kinds: dict[str, list[Any]] = {}
    for child in children:
        kind = child.status if child.status in ("SUCCEEDED", "PENDING") else "FAILED"
        kinds.setdefault(kind, []).append(child)
    return kinds


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
