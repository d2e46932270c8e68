"""Validation: from an uploaded file to a Parquet file of the accepted rows and a list of the rejected cells.

The file is read once, as a stream, in memory that does not grow with it but for eight bytes a row (the keys'
hashes, where the project has an entity key) and eight a rejected row. It is read a second time only where rows are
ragged, and what was written is written again only where keys repeat.
"""

from __future__ import annotations

import csv
import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.datasets import schema
from sluice.datasets.duplicates import KeyIndex
from sluice.datasets.reading import RaggedRow, RaggedRows, Source, read_batches
from sluice.errors import DataRejected, NoRows, OneClassTarget
from sluice.project import Project

ROW_GROUP_ROWS = 128 * 1024
_MOST_CLASSES = 1_000
_SHOWN_REASONS = 5
_SHOWN_CHARACTERS = 80
QUARANTINE_HEADER = ("row", "column", "value", "reason")


@dataclass
class ColumnReport:
    """What was seen in one column: nulls among the rows read, rejected cells, and the accepted range."""

    type: str
    nulls: int = 0
    rejected: int = 0
    min: Any = None
    max: Any = None

    def widen(self, low: Any, high: Any) -> None:
        if low is not None:
            self.min = low if self.min is None else min(self.min, low)
            self.max = high if self.max is None else max(self.max, high)


@dataclass
class ValidationReport:
    """What became of the file. `reasons` counts rejected cells by "column: reason"."""

    rows: int = 0
    rejected_rows: int = 0
    columns: dict[str, ColumnReport] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    classes: Counter[str] = field(default_factory=Counter)

    @property
    def rejected_share(self) -> float:
        total = self.rows + self.rejected_rows
        return self.rejected_rows / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rows": self.rows,
            "rejected_rows": self.rejected_rows,
            "rejected_share": self.rejected_share,
            "reasons": dict(self.reasons.most_common()),
            "classes": dict(self.classes.most_common()),
            "columns": {
                name: {key: str(v) if isinstance(v, datetime) else v for key, v in vars(column).items()}
                for name, column in self.columns.items()
            },
        }


@dataclass(frozen=True)
class ValidationResult:
    """The accepted rows as a Parquet file, named by its SHA-256, and the rejected cells as a CSV file."""

    dataset: Path
    sha256: str
    quarantine: Path
    report: ValidationReport


def validate(source: Source, project: Project, workdir: Path, report: ValidationReport) -> ValidationResult:
    """Check `source` against the project's contract, writing into the empty folder `workdir`.

    `report` is filled on the way, so that it says how far things went when an error ends them. The quarantine file
    (`workdir`/rejected.csv) too is there after a DataRejected or OneClassTarget.

    Raises:
        DataError: the file cannot become a dataset version; the subclass and its text say why.
    """
    try:
        result = _validate(source, project, workdir, report, ragged=None)
    except RaggedRows:
        vars(report).update(vars(ValidationReport()))
        result = _validate(source, project, workdir, report, ragged=[])
    _judge(source, project, report)
    return result


def _validate(
    source: Source, project: Project, workdir: Path, report: ValidationReport, ragged: list[RaggedRow] | None
) -> ValidationResult:
    report.columns = {name: ColumnReport(column.type) for name, column in project.columns.items()}
    keys = (
        [name for name in (project.entity.key, project.entity.timestamp) if name]
        if project.entity.key
        else []
    )
    dataset, quarantine = workdir / "data.parquet", workdir / "rejected.csv"
    index = KeyIndex()
    with (
        quarantine.open("w", newline="", encoding="utf-8") as sink,
        _DatasetWriter(dataset, project) as writer,
    ):
        rejects = _Rejects(sink, report)
        read = 0
        for batch in read_batches(source, project, workdir / "upload.parquet", ragged):
            rejects.take_ragged(ragged)
            accepted = _check_batch(batch, project, rejects, report, read)
            read += len(batch)
            if keys:
                index.add(_keys(accepted, keys))
            writer.write(accepted)
            report.rows = writer.rows
        rejects.take_ragged(ragged)
        if not read and not report.rejected_rows:
            raise NoRows(
                "there is a header and no row below it",
                where=source.where,
                why="the file ends after its header",
                fix="check the export that made it and upload it again",
            )
        writer.flush()
        repeats = array("q")
        for position, first in index.repeated(_stored_keys(dataset, keys)):
            repeats.append(position)
            reason = f"duplicate of row {rejects.number_of_accepted(first)}"
            rejects.add_cell(
                rejects.number_of_accepted(position), keys[0], None, reason, kind="duplicate key"
            )
    if repeats:
        report.columns[keys[0]].rejected += len(repeats)
        report.rejected_rows += len(repeats)
        report.rows -= len(repeats)
        _drop(dataset, project, repeats, report)
    with dataset.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ValidationResult(dataset, digest, quarantine, report)


