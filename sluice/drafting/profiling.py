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
from sluice.datasets.spelled import plain_texts
from sluice.drafting.dates import DateFormat, MixedDates, recognise, recognise_compact, recognise_mixed
from sluice.drafting.sampling import Sample, shown
from sluice.drafting.spellings import PLAIN, Candidates, candidates, choose, plainly
from sluice.errors import ProjectError
from sluice.spelling import DecimalMark, Spelling

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
_NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_PHONE = r"^\+[0-9]{8,}$"
_LEADING_ZERO = r"^0[0-9]+$"
_WHOLE = r"^-?[0-9]{1,15}(\.0*)?$"
_TIME_OF_DAY = r"^([01][0-9]|2[0-3])[0-5][0-9]$|^2400$"
_TIMES_OF_DAY = 60
_ROUNDED_BY_SPREADSHEET = r"^[0-9]([.,][0-9]{1,14})?E\+[0-9]{2}$"
_DIGITS_OF_A_CODE = 9
# What makes a point a decimal one beyond doubt, or is written with none.
_SURELY_DECIMAL = r"(^|[^0-9])0?\.[0-9]|[0-9]{4,}\.|\.([0-9]{0,2}|[0-9]{4,})([eE]|$)|[eE]"


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
    """Of a target of two classes: values that are neither, the most frequent first."""
    stray_rows: int = 0
    gone: int = 0
    """Of a target: rows that are not in `values`, being strays, no values of the type, or empty."""
    dates: DateFormat | None = None
    mixed_dates: MixedDates | None = None
    """Text that is meant for dates and is not written in one way."""
    spelling: Spelling | None = None
    """How its numbers are written, where that is not plainly."""
    example: str = ""
    """A number of a `spelling` as the file writes it."""
    doubt: str = ""
    """What had to be guessed of the spelling."""
    other: Spelling | None = None
    """What else it may be, where it was guessed."""
    lost_digits: bool = False
    """Codes that a spreadsheet wrote with an exponent: 1.23457E+12."""
    units: tuple[str, ...] = ()
    """Amounts in several currencies, which makes text of them."""
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
        return self.nulls + self.gone - self.breaking_rows - self.stray_rows

    @property
    def filled(self) -> int:
        return self.rows - self.nulls

    @property
    def is_numeric(self) -> bool:
        return self.type in ("integer", "number")


def profile(sample: Sample) -> list[ColumnProfile]:
    """Profile every column of the sample, in the file's order.

    Two passes: which tokens mean "no value" is learned from the columns whose other values parse, and then
    holds for the text columns too, because `null_values` holds for the whole file.

    Raises:
        ProjectError: Parquet columns are of types no contract can name (a list, a struct, bytes, a time of day).
    """
    columns = [(name, sample.table[name]) for name in sample.table.column_names]
    if sample.delimiter is None:
        _check_types(sample)
        return _profile_parquet(columns)
    texts = [_Text(name, cells) for name, cells in columns]
    proven = _proven_decimals(texts)
    parsed = [text.parse(proven, sample.delimiter) for text in texts]
    tokens = {token for found in parsed if found for token in found.null_tokens}
    return [found or text.as_string(tokens) for found, text in zip(parsed, texts, strict=True)]


def _profile_parquet(columns: list[tuple[str, ChunkedArray]]) -> list[ColumnProfile]:
    """Profile the columns of a Parquet file. Text stays text there, but for numbers that only text can hold."""
    texts = {name: _Text(name, _as_text(cells)) for name, cells in columns if _is_text(_value_type(cells))}
    proven = _proven_decimals(texts.values())
    found = []
    for name, cells in columns:
        text = texts.get(name)
        if text is None:
            found.append(_profile_typed(name, cells))
            continue
        numbers = text.numbers(proven, None)
        found.append(numbers if numbers is not None and numbers.spelling is not None else text.as_string(()))
    return found


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _value_type(cells: ChunkedArray) -> pa.DataType:
    kind: pa.DataType = cells.type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as_text(cells: ChunkedArray) -> ChunkedArray:
    return pc.fill_null(cells.cast(_value_type(cells)).cast(pa.string()), "")


