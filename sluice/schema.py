"""The data contract of one column: from cells as they came to typed values, and what is rejected and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from sluice.arrow import Array
from sluice.arrow import compute as pc
from sluice.project import Column

_ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}
_TRUE = pa.array(["true", "t", "yes", "y", "1"])
_FALSE = pa.array(["false", "f", "no", "n", "0"])
_EXACT_INTEGERS = 2.0**53


@dataclass(frozen=True)
class Checked:
    """One column of a batch: typed values (null where rejected), and per reason a mask of the rejected rows."""

    values: Array
    rejections: list[tuple[str, Array]]


def arrow_type(column: Column) -> pa.DataType:
    """The type of the column in a dataset version."""
    return _ARROW_TYPES[column.type]


def check(column: Column, cells: Array, *, null_values: tuple[str, ...], required: bool) -> Checked:
    """Convert a column's cells and find those that break its contract.

    `cells` are strings (of a CSV) or typed values (of a Parquet file); null values of a CSV are null already.
    `required` refuses nulls though the column be nullable, as for keys and the target.
    """
    values = _convert(column, cells, null_values)
    unreadable = pc.and_(pc.is_null(values.cells), pc.is_valid(values.text))
    rejections = [(_expected(column), unreadable)]
    if required or not column.nullable:
        rejections.append(("empty, and the column is not nullable", pc.is_null(values.text)))
    rejections += _constraints(column, values.cells)
    return Checked(values.cells, [(reason, mask) for reason, mask in rejections if _any(mask)])


@dataclass(frozen=True)
class _Converted:
    cells: Array  # typed; null where the text is null or unreadable
    text: Array  # what was to be converted; null where there was nothing


def _convert(column: Column, cells: Array, null_values: tuple[str, ...]) -> _Converted:
    target = arrow_type(column)
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if not _is_text(cells.type):
        typed = _cast_typed(cells, target)
        if typed is not None:
            return _Converted(typed, typed)
        cells = cells.cast(pa.string())
    if column.type == "string":
        # Blanks around a value are no part of it, as they are not around a number.
        text = _trimmed(cells.cast(pa.string()), null_values)
        return _Converted(text, text)
    if column.type in {"integer", "number"}:
        try:
            return _Converted(cells.cast(target), cells)
        except pa.ArrowInvalid:
            pass  # some cell is no number as it stands: find out which
    text = _trimmed(cells, null_values)
    return _Converted(_FROM_TEXT[column.type](column, text), text)


def _cast_typed(cells: Array, target: pa.DataType) -> Array | None:
    """Cast values of a Parquet file where no value changes; None where text has to be looked at."""
    if target == pa.timestamp("us"):
        if pa.types.is_timestamp(cells.type):
            return cells.cast(pa.timestamp("us", cells.type.tz), safe=False).cast(target)
        return cells.cast(target) if pa.types.is_date(cells.type) else None
    if target == pa.bool_() and not pa.types.is_boolean(cells.type):
        return None
    try:
        return cells.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _trimmed(cells: Array, null_values: tuple[str, ...]) -> Array:
    text = pc.utf8_trim_whitespace(cells)
    return pc.if_else(
        pc.is_in(text, pa.array(list(null_values), pa.string())), pa.scalar(None, pa.string()), text
    )


def _integers(_: Column, text: Array) -> Array:
    whole = pc.match_substring_regex(text, r"^[+-]?[0-9]{1,18}$")
    integers = pc.if_else(whole, pc.replace_substring_regex(text, r"^\+", ""), None).cast(pa.int64())
    # What a spreadsheet or pandas makes of integers with gaps: 3.0
    decimal = pc.match_substring_regex(text, r"^[+-]?[0-9]{1,16}\.0+$")
    if not _any(decimal):
        return integers
    numbers = pc.if_else(decimal, text, None).cast(pa.float64())
    exact = pc.if_else(pc.less(pc.abs(numbers), _EXACT_INTEGERS), numbers, None)
    return pc.coalesce(integers, exact.cast(pa.int64()))


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
        try:
            return text.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            pass  # a time zone, a fraction of odd length, or no timestamp: one by one
    return pa.array([_timestamp(each, column.format) for each in text.to_pylist()], pa.timestamp("us"))


def _timestamp(text: str | None, layout: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.strptime(text, layout) if layout else datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


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
    return {"integer": "not an integer", "number": "not a number", "boolean": "not true or false"}.get(
        column.type, "not text"
    )


def _constraints(column: Column, values: Array) -> list[tuple[str, Array]]:
    found: list[tuple[str, Array]] = []
    if column.type == "number":
        found.append(("not a finite number", pc.invert(pc.is_finite(values))))
    if column.min is not None:
        found.append((f"below the minimum {column.min:g}", pc.less(values, column.min)))
    if column.max is not None:
        found.append((f"above the maximum {column.max:g}", pc.greater(values, column.max)))
    if column.categories is not None:
        allowed = pa.array([_category(column, each) for each in column.categories], values.type)
        outside = pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, allowed)))
        found.append((f"not one of {_shown(column.categories)}", outside))
    return found


def _category(column: Column, value: Any) -> Any:
    return int(value) if column.type == "integer" else str(value)


def _shown(categories: tuple[str | int, ...], most: int = 8) -> str:
    more = f" and {len(categories) - most} more" if len(categories) > most else ""
    return ", ".join(map(str, categories[:most])) + more


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _any(mask: Array) -> bool:
    return bool(pc.any(mask).as_py())
