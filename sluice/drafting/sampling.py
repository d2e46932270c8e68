"""Reading a bounded sample of a data file: its delimiter, its header, and its cells as they stand in it."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from sluice.column_names import normal
from sluice.datasets import signatures
from sluice.datasets.header import Header, read_header
from sluice.errors import EmptyFile, NoRows, ObjectNotFound, ProjectError, SchemaMismatch, UnreadableFile

MAX_ROWS = 1_000_000
MAX_BYTES = 512 << 20  # of Arrow memory: a wide file is sampled earlier than a narrow one
_HEAD_BYTES = 1 << 18
_DELIMITERS = (",", ";", "\t", "|")
_LAST_RESORT = " "
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_VALUE = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|\?")
_WITHIN_VALUE = re.compile(r"(?<=[0-9]),(?=[0-9])|,(?= )")
# Of the rows: so many have as many fields as most, where the delimiter is the right one.
_AGREEING = 0.9
_YEAR = re.compile(r"1[89]\d\d|2[01]\d\d")


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
    header_lines: int = 1
    """Lines above the first row."""
    unnamed: int = 0
    """Fields at the end of rows that hold something and have no name; they are not in `table`."""

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
    if path.is_dir():
        raise ObjectNotFound(
            f"{path} is a folder", where=str(path), fix="give the path of one CSV, TSV or Parquet file in it"
        )
    if not path.is_file():
        raise ObjectNotFound(f"no such file: {path}", fix="give the path of a CSV, TSV or Parquet file")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip(b"\xef\xbb\xbf \t\r\n\x00"):
        raise EmptyFile(
            f"{path.name} is empty", where=str(path), fix="give a file with a header and rows below it"
        )
    found = signatures.recognise(head)
    if found:
        kind = "Parquet" if path.suffix.lower() == ".parquet" else "CSV"
        raise UnreadableFile(
            f"{path.name} is {found.what}, not a {kind} file",
            where=str(path),
            why=signatures.beginning(head),
            fix=found.command(path.name),
        )
    if signatures.is_parquet(head):
        sample = _read_parquet(path, max_rows, max_bytes)
    elif path.suffix.lower() == ".parquet":
        raise UnreadableFile(
            f"{path.name} is not a Parquet file",
            where=str(path),
            why=f"{signatures.beginning(head)}, and a Parquet file with {signatures.PARQUET.decode()}",
            fix="if it is text, call it .csv; if not, write it again",
        )
    else:
        sample = _read_csv(path, head, max_rows, max_bytes)
    if not sample.rows:
        raise NoRows(
            f"{path.name} has no rows",
            where=str(path),
            why="there is a header and nothing below it",
            fix="give a file with rows to learn from",
        )
    return sample


def _read_parquet(path: Path, max_rows: int, max_bytes: int) -> Sample:
    try:
        file = pq.ParquetFile(path)
        names = list(map(normal, file.schema_arrow.names))
        _check_names(names, path)
        total = file.metadata.num_rows
        table = _take(file.iter_batches(), file.schema_arrow, max_rows, max_bytes).rename_columns(names)
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableFile(
            f"{path.name} is not a Parquet file that can be read",
            where=str(path),
            why=str(error),
            fix="write it again; a file that was cut off while copying looks like this",
        ) from error
    return Sample(path=path, table=table, delimiter=None, complete=table.num_rows == total, malformed_rows=0)


def _read_csv(path: Path, head: bytes, max_rows: int, max_bytes: int) -> Sample:
    delimiter, header = _sniff(_decode(path, head))
    _check_header(header, path, delimiter)
    malformed = 0

    def skip(_: pacsv.InvalidRow) -> Literal["skip", "error"]:
        nonlocal malformed
        malformed += 1
        return "skip"

    try:
        with pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(
                block_size=4 << 20,
                column_names=None if header.plain else list(header.fields),
                skip_rows=0 if header.plain else header.lines,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(header.names, pa.string()),
                include_columns=list(header.names),
                strings_can_be_null=False,
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
    if malformed and not table.num_rows:
        raise _does_not_fit(path, header, malformed)
    complete = complete and table.num_rows <= max_rows
    return Sample(
        path=path,
        table=table.slice(0, max_rows),
        delimiter=delimiter,
        complete=complete,
        malformed_rows=malformed,
        header_lines=header.lines,
        unnamed=header.unnamed,
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
    if _is_utf16(head[:400]):
        raise _not_utf8(path, "UTF-16")
    if b"\x00" in head:
        raise UnreadableFile(
            f"{path.name} is not text",
            where=str(path),
            why="it holds NUL bytes",
            fix="give a CSV, TSV or Parquet file",
        )
    try:
        # Incremental: the head may end within a character.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, byte=error.start) from error
    return text


def _is_utf16(head: bytes) -> bool:
    """Tell by the mark, or by text that has a NUL on one side of every other byte."""
    nuls = head[0::2].count(0), head[1::2].count(0)
    return head.startswith(_UTF16) or (max(nuls) > len(head) // 4 and min(nuls) <= len(head) // 50)


def _not_utf8(path: Path, encoding: str = "WINDOWS-1252", byte: int | None = None) -> UnreadableFile:
    guess = "it looks like UTF-16" if encoding == "UTF-16" else "it is probably Windows-1252 or ISO 8859-1"
    at = "" if byte is None else f" (first at byte {byte:,})"
    return UnreadableFile(
        f"{path.name} is not UTF-8",
        where=str(path),
        why=f"it holds bytes that are not UTF-8{at}; {guess}",
        fix=f"iconv -f {encoding} -t UTF-8 {path.name} > {path.stem}-utf8{path.suffix}",
    )


@dataclass(frozen=True)
class _Reading:
    """The beginning of a file as it reads under a delimiter."""

    delimiter: str
    header: Header
    agreeing: float
    """The share of rows that have as many fields as most."""

    @classmethod
    def under(cls, delimiter: str, text: str) -> _Reading:
        header = read_header(text, delimiter)
        lines = islice(io.StringIO(text, newline=""), header.lines, None)
        widths: list[int] = []
        with suppress(csv.Error):  # a quote that is never closed is found when the rows are read
            widths += [len(record) for record in csv.reader(lines, delimiter=delimiter) if record]
        widths = widths[:-1] or [header.width]
        return cls(delimiter, header, widths.count(header.width) / len(widths))

    @property
    def fits(self) -> bool:
        """Whether the header and nearly all rows agree on more than one column."""
        header = self.header
        return len(header.names) > 1 and len(header.fields) == header.width and self.agreeing >= _AGREEING

    @property
    def score(self) -> tuple[bool, float]:
        """The more columns the better. A title above the header does not hide the right delimiter."""
        header = self.header
        if len(header.fields) != header.width:
            return False, self.agreeing * math.log2(header.width) / 2
        return self.fits, self.agreeing * math.log2(len(header.names))

    def commas_are_within_values(self, text: str) -> bool:
        """Tell whether no comma of the names and few of the rows separate: they are decimal, or a blank follows."""
        if any(re.search(r",(?! )", name) for name in self.header.names):
            return False
        within = len(_WITHIN_VALUE.findall(text))
        return within * 2 > text.count(",")


def _sniff(text: str) -> tuple[str, Header]:
    """Find the delimiter under which header and rows have the same number of fields, and the more the better."""
    readings = [_Reading.under(delimiter, text) for delimiter in _DELIMITERS]
    best = max(readings, key=lambda reading: reading.score)
    others = [reading for reading in readings[1:] if reading.fits and reading.commas_are_within_values(text)]
    if best.delimiter == "," and others:
        best = max(others, key=lambda reading: reading.score)
    if not best.fits:
        blanks = _Reading.under(_LAST_RESORT, text)
        best = blanks if blanks.fits or blanks.score[1] > 0 == best.score[1] else best
    return best.delimiter, best.header


def _check_header(header: Header, path: Path, delimiter: str) -> None:
    """Refuse a title in the header's place, and names that cannot be told apart."""
    if header.titles:
        raise _title(header, path)
    _check_names(header.names, path, delimiter)


