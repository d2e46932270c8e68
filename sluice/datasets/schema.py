"""The data contract of one column: from cells as they came to typed values, and what is rejected and why."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pyarrow as pa

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.cells import FALSE_WORDS, TRUE_WORDS
from sluice.datasets.spelled import plain_texts
from sluice.project import Column

_ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}
_TRUE, _FALSE = pa.array(TRUE_WORDS), pa.array(FALSE_WORDS)
_EXACT_INTEGERS = 2.0**53
_ASCII_BLANKS = b" \t\n\v\f\r\x1c\x1d\x1e\x1f"  # what Arrow trims, as Python's str.strip does
_INT64 = range(-(2**63), 2**63)
_FIRST_MOMENT, _LAST_MOMENT = (pa.scalar(each, pa.timestamp("us")) for each in (datetime.min, datetime.max))

Range: TypeAlias = tuple[Any, Any]
_NOTHING: Range = (None, None)


@dataclass(frozen=True)
class Checked:
    """One column of a batch: typed values (null where rejected), and per reason a mask of the rejected rows.

    `range` is the least and the greatest value, None of a type without an order.
    """

    values: Array
    nulls: int
    rejections: list[tuple[str, Array]]
    range: Range | None


def arrow_type(column: Column) -> pa.DataType:
    """The type of the column in a dataset version."""
    return _ARROW_TYPES[column.type]


def check(column: Column, cells: Array, *, null_values: tuple[str, ...], required: bool) -> Checked:
    """Convert a column's cells and find those that break its contract.

    `cells` are strings, or typed values of a Parquet file; `null_values` are null already, except for those with
    blanks around them. `required` refuses nulls though the column be nullable, as for keys and the target.

    What comes of a cell depends on the cell alone, never on those it is checked with.
    """
    values, cells = _convert(column, cells, null_values)
    # Most columns of most batches pass: what only finds the rows that do not is not asked of them.
    nulls = cells.null_count
    rejections = []
    if values.null_count > nulls:
        rejections.append((_expected(column), pc.and_(pc.is_null(values), pc.is_valid(cells))))
    if nulls and not column.nullable:
        rejections.append(("empty, and the column is not nullable", pc.is_null(cells)))
    elif nulls and required:
        rejections.append(
            ("empty, and neither the target nor the key or timestamp may be", pc.is_null(cells))
        )
    found = range_of(column, values)
    rejections += _constraints(column, values, found or _NOTHING)
    return Checked(values, nulls, rejections, found)


def range_of(column: Column, values: Array) -> Range | None:
    """Give the least and the greatest value of a column's typed values; None of a type without an order."""
    if column.type not in {"integer", "number", "timestamp"}:
        return None
    bounds = pc.min_max(values)
    return bounds["min"].as_py(), bounds["max"].as_py()


def _convert(column: Column, cells: Array, null_values: tuple[str, ...]) -> tuple[Array, Array]:
    """Give the typed values (null where a cell is null or unreadable) and the cells they were made of."""
    if not pa.types.is_string(cells.type):
        values = _CAST[column.type](cells)
        if values is not None:
            return values, cells
        cells = cells.cast(pa.string())
    if column.spelling is not None:
        text = _trimmed(cells, null_values)
        return _FROM_TEXT[column.type](column, plain_texts(column.spelling, text)), text
    if column.type == "string":
        # Blanks around a value are no part of it, as they are not around a number.
        text = _trimmed(cells, null_values) if _may_hold_blanks(cells) else cells
        return text, text
    values = _cast_plain(column, cells)
    if values is not None:
        return values, cells
    text = _trimmed(cells, null_values)
    return _FROM_TEXT[column.type](column, text), text


def _cast_plain(column: Column, cells: Array) -> Array | None:
    """Cast in one go, the quick way for what is written plainly; None where cells have to be looked at."""
    if column.format is not None:
        return None
    try:
        values = cells.cast(arrow_type(column))
    except pa.ArrowInvalid:
        return None
    # Arrow also takes hexadecimal integers for one, and `nan` and `inf` for numbers.
    if column.type == "number":
        return values if _are_finite(values) else None
    if column.type != "integer":
        return _within_calendar(values) if column.type == "timestamp" else values
    data = cells.buffers()[2]
    written = data.to_pybytes() if data else b""
    return None if b"x" in written or b"X" in written else values


