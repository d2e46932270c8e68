"""ValidateDataset: an uploaded file against the contract; its accepted rows become a dataset version."""

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
from sluice.datasets.snapshots import Provenance, store
from sluice.datasets.validation import validate
from sluice.errors import UploadMisplaced
from sluice.keys import INCOMING_TRAINING
from sluice.payloads.training import ValidateDatasetInput


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.ValidatedDataset`; raise a DataError that says what is wrong with the file."""
    asked = _parse(event)
    upload = Upload(asked.bucket, asked.key, asked.version_id)
    with tempfile.TemporaryDirectory() as folder:
        result = validate(upload, project(), Path(folder))
        decided(
            "validation",
            execution=asked.execution,
            dataset_version=result.dataset_version,
            error=None if result.error is None else result.error.name,
            rows=result.report.rows,
            rejected_rows=result.report.rejected_rows,
        )
        provenance = Provenance(asked.execution, upload.where, upload.version_id, upload.etag)
        artifacts = S3Artifacts(settings().artifacts_bucket)
        return store(result, project(), provenance, artifacts).model_dump(mode="json")


def _parse(event: dict[str, Any]) -> ValidateDatasetInput:
    try:
        return ValidateDatasetInput.model_validate(event)
    except ValidationError as error:
        found = {name: event.get(name) for name in ("bucket", "key", "version_id")}
        raise UploadMisplaced(
            "the execution's input names no object",
            where="the execution's input",
            why=f"found {found}",
            fix=f'start it with {{"bucket": "…", "key": "{INCOMING_TRAINING}FILE.csv"}}',
        ) from error
