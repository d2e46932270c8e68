"""Uploads for the tests of validation: a project in a line, a file, and what became of it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.datasets.quarantine import HEADER
from sluice.datasets.reading import LocalFile
from sluice.datasets.report import ValidationReport
from sluice.datasets.validation import validate
from sluice.errors import DataError
from sluice.project import Project

Row = tuple[Any, ...]
Columns = Mapping[str, Mapping[str, Any]]

ID_AND_Y: Columns = {"id": {"type": "integer"}, "y": {"type": "string"}}


def a_project(
    columns: Columns = ID_AND_Y,
    *,
    target: str = "y",
    problem: str = "regression",
    entity: Mapping[str, str] | None = None,
    **data: Any,
) -> Project:
    """Make a project of these columns. Regression by default, for which a target may be one value only."""
    positive = {"positive": "yes"} if problem == "binary" else {}
    return Project.model_validate(
        {
            "project": {"name": "test"},
            "data": {"max_rejected_share": 1.0} | data,
            "entity": entity or {},
            "target": {"column": target, "problem": problem} | positive,
            "columns": columns,
            "features": {"categorical": [name for name in columns if name != target] or ["made"]},
        }
    )


@dataclass(frozen=True)
class Accepted:
    """What became of an upload that was accepted."""

    rows: list[Row]
    quarantine: list[tuple[int, str, str, str]]
    report: ValidationReport
    sha256: str
    schema: pa.Schema

    @property
    def rejected(self) -> list[int]:
        """The numbers of the rejected rows."""
        return sorted({number for number, *_ in self.quarantine})


def write(folder: Path, content: str | bytes | pa.Table, name: str | None = None) -> LocalFile:
    """Write an upload: text and bytes as a CSV, a table as Parquet, unless the name says otherwise."""
    path = folder / (name or ("upload.parquet" if isinstance(content, pa.Table) else "upload.csv"))
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return LocalFile(path)


def accept(
    folder: Path, content: str | bytes | pa.Table, project: Project | None = None, name: str | None = None
) -> Accepted:
    """Validate an upload that is expected to be accepted, in a work folder that is empty at first."""
    workdir = _empty(folder / "work")
    result = validate(write(folder, content, name), project or a_project(), workdir)
    accepted = result.accepted()
    assert sorted(path.name for path in workdir.iterdir()) == ["data.parquet", "rejected.csv"]
    with pq.ParquetFile(accepted.file) as file:
        table = file.read()
    return Accepted(
        rows=list(zip(*(column.to_pylist() for column in table.columns), strict=True)),
        quarantine=quarantine(result.quarantine),
        report=result.report,
        sha256=accepted.sha256,
        schema=table.schema,
    )


def refuse(
    folder: Path,
    content: str | bytes | pa.Table,
    project: Project | None = None,
    name: str | None = None,
) -> DataError:
    """Validate an upload that is expected to be refused, and give the error without the folder in its texts."""
    return refused(folder, content, project, name)[0]


def refused(
    folder: Path,
    content: str | bytes | pa.Table,
    project: Project | None = None,
    name: str | None = None,
) -> tuple[DataError, ValidationReport]:
    """As `refuse`, with the report on what was seen before the error."""
    result = validate(write(folder, content, name), project or a_project(), _empty(folder / "work"))
    error = result.error
    assert error is not None
    with pytest.raises(type(error)):
        result.accepted()
    assert error.where.startswith(str(folder))
    error.where = error.where.removeprefix(f"{folder}/")
    assert str(folder) not in str(error)
    return error, result.report


def quarantine(path: Path) -> list[tuple[int, str, str, str]]:
    """Read rejected.csv as (row, column, value, reason)."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == HEADER
    return [(int(number), column, value, reason) for number, column, value, reason in rows]


def _empty(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    return folder
