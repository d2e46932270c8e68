"""From a validation's result to an immutable dataset version in the artifacts bucket, with what was rejected."""

from __future__ import annotations

from dataclasses import dataclass

from sluice import keys, naming
from sluice.artifacts import Artifacts
from sluice.datasets.validation import Accepted, ValidationResult
from sluice.payloads.documents import DocumentError, DocumentSource, Manifest, Validation
from sluice.payloads.training import ValidatedDataset
from sluice.project import Project


@dataclass(frozen=True)
class Provenance:
    """What a dataset version was made from: an object version, by an execution."""

    execution: str
    source_uri: str
    version_id: str | None
    etag: str | None

    def document(self) -> DocumentSource:
        return DocumentSource(
            uri=self.source_uri, version_id=self.version_id, etag=self.etag, execution=self.execution
        )


def store(
    result: ValidationResult, project: Project, provenance: Provenance, artifacts: Artifacts
) -> ValidatedDataset:
    """Store the accepted rows under their hash, then the rejected cells and the report of this execution.

    Accepted rows that are stored already stay as they are: the same rows are the same version. Of a file that was
    refused the rejected cells and the report are stored.

    Raises:
        DataError: the file was refused; it is the result's own error.
    """
    version = None
    if isinstance(result.outcome, Accepted):
        version = _store_rows(result.outcome, result, project, provenance, artifacts)
    quarantine = None
    if result.report.rejected_rows:
        quarantine = artifacts.uri(keys.rejected(provenance.execution))
        artifacts.upload(result.quarantine, keys.rejected(provenance.execution))
    validation = _validation(version, result, provenance)
    artifacts.write(keys.validation(provenance.execution), validation.body(), "application/json")
    stored = naming.dataset_version(result.accepted().sha256)
    return ValidatedDataset(
        dataset_version=stored,
        dataset_uri=artifacts.uri(keys.dataset(stored)),
        rows=result.report.rows,
        rejected_rows=result.report.rejected_rows,
        quarantine_uri=quarantine,
        validation_report_uri=artifacts.uri(keys.validation(provenance.execution)),
    )


def _store_rows(
    accepted: Accepted,
    result: ValidationResult,
    project: Project,
    provenance: Provenance,
    artifacts: Artifacts,
) -> str:
    version = naming.dataset_version(accepted.sha256)
    if not artifacts.exists(keys.manifest(version)):
        artifacts.upload(accepted.file, keys.dataset(version))
        # Last and conditional: a version exists if and only if its manifest does.
        manifest = _manifest(version, accepted, result, project, provenance)
        artifacts.create(keys.manifest(version), manifest.body(), "application/json")
    return version


def _manifest(
    version: str, accepted: Accepted, result: ValidationResult, project: Project, provenance: Provenance
) -> Manifest:
    return Manifest(
        dataset_version=version,
        sha256=accepted.sha256,
        bytes=accepted.file.stat().st_size,
        rows=result.report.rows,
        project=project.name,
        columns={
            name: column.model_dump(mode="json", exclude_defaults=True)
            for name, column in project.columns.items()
        },
        source=provenance.document(),
    )


def _validation(version: str | None, result: ValidationResult, provenance: Provenance) -> Validation:
    error = result.error
    return Validation(
        source=provenance.document(),
        dataset_version=version,
        error=None if error is None else DocumentError(name=error.name, text=str(error)),
        **result.report.as_dict(),
    )
