"""The model contract: which columns a model takes and what it answers, and every breach of it by name.

Neither numpy nor pandas is needed here: the serving path hands rows as plain Python values and gets plain
columns back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
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
_LONGEST_WHOLE = 40


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
        named: list[dict[str, Any]] = []
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
            names, rows = self.own_names([field.strip() for field in rows[0]]), rows[1:]
            if len(names) != len(self.features) or set(names) != set(self.names):
                self._refuse_names(names, "header")
        _require_rows(rows)
        for row, fields in enumerate(rows, start=1):
            if len(fields) != len(names):
                self._refuse_length(row, len(fields))
        by_column = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
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
        if len(arrays) != len(self.features) or set(arrays) != set(self.names):
            arrays = self._named(arrays, "array")
        _require_rows(next(iter(arrays.values())))
        return self._convert({name: arrays[name] for name in self.names}, from_array)

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
        # Read exactly where a float, which holds 53 bits, would not; a longer one than that is no category.
        whole = text.lstrip("+-").isdigit() and len(text) <= _LONGEST_WHOLE
        return _number(int(text) if whole else float(text), feature)

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

    def _named(self, values: Mapping[str, _T], where: str) -> dict[str, _T]:
        """Give values by the features' own names, or refuse the names."""
        names = self.own_names(list(values))
        if len(names) != len(self.features) or set(names) != set(self.names):
            self._refuse_names(names, where)
        return dict(zip(names, values.values(), strict=True))

    def _refuse_names(self, names: Sequence[str], where: str) -> NoReturn:
        missing = [name for name in self.names if name not in names]
        unknown = [name for name in dict.fromkeys(names) if name not in self.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        found = [
            f"{what}: {_names(which)}"
            for what, which in (("missing", missing), ("unknown", unknown), ("there twice", twice))
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
    if not math.isfinite(number) or (feature.type == "integer" and not number.is_integer()):
        raise _Breach
    return number if feature.kind == "number" else category_text(value, feature.type)


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
    text = repr(value)
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"the {kinds.get(type(value), type(value).__name__)} {shown}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
