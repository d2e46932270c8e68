"""The model contract: which columns a model takes and what it answers, and every breach of it by name.

Neither numpy nor pandas is needed here: the serving path hands rows as plain Python values and gets plain
columns back.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, StrictBool, StrictInt, StrictStr, ValidationError

from sluice.cells import FALSE_WORDS, TRUE_WORDS
from sluice.column_names import normal
from sluice.errors import ProjectError, RequestError
from sluice.problems import Problem
from sluice.spelling import Spelling

Kind = Literal["number", "category"]
FeatureType = Literal["string", "integer", "number", "boolean"]
ClassLabel: TypeAlias = StrictBool | StrictInt | StrictStr

Value: TypeAlias = float | str | None
JsonValue: TypeAlias = bool | int | float | str | None
Columns: TypeAlias = dict[str, list[Value]]
"""Columns in contract order: floats (null is NaN) for a number, strings or None for a category."""

_EXPECTED = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a string",
}
# Possessive: a hundred thousand digits that end in a letter are given up at once.
_NUMBER_TEXT = re.compile(r"[+-]?(\d++\.?\d*+|\.\d++)([eE][+-]?\d++)?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
# The words of a training file; and a column of booleans with nulls is one of floats in pandas, and written so.
_BOOLEAN_TEXT = {**dict.fromkeys((*TRUE_WORDS, "1.0"), True), **dict.fromkeys((*FALSE_WORDS, "0.0"), False)}
_SHOWN = 60
_MOST_LISTED = 30
_INT64 = range(-(2**63), 2**63)
_LONGEST_INT64 = 19  # digits
_EXACT_INTEGERS = 2**53


_T = TypeVar("_T")


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Feature(_Frozen):
    """One column the model takes. `type` is that of the values a client sends; `kind` what they become."""

    name: str
    kind: Kind
    type: FeatureType
    nullable: bool
    spelling: Spelling | None = None  # of a number's text; a number that is none comes as it is


class TargetContract(_Frozen):
    """What is predicted; `classes` in the order of the model's probabilities, empty for a regression."""

    name: str
    problem: Problem
    classes: tuple[ClassLabel, ...] = ()
    positive: ClassLabel | None = None


