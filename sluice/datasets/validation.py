"""Validation: from an uploaded file to a Parquet file of the accepted rows and a list of the rejected cells.

The file is read once, as a stream, in memory that does not grow with it but for eight bytes a row (the keys'
hashes, where the project has an entity key) and eight a rejected row. It is read a second time only where rows are
ragged, and what was written is written again only where keys repeat.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from sluice import naming
from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.datasets import dataset_file, schema
from sluice.datasets.dataset_file import DatasetWriter
from sluice.datasets.duplicates import KeyIndex
from sluice.datasets.quarantine import Rejects
from sluice.datasets.reading import RaggedRow, RaggedRows, Source, read_batches
from sluice.datasets.report import ValidationReport
from sluice.datasets.schema import Range
from sluice.datasets.stages import Behind, ahead
from sluice.errors import DataError, DataRejected, NoRows, OneClassTarget
from sluice.project import Project

_SHOWN_REASONS = 5


@dataclass(frozen=True)
class Accepted:
    """The accepted rows as a Parquet file, named by its SHA-256; DVC knows it by its MD5."""

    file: Path
    sha256: str
    md5: str


@dataclass(frozen=True)
class ValidationResult:
    """What became of a file: the accepted rows, or the error that says why there is to be no dataset version.

    Either way the report says what was seen, as far as it came, and `quarantine`, a CSV file, holds the cells that
    were rejected.
    """

    report: ValidationReport
    quarantine: Path
    outcome: Accepted | DataError

    @property
    def error(self) -> DataError | None:
        return self.outcome if isinstance(self.outcome, DataError) else None

    @property
    def dataset_version(self) -> str | None:
        """The version that the accepted rows are or become; None where the file was refused."""
        return naming.dataset_version(self.outcome.sha256) if isinstance(self.outcome, Accepted) else None

    def accepted(self) -> Accepted:
        """Give the accepted rows.

        Raises:
            DataError: there is to be no dataset version of the file.
        """
        if isinstance(self.outcome, DataError):
            raise self.outcome
        return self.outcome


def validate(source: Source, project: Project, workdir: Path, *, whole: bool = True) -> ValidationResult:
    """Check `source` against the project's contract, writing into the empty folder `workdir`.

    `whole` says that it is the whole table: then its target has to hold more than one class.
    """
    reading = _Reading(source, project, workdir, ragged=None)
    outcome: Accepted | DataError
    try:
        try:
            reading.run()
        except RaggedRows:
            reading = _Reading(source, project, workdir, ragged=[])
            reading.run()
        _judge(source, project, reading.report, whole=whole)
        outcome = Accepted(reading.dataset, *dataset_file.digests(reading.dataset))
    except DataError as error:
        outcome = error
    return ValidationResult(reading.report, reading.quarantine, outcome)


@dataclass(frozen=True)
class _Checked:
    """The accepted rows of a batch, and the ranges of their columns, where no row of it was rejected."""

    accepted: pa.RecordBatch
    ranges: dict[str, Range | None] | None


class _Reading:
    """One way through the file: reads and checks it batch by batch, then takes out the rows whose keys repeat.

    With a list for `ragged` a CSV is read in order, and rows with too few or too many fields are put there.

    Attributes:
        report: what was seen so far, also where `run` ends with an error.
    """

    def __init__(
        self, source: Source, project: Project, workdir: Path, *, ragged: list[RaggedRow] | None
    ) -> None:
        self._source = source
        self._project = project
        self._ragged = ragged
        self._spool = workdir / "upload.parquet"
        self.dataset = workdir / "data.parquet"
        self.quarantine = workdir / "rejected.csv"
        self.report = ValidationReport.of(project)

    def run(self) -> None:
        """Write dataset and quarantine.

        Raises:
            DataError: the file cannot be read as a table of the project's columns, or holds no rows.
            RaggedRows: rows are ragged, and `ragged` is no list.
        """
        entity = self._project.entity
        keys = [name for name in (entity.key, entity.timestamp) if name] if entity.key else []
        index = KeyIndex()
        with self.quarantine.open("w", newline="", encoding="utf-8") as sink:
            rejects = Rejects(sink, self.report)
            self._read(rejects, keys, index)
            repeats = self._repeats(rejects, keys, index)
        if repeats:
            self.report.columns[keys[0]].rejected += len(repeats)
            self.report.rejected_rows += len(repeats)
            self.report.rows -= len(repeats)
            self.report.forget_accepted()
            dataset_file.drop(
                self.dataset, self._project, repeats, lambda rows: self.report.observe(rows, self._project)
            )

    def _read(self, rejects: Rejects, keys: list[str], index: KeyIndex) -> None:
        read = 0
        batches = read_batches(self._source, self._project, self._spool, self._ragged)
        if self._ragged is None:
            # In order, rows that are ragged would be told of too early.
            batches = ahead(batches)
        with DatasetWriter(self.dataset, self._project) as writer:

            def keep(checked: _Checked) -> None:
                writer.write(checked.accepted)
                self.report.observe(checked.accepted, self._project, checked.ranges)

            with Behind(keep) as behind:
                for batch in batches:
                    rejects.take_ragged(self._ragged)
                    checked = self._check(batch, rejects, read)
                    read += len(batch)
                    self.report.rows += len(checked.accepted)
                    behind.put(checked)
                    if keys:
                        index.add(dataset_file.keys_of(checked.accepted, keys))
            rejects.take_ragged(self._ragged)
            if not read and not self.report.rejected_rows:
                raise NoRows(
                    "there is a header and no row below it",
                    where=self._source.where,
                    why="the file ends after its header",
                    fix="check the export that made it and upload it again",
                )
            writer.flush()

    def _repeats(self, rejects: Rejects, keys: list[str], index: KeyIndex) -> array[int]:
        """Reject all but the first of the rows that share a key; give their positions in the dataset, ascending."""
        repeats = array("q")
        for position, first in index.repeated(dataset_file.stored_keys(self.dataset, keys)):
            repeats.append(position)
            reason = f"duplicate of row {rejects.number_of_accepted(first)}"
            number = rejects.number_of_accepted(position)
            rejects.add_cell(number, keys[0], None, reason, kind="duplicate key")
        return repeats

    def _check(self, batch: pa.RecordBatch, rejects: Rejects, offset: int) -> _Checked:
        """Check a batch that begins at position `offset`."""
        project, report = self._project, self.report
        required = {project.target.column, project.entity.key, project.entity.timestamp}
        arrays: list[Array] = []
        ranges: dict[str, Range | None] = {}
        bad: Array | None = None
        for name, column in project.columns.items():
            cells = batch.column(batch.schema.get_field_index(name))
            checked = schema.check(
                column, cells, null_values=project.data.null_values, required=name in required
            )
            report.columns[name].nulls += checked.nulls
            bad_cells: Array | None = None
            for reason, mask in checked.rejections:
                mask = pc.fill_null(mask, False)
                rejects.add(offset, name, cells, reason, mask)
                bad_cells = mask if bad_cells is None else pc.or_(bad_cells, mask)
            if bad_cells is not None:
                report.columns[name].rejected += pc.sum(bad_cells).as_py()
                bad = bad_cells if bad is None else pc.or_(bad, bad_cells)
            arrays.append(checked.values)
            ranges[name] = checked.range
        accepted = pa.RecordBatch.from_arrays(arrays, schema=dataset_file.arrow_schema(project))
        if bad is None:
            return _Checked(accepted, ranges)
        rejects.close_rows(offset, bad)
        return _Checked(accepted.filter(pc.invert(bad)), None)


def _rows(numbers: Sequence[int], count: int) -> str:
    """Name the first rows of `count` cells: their numbers, and never what stands in them."""
    more = f" and {count - len(numbers):,} more" if count > len(numbers) else ""
    return f"{'row' if count == 1 else 'rows'} {', '.join(map(str, numbers))}{more}"


def _judge(source: Source, project: Project, report: ValidationReport, *, whole: bool) -> None:
    if report.rejected_rows and (not report.rows or report.rejected_share > project.data.max_rejected_share):
        shown = [
            f"{reason} ({count:,} ×, {_rows(report.rows_of[reason], count)})"
            for reason, count in report.reasons.most_common(_SHOWN_REASONS)
        ]
        total = report.rows + report.rejected_rows
        raise DataRejected(
            f"{report.rejected_rows:,} of {total:,} rows were rejected ({report.rejected_share:.1%}; "
            f"{project.data.max_rejected_share:.1%} are allowed)",
            where=source.where,
            why="; ".join(shown),
            fix="correct the rows listed in quarantine (or the contract in project.toml) and upload again",
        )
    if not whole or project.target.problem == "regression" or project.target.column not in project.columns:
        return
    present = [name for name, count in report.classes.items() if count > 0]
    if len(present) < 2:
        raise OneClassTarget(
            f"every row has the same target: {project.target.column} = {present[0]!r}",
            where=f"{source.where}, column {project.target.column!r}",
            why=f"a {project.target.problem} model needs at least two classes",
            fix="upload rows of every class; the export may be filtered",
        )
