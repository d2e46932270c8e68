"""What each column of a sample holds: its type, its nulls, its range, its most frequent values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from sluice.arrow import Array, ChunkedArray
from sluice.arrow import compute as pc
from sluice.cells import ColumnType
from sluice.drafting.dates import DateFormat, recognise, recognise_compact
from sluice.drafting.sampling import Sample
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
        ProjectError: a Parquet column is of a type no contract can name (a list, a struct, bytes).
    """
    if sample.delimiter is None:
        return [_profile_typed(name, sample.table[name], sample) for name in sample.table.column_names]
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


def _profile_typed(name: str, cells: ChunkedArray, sample: Sample) -> ColumnProfile:
    """Profile a Parquet column: its type is what the file says."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    kind = _parquet_type(cells.type)
    if kind is None:
        raise ProjectError(
            f"column {name!r} of {sample.path.name} is of type {cells.type}, which no contract can name",
            where=f"{sample.path}, column {name}",
            fix="flatten it into plain columns, or leave it out of the file",
        )
    if kind == "string" and not pa.types.is_null(cells.type):
        text = _Text(name, pc.fill_null(cells.cast(pa.string()), "")).as_string(())
        return _spelled(text) if text.spelling else text
    arrow = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}.get(kind, pa.string())
    values = cells.cast(arrow)
    if kind == "number":
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
    whole = kind == "integer" or (
        kind == "number" and bool(pc.all(pc.equal(pc.floor(values), values)).as_py())
    )
    counted = pc.value_counts(values.drop_null())
    order = pc.sort_indices(counted.field("counts"), sort_keys=[("", "descending")])
    counted = counted.take(order)
    return ColumnProfile(
        name=name,
        type=kind,
        values=values,
        distinct=len(counted),
        counts=_most_frequent(counted.field("values"), counted.field("counts")),
        dates=DateFormat(None) if kind == "timestamp" else None,
        whole=whole,
        **_range(values if kind in ("integer", "number") else None),
    )


def _parquet_type(arrow: pa.DataType) -> ColumnType | None:
    types = pa.types
    if types.is_boolean(arrow):
        return "boolean"
    if types.is_integer(arrow):
        return "integer"
    if types.is_floating(arrow) or types.is_decimal(arrow):
        return "number"
    if types.is_timestamp(arrow) or types.is_date(arrow):
        return "timestamp"
    if types.is_string(arrow) or types.is_large_string(arrow) or types.is_null(arrow):
        return "string"
    return None


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
