"""Turns a table's columns into what a model is given: float64 numbers, string categories, plain classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from sluice.cells import ColumnType
from sluice.contract import ClassLabel, Feature, FeatureType, Kind, category_text, plain_text
from sluice.errors import TrainingSetFailed
from sluice.project import Column

_IN_TOML = "project.toml: features"


def type_of(column: pd.Series, declared: ColumnType | None) -> FeatureType:
    """Tell what the values of a column are.

    A column of whole numbers with nulls is float64 in pandas: it is taken for what project.toml declares.

    Raises:
        TrainingSetFailed: they are timestamps, or of several types.
    """
    values = column.dropna()
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind == "empty" and declared in ("string", "integer", "number", "boolean"):
        return declared
    if kind in ("string", "empty"):
        return "string"
    if kind == "boolean":
        return "boolean"
    if kind == "integer":
        return "number" if declared == "number" else "integer"
    if kind in ("floating", "mixed-integer-float", "decimal"):
        whole = declared == "integer" and bool((values.astype(np.float64) % 1 == 0).all())
        return "integer" if whole else "number"
    raise TrainingSetFailed(
        f"the column {column.name!r} holds values of type {kind}",
        where=_IN_TOML,
        why="a feature or target is made of numbers, strings or booleans",
        fix="make one of them of it in features.py: build_features",
    )


def plain_texts(column: pd.Series, null_values: Sequence[str]) -> pd.Series:
    """Give a column whose texts are as a request's will be, whatever features.py made of them."""
    if not (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
        return column
    texts = [plain_text(value, null_values) if isinstance(value, str) else value for value in column]
    return pd.Series(texts, column.index, dtype=column.dtype, name=column.name)


def feature_of(column: pd.Series, kind: Kind, declared: Column | None) -> Feature:
    """Describe a feature; it is nullable where it may be null, or is."""
    type_ = type_of(column, declared.type if declared else None)
    nullable = declared is not None and declared.nullable
    return Feature(
        name=str(column.name),
        kind=kind,
        type=type_,
        nullable=nullable or bool(column.isna().any()),
        spelling=declared.spelling if declared and type_ in ("integer", "number") else None,
    )


def numbers(column: pd.Series, type_: FeatureType) -> npt.NDArray[np.float64]:
    """Cast to float64; null is NaN, booleans are 0.0 and 1.0.

    Raises:
        TrainingSetFailed: there are strings, or infinite values.
    """
    if type_ == "string" and column.notna().any():
        raise TrainingSetFailed(
            f"the numeric feature {column.name!r} holds strings, in {_count(column.notna())} rows",
            where="project.toml: features.numeric",
            fix=f"list {column.name!r} under features.categorical, or make a number of it in features.py",
        )
    values = (
        np.array([np.nan if value is None or value is pd.NA else value for value in column], dtype=np.float64)
        if column.dtype == object
        else column.to_numpy(dtype=np.float64, na_value=np.nan)
    )
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise TrainingSetFailed(
            f"the numeric feature {column.name!r} is infinite in {infinite:,} rows",
            where=_IN_TOML,
            why="models take no infinite numbers; a division by zero makes them",
            fix="make them null or finite in features.py",
        )
    return values


def categories(column: pd.Series, type_: FeatureType) -> list[str | None]:
    """Cast to strings; null is None."""
    present = column.notna()
    return [
        category_text(value, type_) if there else None for value, there in zip(column, present, strict=True)
    ]


def classes_of(column: pd.Series) -> list[ClassLabel]:
    """Give a classification target as strings, integers or booleans.

    Raises:
        TrainingSetFailed: its values are fractions.
    """
    type_ = type_of(column, "integer")
    if type_ == "number":
        raise TrainingSetFailed(
            f"the target {column.name!r} holds fractions, in {_count(column.astype(np.float64) % 1 != 0)} rows",
            where="project.toml: target",
            why="a class is a string, a whole number or a boolean",
            fix='set problem = "regression", or make classes of it in features.py',
        )
    if type_ == "integer":
        return [int(value) for value in column]
    if type_ == "boolean":
        return [bool(value) for value in column]
    return [str(value) for value in column]


def values_of(column: pd.Series) -> npt.NDArray[np.float64]:
    """Give a regression target as float64.

    Raises:
        TrainingSetFailed: it holds strings or infinite values.
    """
    type_ = type_of(column, "number")
    if type_ == "string":
        raise TrainingSetFailed(
            f"the target {column.name!r} holds strings, in {_count(column.notna())} rows",
            where="project.toml: target",
            fix='set problem = "binary" or "multiclass", or make numbers of it in features.py',
        )
    return numbers(column, type_)


def find_class(wanted: ClassLabel, classes: list[ClassLabel]) -> ClassLabel | None:
    """Find the class that project.toml means by `positive`: 1 and "1" are the same there."""
    return next((label for label in classes if _text(label) == _text(wanted)), None)


def _count(found: pd.Series) -> str:
    """Say how many, never which: what fails a job is told to many, and kept in logs."""
    return f"{int(found.sum()):,} of {len(found):,}"


def _text(label: ClassLabel) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
