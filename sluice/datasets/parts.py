"""The rows of a dataset version from the files of its parts: of two with the same key and time the later counts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Table
from sluice.arrow import compute as pc
from sluice.datasets import dataset_file
from sluice.errors import PipelineFailed
from sluice.payloads.documents import Manifest, Part
from sluice.project import Project


def read(folder: Path, manifest: Manifest, project: Project) -> Table:
    """Read a version's rows in the order of its parts, whose files lie in `folder` as in S3 below `datasets/`.

    Raises:
        PipelineFailed: a part is missing, or is not the file that the manifest names.
    """
    tables: list[Table] = [_table(file) for file in files(folder, manifest)]
    if len(tables) == 1:
        return tables[0]
    names = tables[-1].column_names
    rows: Table = pa.concat_tables([table.select(names) for table in tables])
    key, timestamp = project.entity.key, project.entity.timestamp
    return rows if key is None or timestamp is None else newest(rows, key, timestamp)


def files(folder: Path, manifest: Manifest) -> list[Path]:
    """Find the files of a version's parts, in their order.

    Raises:
        PipelineFailed: as `read` does.
    """
    arrived = [file for file in folder.rglob("*") if file.is_file()]
    found = [_file(arrived, part) for part in manifest.parts]
    for file, part in zip(found, manifest.parts, strict=True):
        if dataset_file.sha256(file) != part.sha256:
            raise _broken(part, "its SHA-256 is another than the manifest says")
    return found


def newest(rows: Table, key: str, timestamp: str) -> Table:
    """Leave out each row that a later one with the same key and time takes the place of."""
    positions = pa.array(range(len(rows)), pa.int64())
    last: Table = (
        pa.table({"key": rows[key], "time": rows[timestamp], "at": positions})
        .group_by(["key", "time"])
        .aggregate([("at", "max")])
    )
    if len(last) == len(rows):
        return rows
    return rows.filter(pc.is_in(positions, value_set=last["at_max"].combine_chunks()))


def _table(file: Path) -> Table:
    with pq.ParquetFile(file) as parquet:  # by its name alone nobody would take it for one
        return parquet.read()


def _file(arrived: list[Path], part: Part) -> Path:
    """Find a part by the end of its key: folders above it may have been left out on the way."""
    name = part.key.rsplit("/", 1)[-1]
    there = [file for file in arrived if file.name == name]
    if len(there) != 1:
        raise _broken(part, f"{len(there)} files arrived of it")
    return there[0]


def _broken(part: Part, why: str) -> PipelineFailed:
    return PipelineFailed(
        f"the part {part.name} of the dataset is not as it was stored",
        where=part.source.uri,
        why=why,
        # What is there is not written again: an upload alone would leave it as it is.
        fix=f"restore the version before of {part.key} (artifacts bucket); or delete it, and upload that file again",
    )