# How typed cells of a Parquet file become a column's type; None where their text has to be looked at.


def _cast_to_string(cells: Array) -> Array:
    return cells.cast(pa.string())


def _cast_to_integer(cells: Array) -> Array | None:
    if pa.types.is_floating(cells.type):
        numbers = cells.cast(pa.float64())
        whole = pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), _EXACT_INTEGERS))
        return pc.if_else(whole, numbers, None).cast(pa.int64())
    return _cast_exactly(cells, pa.int64())


def _cast_to_number(cells: Array) -> Array | None:
    return (
        cells.cast(pa.float64()) if pa.types.is_floating(cells.type) else _cast_exactly(cells, pa.float64())
    )


def _cast_exactly(cells: Array, target: pa.DataType) -> Array | None:
    if not (pa.types.is_integer(cells.type) or pa.types.is_boolean(cells.type)):
        return None
    try:
        return cells.cast(target)
    except pa.ArrowInvalid:
        return None


def _cast_to_boolean(cells: Array) -> Array | None:
    return cells if pa.types.is_boolean(cells.type) else None


def _cast_to_timestamp(cells: Array) -> Array | None:
    zone, finer = None, False
    if pa.types.is_timestamp(cells.type):
        zone, finer = cells.type.tz, cells.type.unit == "ns"
    elif not pa.types.is_date(cells.type):
        return None
    try:
        moments = cells.cast(pa.timestamp("us", zone), safe=not finer)
    except pa.ArrowInvalid:
        return None  # microseconds do not reach that far
    return _within_calendar(moments.cast(pa.timestamp("us")))


_CAST: dict[str, Callable[[Array], Array | None]] = {
    "string": _cast_to_string,
    "integer": _cast_to_integer,
    "number": _cast_to_number,
    "boolean": _cast_to_boolean,
    "timestamp": _cast_to_timestamp,
}


def _are_finite(values: Array) -> bool:
    """Tell whether no value is infinite or no number; where their sum is finite, that is so."""
    total = pc.sum(values).as_py()
    return total is None or math.isfinite(total) or pc.all(pc.is_finite(values)).as_py() is not False


def _within_calendar(moments: Array) -> Array:
    """Null for what Python's calendar, of the years 1 to 9999, cannot show."""
    bounds = pc.min_max(moments.cast(pa.int64())).as_py()
    if bounds["min"] is None or _FIRST_MOMENT.value <= bounds["min"] <= bounds["max"] <= _LAST_MOMENT.value:
        return moments
    outside = pc.or_(pc.less(moments, _FIRST_MOMENT), pc.greater(moments, _LAST_MOMENT))
    return pc.if_else(outside, None, moments) if _any(outside) else moments


def _may_hold_blanks(cells: Array) -> bool:
    """Tell whether there is anything to trim, by one look at all bytes: most columns of text hold no blank at all."""
    data = cells.buffers()[2]
    written = data.to_pybytes() if data else b""
    return not written.isascii() or any(bytes([blank]) in written for blank in _ASCII_BLANKS)


def _trimmed(cells: Array, null_values: tuple[str, ...]) -> Array:
    text = pc.utf8_trim_whitespace(cells)
    return pc.if_else(
        pc.is_in(text, pa.array(list(null_values), pa.string())), pa.scalar(None, pa.string()), text
    )


def _integers(_: Column, text: Array) -> Array:
    short = pc.match_substring_regex(text, r"^[+-]?[0-9]{1,18}$")
    values = pc.if_else(short, pc.replace_substring_regex(text, r"^\+", ""), None).cast(pa.int64())
    # What a spreadsheet or pandas makes of integers with gaps: 3.0
    decimal = pc.match_substring_regex(text, r"^[+-]?0*[0-9]{1,16}\.0+$")
    if _any(decimal):
        numbers = pc.if_else(decimal, text, None).cast(pa.float64())
        exact = pc.if_else(pc.less(pc.abs(numbers), _EXACT_INTEGERS), numbers, None)
        values = pc.coalesce(values, exact.cast(pa.int64()))
    long = pc.match_substring_regex(text, r"^[+-]?[0-9]{19,}$")
    if _any(long):
        each = pc.if_else(long, text, None).to_pylist()
        values = pc.coalesce(values, pa.array(map(_long_integer, each), pa.int64()))
    return values


