"""What each column of a sample holds: its type, its nulls, its range, its most frequent values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa

from sluice.arrow import Array, ChunkedArray
from sluice.arrow import compute as pc
from sluice.cells import ColumnType
from sluice.datasets.reading import is_cell
from sluice.drafting.dates import DateFormat, MixedDates, recognise, recognise_compact, recognise_mixed
from sluice.drafting.sampling import Sample, shown
from sluice.errors import ProjectError

# Read as "no value" in a column whose other values are numbers, booleans or dates.
_NULL_WORDS = frozenset(
    """null (null) \\n na <na> n/a n.a. #n/a nan nat none nil ? - -- . .. * missing unknown undefined
    #value! #div/0! #ref! #null! #num!""".split()  # noqa: SIM905 - reads better
)
# Read as "no value" everywhere: no category is called this. `NA` is judged on the others (_country_codes);
# `None`, `-` and `unknown` may well be categories and stay.
_NULL_ANYWHERE = frozenset(("null", "n/a", "#n/a", "nan", "?"))
# Up to this share of a column's values may break its type; the project says that those rows will be rejected.
_TOLERATED = 0.01
_TOLERATED_MIN_VALUES = 200
_FREQUENT = 256
_MOST_INTEGER = 2**63 - 1
_DATES_LOOKED_AT = 5_000

_INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
_NUMBER = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_LEADING_ZERO = r"^0[0-9]+$"
_WHOLE = r"^-?[0-9]{1,15}(\.0*)?$"
_TIME_OF_DAY = r"^([01][0-9]|2[0-3])[0-5][0-9]$|^2400$"
_TIMES_OF_DAY = 60
# Numbers as people write them. Tried in this order; each with what to call it.
_DECIMAL_COMMA = "a decimal comma"
_SPELLINGS = (
    (r"^-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?$|^-?[0-9]{1,3}(\.[0-9]+)?$", "a comma between thousands"),
    (r"^-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)(,[0-9]+)?$", _DECIMAL_COMMA),
    (r"^-?[0-9]+([.,][0-9]+)? ?%$", "a percent sign"),
    (r"^-? ?[$€£¥] ?-?[0-9][0-9,. ]*$|^-?[0-9][0-9,. ]* ?[$€£¥]$", "a currency sign"),
)


@dataclass(frozen=True)
class ColumnProfile:
    """One column as the sample shows it. `values` is typed (timestamps stay text); null tokens are nulls."""

    name: str
    type: ColumnType
    values: ChunkedArray = field(repr=False)
    distinct: int
    counts: tuple[tuple[str, int], ...] = ()
    """The most frequent values as the file writes them, with their counts; at most 256."""
    null_tokens: tuple[str, ...] = ()
    low: float | int | None = None
    high: float | int | None = None
    breaking: tuple[str, ...] = ()
    """Values that are not of the type, the most frequent first."""
    breaking_rows: int = 0
    strays: tuple[str, ...] = ()
    """Of a target of two classes: values that are neither, the most frequent first; null in `values`."""
    stray_rows: int = 0
    dates: DateFormat | None = None
    mixed_dates: MixedDates | None = None
    """Text that is meant for dates and is not written in one way."""
    spelling: str | None = None
    """Numbers written in a way no parser takes for one, and which way: "a decimal comma". The file holds text."""
    decimal_comma: bool = False
    """How the numbers of a `spelling` are read: 1.234,5 instead of 1,234.5."""
    mean_length: float = 0.0
    mean_words: float = 0.0
    whole: bool = False
    """Numbers without a fraction: integers, and what pandas makes of integers with gaps (3.0)."""
    spaced: bool = False
    """Some values have blanks around them, which are not counted as part of them."""

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def nulls(self) -> int:
        return int(self.values.null_count)

    @property
    def empty(self) -> int:
        """Rows that hold nothing, not even a mistake."""
        return self.nulls - self.breaking_rows - self.stray_rows

    @property
    def filled(self) -> int:
        return self.rows - self.nulls

    @property
    def is_numeric(self) -> bool:
        return self.type in ("integer", "number")

    @property
    def file_type(self) -> ColumnType:
        """The type of the column in the file: numbers that have to be read from their spelling are text there."""
        return "string" if self.spelling else self.type