class ModelContract(_Frozen):
    """contract.json beside a model: its features in order, its target, and what it was made with.

    One without a version was written before there was one, in the form of version 1.
    """

    version: Literal[1] = 1
    features: tuple[Feature, ...]
    target: TargetContract
    null_values: tuple[str, ...] = ("",)  # what text may hold for null, besides nothing at all
    dataset_version: str = ""
    versions: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read a contract.json.

        Raises:
            ProjectError: there is none, or it is no contract.
        """
        try:
            return cls.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            raise ProjectError(
                "the model has no contract",
                where=str(file),
                fix="a model folder holds model.joblib, contract.json and code/",
            ) from None
        except ValidationError as error:
            raise ProjectError("not a model contract", where=str(file), why=str(error)) from error

    def save(self, file: Path) -> None:
        file.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def columns_from_records(self, records: Sequence[Any]) -> Columns:
        """Turn JSON objects, one a row, into columns.

        Raises:
            RequestError: there is no row, or one breaks the contract: row, column, found, expected.
        """
        _require_rows(records)
        known = frozenset(self.names)
        named: list[Mapping[str, Any]] = []
        for row, record in enumerate(records, start=1):
            if not isinstance(record, dict):
                _refuse(f"row {row}", f"an object with the keys {_names(self.names)}", record)
            named.append(record if record.keys() == known else self._named(record, f"row {row}"))
        return self._convert({name: [r[name] for r in named] for name in self.names}, from_json)

    def columns_from_lists(self, rows: Sequence[Any], convert: Converter | None = None) -> Columns:
        """Turn lists of JSON values in contract order, one a row, into columns.

        Raises:
            RequestError: there is no row, or one breaks the contract.
        """
        _require_rows(rows)
        for row, values in enumerate(rows, start=1):
            if not isinstance(values, list):
                _refuse(f"row {row}", f"a list of {len(self.features)} values", values)
            if len(values) != len(self.features):
                self._refuse_length(row, len(values))
        by_column = zip(*rows, strict=True)
        return self._convert(
            {name: list(column) for name, column in zip(self.names, by_column, strict=True)},
            convert or from_json,
        )

    def columns_from_text(self, rows: Sequence[Sequence[str]]) -> Columns:
        """Turn text fields (CSV) into columns; the first row is a header where it holds feature names.

        Without a header the fields are in contract order. Row 1 is the first row of values.

        Raises:
            RequestError: there is no row, or one breaks the contract.
        """
        names: Sequence[str] = self.names
        if rows and self._is_header(rows[0]):
            names, rows = self.checked_names([field.strip() for field in rows[0]], "header"), rows[1:]
        _require_rows(rows)
        for row, fields in enumerate(rows, start=1):
            if len(fields) != len(names):
                self._refuse_length(row, len(fields))
        # A column at a time: all in one go would be a long while in which nobody else is answered.
        by_column = {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        return self._convert({name: by_column[name] for name in self.names}, self.from_text)

    def records(self, columns: Mapping[str, Sequence[Value]]) -> list[dict[str, JsonValue]]:
        """Write columns as the JSON objects that `columns_from_records` makes them of, one a row."""
        written = {
            feature.name: [_json_value(value, feature) for value in columns[feature.name]]
            for feature in self.features
        }
        return [dict(zip(written, row, strict=True)) for row in zip(*written.values(), strict=True)]

    def columns_from_arrays(self, arrays: Mapping[str, Sequence[Any]]) -> Columns:
        """Turn named columns (a structured array) of Python values into columns.

        Raises:
            RequestError: there is no row, or one breaks the contract.
        """
        arrays = self._named(arrays, "array")
        _require_rows(next(iter(arrays.values())))
        return self._convert({name: arrays[name] for name in self.names}, from_array)

    def checked_names(self, names: Sequence[str], where: str) -> list[str]:
        """Give the features' own names of received columns, in whichever order those are.

        Raises:
            RequestError: some are missing, unknown or there twice.
        """
        own = self.own_names(names)
        if len(own) != len(self.features) or set(own) != set(self.names):
            self._refuse_names(own, where)
        return own

    def from_text(self, value: Any, feature: Feature) -> Value:
        """Read one text field; see `Converter`."""
        text = plain_text(value, self.null_values)
        if text is None:
            return _null(feature)
        if feature.type == "boolean":
            flag = _BOOLEAN_TEXT.get(text.lower())
            if flag is None:
                raise _Breach
            return _boolean(flag, feature)
        if feature.spelling is not None:
            text = feature.spelling.plain(text) or ""
        if not _NUMBER_TEXT.fullmatch(text):
            raise _Breach
        return _number(_whole(text) if feature.type == "integer" else float(text), feature)

    def _category(self, value: str, feature: Feature) -> Value:
        text = plain_text(value, self.null_values)
        if text is None:
            return _null(feature)
        if not _is_unicode(text):
            raise _Breach
        return text

    def _convert(self, raw: Mapping[str, Sequence[Any]], convert: Converter) -> Columns:
        columns: Columns = {}
        for feature in self.features:
            column: list[Value] = []
            columns[feature.name] = column
            read_text = self._category if feature.type == "string" else None
            if feature.spelling is not None:
                read_text = self.from_text
            for value in raw[feature.name]:
                try:
                    if read_text is not None and type(value) is str:
                        column.append(read_text(value, feature))
                    else:
                        column.append(convert(value, feature))
                except _Breach:
                    where = f"row {len(column) + 1}, column {feature.name!r}"
                    _refuse(where, _expected(feature), value)
        return columns

    def _is_header(self, fields: Sequence[str]) -> bool:
        """Half of the names are enough: a header with a mistake in it is told so, not read as values."""
        known = frozenset(self.names)
        found = sum(name in known for name in self.own_names([field.strip() for field in fields]))
        return found > 0 and 2 * found >= min(len(fields), len(known))

    def own_names(self, names: Sequence[str]) -> list[str]:
        """Give the features' own names for those that differ from them in Unicode normalisation only."""
        if all(map(str.isascii, names)):
            return list(names)
        own = {normal(name): name for name in self.names}
        return [own.get(normal(name), name) for name in names]

    def _named(self, values: Mapping[str, _T], where: str) -> Mapping[str, _T]:
        """Give values by the features' own names, or refuse the names."""
        if values.keys() == set(self.names):
            return values
        return dict(zip(self.checked_names(list(values), where), values.values(), strict=True))

    def _refuse_names(self, names: Sequence[str], where: str) -> NoReturn:
        # Of as many names as a client likes to send: nothing here looks at each of them for each of them.
        received, known = dict.fromkeys(names), frozenset(self.names)
        missing = [name for name in self.names if name not in received]
        unknown = [name for name in received if name not in known]
        found = [
            f"{what}: {listed(which)}"
            for what, which in (
                ("missing", missing),
                ("unknown", unknown),
                ("there twice", repeated(names)),
            )
            if which
        ]
        raise RequestError(
            f"{where}: the columns are not those of the model; " + "; ".join(found),
            fix=f"send exactly these columns: {_names(self.names)}",
        )

    def _refuse_length(self, row: int, found: int) -> NoReturn:
        raise RequestError(
            f"row {row}: found {found} values, expected {len(self.features)}",
            fix=f"send these columns in this order: {_names(self.names)}",
        )


class _Breach(Exception):
    """One value breaks the contract of its feature."""


Converter: TypeAlias = Callable[[Any, Feature], Value]
"""Turns one received value into what the model takes, or raises _Breach. A string's text is not its business."""