def _long_integer(text: str | None) -> int | None:
    # Beyond 4,300 digits Python refuses to read an integer; leading zeros do not count.
    digits = (text or "").lstrip("+-").lstrip("0")
    if text is None or len(digits) > 19:
        return None
    number = int(digits or "0") * (-1 if text.startswith("-") else 1)
    return number if number in _INT64 else None


def _numbers(_: Column, text: Array) -> Array:
    readable = pc.match_substring_regex(text, r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$")
    plain = pc.replace_substring_regex(text, r"^\+", "")
    return pc.if_else(readable, plain, None).cast(pa.float64())


def _booleans(_: Column, text: Array) -> Array:
    lower = pc.utf8_lower(text)
    yes, no = pc.is_in(lower, _TRUE), pc.is_in(lower, _FALSE)
    return pc.if_else(pc.or_(yes, no), yes, pa.scalar(None, pa.bool_()))


def _timestamps(column: Column, text: Array) -> Array:
    if column.format is None:
        for zone in (None, "UTC"):
            try:
                return _within_calendar(text.cast(pa.timestamp("us", zone)).cast(pa.timestamp("us")))
            except pa.ArrowInvalid:
                pass  # some have a zone and some have none, a fraction is of odd length, or it is no timestamp
    encoded = text.dictionary_encode()
    moments = [_timestamp(each, column.format) for each in encoded.dictionary.to_pylist()]
    return pa.array(moments, pa.timestamp("us")).take(encoded.indices)


def _timestamp(text: str, layout: str | None) -> datetime | None:
    try:
        moment = datetime.strptime(text, layout) if layout else datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):  # the latter where the zone leads out of the years 1 to 9999
        return None


_FROM_TEXT: dict[str, Callable[[Column, Array], Array]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "timestamp": _timestamps,
}


def _expected(column: Column) -> str:
    if column.type == "timestamp":
        return (
            f"not a timestamp of the form {column.format}" if column.format else "not an ISO 8601 timestamp"
        )
    expected = {"integer": "not an integer", "number": "not a number", "boolean": "not true or false"}
    written = f" (written with {column.spelling.describe()})" if column.spelling else ""
    return expected.get(column.type, "not text") + written


def _constraints(column: Column, values: Array, found: Range) -> list[tuple[str, Array]]:
    """Find the values of a column, which lie in the range `found`, that break its constraints."""
    rejections: list[tuple[str, Array]] = []
    low, high = found
    if column.type == "number" and low is not None and not (math.isfinite(low) and math.isfinite(high)):
        rejections.append(("not a finite number", pc.invert(pc.is_finite(values))))
    if column.min is not None and low is not None:
        least = _whole(math.ceil, column.min) if column.type == "integer" else column.min
        if low < least:
            rejections.append((f"below the minimum {column.min:.15g}", pc.less(values, least)))
    if column.max is not None and high is not None:
        most = _whole(math.floor, column.max) if column.type == "integer" else column.max
        if high > most:
            rejections.append((f"above the maximum {column.max:.15g}", pc.greater(values, most)))
    if column.categories is not None:
        allowed = pa.array([_category(column, each) for each in column.categories], values.type)
        inside = pc.is_in(values, allowed)
        if inside.true_count < len(values) - values.null_count:
            outside = pc.and_(pc.is_valid(values), pc.invert(inside))
            rejections.append((f"not one of {_shown(column.categories)}", outside))
    return rejections


def _whole(rounded: Callable[[float], int], bound: float) -> int:
    """The bound among integers: compared with a float, Arrow refuses those that no float can tell apart."""
    return min(max(rounded(min(max(bound, -(2.0**63)), 2.0**63)), _INT64[0]), _INT64[-1])


def _category(column: Column, value: Any) -> Any:
    return int(value) if column.type == "integer" else str(value)


def _shown(categories: tuple[str | int, ...], most: int = 8) -> str:
    more = f" and {len(categories) - most} more" if len(categories) > most else ""
    return ", ".join(map(str, categories[:most])) + more


def _any(mask: Array) -> bool:
    return bool(pc.any(mask).as_py())