def _proven_decimals(texts: Iterable[_Text]) -> set[DecimalMark]:
    return {text.ways.decimal for text in texts if text.ways is not None and text.ways.decimal is not None}


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
        self.null = _is_one_of(self.values, _NULL_WORDS | {""})
        self.ways = self._ways()

    def _ways(self) -> Candidates | None:
        """Find the ways to read the column as numbers; None where too few of its cells are any."""
        given = pc.invert(self.null)
        values = self.values.filter(given)
        if not pc.any(_matches(values.slice(0, _FREQUENT), "[0-9]")).as_py():
            return None
        if pc.all(_matches(values, _PHONE)).as_py():
            return None
        if pc.all(_matches(values, _NUMBER)).as_py():
            pointed = pc.any(pc.match_substring(values, ".")).as_py()
            if not pointed or pc.any(_matches(values, _SURELY_DECIMAL)).as_py():
                return plainly(self._rows(given), pointed=pointed)
        found = candidates(values, self.times.filter(given))
        rows = self._rows(given)
        return found if found is not None and _are_enough(found.rows, rows - found.rows) else None

    def parse(self, proven: set[DecimalMark], delimiter: str) -> ColumnProfile | None:
        """Profile the column as numbers, booleans or dates; None if it is none of them.

        Args:
            proven: the decimal marks that the file's columns prove.
            delimiter: the file's.
        """
        null = self.null
        if self._rows(null) == len(self.cells):
            return None
        if self.ways is not None and self.ways.ways:
            return self.numbers(proven, delimiter)
        truth = _is_one_of(self.values, {"true", "false"})
        breaking = pc.invert(pc.or_(truth, null))
        if self._rows(truth) and not self._rows(breaking):
            return self._typed("boolean", truth, breaking)
        given = self._texts(pc.invert(null), _DATES_LOOKED_AT)
        dates = recognise(given)
        if dates:
            return replace(self._typed("timestamp", pc.invert(null), breaking=None), dates=dates)
        return None

    def numbers(self, proven: set[DecimalMark], delimiter: str | None) -> ColumnProfile | None:
        """Profile the column as numbers, however they are written; None if it holds none, or codes."""
        if self.ways is None or not self.ways.ways:
            return None
        choice = choose(self.ways, self.values.filter(pc.invert(self.null)), proven, delimiter)
        plain = pc.replace_substring_regex(self.values, r"^\+", "")
        texts = plain
        if choice.spelling != PLAIN or not pc.all(pc.or_(_matches(plain, _NUMBER), self.null)).as_py():
            texts = pc.fill_null(plain_texts(choice.spelling, plain), "")
        number = pc.and_(_matches(texts, _NUMBER), pc.invert(self.null))
        breaking = pc.invert(pc.or_(number, self.null))
        if not _are_enough(self._rows(number), self._rows(breaking)):
            return None
        unlike = pc.and_(number, pc.not_equal(texts, plain))
        spelled = pc.any(unlike).as_py()
        found = self._as_numbers(texts, number, breaking, plainly=not spelled)
        if found is None or not spelled:
            return found and replace(
                found, doubt=choice.doubt, other=choice.other, lost_digits=self._lost_digits(number)
            )
        # Two values are a pair of classes, however they are written.
        if found.distinct <= 2:
            return None
        example = self._texts(unlike, 1)[0]
        return replace(
            found,
            spelling=choice.spelling,
            example=example,
            doubt=choice.doubt,
            other=choice.other,
            lost_digits=self._lost_digits(number),
        )

    def _lost_digits(self, number: Array) -> bool:
        """Tell codes of which a spreadsheet shows some with an exponent, from quantities, which differ in length."""
        texts = self.values.filter(number)
        rounded = _matches(texts, _ROUNDED_BY_SPREADSHEET)
        whole = texts.filter(pc.invert(rounded))
        if not pc.any(rounded).as_py() or pc.all(_matches(whole, r"^[0-9]+$")).as_py() is False:
            return False
        exponents = pc.replace_substring_regex(texts.filter(rounded), r"^.*\+", "").cast(pa.int64())
        digits = {each + 1 for each in exponents.unique().to_pylist()} | set(
            pc.utf8_length(whole).unique().to_pylist()
        )
        return bool(max(digits) - min(digits) <= 1 and max(digits) >= _DIGITS_OF_A_CODE)

    def as_string(self, tokens: Iterable[str]) -> ColumnProfile:
        """Profile the column as text; `tokens` are those that mean "no value" elsewhere in the file."""
        null = pc.or_(
            _is_one_of(self.values, _NULL_ANYWHERE | {""}),
            pc.is_in(self.values, value_set=pa.array(list(tokens), pa.string())),
        )
        if not _country_codes(self._texts(pc.invert(null), 50)):
            null = pc.or_(null, pc.equal(self.values, "NA"))
        good = pc.invert(null)
        found = self._typed("string", good, breaking=None)
        filled = found.values.drop_null()
        if not len(filled):
            return found
        return replace(
            found,
            units=self.ways.units if self.ways is not None else (),
            mixed_dates=recognise_mixed(self._texts(good, _DATES_LOOKED_AT)) if found.distinct > 2 else None,
            mean_length=pc.mean(pc.utf8_length(filled)).as_py(),
            mean_words=pc.mean(pc.count_substring(filled, " ")).as_py() + 1,
        )

    def _as_numbers(
        self, texts: Array, number: Array, breaking: Array, *, plainly: bool
    ) -> ColumnProfile | None:
        """Profile the column as numbers. Digits that begin with a zero, or are too many, are codes: text.

        `texts` are the distinct values as plain numbers; a date without marks is one only where they are written so.
        """
        numbers = texts.filter(number)
        if pc.any(_matches(numbers, _LEADING_ZERO)).as_py():
            times = len(numbers) >= _TIMES_OF_DAY and pc.all(_matches(numbers, _TIME_OF_DAY)).as_py()
            return self._typed("integer", number, breaking, texts) if times else None
        if not pc.all(_matches(numbers, _INTEGER)).as_py():
            if pc.all(_matches(numbers, r"^-?[0-9]+$")).as_py():
                return None
            whole = pc.all(_matches(numbers, _WHOLE)).as_py()
            return replace(self._typed("number", number, breaking, texts), whole=whole)
        dates = recognise_compact(self._texts(number, _DATES_LOOKED_AT)) if plainly else None
        if dates and not self._rows(breaking):
            return replace(self._typed("timestamp", number, breaking=None), dates=dates)
        return self._typed("integer", number, breaking, texts)

    def _typed(
        self, kind: ColumnType, good: Array, breaking: Array | None, plain: Array | None = None
    ) -> ColumnProfile:
        """Turn the cells into values of the type, through the distinct ones: text is parsed once a value."""
        texts = pc.if_else(good, self.values if plain is None else plain, pa.scalar(None, pa.string()))
        null = pc.invert(good) if breaking is None else pc.invert(pc.or_(good, breaking))
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
        return _Text(name, pc.fill_null(cells.cast(pa.string()), "")).as_string(())
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


