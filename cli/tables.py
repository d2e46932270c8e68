"""Tables for a terminal: columns as wide as what stands in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

_WIDEST = 60


def lines(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "") -> Iterator[str]:
    """Lay out a table; the columns named in `right` (by words) end under each other."""
    ends = set(right.split())
    shown = [[_cut(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *shown, strict=True)]
    for row in (header, *shown):
        cells = [
            cell.rjust(width) if name in ends else cell.ljust(width)
            for name, cell, width in zip(header, row, widths, strict=True)
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def number(value: float | None) -> str:
    """Write a number with six digits that count, an integer in full."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:,.6g}"


def share(value: float) -> str:
    return f"{100 * value:.1f} %"


def counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def figure(kind: str, value: float | None) -> str:
    """Write a value of a column of this type; of a timestamp it is seconds since 1970, UTC."""
    if value is None or kind != "timestamp":
        return number(value)
    return moment(datetime.fromtimestamp(value, UTC))


def moment(time: datetime | None) -> str:
    """Write a time in UTC, to the second."""
    return "–" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _cut(cell: str) -> str:
    printable = "".join(each if each.isprintable() else "·" for each in cell)
    return printable if len(printable) <= _WIDEST else f"{printable[: _WIDEST - 1]}…"
