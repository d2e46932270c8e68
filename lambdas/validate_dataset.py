"""ValidateDataset: an uploaded file against the contract; its accepted rows become a dataset version."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lambdas.artifacts import Artifacts
from lambdas.settings import project, settings
from lambdas.uploads import Upload
from sluice import keys, naming
from sluice.datasets.snapshots import Provenance, Store, store_dataset, store_quarantine, store_report
from sluice.datasets.validation import ValidationReport, validate
from sluice.errors import DataError, UploadMisplaced
from sluice.payloads.training import ValidateDatasetInput


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.training.ValidatedDataset`; raise a DataError that says what is wrong with the file."""
    return validate_dataset(_parse(event), Artifacts(settings().artifacts_bucket))


def validate_dataset(request: ValidateDatasetInput, store: Store) -> dict[str, Any]:
    """Validate and store. Whatever becomes of the file, validation.json says it.

    Raises:
        DataError: the file cannot become a dataset version.
    """
    report = ValidationReport()
    provenance = Provenance(
        request.execution, naming.uri(request.bucket, request.key), request.version_id, None
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            upload = Upload(request.bucket, request.key, request.version_id)
            provenance = Provenance(request.execution, upload.where, upload.version_id, upload.etag)
            result = validate(upload, project(), Path(folder), report)
        except DataError as error:
            store_quarantine(Path(folder) / "rejected.csv", report, request.execution, store)
            store_report(report, provenance, store, error=error)
            raise
        return store_dataset(result, project(), provenance, store).model_dump()


def _parse(event: dict[str, Any]) -> ValidateDatasetInput:
    try:
        return ValidateDatasetInput.model_validate(event)
    except ValidationError as error:
        found = {name: event.get(name) for name in ("bucket", "key", "version_id")}
        raise UploadMisplaced(
            "the execution's input names no object",
            where="the execution's input",
            why=f"found {found}",
            fix=f'start it with {{"bucket": "…", "key": "{keys.INCOMING_TRAINING}FILE.csv"}}',
        ) from error
