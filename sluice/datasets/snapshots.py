"""From a validation's result to an immutable dataset version in the artifacts bucket, with what was rejected."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sluice import keys, naming
from sluice.arrow import compute as pc
from sluice.artifacts import Artifacts
from sluice.datasets import current, statistics
from sluice.datasets.current import NewPart, Placed
from sluice.datasets.validation import Accepted, ValidationResult
from sluice.errors import DataError
from sluice.payloads.documents import (
    Appended,
    DocumentError,
    DocumentSource,
    Lineage,
    Manifest,
    Part,
    Uploaded,
    Validation,
)
from sluice.payloads.training import ValidatedDataset
from sluice.project import Project

# A clock may be ahead, and a time zone may be another than UTC.
_AHEAD = timedelta(days=1)


@dataclass(frozen=True)
class Provenance:
    """What a part was made from: an object version, by an execution."""

    execution: str
    source_uri: str
    version_id: str | None
    etag: str | None
    uploaded: Uploaded = field(default_factory=Uploaded)

    def document(self) -> DocumentSource:
        return DocumentSource(
            uri=self.source_uri, version_id=self.version_id, etag=self.etag, execution=self.execution
        )


def store(
    result: ValidationResult,
    project: Project,
    provenance: Provenance,
    artifacts: Artifacts,
    *,
    append: bool = False,
    now: datetime | None = None,
) -> ValidatedDataset:
    """Store the accepted rows under their hash, then the rejected cells and the report of this execution.

    The rows are the table from then on, or a part of it. Rows that are stored already stay as they are: the same rows
    are the same version. Of a file that was refused the rejected cells and the report are stored, and the table is
    as it was.

    With `append` the rows come to those that are there, and do not take their place. `now` is the moment they are
    accepted; by default the clock's.

    Raises:
        DataError: the file was refused; it is the result's own error, or NotAppendable.
    """
    now = now or datetime.now(UTC)
    outcome: Placed | DataError
    future, part = 0, None
    if isinstance(result.outcome, Accepted):
        part = _part(result.outcome, result, project, provenance, now)
        future = _future_rows(result.outcome.file, part, project, now)
        place = current.append if append else current.replace
        try:
            lineage = _lineage(part, result, project, provenance, now)
            outcome = place(NewPart(part, result.outcome.file, lineage), project, artifacts)
        except DataError as error:
            outcome = error
    else:
        outcome = result.outcome
    quarantine = None
    if result.report.rejected_rows:
        quarantine = artifacts.uri(keys.rejected(provenance.execution))
        artifacts.upload(result.quarantine, keys.rejected(provenance.execution))
    appended = None
    if append and part is not None and isinstance(outcome, Placed):
        appended = _appended(outcome, part)
    validation = _validation(outcome, result, provenance, future, appended)
    artifacts.write(keys.validation(provenance.execution), validation.body(), "application/json")
    if isinstance(outcome, DataError):
        raise outcome
    return ValidatedDataset(
        **_places(outcome.manifest, artifacts),
        rows=result.report.rows,
        rejected_rows=result.report.rejected_rows,
        quarantine_uri=quarantine,
        validation_report_uri=artifacts.uri(keys.validation(provenance.execution)),
    )


def found(version: str | None, artifacts: Artifacts) -> ValidatedDataset:
    """Answer with a dataset version that stands already; the current one where none is named.

    Raises:
        NoDataset: there is none.
        PartMissing: somebody deleted a part of it.
    """
    manifest = current.find(version, artifacts)
    current.check_parts(manifest, artifacts)
    return ValidatedDataset(
        **_places(manifest, artifacts),
        rows=manifest.rows,
        rejected_rows=0,
        quarantine_uri=None,
        validation_report_uri=None,
    )


def _places(manifest: Manifest, artifacts: Artifacts) -> dict[str, str]:
    version = manifest.dataset_version
    return {
        "dataset_version": version,
        "manifest_uri": artifacts.uri(keys.manifest(version)),
        "parts_uri": artifacts.uri(keys.parts(version)),
    }


def _part(
    accepted: Accepted, result: ValidationResult, project: Project, provenance: Provenance, now: datetime
) -> Part:
    times = result.report.columns.get(project.entity.timestamp or "")
    return Part(
        name=naming.dataset_version(accepted.sha256),
        sha256=accepted.sha256,
        md5=accepted.md5,
        bytes=accepted.file.stat().st_size,
        rows=result.report.rows,
        source=provenance.document(),
        accepted=now,
        first_event=None if times is None else times.min,
        last_event=None if times is None else times.max,
    )


def _lineage(
    part: Part, result: ValidationResult, project: Project, provenance: Provenance, now: datetime
) -> Lineage:
    report = result.report
    drawn, columns = statistics.of(report, project)
    return Lineage(
        part=part.name,
        project=project.name,
        source=provenance.document(),
        uploaded=provenance.uploaded,
        accepted=now,
        rows_read=report.rows + report.rejected_rows,
        rejected_rows=report.rejected_rows,
        reasons=dict(report.reasons.most_common()),
        rows=report.rows,
        columns=current.contract(project),
        drawn=drawn,
        statistics=columns,
    )


def _future_rows(file: Path, part: Part, project: Project, now: datetime) -> int:
    """Count the rows that happen more than a day from now."""
    timestamp = project.entity.timestamp
    latest = now.astimezone(UTC).replace(tzinfo=None) + _AHEAD
    if timestamp is None or part.last_event is None or part.last_event <= latest:
        return 0
    limit = pa.scalar(latest, pa.timestamp("us"))
    with pq.ParquetFile(file) as parquet:
        return sum(
            pc.sum(pc.greater(rows.column(0), limit)).as_py() or 0
            for rows in parquet.iter_batches(columns=[timestamp])
        )


def _appended(placed: Placed, part: Part) -> Appended:
    return Appended(
        parts=len(placed.manifest.parts),
        table_rows=placed.manifest.rows,
        repeats=placed.part(part.sha256).repeats,
        began=placed.began,
        unchanged=placed.unchanged,
    )


def _validation(
    outcome: Placed | DataError,
    result: ValidationResult,
    provenance: Provenance,
    future: int,
    appended: Appended | None,
) -> Validation:
    error = outcome if isinstance(outcome, DataError) else None
    return Validation(
        source=provenance.document(),
        dataset_version=None if isinstance(outcome, DataError) else outcome.manifest.dataset_version,
        error=None if error is None else DocumentError(name=error.name, text=str(error)),
        **result.report.as_dict(),
        future_rows=future,
        appended=appended,
    )
