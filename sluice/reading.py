"""An uploaded file as a stream of record batches, or the reason why it is none."""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from sluice.errors import EmptyFile, SchemaMismatch, UnreadableFile
from sluice.header import Header, read_header
from sluice.project import Project

_BLOCK_BYTES = 4 * 1024**2
_HEAD_BYTES = 64 * 1024
_BATCH_ROWS = 64 * 1024
_COPY_BYTES = 8 * 1024**2

_MAGIC = {
    b"\x1f\x8b": ("a gzip file", "unpack it (gunzip)"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or export the sheet as CSV"),
    b"BZh": ("a bzip2 file", "unpack it (bunzip2)"),
    b"\xfd7zXZ": ("an xz file", "unpack it (unxz)"),
    b"\x28\xb5\x2f\xfd": ("a zstd file", "unpack it (zstd -d)"),
    b"PAR1": ("a Parquet file", "name it .parquet"),
    b"\xff\xfe": ("UTF-16 text", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16 text", "save it as UTF-8"),
}


class Source(Protocol):
    """A file that can be opened more than once. `where` is what people are told, `suffix` is lower case."""

    @property
    def where(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    def open(self) -> BinaryIO: ...


@dataclass(frozen=True)
class LocalFile:
    """A source on this machine."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    def open(self) -> BinaryIO:
        return self.path.open("rb")


@dataclass(frozen=True)
class RaggedRow:
    """A row whose number of fields is not the header's; `number` 1 is the first row under the header."""

    number: int
    fields: int
    expected: int
    text: str


class RaggedRows(Exception):
    """There are ragged rows, and parallel reading cannot number them."""


def read_batches(
    source: Source, project: Project, spool: Path, ragged: list[RaggedRow] | None
) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows with the project's columns, in its order. CSV cells are strings or null.

    With a list for `ragged`, a CSV is read in order and rows with too few or too many fields are put there instead
    of among the batches, no later than the batch that follows them. With None it is read in parallel.
    `spool` is a free path for a local copy of a Parquet file.

    Raises:
        EmptyFile, UnreadableFile, SchemaMismatch: nothing can be had from the file.
        RaggedRows: read in parallel, and there are ragged rows.
    """
    with source.open() as stream:
        head = stream.read(_HEAD_BYTES)
    if not head.strip():
        raise EmptyFile(
            f"the file holds {len(head)} bytes" + (" of white space" if head else ""),
            where=source.where,
            why="nothing was written, or the upload was cut off",
            fix="check the file where it was made and upload it again",
        )
    if source.suffix == ".parquet":
        return _parquet_batches(source, project, spool)
    _refuse_other_formats(head, source)
    header = _csv_header(head, source, project)
    _check_header(header.names, source, project)
    return _csv_batches(source, project, header, ragged)


def _refuse_other_formats(head: bytes, source: Source) -> None:
    for magic, (what, fix) in _MAGIC.items():
        if head.startswith(magic):
            raise UnreadableFile(
                f"the file is {what}, not CSV",
                where=source.where,
                why=f"it begins with the bytes {magic.hex(' ')}",
                fix=f"{fix} and upload it again",
            )


def _csv_header(head: bytes, source: Source, project: Project) -> Header:
    try:
        # A character cut in two at the end of the head is no mistake of the file's.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        raise _not_utf8(source, error.start, head[error.start]) from error
    return read_header(text, project.data.delimiter)


def _check_header(found: Sequence[str], source: Source, project: Project) -> None:
    expected = list(project.columns)
    twice = sorted({name for name in found if found.count(name) > 1})
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if not (twice or missing or extra):
        return
    faults = []
    if twice:
        faults.append(f"there more than once: {_names(twice)}")
    if missing:
        faults.append(f"missing: {_names(missing, extra)}")
    if extra:
        faults.append(f"not in project.toml: {_names(extra, missing)}")
    fix = "rename or remove columns in the file, or describe them under [columns] in project.toml"
    if len(found) == 1 and len(expected) > 1 and source.suffix != ".parquet":
        others = [mark for mark in ",;\t|" if mark in found[0] and mark != project.data.delimiter]
        if others:
            fix = f"the whole header is one column: set data.delimiter = {others[0]!r} in project.toml"
    raise SchemaMismatch(
        f"the columns are not the project's ({'; '.join(faults)})",
        where=f"{source.where}, header",
        why=f"found {_names(found)}; expected {_names(expected)}",
        fix=fix,
    )


def _names(names: Sequence[str], candidates: Sequence[str] = (), most: int = 12) -> str:
    shown = []
    for name in names[:most]:
        close = difflib.get_close_matches(name, candidates, n=1, cutoff=0.8)
        shown.append(f"{name!r} (is it {close[0]!r}?)" if close else repr(name))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + more


def _csv_batches(
    source: Source, project: Project, header: Header, ragged: list[RaggedRow] | None
) -> Iterator[pa.RecordBatch]:
    def on_ragged(row: Any) -> Literal["skip", "error"]:
        if ragged is None:
            return "error"
        # pyarrow numbers rows from 1; the lines above the first row count.
        above = 1 if header.plain else header.lines
        ragged.append(RaggedRow(row.number - above, row.actual_columns, row.expected_columns, row.text))
        return "skip"

    columns = list(project.columns)
    with source.open() as stream:
        try:
            reader = pa.csv.open_csv(
                stream,
                read_options=pa.csv.ReadOptions(
                    block_size=_BLOCK_BYTES,
                    use_threads=ragged is None,
                    column_names=None if header.plain else list(header.fields),
                    skip_rows=0 if header.plain else header.lines,
                ),
                parse_options=pa.csv.ParseOptions(
                    delimiter=project.data.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=on_ragged,
                ),
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    include_columns=columns,
                    null_values=list(project.data.null_values),
                    strings_can_be_null=True,
                ),
            )
            yield from reader
        except pa.ArrowInvalid as error:
            raise _explain_csv(error, source, ragged) from error


def _explain_csv(error: pa.ArrowInvalid, source: Source, ragged: list[RaggedRow] | None) -> Exception:
    text = str(error)
    if "Expected" in text and "columns, got" in text and ragged is None:
        return RaggedRows()
    if "invalid UTF8" in text:
        offset, value = _first_bad_byte(source.open)
        return _not_utf8(source, offset, value)
    return UnreadableFile(
        "the file cannot be parsed as CSV",
        where=source.where,
        why=text,
        fix='look for a quotation mark that is never closed; inside quotes it is written twice ("")',
    )


def _first_bad_byte(open_source: Callable[[], BinaryIO]) -> tuple[int, int]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with open_source() as stream:
        while True:
            chunk = stream.read(_COPY_BYTES)
            held = decoder.getstate()[0]
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return offset - len(held) + error.start, error.object[error.start]
            if not chunk:
                raise AssertionError("pyarrow found bytes that are not UTF-8 and Python did not")
            offset += len(chunk)


def _not_utf8(source: Source, offset: int, value: int) -> UnreadableFile:
    return UnreadableFile(
        "the file is not UTF-8 text",
        where=f"{source.where}, byte {offset:,}",
        why=f"the byte 0x{value:02x} there begins no UTF-8 character; the file may be Latin-1 or Windows-1252",
        fix="convert it (iconv -f WINDOWS-1252 -t UTF-8 FILE) and upload it again",
    )


def _parquet_batches(source: Source, project: Project, spool: Path) -> Iterator[pa.RecordBatch]:
    # Parquet's directory is at the end of the file, so it cannot be read from a stream.
    with source.open() as stream, spool.open("wb") as copy:
        while chunk := stream.read(_COPY_BYTES):
            copy.write(chunk)
    try:
        file = pq.ParquetFile(spool)
        _check_header(file.schema_arrow.names, source, project)
        yield from file.iter_batches(_BATCH_ROWS, columns=list(project.columns))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise UnreadableFile(
            "the file is no readable Parquet file",
            where=source.where,
            why=f"{error} ({spool.stat().st_size:,} bytes)",
            fix="it may be cut off or another format under this name: write and upload it again",
        ) from error
    finally:
        spool.unlink()