def _are_enough(right: int, wrong: int) -> bool:
    """Tell whether enough values are good to call the others mistakes."""
    if not right or not wrong:
        return bool(right)
    return right >= _TOLERATED_MIN_VALUES and wrong <= _TOLERATED * (right + wrong)


def _matches(texts: Array, pattern: str) -> Array:
    return pc.match_substring_regex(texts, pattern)


def _is_one_of(texts: Array, words: Iterable[str]) -> Array:
    return pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(words), pa.string()))


def _country_codes(texts: list[str]) -> bool:
    """Tell whether NA may be Namibia or North America: its neighbours are two capitals as well."""
    others = [text for text in texts if text != "NA"]
    codes = [text for text in others if len(text) == 2 and text.isalpha() and text.isupper()]
    return bool(others) and len(codes) * 2 >= len(others)


def _most_frequent(values: Array, times: Array) -> tuple[tuple[str, int], ...]:
    head = values.slice(0, _FREQUENT)
    texts = ["true" if v is True else "false" if v is False else str(v) for v in head.to_pylist()]
    return tuple(zip(texts, times.slice(0, _FREQUENT).to_pylist(), strict=True))


def _range(values: Array | ChunkedArray | None) -> dict[str, Any]:
    if values is None:
        return {}
    bounds = pc.min_max(values)
    return {"low": bounds["min"].as_py(), "high": bounds["max"].as_py()}