def _title(header: Header, path: Path) -> SchemaMismatch:
    lines = "line" if header.titles == 1 else f"{header.titles} lines"
    return SchemaMismatch(
        f"the first {lines} of {path.name} seem{'s' if header.titles == 1 else ''} to be a title, not the header",
        where=f"{path}, line {header.lines}",
        why=f"line {header.titles + 1} names all {header.width} columns that the rows have",
        fix=f"delete the {lines} above the header: {_without_lines(header.titles, path)}",
    )


def _without_lines(lines: int, path: Path) -> str:
    return f"tail -n +{lines + 1} {shlex.quote(path.name)} > table{path.suffix}"


def _check_names(names: Sequence[str], path: Path, delimiter: str | None = None) -> None:
    blank = [position for position, name in enumerate(names, start=1) if not name.strip()]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice and delimiter is not None and _look_like_values(names):
        raise _no_header(names, path, delimiter)
    if len(blank) > 1:
        raise SchemaMismatch(
            f"{len(blank)} of {len(names)} columns of {path.name} have no name",
            where=f"{path}, header, column {', '.join(map(str, blank[:10]))}",
            why="a column is known by its name",
            fix="name them in the header, or leave the columns out",
        )
    if twice:
        raise SchemaMismatch(
            f"the header of {path.name} has {twice[0]!r} more than once",
            where=f"{path}, header",
            why=f"a column is known by its name; there more than once: {', '.join(map(repr, twice))}",
            fix="rename or remove the second one",
        )


