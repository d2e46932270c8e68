"""Reading a bounded sample of a data file: its delimiter, its header, and its cells as they stand in it."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from sluice.errors import EmptyFile, NoRows, ObjectNotFound, ProjectError, SchemaMismatch, UnreadableFile

MAX_ROWS = 1_000_000
MAX_BYTES = 512 << 20  # of Arrow memory: a wide file is sampled earlier than a narrow one
_HEAD_BYTES = 1 << 18
_DELIMITERS = (",", ";", "\t", "|")
_SIGNATURES = {
    b"\x1f\x8b": ("gzip", "gunzip -c {name} > plain.csv"),
    b"PK\x03\x04": ("a ZIP archive or an Excel workbook", "unpack it, or save the sheet as CSV (UTF-8)"),
    b"BZh": ("bzip2", "bunzip2 -c {name} > plain.csv"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "zstd -dc {name} > plain.csv"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV (UTF-8)"),
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Sample:
    """The first rows of a file.

    `table` holds one string column per CSV column, cells untouched; a Parquet file keeps its own types.
    """

    path: Path
    table: pa.Table
    delimiter: str | None
    """None: Parquet."""
    complete: bool
    """False: the file goes on after the last row of `table`."""
    malformed_rows: int
    """CSV rows with more or fewer fields than the header; they are not in `table`."""

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)


def read_sample(path: Path, *, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> Sample:
    """Read at most `max_rows` rows (and about `max_bytes`) of a CSV, TSV or Parquet file.

    Raises:
        ObjectNotFound: no such file.
        EmptyFile, NoRows: nothing in it, or a header only.
        UnreadableFile: neither UTF-8 CSV nor Parquet.
        SchemaMismatch: a column name is blank or there twice.
    """
    if not path.is_file():
        raise ObjectNotFound(f"no such file: {path}", fix="give the path of a CSV, TSV or Parquet file")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip(b"\xef\xbb\xbf \t\r\n\x00"):
        raise EmptyFile(
            f"{path.name} is empty", where=str(path), fix="give a file with a header and rows below it"
        )
    if head.startswith(b"PAR1") or path.suffix == ".parquet":
        sample = _read_parquet(path, max_rows, max_bytes)
    else:
        sample = _read_csv(path, head, max_rows, max_bytes)
    if not sample.rows:
        why = "there is a header and nothing below it"
        if sample.malformed_rows:
            why = f"none of its {sample.malformed_rows:,} rows has as many fields as the header"
        raise NoRows(
            f"{path.name} has no rows", where=str(path), why=why, fix="give a file with rows to learn from"
        )
    return sample


def _read_parquet(path: Path, max_rows: int, max_bytes: int) -> Sample:
    try:
        file = pq.ParquetFile(path)
        _check_names(file.schema_arrow.names, path)
        total = file.metadata.num_rows
        table = _take(file.iter_batches(), file.schema_arrow, max_rows, max_bytes)
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableFile(
            f"{path.name} is not a Parquet file that can be read",
            where=str(path),
            why=str(error),
            fix="write it again; a file that was cut off while copying looks like this",
        ) from error
    return Sample(path=path, table=table, delimiter=None, complete=table.num_rows == total, malformed_rows=0)


def _read_csv(path: Path, head: bytes, max_rows: int, max_bytes: int) -> Sample:
    delimiter, names = _sniff(path, _decode(path, head))
    _check_names(names, path)
    malformed = 0

    def skip(_: pacsv.InvalidRow) -> Literal["skip", "error"]:
        nonlocal malformed
        malformed += 1
        return "skip"

    try:
        with pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(block_size=4 << 20),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in names}, strings_can_be_null=False
            ),
        ) as reader:
            table = _take(reader, reader.schema, max_rows, max_bytes)
            complete = next(iter(reader), None) is None if table.num_rows <= max_rows else False
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise _not_utf8(path) from error
        raise UnreadableFile(
            f"{path.name} is not a CSV file that can be read",
            where=str(path),
            why=str(error),
            fix="look for a quote that is never closed",
        ) from error
    complete = complete and table.num_rows <= max_rows
    return Sample(
        path=path,
        table=table.slice(0, max_rows),
        delimiter=delimiter,
        complete=complete,
        malformed_rows=malformed,
    )


def _take(batches: Iterable[pa.RecordBatch], schema: pa.Schema, max_rows: int, max_bytes: int) -> pa.Table:
    """Collect batches until there are more than `max_rows` rows or `max_bytes` bytes."""
    taken: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        taken.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows > max_rows or size > max_bytes:
            break
    return pa.Table.from_batches(taken, schema)


def _decode(path: Path, head: bytes) -> str:
    for signature, (kind, command) in _SIGNATURES.items():
        if head.startswith(signature):
            raise UnreadableFile(
                f"{path.name} is {kind}, not a CSV file", where=str(path), fix=command.format(name=path.name)
            )
    if head.startswith(_UTF16) or head[:400].count(0) > len(head[:400]) // 4:
        raise _not_utf8(path, "UTF-16")
    try:
        # Incremental: the head may end within a character.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, byte=error.start) from error
    if "\x00" in text:
        raise UnreadableFile(f"{path.name} is not text: it holds NUL bytes", where=str(path))
    return text


def _not_utf8(path: Path, encoding: str = "WINDOWS-1252", byte: int | None = None) -> UnreadableFile:
    guess = "it looks like UTF-16" if encoding == "UTF-16" else "it is probably Windows-1252 or ISO 8859-1"
    at = "" if byte is None else f" (first at byte {byte:,})"
    return UnreadableFile(
        f"{path.name} is not UTF-8",
        where=str(path),
        why=f"it holds bytes that are not UTF-8{at}; {guess}",
        fix=f"iconv -f {encoding} -t UTF-8 {path.name} > {path.stem}-utf8{path.suffix}",
    )


def _sniff(path: Path, text: str) -> tuple[str, list[str]]:
    """Find the delimiter under which most rows have as many fields as the header, and the more the better."""
    best: tuple[float, str, list[str]] = (-1.0, ",", [])
    for delimiter in _DELIMITERS:
        try:
            records = [
                record for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if record
            ]
        except csv.Error as error:
            raise UnreadableFile(f"{path.name} is not CSV", where=str(path), why=str(error)) from error
        header, body = records[0], records[1:-1] or records[1:]
        agreeing = sum(len(record) == len(header) for record in body) / len(body) if body else 1.0
        score = agreeing * math.log2(len(header) + 1) if len(header) > 1 else 0.0
        if score > best[0]:
            best = (score, delimiter, header)
    return best[1], best[2]


def _check_names(names: list[str], path: Path) -> None:
    blank = [position for position, name in enumerate(names, start=1) if not name.strip()]
    if blank:
        raise SchemaMismatch(
            f"{len(blank)} of {len(names)} columns of {path.name} have no name",
            where=f"{path}, header, column {', '.join(map(str, blank[:10]))}",
            why="a column is known by its name"
            + ("; a first column without one is usually an index that pandas wrote" if blank == [1] else ""),
            fix="name it in the header, or leave the column out (pandas: to_csv(..., index=False))",
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SchemaMismatch(
            f"the header of {path.name} has {twice[0]!r} more than once",
            where=f"{path}, header",
            why=f"a column is known by its name; there more than once: {', '.join(map(repr, twice))}",
            fix="rename or remove the second one",
        )


def check_column(name: str, names: list[str], option: str, path: Path) -> None:
    """Make sure the user's `--target`, `--entity` or `--timestamp` is a column of the file.

    Raises:
        ProjectError: it is not; the message offers the nearest names.
    """
    if name in names:
        return
    lowered = {candidate.strip().lower(): candidate for candidate in names}
    near = [lowered[hit] for hit in difflib.get_close_matches(name.strip().lower(), lowered, n=3, cutoff=0.6)]
    numbers = sum(candidate.replace(".", "", 1).lstrip("-").isdigit() for candidate in names)
    why = ""
    if numbers * 2 >= len(names):
        why = "the first line looks like data, not like a header"
    raise ProjectError(
        f"{name!r} is not a column of {path.name}"
        + (f"; did you mean {' or '.join(map(repr, near))}?" if near else ""),
        where=f"{option} {name}",
        why=why,
        fix=f"one of: {', '.join(names[:40])}" + (", …" if len(names) > 40 else ""),
    )