def _check_batch(
    batch: pa.RecordBatch, project: Project, rejects: _Rejects, report: ValidationReport, offset: int
) -> pa.RecordBatch:
    required = {project.target.column, project.entity.key, project.entity.timestamp}
    arrays: list[Array] = []
    bad: Array | None = None
    for name, column in project.columns.items():
        cells = batch.column(batch.schema.get_field_index(name))
        checked = schema.check(column, cells, null_values=project.data.null_values, required=name in required)
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
    accepted = pa.RecordBatch.from_arrays(arrays, schema=_arrow_schema(project))
    if bad is not None:
        rejects.close_rows(offset, bad)
        accepted = accepted.filter(pc.invert(bad))
    _observe(accepted, project, report)
    return accepted


def _observe(rows: pa.RecordBatch, project: Project, report: ValidationReport) -> None:
    for name, column in project.columns.items():
        values = rows.column(rows.schema.get_field_index(name))
        if column.type in {"integer", "number", "timestamp"}:
            range_ = pc.min_max(values)
            report.columns[name].widen(range_["min"].as_py(), range_["max"].as_py())
        if name == project.target.column and project.target.problem != "regression":
            if len(report.classes) > _MOST_CLASSES:
                continue
            for count in pc.value_counts(values).to_pylist():
                report.classes[_class_name(count["values"])] += count["counts"]