def from_json(value: Any, feature: Feature) -> Value:
    """Read one JSON value; see `Converter`."""
    if value is None:
        return _null(feature)
    if feature.type == "boolean":
        if type(value) is bool:
            return _boolean(value, feature)
    elif feature.type != "string" and type(value) in (int, float):
        return _number(value, feature)
    raise _Breach


def from_array(value: Any, feature: Feature) -> Value:
    """Read one value of an array, where NaN and "" are null and a boolean may be 0 or 1; see `Converter`."""
    if value == "" or (type(value) is float and math.isnan(value)):
        return _null(feature)
    if feature.type == "boolean" and type(value) in (int, float) and value in (0, 1):
        return _boolean(bool(value), feature)
    return from_json(value, feature)


def plain_text(value: str, null_values: Sequence[str]) -> str | None:
    """Give a text without the blanks around it, None for null.

    By this rule sluice/datasets/schema.py checks datasets (Arrow trims what str.strip does), so a row means the same
    in a training file and in a request of any format.
    """
    text = value.strip()
    return None if not text or text in null_values or value in null_values else text


def category_text(value: bool | float | str, type_: FeatureType) -> str:
    """Write a value as the category that the model sees: "3", "1.5", "true"."""
    if type_ == "boolean":
        return "true" if value else "false"
    if type_ == "integer":
        return str(int(value))
    if type_ == "number":
        return repr(float(value))
    return str(value)


def plain_class(label: ClassLabel) -> str:
    """Write a class as a category of text: "3", "true"."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def _json_value(value: Value, feature: Feature) -> JsonValue:
    """Write a value of the model as what a client would send for it: 3 for the category "3"."""
    if value is None or value != value:
        return None
    if feature.type == "boolean":
        return value == "true" if isinstance(value, str) else bool(value)
    if feature.type == "integer":
        return int(value)
    return float(value) if feature.type == "number" else value


def _number(value: float, feature: Feature) -> Value:
    try:
        number = float(value)
    except OverflowError:
        raise _Breach from None
    if not math.isfinite(number) or (feature.type == "integer" and not _is_whole(value)):
        raise _Breach
    return number if feature.kind == "number" else category_text(value, feature.type)


def _whole(text: str) -> int:
    """Read an integer as sluice/datasets/schema.py does: in digits, or as spreadsheets and pandas write it, 3.0."""
    whole, point, zeros = text.partition(".")
    digits = whole.lstrip("+-")
    significant = digits.lstrip("0") or "0"
    if (
        not digits.isdigit()
        or len(significant) > _LONGEST_INT64
        or (point and (not zeros or zeros.strip("0")))
    ):
        raise _Breach
    number = -int(significant) if whole.startswith("-") else int(significant)
    if point and abs(number) >= _EXACT_INTEGERS:
        raise _Breach
    return number


def _is_whole(value: float) -> bool:
    """Tell whether a dataset's integers may hold a value; a float from 2**53 on may stand for another integer."""
    if isinstance(value, int):
        return value in _INT64
    return value.is_integer() and abs(value) < _EXACT_INTEGERS


def _boolean(value: bool, feature: Feature) -> Value:
    return float(value) if feature.kind == "number" else category_text(value, "boolean")


def _null(feature: Feature) -> Value:
    if not feature.nullable:
        raise _Breach
    return math.nan if feature.kind == "number" else None


def _is_unicode(text: str) -> bool:
    """Tell whether there is no lone surrogate, which no file can hold and which models fail over."""
    return text.isascii() or _SURROGATE.search(text) is None


def _require_rows(rows: Sequence[Any]) -> None:
    if not rows:
        raise RequestError("the request holds no rows", fix="send at least one row of feature values")


def _refuse(where: str, expected: str, value: Any) -> NoReturn:
    raise RequestError(f"{where}: found {_describe(value)}, expected {expected}")


def _expected(feature: Feature) -> str:
    finite = "finite " if feature.type == "number" else ""
    text = _EXPECTED[feature.type].replace("a number", f"a {finite}number")
    text += f" (as text: with {feature.spelling.describe()})" if feature.spelling else ""
    return f"{text} or null" if feature.nullable else f"{text}, not null"


def _describe(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str) and not value.strip():
        return "an empty text"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, float) and math.isnan(value):
        return "null (NaN)"
    kinds = {str: "string", int: "number", float: "number", list: "list", dict: "object"}
    # reprlib looks at the beginning of a list or an object only, which may be millions of values.
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str) else reprlib.repr(value)
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"the {kinds.get(type(value), type(value).__name__)} {shown}"


def repeated(names: Iterable[str]) -> list[str]:
    """Give the names that are there more than once, in order."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def listed(names: Sequence[str]) -> str:
    """Write names for a message, which a client does not make as long as it likes."""
    shown = [name if len(name) <= _SHOWN else name[:_SHOWN] + "…" for name in names[:_MOST_LISTED]]
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return _names(shown) + more


def _names(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