def profile(sample: Sample) -> list[ColumnProfile]:
    """Profile every column of the sample, in the file's order.

    Two passes: which tokens mean "no value" is learned from the columns whose other values parse, and then
    holds for the text columns too, because `null_values` holds for the whole file.

    Raises:
        ProjectError: Parquet columns are of types no contract can name (a list, a struct, bytes, a time of day).
    """
    if sample.delimiter is None:
        _check_types(sample)
        return [_profile_typed(name, sample.table[name]) for name in sample.table.column_names]
    columns = [_Text(name, sample.table[name]) for name in sample.table.column_names]
    parsed = [column.parse() for column in columns]
    tokens = {token for found in parsed if found for token in found.null_tokens}
    texts = [found or column.as_string(tokens) for column, found in zip(columns, parsed, strict=True)]
    commas = any(text.spelling == _DECIMAL_COMMA for text in texts)
    return [_spelled(text, decimal_comma=commas) if text.spelling else text for text in texts]


class _Text:
    """A column of text: its distinct values, without the blanks around them, with how often each occurs."""

    def __init__(self, name: str, cells: ChunkedArray) -> None:
        self.name = name
        self.cells = cells
        counted = cells.value_counts()
        self.spaced: Array = counted.field("values").filter(
            pc.not_equal(counted.field("values"), pc.utf8_trim_whitespace(counted.field("values")))
        )
        if len(self.spaced):
            self.cells = pc.utf8_trim_whitespace(cells)
            counted = self.cells.value_counts()
        order = pc.sort_indices(counted.field("counts"), sort_keys=[("", "descending")])
        counted = counted.take(order)
        self.values: Array = counted.field("values")
        self.times: Array = counted.field("counts")

    def parse(self) -> ColumnProfile | None:
        """Profile the column as numbers, booleans or dates; None if it is none of them."""
        null = _is_one_of(self.values, _NULL_WORDS | {""})
        if self._rows(null) == len(self.cells):
            return None
        number = _matches(self.values, _NUMBER)
        breaking = pc.invert(pc.or_(number, null))
        if self._holds(number, breaking):
            return self._as_numbers(number, null, breaking)
        truth = _is_one_of(self.values, {"true", "false"})
        breaking = pc.invert(pc.or_(truth, null))
        if self._holds(truth, breaking) and not self._rows(breaking):
            return self._typed("boolean", truth, null, breaking)
        given = self._texts(pc.invert(null), _DATES_LOOKED_AT)
        dates = recognise(given)
        if dates:
            return replace(self._typed("timestamp", pc.invert(null), null, breaking=None), dates=dates)
        return None

    def as_string(self, tokens: Iterable[str]) -> ColumnProfile:
        """Profile the column as text; `tokens` are those that mean "no value" elsewhere in the file."""
        null = pc.or_(
            _is_one_of(self.values, _NULL_ANYWHERE | {""}),
            pc.is_in(self.values, value_set=pa.array(list(tokens), pa.string())),
        )
        if not _country_codes(self._texts(pc.invert(null), 50)):
            null = pc.or_(null, pc.equal(self.values, "NA"))
        good = pc.invert(null)
        found = self._typed("string", good, null, breaking=None)
        filled = found.values.drop_null()
        if not len(filled):
            return found
        return replace(
            found,
            # Two values are a pair of classes, however they are written.
            spelling=_spelling(self.values.filter(good)) if found.distinct > 2 else None,
            mixed_dates=recognise_mixed(self._texts(good, _DATES_LOOKED_AT)) if found.distinct > 2 else None,
            mean_length=pc.mean(pc.utf8_length(filled)).as_py(),
            mean_words=pc.mean(pc.count_substring(filled, " ")).as_py() + 1,
        )

    def _as_numbers(self, number: Array, null: Array, breaking: Array) -> ColumnProfile | None:
        """Profile the column as numbers. Digits that begin with a zero, or are too many, are codes: text."""
        numbers = self.values.filter(number)
        if pc.any(_matches(numbers, _LEADING_ZERO)).as_py():
            times = len(numbers) >= _TIMES_OF_DAY and pc.all(_matches(numbers, _TIME_OF_DAY)).as_py()
            return self._typed("integer", number, null, breaking) if times else None
        if not pc.all(_matches(numbers, _INTEGER)).as_py():
            if pc.all(_matches(numbers, r"^-?[0-9]+$")).as_py():
                return None
            whole = pc.all(_matches(numbers, _WHOLE)).as_py()
            return replace(self._typed("number", number, null, breaking), whole=whole)
        dates = recognise_compact(self._texts(number, _DATES_LOOKED_AT))
        if dates and not self._rows(breaking):
            return replace(self._typed("timestamp", number, null, breaking=None), dates=dates)
        return self._typed("integer", number, null, breaking)

    def _typed(self, kind: ColumnType, good: Array, null: Array, breaking: Array | None) -> ColumnProfile:
        """Turn the cells into values of the type, through the distinct ones: text is parsed once a value."""
        texts = pc.if_else(good, self.values, pa.scalar(None, pa.string()))
        arrow = {"integer": pa.int64(), "number": pa.float64()}.get(kind)
        if kind == "boolean":
            distinct = pc.equal(pc.utf8_lower(texts), "true")
        else:
            distinct = texts.cast(arrow) if arrow else texts
        places = pc.index_in(self.cells, value_set=self.values)
        values = pa.chunked_array([distinct.take(chunk) for chunk in places.chunks], distinct.type)
        tokens = self.values.filter(null)
        spaced = self.spaced.filter(pc.is_in(pc.utf8_trim_whitespace(self.spaced), value_set=tokens))
        return ColumnProfile(
            name=self.name,
            type=kind,
            values=values,
            distinct=pc.count_distinct(distinct).as_py(),
            counts=_most_frequent(texts.filter(good), self.times.filter(good)),
            null_tokens=(*tokens.to_pylist(), *spaced.to_pylist()),
            breaking=tuple(self.values.filter(breaking).slice(0, 5).to_pylist())
            if breaking is not None
            else (),
            breaking_rows=self._rows(breaking) if breaking is not None else 0,
            whole=kind == "integer",
            spaced=len(self.spaced) > len(spaced),
            **_range(distinct if arrow else None),
        )

    def _holds(self, good: Array, breaking: Array) -> bool:
        """Tell whether enough values are good to call the others mistakes."""
        right, wrong = self._rows(good), self._rows(breaking)
        if not right or not wrong:
            return bool(right)
        return right >= _TOLERATED_MIN_VALUES and wrong <= _TOLERATED * (right + wrong)

    def _rows(self, mask: Array) -> int:
        return pc.sum(self.times.filter(mask)).as_py() or 0

    def _texts(self, mask: Array, limit: int) -> list[str]:
        return [str(text) for text in self.values.filter(mask).slice(0, limit).to_pylist()]


