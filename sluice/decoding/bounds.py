"""How much a request may hold, whichever way it is written: asked before anything of it is made."""

from __future__ import annotations

from typing import NoReturn

from sluice.errors import RequestError

# A few bytes of Parquet, or of NPY whose cells take none, may stand for billions of cells.
MOST_ROWS = 1_000_000
MOST_CELLS = 4_000_000
MOST_BYTES = 256 * 1024 * 1024
MOST_ROW_CHARACTERS = 1024 * 1024
"""Of a row of text; a row of a training file may take up as much."""

BLOCK_CELLS = 100_000
"""Cells that are made at once: a few milliseconds, in which nobody else is answered."""

_FIX = "send the rows in several requests"


def most_rows(columns: int) -> int:
    """Give how many rows of so many values are taken."""
    return min(MOST_ROWS, MOST_CELLS // columns)


def refuse_too_many(rows: int, columns: int) -> None:
    """Raise a RequestError for too many rows, or for too many cells in them."""
    if rows > MOST_ROWS:
        raise RequestError(f"found {rows:,} rows, at most {MOST_ROWS:,} are taken", fix=_FIX)
    if rows * columns > MOST_CELLS:
        raise RequestError(
            f"found {rows:,} rows of {columns:,} values, {rows * columns:,} in all, "
            f"at most {MOST_CELLS:,} are taken",
            fix=_FIX,
        )


def refuse_too_large(size: int) -> None:
    """Raise a RequestError for more bytes than a request may be, uncompressed."""
    if size > MOST_BYTES:
        raise RequestError(f"found {size:,} bytes uncompressed, at most {MOST_BYTES:,} are taken", fix=_FIX)


def refuse_long_row(row: int) -> NoReturn:
    """Raise a RequestError for a row of text."""
    raise RequestError(f"row {row:,} is longer than {MOST_ROW_CHARACTERS:,} characters")
