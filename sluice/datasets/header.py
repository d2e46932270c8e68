"""The header of a CSV file: what its columns are called, and what a parser has to be told to read the rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

_LOOKED_AT_CHARACTERS = 1 << 20
_LOOKED_AT_ROWS = 100


@dataclass(frozen=True)
class Header:
    """The names of a file's columns, without the blanks around them.

    Empty fields at the end of every line, which some exports write, are no columns. A name may be empty: the index
    that pandas and R write has none.
    """

    names: tuple[str, ...]
    fields: tuple[str, ...]
    """A name for each field of a row: `names`, and stand-ins for the empty fields behind them."""
    lines: int
    """Lines above the first row: the header's own, blank ones, and Excel's `sep=;`."""
    plain: bool
    """True: a parser that takes the first line as it stands comes to the same names and fields."""
    width: int
    """How many fields most rows have; `len(fields)`, or the rows do not fit the header."""


def read_header(text: str, delimiter: str) -> Header:
    """Read the header from the beginning of a file; where there is none, it has one column without a name."""
    head = text[:_LOOKED_AT_CHARACTERS]
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    above, first = 0, [""]
    for record in reader:
        if _is_header(record):
            first = record
            break
        above = reader.line_num
    lines = reader.line_num
    rows = _first_rows(reader)
    if len(head) < len(text) or not text.endswith(("\n", "\r")):
        rows = rows[:-1] or rows  # the last one may be cut off
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else len(first)
    names = [_name(field) for field in first]
    while len(names) > 1 and not names[-1] and _blank_from(rows, len(names) - 1):
        names.pop()
    fields = list(names)
    fitting = any(len(row) == len(names) for row in rows)
    if (
        width > len(names)
        and not fitting
        and _blank_from([row for row in rows if len(row) == width], len(names))
    ):
        # No column's name holds a NUL.
        fields += [f"\x00{position}" for position in range(len(names), width)]
    return Header(
        names=tuple(names),
        fields=tuple(fields),
        lines=lines,
        plain=not above and fields == first,
        width=width,
    )


def _first_rows(reader: Iterator[list[str]]) -> list[list[str]]:
    rows: list[list[str]] = []
    # A field beyond the module's limit, such as one whose quote is never closed, is the rows' matter, not ours.
    with suppress(csv.Error):
        for row in islice(reader, _LOOKED_AT_ROWS):
            if row:
                rows.append(row)  # noqa: PERF401 - what was read before an error counts
    return rows


def _is_header(record: list[str]) -> bool:
    blank = not any(record) or (len(record) == 1 and not record[0].strip())
    return not blank and record != ["sep=", ""]


def _name(field: str) -> str:
    """Without blanks, and without the quotes that a blank before them made part of the field."""
    name = field.strip()
    quoted = field != name and len(name) > 1 and name[0] == name[-1] == '"'
    return name[1:-1].replace('""', '"').strip() if quoted else name


def _blank_from(rows: list[list[str]], position: int) -> bool:
    return not any(field.strip() for row in rows for field in row[position:])