def _check_types(sample: Sample) -> None:
    strange = [each for each in sample.table.schema if not is_cell(each.type)]
    if not strange:
        return
    first = strange[0].type
    advice = "flatten them into plain columns"
    if pa.types.is_time(first) or pa.types.is_duration(first):
        advice = "write them as numbers (seconds) or as text"
    elif pa.types.is_binary(first) or pa.types.is_large_binary(first):
        advice = "write them as text if they are"
    raise ProjectError(
        f"{sample.path.name} has columns of types that no contract can name",
        where=f"{sample.path}, column {shown(strange[0].name)}",
        why=", ".join(f"{shown(each.name)} is {each.type}" for each in strange[:5])
        + (f" and {len(strange) - 5} more" if len(strange) > 5 else ""),
        fix=f"{advice}, or leave them out of the file",
    )


def _profile_typed(name: str, cells: ChunkedArray) -> ColumnProfile:
    """Profile a Parquet column: its type is what the file says."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    kind = _parquet_type(cells)
    if kind == "string":
        texts = pc.fill_null(cells.cast(pa.string()), "")
        text = _Text(name, texts).as_string(())
        return _spelled(text) if text.spelling else text
    values = _typed_values(cells, kind)
    counted = pc.value_counts(values.drop_null())
    order = pc.sort_indices(counted.field("counts"), sort_keys=[("", "descending")])
    counted = counted.take(order)
    breaking = cells.filter(pc.and_(_is_filled(cells), pc.is_null(values)))
    numeric = kind in ("integer", "number")
    return ColumnProfile(
        name=name,
        type=kind,
        values=values,
        distinct=len(counted),
        counts=_most_frequent(counted.field("values"), counted.field("counts")),
        breaking=tuple(map(str, breaking.unique().slice(0, 5).to_pylist())),
        breaking_rows=len(breaking),
        dates=DateFormat(None) if kind == "timestamp" else None,
        whole=numeric and bool(pc.all(pc.equal(pc.floor(values), values)).as_py()),
        **_range(values if numeric else None),
    )


def _typed_values(cells: ChunkedArray, kind: ColumnType) -> ChunkedArray:
    """Give the cells as validation will take them: null where they are missing, infinite or too large."""
    if kind == "integer":
        return pc.if_else(_fits_64_bits(cells), cells, pa.scalar(None, cells.type)).cast(pa.int64())
    if kind == "number":
        values = cells.cast(pa.float64())
        return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    if kind == "boolean":
        return cells.cast(pa.bool_())
    if pa.types.is_timestamp(cells.type):
        cells = cells.cast(pa.timestamp(cells.type.unit))  # in UTC
    return cells.cast(pa.string())


def _is_filled(cells: ChunkedArray) -> ChunkedArray:
    filled = pc.is_valid(cells)
    return pc.and_not(filled, pc.is_nan(cells)) if pa.types.is_floating(cells.type) else filled


def _fits_64_bits(cells: ChunkedArray) -> ChunkedArray:
    if pa.types.is_uint64(cells.type):
        return pc.less_equal(cells, pa.scalar(_MOST_INTEGER, pa.uint64()))
    if pa.types.is_decimal(cells.type):
        wide = pa.decimal256(76, 0)
        least, most = (pa.scalar(Decimal(bound), wide) for bound in (-_MOST_INTEGER - 1, _MOST_INTEGER))
        cells = cells.cast(wide)
        return pc.and_(pc.greater_equal(cells, least), pc.less_equal(cells, most))
    return pc.is_valid(cells)


def _parquet_type(cells: ChunkedArray) -> ColumnType:
    """Find the type for the cells; what it could not hold, numbers of more than 64 bits or all infinite, is text."""
    types, arrow = pa.types, cells.type
    if types.is_boolean(arrow):
        return "boolean"
    if types.is_timestamp(arrow) or types.is_date(arrow):
        return "timestamp"
    if types.is_integer(arrow) or (types.is_decimal(arrow) and arrow.scale == 0):
        lost = pc.sum(pc.invert(_fits_64_bits(cells.drop_null()))).as_py() or 0
        return "integer" if lost <= _TOLERATED * len(cells) else "string"
    if types.is_floating(arrow) or types.is_decimal(arrow):
        values = _typed_values(cells, "number")
        holds_any = values.null_count < len(values) or not pc.any(_is_filled(cells)).as_py()
        return "number" if holds_any else "string"
    return "string"


def _matches(texts: Array, pattern: str) -> Array:
    return pc.match_substring_regex(texts, pattern)


def _is_one_of(texts: Array, words: Iterable[str]) -> Array:
    return pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(words), pa.string()))


def _country_codes(texts: list[str]) -> bool:
    """Tell whether NA may be Namibia or North America: its neighbours are two capitals as well."""
    others = [text for text in texts if text != "NA"]
    codes = [text for text in others if len(text) == 2 and text.isalpha() and text.isupper()]
    return bool(others) and len(codes) * 2 >= len(others)


def _spelling(texts: Array) -> str | None:
    if not pc.any(_matches(texts, "[,%$€£¥]")).as_py():
        return None
    for pattern, name in _SPELLINGS:
        if pc.all(_matches(texts, pattern)).as_py():
            return name
    return None


def _spelled(column: ColumnProfile, *, decimal_comma: bool = False) -> ColumnProfile:
    """Read the numbers of a column that spells them; `decimal_comma` decides 1,234 where the file has such commas."""
    texts = column.values
    point = pc.any(_matches(texts, r"[0-9]\.[0-9]{1,2}($|[^0-9])|,[0-9]{3}.*\.[0-9]|,[0-9]{3},")).as_py()
    comma = pc.any(_matches(texts, r"[0-9],([0-9]{1,2}|[0-9]{4,})($|[^0-9])|\.[0-9]{3}.*,[0-9]")).as_py()
    decimal_comma = bool(comma and not point) or (decimal_comma and not point)
    plain = pc.replace_substring_regex(texts, r"[^0-9,-]" if decimal_comma else r"[^0-9.-]", "")
    numbers = (pc.replace_substring(plain, ",", ".") if decimal_comma else plain).cast(pa.float64())
    return replace(
        column,
        type="number",
        values=numbers,
        distinct=pc.count_distinct(numbers, mode="only_valid").as_py(),
        whole=bool(pc.all(pc.equal(pc.floor(numbers), numbers)).as_py()),
        spelling=_DECIMAL_COMMA if decimal_comma and column.spelling == _SPELLINGS[0][1] else column.spelling,
        decimal_comma=decimal_comma,
        **_range(numbers),
    )


def _most_frequent(values: Array, times: Array) -> tuple[tuple[str, int], ...]:
    head = values.slice(0, _FREQUENT)
    texts = ["true" if v is True else "false" if v is False else str(v) for v in head.to_pylist()]
    return tuple(zip(texts, times.slice(0, _FREQUENT).to_pylist(), strict=True))


def _range(values: Array | ChunkedArray | None) -> dict[str, Any]:
    if values is None:
        return {}
    bounds = pc.min_max(values)
    return {"low": bounds["min"].as_py(), "high": bounds["max"].as_py()}
