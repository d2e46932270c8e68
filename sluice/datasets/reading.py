"""An uploaded file as a stream of record batches, or the reason why it is none."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, cast

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.column_names import normal
from sluice.datasets import signatures
from sluice.datasets.header import Header, read_header
from sluice.errors import EmptyFile, SchemaMismatch, UnreadableFile
from sluice.project import Data

_BLOCK_BYTES = 1024**2  # also what a row may take up, at most
_HEAD_BYTES = _BLOCK_BYTES
_BATCH_ROWS = 64 * 1024
_COPY_BYTES = 8 * 1024**2
_LONGEST_NAME = 80

# Of a file whose name says CSV.
_NOT_CSV = {
    signatures.PARQUET: signatures.Signature("a Parquet file", advice="name it .parquet"),
    b"\xff\xfe": signatures.Signature("UTF-16 text", advice="save it as UTF-8"),
    b"\xfe\xff": signatures.Signature("UTF-16 text", advice="save it as UTF-8"),
}


class Layout(Protocol):
    """What a reader has to know of a file; a project says it of what is uploaded."""

    @property
    def columns(self) -> Mapping[str, Any] | None:
        """By name, what the file has to hold, all of it and nothing else; None: whatever it holds."""

    @property
    def data(self) -> Data: ...


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
    """A row whose number of fields is not the header's; `number` 1 is the first row under the header.

    Rows are counted, not lines: a quoted line break is part of its row, and a blank line is none.
    """

    number: int
    fields: int
    expected: int
    text: str


class RaggedRows(Exception):
    """There are ragged rows, and parallel reading cannot number them."""


def read_batches(
    source: Source, project: Layout, spool: Path, ragged: list[RaggedRow] | None
) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows. CSV cells are strings or null; those of a Parquet file are of its types.

    Both have null for the project's null values, and for what a Parquet file holds as NaN.

    With a list for `ragged`, a CSV is read in order and rows with too few or too many fields are put there instead
    of among the batches, no later than the batch that follows them. With None it is read in parallel.
    `spool` is a free path for a local copy of a Parquet file.

    Raises:
        EmptyFile, UnreadableFile, SchemaMismatch: nothing can be had from the file.
        RaggedRows: read in parallel, and there are ragged rows.
    """
    with source.open() as stream:
        head = stream.read(_HEAD_BYTES)
    if len(head) < _HEAD_BYTES and not head.removeprefix(codecs.BOM_UTF8).strip():
        raise EmptyFile(
            "the file holds nothing but white space" if head else "the file holds 0 bytes",
            where=source.where,
            why="nothing was written, or the upload was cut off",
            fix="check the file where it was made, and try again",
        )
    _refuse_other_formats(head, source)
    if source.suffix == ".parquet":
        return _parquet_batches(source, project, spool)
    _refuse_no_csv(head, source)
    header = _csv_header(head, source, project)
    _check_header(header.names, source, project)
    return _csv_batches(source, project, header, ragged)


def _refuse_other_formats(head: bytes, source: Source) -> None:
    kind = "Parquet" if source.suffix == ".parquet" else "CSV"
    found = signatures.recognise(head)
    if kind == "CSV" and found is None:
        found = next((each for magic, each in _NOT_CSV.items() if head.startswith(magic)), None)
    if found:
        raise UnreadableFile(
            f"the file is {found.what}, not {kind}",
            where=source.where,
            why=signatures.beginning(head),
            fix=f"{found.fix}, and try again",
        )


def _refuse_no_csv(head: bytes, source: Source) -> None:
    if b"\0" in head:
        raise UnreadableFile(
            "the file is binary or UTF-16, not CSV",
            where=f"{source.where}, byte {head.index(0):,}",
            why="it holds zero bytes, which UTF-8 text does not",
            fix="export it as CSV in UTF-8, and try again",
        )


