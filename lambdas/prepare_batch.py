"""PrepareBatch: the rows of a file against the contract of the model in service; those that keep to it, for a job."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lambdas.adapters import batches
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import settings
from lambdas.adapters.wire import on_the_wire
from sluice.batch.preparing import prepare
from sluice.errors import UploadMisplaced
from sluice.keys import INCOMING_BATCH
from sluice.payloads.batch import PrepareBatchInput


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.batch.PreparedBatch`; raise a DataError that says what is wrong with the file."""
    asked = _parse(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    contract = batches.contract_of(asked.model_uri, artifacts)
    upload = batches.uploaded(asked.bucket, asked.key, asked.version_id)
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(
            batches.given_file(upload, contract, by_id=asked.by_id),
            contract,
            artifacts,
            Path(folder),
            execution=asked.execution,
            instance_mb=asked.instance_mb,
            max_instances=asked.max_instances,
        )
    decided(
        "batch",
        execution=asked.execution,
        rows=prepared.rows,
        sent=prepared.sent,
        parts=len(prepared.part_rows),
        instances=prepared.instances,
    )
    return prepared.model_copy(update={"version_id": upload.version_id}).model_dump(mode="json")


def _parse(event: dict[str, Any]) -> PrepareBatchInput:
    try:
        return PrepareBatchInput.model_validate(event)
    except ValidationError as error:
        if {"bucket", "key", "version_id"}.isdisjoint(each["loc"][0] for each in error.errors()):
            raise
        given = {name: event.get(name) for name in ("bucket", "key", "version_id")}
        raise UploadMisplaced(
            "the execution's input names no object",
            where="the execution's input",
            why=f"found {given}",
            fix=f'start it with {{"bucket": "…", "key": "{INCOMING_BATCH}FILE.csv"}}',
        ) from error