def _class_name(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Rejects:
    """Writes rejected cells down, and keeps the numbers of rejected rows to number the accepted ones."""

    def __init__(self, sink: Any, report: ValidationReport) -> None:
        # Python before 3.13 leaves a carriage return unquoted where it is no part of the line end.
        self._writer = csv.writer(sink, lineterminator="\r\n")
        self._writer.writerow(QUARANTINE_HEADER)
        self._report = report
        self._ragged = _RowNumbers()
        self._ragged_taken = 0
        self._positions = _RowNumbers()

    def take_ragged(self, ragged: list[RaggedRow] | None) -> None:
        """Write the ragged rows met since the last call."""
        for row in (ragged or [])[self._ragged_taken :]:
            self._ragged.drop(row.number)
            self._ragged_taken += 1
            self._report.rejected_rows += 1
            reason = f"{row.fields} fields, {row.expected} expected"
            self.add_cell(row.number, "", row.text, reason, kind="wrong number of fields")

    def add(self, offset: int, column: str, cells: Array, reason: str, mask: Array) -> None:
        """Write the cells of a batch that `mask` marks; the batch begins at position `offset` of those read."""
        rejected = cells.filter(mask).cast(pa.string()).to_pylist()
        for i, value in zip(pc.indices_nonzero(mask).to_pylist(), rejected, strict=True):
            self.add_cell(self._ragged.number(offset + i), column, value, reason)

    def add_cell(self, number: int, column: str, value: str | None, reason: str, kind: str = "") -> None:
        self._writer.writerow((number, column, "" if value is None else value, reason))
        key = f"{column}: {kind or reason}" if column else kind or reason
        self._report.reasons[key] += 1
        if key not in self._report.examples:
            shown = (
                value if value is None or len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…"
            )
            self._report.examples[key] = f"row {number}" + ("" if shown is None else f", {shown!r}")

    def close_rows(self, offset: int, bad: Array) -> None:
        """Count the rejected rows of a batch."""
        for i in pc.indices_nonzero(bad).to_pylist():
            self._report.rejected_rows += 1
            self._positions.drop(offset + i + 1)

    def number_of_accepted(self, position: int) -> int:
        """The number in the file of the accepted row at `position` (0 is the first accepted one)."""
        return self._ragged.number(self._positions.number(position) - 1)


class _RowNumbers:
    """Numbers (from 1) of the rows that are left when some are dropped; `drop` takes numbers in rising order."""

    def __init__(self) -> None:
        self._shifted = array("q")

    def drop(self, number: int) -> None:
        # The j-th dropped row (from 0) moves on all rows left from position number - 1 - j.
        self._shifted.append(number - 1 - len(self._shifted))

    def number(self, position: int) -> int:
        return position + 1 + bisect_right(self._shifted, position)


class _DatasetWriter:
    """Writes rows in row groups of a fixed size, so that the bytes do not depend on how the rows came."""

    def __init__(self, path: Path, project: Project) -> None:
        self._schema = _arrow_schema(project)
        self._writer = pq.ParquetWriter(path, self._schema, compression="snappy")
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self.rows = 0

    def __enter__(self) -> _DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._waiting_rows += len(batch)
        self.rows += len(batch)
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._write_groups(final=False)

    def flush(self) -> None:
        """Write what is left and close the file."""
        self._write_groups(final=True)
        self._writer.close()

    def _write_groups(self, *, final: bool) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        whole = len(table) if final else len(table) - len(table) % ROW_GROUP_ROWS
        for start in range(0, whole, ROW_GROUP_ROWS):
            group = table.slice(start, min(ROW_GROUP_ROWS, whole - start)).combine_chunks()
            self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        rest = table.slice(whole)
        self._waiting, self._waiting_rows = rest.to_batches(), len(rest)


def _arrow_schema(project: Project) -> pa.Schema:
    return pa.schema([(name, schema.arrow_type(column)) for name, column in project.columns.items()])


def _keys(rows: pa.RecordBatch, names: list[str]) -> Iterator[object]:
    columns = [rows.column(rows.schema.get_field_index(name)) for name in names]
    if len(columns) == 1:
        return iter(columns[0].to_pylist())
    return zip(*(_plain(column).to_pylist() for column in columns), strict=True)


def _plain(column: Array) -> Array:
    """Timestamps as microseconds: many times quicker to make Python values of."""
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def _stored_keys(dataset: Path, keys: list[str]) -> Iterator[object]:
    with pq.ParquetFile(dataset) as file:
        for batch in file.iter_batches(columns=keys):
            yield from _keys(batch, keys)


def _drop(dataset: Path, project: Project, positions: array[int], report: ValidationReport) -> None:
    """Write the dataset again without the rows at `positions` (ascending), and report on those that are left."""
    report.classes.clear()
    for column in report.columns.values():
        column.min = column.max = None
    partial = dataset.with_suffix(".partial")
    start = 0
    with pq.ParquetFile(dataset) as file, _DatasetWriter(partial, project) as writer:
        for batch in file.iter_batches():
            keep = [True] * len(batch)
            for position in positions[
                bisect_left(positions, start) : bisect_left(positions, start + len(batch))
            ]:
                keep[position - start] = False
            start += len(batch)
            kept = batch.filter(pa.array(keep))
            _observe(kept, project, report)
            writer.write(kept)
        writer.flush()
    partial.replace(dataset)


def _judge(source: Source, project: Project, report: ValidationReport) -> None:
    if report.rejected_rows and (not report.rows or report.rejected_share > project.data.max_rejected_share):
        shown = [
            f"{reason} ({count:,} ×, first {report.examples[reason]})"
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
    if project.target.problem == "regression" or project.target.column not in project.columns:
        return
    present = [name for name, count in report.classes.items() if count > 0]
    if len(present) < 2:
        raise OneClassTarget(
            f"every row has the same target: {project.target.column} = {present[0]!r}",
            where=f"{source.where}, column {project.target.column!r}",
            why=f"a {project.target.problem} model needs at least two classes",
            fix="upload rows of every class; the export may be filtered",
        )
