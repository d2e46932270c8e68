"""ValidateDataset: an uploaded file against the contract; its accepted rows become the table, or a part of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import project, settings
from lambdas.adapters.uploads import Upload
from lambdas.adapters.wire import on_the_wire
from sluice.artifacts import Artifacts
from sluice.datasets.snapshots import Provenance, found, store
from sluice.datasets.validation import validate
from sluice.errors import UploadMisplaced
from sluice.keys import INCOMING_EVENTS, INCOMING_TRAINING
from sluice.payloads.training import ValidateDatasetInput, ValidatedDataset

CURRENT = "current"
"""How a person calls the version that is the table now."""


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.ValidatedDataset`; raise a DataError that says what is wrong with the file.

    Without an upload it answers with a dataset version that was validated before.
    """
    asked = _parse(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    answer = _found(asked, artifacts) if asked.bucket is None else _validated(asked, artifacts)
    return answer.model_dump(mode="json")


def _found(asked: ValidateDatasetInput, artifacts: Artifacts) -> ValidatedDataset:
    answer = found(None if asked.dataset == CURRENT else asked.dataset, artifacts)
    decided("dataset", execution=asked.execution, dataset_version=answer.dataset_version, rows=answer.rows)
    return answer


def _validated(asked: ValidateDatasetInput, artifacts: Artifacts) -> ValidatedDataset:
    append = asked.mode == "append"
    place = INCOMING_EVENTS if append else INCOMING_TRAINING
    upload = Upload(str(asked.bucket), str(asked.key), asked.version_id, place)
    with tempfile.TemporaryDirectory() as folder:
        result = validate(upload, project(), Path(folder), whole=not append)
        decided(
            "validation",
            execution=asked.execution,
            dataset_version=result.dataset_version,
            error=None if result.error is None else result.error.name,
            rows=result.report.rows,
            rejected_rows=result.report.rejected_rows,
        )
        provenance = Provenance(
            asked.execution, upload.where, upload.version_id, upload.etag, upload.uploaded
        )
        return store(result, project(), provenance, artifacts, append=append)


def _parse(event: dict[str, Any]) -> ValidateDatasetInput:
    try:
        return ValidateDatasetInput.model_validate(event)
    except ValidationError as error:
        given = {name: event.get(name) for name in ("bucket", "key", "version_id", "dataset")}
        append = event.get("mode") == "append"
        place = INCOMING_EVENTS if append else INCOMING_TRAINING
        other = "" if append else ", or with {} to train on the current dataset"
        raise UploadMisplaced(
            "the execution's input names no object",
            where="the execution's input",
            why=f"found {given}",
            fix=f'start it with {{"bucket": "…", "key": "{place}FILE.csv"}}{other}',
        ) from error
