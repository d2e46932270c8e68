"""From a validation's result to an immutable dataset version in the artifacts bucket, with what was rejected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sluice import keys, naming
from sluice.datasets.validation import ValidationReport, ValidationResult
from sluice.errors import SluiceError
from sluice.payloads.training import ValidatedDataset
from sluice.project import Project


class Store(Protocol):
    """What is needed of the artifacts bucket. Keys are relative to it."""

    def uri(self, key: str) -> str: ...
    def exists(self, key: str) -> bool: ...
    def upload(self, file: Path, key: str) -> None: ...
    def write(self, key: str, body: bytes, media_type: str) -> None: ...
    def create(self, key: str, body: bytes, media_type: str) -> bool:
        """Write an object that must not be there yet; False where it is."""


@dataclass(frozen=True)
class Provenance:
    """What a dataset version was made from: an object version, by an execution."""

    execution: str
    source_uri: str
    version_id: str | None
    etag: str | None


def store_dataset(
    result: ValidationResult, project: Project, provenance: Provenance, store: Store
) -> ValidatedDataset:
    """Store the accepted rows under their hash, then the rejected cells and the report of this execution.

    Accepted rows that are stored already stay as they are: the same rows are the same version.
    """
    version = naming.dataset_version(result.sha256)
    if not store.exists(keys.manifest(version)):
        store.upload(result.dataset, keys.dataset(version))
        # Last and conditional: a version exists if and only if its manifest does.
        store.create(
            keys.manifest(version), _json(_manifest(result, project, provenance)), "application/json"
        )
    quarantine = store_quarantine(result.quarantine, result.report, provenance.execution, store)
    report_uri = store_report(result.report, provenance, store, dataset_version=version)
    return ValidatedDataset(
        dataset_version=version,
        dataset_uri=store.uri(keys.dataset(version)),
        rows=result.report.rows,
        rejected_rows=result.report.rejected_rows,
        quarantine_uri=quarantine,
        validation_report_uri=report_uri,
    )


def store_quarantine(file: Path, report: ValidationReport, execution: str, store: Store) -> str | None:
    """Store the rejected cells, if there are any, and give their URI."""
    if not report.rejected_rows:
        return None
    key = keys.rejected(execution)
    store.upload(file, key)
    return store.uri(key)


def store_report(
    report: ValidationReport,
    provenance: Provenance,
    store: Store,
    *,
    dataset_version: str | None = None,
    error: SluiceError | None = None,
) -> str:
    """Store validation.json: what was seen, and the dataset version made of it or the error that ended it."""
    content = {
        "source": _source(provenance),
        "dataset_version": dataset_version,
        "error": None if error is None else {"name": error.name, "text": str(error)},
        **report.as_dict(),
    }
    key = keys.validation(provenance.execution)
    store.write(key, _json(content), "application/json")
    return store.uri(key)


def _manifest(result: ValidationResult, project: Project, provenance: Provenance) -> dict[str, Any]:
    return {
        "dataset_version": naming.dataset_version(result.sha256),
        "sha256": result.sha256,
        "bytes": result.dataset.stat().st_size,
        "rows": result.report.rows,
        "project": project.name,
        "columns": {
            name: column.model_dump(exclude_defaults=True) for name, column in project.columns.items()
        },
        "source": _source(provenance),
    }


def _source(provenance: Provenance) -> dict[str, Any]:
    return {
        "uri": provenance.source_uri,
        "version_id": provenance.version_id,
        "etag": provenance.etag,
        "execution": provenance.execution,
    }


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