def _look_like_values(names: Sequence[str]) -> bool:
    """Tell whether the first line is a row: a fifth of it numbers that are no years, or question marks."""
    values = [name for name in names if _VALUE.fullmatch(name.strip()) and not _YEAR.fullmatch(name.strip())]
    return bool(values) and len(values) * 5 >= len(names)


def _no_header(names: Sequence[str], path: Path, delimiter: str) -> SchemaMismatch:
    line = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return SchemaMismatch(
        f"{path.name} seems to have no header",
        where=f"{path}, line 1",
        why=f"its first line reads like a row: {line}",
        fix=f"put a line with the names of its {len(names)} columns above it:"
        f" sed '1i {delimiter.join(('NAME1', 'NAME2', '…'))}' {path.name} > with-header.csv",
    )


def _does_not_fit(path: Path, header: Header, rows: int) -> NoRows:
    fix = "delete the lines above the header, if there are any, or let the header name every column"
    if header.width == len(header.fields) + 1 > 2:
        fix = "name the first column in the header too: R writes row names without a name for them"
    return NoRows(
        f"the rows of {path.name} do not fit its header",
        where=f"{path}, line {header.lines}",
        why=f"it has {_fields(len(header.fields))}; none of the {rows:,} rows has, most have {header.width}",
        fix=fix,
    )


def _fields(count: int) -> str:
    return f"{count} field" + ("" if count == 1 else "s")


def check_column(name: str, sample: Sample, option: str) -> None:
    """Make sure the user's `--target`, `--entity` or `--timestamp` is a column of the file.

    Raises:
        ProjectError, SchemaMismatch: it is not; the message offers the nearest names, or misses a header.
    """
    names, path = sample.table.column_names, sample.path
    if normal(name) in names:
        return
    if sample.delimiter is not None and _look_like_values(names):
        raise _no_header(names, path, sample.delimiter)
    lowered = {candidate.strip().lower(): candidate for candidate in names}
    near = [lowered[hit] for hit in difflib.get_close_matches(name.strip().lower(), lowered, n=3, cutoff=0.6)]
    why, fix = "", f"one of: {', '.join(map(shown, names[:40]))}" + (", …" if len(names) > 40 else "")
    if name in [str(column[0]).strip() for column in sample.table.columns]:
        why = "it stands in the first row: the header seems to be the second line"
        fix = f"delete what is above it: {_without_lines(sample.header_lines, path)}"
    raise ProjectError(
        f"{name!r} is not a column of {path.name}"
        + (f"; did you mean {' or '.join(map(repr, near))}?" if near else ""),
        where=f"{option} {name}",
        why=why,
        fix=fix,
    )


def shown(name: str, limit: int = 60) -> str:
    """Write a column's name in a message: on one line, in quotes where it could not be told where it ends."""
    short = name if len(name) <= limit else name[: limit - 1] + "…"
    return (
        short
        if short.strip() == short and short.isprintable() and "," not in short and short
        else repr(short)
    )
