"""The Parquet file of a dataset version: the same rows are the same bytes, however they came."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Array
from sluice.datasets import schema
from sluice.project import Project

ROW_GROUP_ROWS = 128 * 1024


class DatasetWriter:
    """Writes rows in row groups of a fixed size, so that the bytes do not depend on how the rows came."""

    def __init__(self, path: Path, project: Project) -> None:
        self._schema = arrow_schema(project)
        self._writer = pq.ParquetWriter(path, self._schema, compression="snappy")
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self.rows = 0

    def __enter__(self) -> DatasetWriter:
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


def arrow_schema(project: Project) -> pa.Schema:
    return pa.schema([(name, schema.arrow_type(column)) for name, column in project.columns.items()])


def keys_of(rows: pa.RecordBatch, names: Sequence[str]) -> Iterator[object]:
    columns = [rows.column(rows.schema.get_field_index(name)) for name in names]
    if len(columns) == 1:
        return iter(columns[0].to_pylist())
    return zip(*(_plain(column).to_pylist() for column in columns), strict=True)


def _plain(column: Array) -> Array:
    """Timestamps as microseconds: many times quicker to make Python values of."""
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def stored_keys(dataset: Path, names: Sequence[str]) -> Iterator[object]:
    with pq.ParquetFile(dataset) as file:
        for batch in file.iter_batches(columns=list(names)):
            yield from keys_of(batch, names)


def drop(
    dataset: Path, project: Project, positions: array[int], observe: Callable[[pa.RecordBatch], None]
) -> None:
    """Write the dataset again without the rows at `positions` (ascending); `observe` is given those that are left."""
    partial = dataset.with_suffix(".partial")
    start = 0
    with pq.ParquetFile(dataset) as file, DatasetWriter(partial, project) as writer:
        for batch in file.iter_batches():
            keep = [True] * len(batch)
            for position in positions[
                bisect_left(positions, start) : bisect_left(positions, start + len(batch))
            ]:
                keep[position - start] = False
            start += len(batch)
            kept = batch.filter(pa.array(keep))
            observe(kept)
            writer.write(kept)
        writer.flush()
    partial.replace(dataset)


def sha256(dataset: Path) -> str:
    """Hash the file: the hexadecimal digits name the dataset version."""
    with dataset.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests(dataset: Path) -> tuple[str, str]:
    """Hash the file twice at once: SHA-256, by which it is named and checked, and MD5, by which DVC knows it."""
    with ThreadPoolExecutor(1, "md5") as thread:
        other = thread.submit(_md5, dataset)
        return sha256(dataset), other.result()


def _md5(dataset: Path) -> str:
    with dataset.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