def _csv_header(head: bytes, source: Source, project: Layout) -> Header:
    try:
        # A character cut in two at the end of the head is no mistake of the file's.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        raise _not_utf8(source, error.start, head[error.start]) from error
    lines = io.StringIO(text, newline="")
    try:
        next((row for row in csv.reader(lines, delimiter=project.data.delimiter) if row), None)
        complete = len(head) < _HEAD_BYTES or lines.tell() < len(text)
    except csv.Error:  # a field beyond the module's limit of 128 KB
        complete = False
    if not complete:
        raise UnreadableFile(
            "the first line is no header",
            where=f"{source.where}, line 1",
            why=f"it goes on for more than {min(len(head), _HEAD_BYTES):,} bytes",
            fix="look for a quotation mark in it that is never closed, or for line breaks that got lost",
        )
    return read_header(text, project.data.delimiter)


def _check_header(found: Sequence[str], source: Source, project: Layout) -> None:
    expected = list(found if project.columns is None else project.columns)
    times = Counter(found)
    twice = sorted(name for name, count in times.items() if count > 1)
    missing = [name for name in expected if name not in times]
    known = frozenset(expected)
    extra = [name for name in found if name not in known]
    if not (twice or missing or extra):
        return
    if project.columns is None:
        raise SchemaMismatch(
            f"columns are there more than once: {_names(twice)}",
            where=f"{source.where}, header",
            why="a column is known by its name",
            fix="rename or remove the others",
        )
    faults = []
    if twice:
        faults.append(f"there more than once: {_names(twice)}")
    if missing:
        faults.append(f"missing: {_names(missing, extra)}")
    if extra:
        faults.append(f"not in project.toml: {_names(extra, missing)}")
    fix = "rename or remove columns in the file, or describe them under [columns] in project.toml"
    if any("\n" in name for name in extra):
        fix = "look for a quotation mark in the header that is never closed"
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
        clipped = repr(name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…")
        shown.append(f"{clipped} (is it {close[0]!r}?)" if close else clipped)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + more


def _csv_batches(
    source: Source, project: Layout, header: Header, ragged: list[RaggedRow] | None
) -> Iterator[pa.RecordBatch]:
    def on_ragged(row: Any) -> Literal["skip", "error"]:
        if ragged is None:
            return "error"
        # pyarrow numbers rows from 1; the lines above the first row count.
        above = 1 if header.plain else header.lines
        ragged.append(RaggedRow(row.number - above, row.actual_columns, row.expected_columns, row.text))
        return "skip"

    columns = list(header.names if project.columns is None else project.columns)
    with source.open() as file:
        text = _Utf8(file, source)
        try:
            yield from pa.csv.open_csv(
                cast("Any", text),
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
                    check_utf8=False,
                    column_types=dict.fromkeys(columns, pa.string()),
                    include_columns=columns,
                    null_values=list(project.data.null_values),
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as error:
            reason = str(error)
            if ragged is None and "columns, got" in reason:
                raise RaggedRows from error
            if reason.startswith("CSV parse error: Empty CSV file"):
                return  # a header that no line break follows
            why = f"{reason}; a row may take up {_BLOCK_BYTES:,} bytes at most"
            raise _unparsable(source, _line_of_unclosed_quote(source, project), why) from error
    # pyarrow takes the end of the file for the closing mark: all rows after the opening one would be one cell.
    if text.quotes % 2 and (line := _line_of_unclosed_quote(source, project)):
        raise _unparsable(source, line)


class _Utf8(io.RawIOBase):
    """Passes a file on, counts its quotation marks, and ends it with an error where it is not UTF-8."""

    def __init__(self, file: BinaryIO, source: Source) -> None:
        self.quotes = 0
        self._file = file
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._offset = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._file.read(len(buffer))
        held = self._decoder.getstate()[0]
        if held or not chunk.isascii():
            try:
                self._decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                offset = self._offset - len(held) + error.start
                raise _not_utf8(self._source, offset, error.object[error.start]) from error
        self._offset += len(chunk)
        self.quotes += chunk.count(b'"')
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _line_of_unclosed_quote(source: Source, project: Layout) -> int | None:
    """The line (from 1) that opens a quoted field which is still open at the end of the file."""
    with source.open() as file:
        text = _Utf8(file, source)
        lines = io.TextIOWrapper(io.BufferedReader(text), "utf-8-sig", newline="")
        # The line added is a row of its own unless it ends up within quotation marks.
        rows = csv.reader(chain(lines, ["end"]), delimiter=project.data.delimiter)
        first = last = 0
        try:
            for _ in rows:
                first, last = last + 1, rows.line_num
        except csv.Error:  # a field beyond the module's limit of 128 KB: too long, or the rest of the file
            while text.read(_COPY_BYTES):
                pass
            return last + 1 if text.quotes % 2 else None
    return first if first < last else None


def _unparsable(source: Source, unclosed: int | None, why: str = "") -> UnreadableFile:
    return UnreadableFile(
        "the file cannot be parsed as CSV",
        where=f"{source.where}, line {unclosed:,}" if unclosed else source.where,
        why="a quotation mark is opened there and never closed" if unclosed else why,
        fix='look for a quotation mark that is never closed; inside quotes it is written twice ("")',
    )


def _not_utf8(source: Source, offset: int, value: int) -> UnreadableFile:
    return UnreadableFile(
        "the file is not UTF-8 text",
        where=f"{source.where}, byte {offset:,}",
        why=f"the byte 0x{value:02x} there begins no UTF-8 character; the file may be Latin-1 or Windows-1252",
        fix="convert it (iconv -f WINDOWS-1252 -t UTF-8 FILE), and try again",
    )


def _parquet_batches(source: Source, project: Layout, spool: Path) -> Iterator[pa.RecordBatch]:
    # Parquet's directory is at the end of the file, so it cannot be read from a stream.
    with source.open() as stream, spool.open("wb") as copy:
        while chunk := stream.read(_COPY_BYTES):
            copy.write(chunk)
    try:
        with pq.ParquetFile(spool) as file:
            names = list(map(normal, file.schema_arrow.names))
            _check_header(names, source, project)
            _check_types(file.schema_arrow, source)
            for batch in file.iter_batches(_BATCH_ROWS):
                cells = [_with_nulls(column, project.data.null_values) for column in batch.columns]
                yield pa.RecordBatch.from_arrays(cells, names=names)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableFile(
            "the file is no readable Parquet file",
            where=source.where,
            why=f"{error} ({spool.stat().st_size:,} bytes)",
            fix="it may be cut off or another format under this name: write it again",
        ) from error
    finally:
        spool.unlink()


def _check_types(found: pa.Schema, source: Source) -> None:
    strange = [f"{each.name!r} ({each.type})" for each in found if not is_cell(each.type)]
    if strange:
        raise SchemaMismatch(
            f"columns are of types that no contract can name: {', '.join(strange)}",
            where=f"{source.where}, schema",
            why="a cell is text, a number, true or false, a date or a timestamp",
            fix="flatten them into plain columns, or leave them out of the file",
        )


def is_cell(kind: pa.DataType) -> bool:
    """Tell whether values of an Arrow type can be cells of a column that a contract names."""
    types = pa.types
    if types.is_dictionary(kind):
        return is_cell(kind.value_type)
    tests = (
        types.is_boolean,
        types.is_integer,
        types.is_floating,
        types.is_decimal,
        types.is_timestamp,
        types.is_date,
        _is_text,
        types.is_null,
    )
    return any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _with_nulls(cells: Array, null_values: Sequence[str]) -> Array:
    """Plain cells of a Parquet column: no dictionary, one type for text, null for NaN and for null values."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if pa.types.is_floating(cells.type):
        return pc.if_else(pc.is_nan(cells), pa.scalar(None, cells.type), cells)
    if not _is_text(cells.type):
        return cells
    text = cells.cast(pa.string())
    text.validate(full=True)
    null = pc.is_in(text, pa.array(list(null_values), pa.string()))
    return pc.if_else(null, pa.scalar(None, pa.string()), text)
