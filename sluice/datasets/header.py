"""The header of a CSV file: what its columns are called, and what a parser has to be told to read the rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sluice.column_names import normal

_LOOKED_AT_CHARACTERS = 1 << 20
_LOOKED_AT_ROWS = 100
_LOOKED_AT_TITLES = 20
_LONGEST_COMMENT = 1 << 16
_COMMENT = re.compile(r'"?(#|%|//|--|!)')
# Besides blanks: what pads a line that was saved under another delimiter than its own.
_PADDING = " \t\r\n\v\f,;|"
_NUMBER = re.compile(r"[-+(]?\.?[0-9][0-9.,:/' -]*([eE][-+]?[0-9]+)?[%)]?")
# A number that may be a column's name, and texts that are none but may stand among numbers.
_YEAR = re.compile(r"1[89]\d\d|2[01]\d\d")
_LETTER = re.compile(r"[^\W\d_]")
_NOTHING = frozenset(("na", "n/a", "nan", "null", "none", "nil", "inf", "-inf"))


@dataclass(frozen=True)
class Header:
    """The names of a file's columns, composed (NFC) and without the blanks around them.

    Empty fields at the end of every line, which some exports write, are no columns, and neither are two or more
    without a name at the end. A name may be empty: the index that pandas and R write has none.
    """

    names: tuple[str, ...]
    fields: tuple[str, ...]
    """A name for each field of a row: `names`, and stand-ins for the fields behind them."""
    lines: int
    """Lines above the first row: the header's own, blank ones, comments, and Excel's `sep=;`."""
    plain: bool
    """True: a parser that takes the first line as it stands comes to the same names and fields."""
    width: int
    """How many fields most rows have; `len(fields)`, or the rows do not fit the header."""
    unnamed: int = 0
    """How many of the fields behind the names hold something all the same."""
    titles: int = 0
    """Lines above what seems to be the header, where this one seems to be a title; 0: it does not."""


@dataclass(frozen=True)
class _Record:
    fields: list[str]
    above: int
    """Lines above it."""
    lines: int
    """Lines up to its own last one."""


def read_header(text: str, delimiter: str) -> Header:
    """Read the header from the beginning of a file; where there is none, it has one column without a name."""
    head = text[:_LOOKED_AT_CHARACTERS]
    cut_off = len(head) < len(text) or not text.endswith(("\n", "\r"))
    comments, above = _lines_above(head, delimiter)
    records = _records(head, above, delimiter) or [_Record([""], above, above)]
    if cut_off and len(records) > 2:
        records.pop()
    if comments and _is_heading(comments[-1].fields, [record.fields for record in records]):
        records.insert(0, comments[-1])
    first, rows = records[0], [record.fields for record in records[1:]]
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else len(first.fields)
    names = _names(first.fields, rows)
    fields = list(names)
    padded = width == len(first.fields) or (
        not any(len(row) == len(names) for row in rows)
        and _are_blank([row for row in rows if len(row) == width], len(names))
    )
    if width > len(names) and padded:
        # No column's name holds a NUL.
        fields += [f"\x00{position}" for position in range(len(names), width)]
    return Header(
        names=tuple(names),
        fields=tuple(fields),
        lines=first.lines,
        plain=not first.above and fields == first.fields,
        width=width,
        unnamed=sum(not _are_blank(rows, at, at + 1) for at in range(len(names), len(fields))),
        titles=_titles(records, width) if len(fields) != width or len(names) * 2 <= width else 0,
    )


def _lines_above(head: str, delimiter: str) -> tuple[list[_Record], int]:
    """Give the comments among the lines that may be above the header, and how many lines these are."""
    comments: list[_Record] = []
    for above, line in enumerate(io.StringIO(head, newline="")):
        fields = next(csv.reader([line[:_LONGEST_COMMENT]], delimiter=delimiter), [])
        # A quote that goes on in the next line is a name's.
        if _COMMENT.match(line.lstrip()) and not (line.lstrip()[0] == '"' and line.count('"') % 2):
            comments.append(_Record(fields, above, above + 1))
        elif not (_is_empty(fields) or fields == ["sep=", ""]):
            return comments, above
    # There is nothing else: they are no comments, but the header and its rows.
    return [], comments[0].above if comments else head.count("\n")


def _records(head: str, above: int, delimiter: str) -> list[_Record]:
    """Read the first records below the lines above."""
    source = io.StringIO(head, newline="")
    for _ in range(above):
        source.readline()
    reader = csv.reader(source, delimiter=delimiter)
    records: list[_Record] = []
    last = above
    # A field beyond the module's limit, such as one whose quote is never closed, is the rows' matter, not ours.
    with suppress(csv.Error):
        for fields in reader:
            if fields:
                records.append(_Record(fields, last, above + reader.line_num))
            if len(records) > _LOOKED_AT_ROWS:
                break
            last = above + reader.line_num
    return records


def _is_empty(fields: list[str]) -> bool:
    return not any(fields) or (len(fields) == 1 and not fields[0].strip())


def _is_heading(fields: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Tell whether a comment is the header itself (`#id,name`), being followed by rows and as wide as they are."""
    first, rows = below[0], below[1:]
    if Counter(map(len, below)).most_common(1)[0][0] != len(fields):
        return False
    named = _names_columns(first, rows)
    if named is not None:
        return not named
    # Nothing but text: where the first line's texts come again below it, it is a row.
    again = any(first[at] in {row[at] for row in rows if at < len(row)} for at in range(len(first)))
    return len(fields) > 1 and again


def _names_columns(fields: Sequence[str], rows: Sequence[Sequence[str]]) -> bool | None:
    """Tell whether a line is a header: names stand above columns of numbers. None: they tell nothing."""
    names = numbers = 0
    for at, field in enumerate(map(str.strip, fields)):
        cells = [row[at].strip() for row in rows if at < len(row) and row[at].strip()]
        if not cells or 5 * sum(map(_is_number, cells)) < 4 * len(cells):
            continue
        if _is_number(field):
            numbers += not _YEAR.fullmatch(field)
        else:
            names += bool(_LETTER.search(field)) and field.lower() not in _NOTHING
    return names > numbers if names or numbers else None


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _titles(records: Sequence[_Record], width: int) -> int:
    """Count the lines above the first record that names every column, if there is one below the first."""
    for place in range(1, min(len(records) - 1, _LOOKED_AT_TITLES)):
        fields = [field.strip() for field in records[place].fields]
        if len(fields) != width or not all(fields) or len(set(fields)) < width:
            continue
        rows = [record.fields for record in records[place + 1 :]]
        return records[place].above if _names_columns(fields, rows) else 0
    return 0


def _names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    names = [_name(field) for field in first]
    names[-1] = names[-1].rstrip(",;")
    while len(names) > 1 and not names[-1] and not names[-2]:
        names.pop()
    nameless = len(names) > 1 and not names[-1]
    if nameless and (len(names) < len(first) or _are_blank(rows, len(names) - 1)):
        names.pop()
    return names


def _name(field: str) -> str:
    """Without blanks, and without the quotes that a blank before them made part of the field."""
    name = field.strip()
    quoted = field != name and len(name) > 1 and name[0] == name[-1] == '"'
    return normal(name[1:-1].replace('""', '"').strip() if quoted else name)


def _are_blank(rows: Sequence[Sequence[str]], start: int, end: int | None = None) -> bool:
    return not any(field.strip(_PADDING) for row in rows for field in row[start:end])
