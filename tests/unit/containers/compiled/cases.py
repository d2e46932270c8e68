"""Data with every kind of column, and contracts and pipelines over it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from containers.frames import frame_of
from sluice.contract import Columns, Feature, ModelContract, TargetContract
from sluice.problems import Problem

Classes = Literal["binary", "multiclass", "many", "regression", "two codes", "codes"]

FEATURES = (
    Feature(name="size", kind="number", type="integer", nullable=False),
    Feature(name="weight", kind="number", type="number", nullable=True),
    Feature(name="height", kind="number", type="number", nullable=False),
    Feature(name="member", kind="number", type="boolean", nullable=False),
    Feature(name="colour", kind="category", type="string", nullable=True),
    Feature(name="city", kind="category", type="string", nullable=False),
    Feature(name="grade", kind="category", type="integer", nullable=True),
    Feature(name="flag", kind="category", type="boolean", nullable=False),
    Feature(name="ratio", kind="category", type="number", nullable=True),
)
NUMBERS = ["size", "weight", "height", "member"]
CATEGORIES = ["colour", "city", "grade", "flag", "ratio"]
_CLASSES: dict[Classes, tuple[str, ...] | tuple[int, ...]] = {
    "binary": ("no", "yes"),
    "multiclass": ("high", "low", "middle"),
    "many": tuple("abcdefghijk"),
    "regression": (),
    # Of a target of whole numbers, which is what XGBoost takes.
    "two codes": (0, 1),
    "codes": (0, 1, 2, 3),
}
_PROBLEMS: dict[Classes, Problem] = {
    "binary": "binary",
    "multiclass": "multiclass",
    "many": "multiclass",
    "regression": "regression",
    "two codes": "binary",
    "codes": "multiclass",
}


def contract_for(classes: Classes) -> ModelContract:
    names = _CLASSES[classes]
    problem = _PROBLEMS[classes]
    positive = names[1] if problem == "binary" else None
    target = TargetContract(name="y", problem=problem, classes=names, positive=positive)
    return ModelContract(features=FEATURES, target=target, null_values=("", "NA"))


def columns(rows: int, seed: int = 1) -> Columns:
    """As ModelContract makes them, with nulls where they may be."""
    draw = random.Random(seed)
    nan = float("nan")
    return {
        "size": [float(draw.randint(0, 50)) for _ in range(rows)],
        "weight": [nan if draw.random() < 0.1 else draw.gauss(0, 3) for _ in range(rows)],
        "height": [round(draw.uniform(-1, 1), 2) for _ in range(rows)],
        "member": [float(draw.random() < 0.5) for _ in range(rows)],
        "colour": [draw.choice(["red", "green", "blue", None]) for _ in range(rows)],
        "city": [draw.choice(["Köln", "Bonn", "Ulm", "Rom", "Łódź", "x" * 20]) for _ in range(rows)],
        "grade": [draw.choice(["1", "2", "3", "-4", None]) for _ in range(rows)],
        "flag": [draw.choice(["true", "false"]) for _ in range(rows)],
        "ratio": [draw.choice(["0.5", "1.0", "-2.25", None]) for _ in range(rows)],
    }


def target(data: Columns, classes: Classes, seed: int = 2) -> Any:
    draw = random.Random(seed)
    weight = np.nan_to_num(np.array(data["weight"], dtype=np.float64))
    red = np.array([colour == "red" for colour in data["colour"]])
    noise = np.array([draw.gauss(0, 0.5) for _ in weight])
    score = np.array(data["size"], dtype=np.float64) / 25 - 1 + weight / 3 + red + noise
    names = _CLASSES[classes]
    if not names:
        return np.abs(score) + 0.1
    edges = np.quantile(score, np.linspace(0, 1, len(names) + 1)[1:-1])
    kind = np.int64 if isinstance(names[0], int) else object
    return np.array(names, dtype=kind)[np.digitize(score, edges)]


def fitted(model: Any, classes: Classes, rows: int = 600, **options: Any) -> Any:
    data = columns(rows)
    return model.fit(frame_of(data, contract_for(classes)), target(data, classes), **options)


def one_hot_and_scaled(**encoder: Any) -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_column_transformer(
        (numbers, NUMBERS), (OneHotEncoder(handle_unknown="ignore", **encoder), CATEGORIES)
    )


def as_they_are() -> ColumnTransformer:
    """Dense, with nulls left in: for the trees that take them."""
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORIES), remainder="passthrough"
    )


def sparse() -> ColumnTransformer:
    """Sparse whatever the share of zeros."""
    return make_column_transformer(
        (SimpleImputer(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), CATEGORIES), sparse_threshold=1.0
    )


def codes_of_texts() -> ColumnTransformer:
    """Two columns of categories without nulls as their numbers, then four of numbers."""
    return make_column_transformer((OrdinalEncoder(), ["city", "flag"]), (SimpleImputer(), NUMBERS))


def scaled_with_nulls() -> ColumnTransformer:
    return make_column_transformer(
        (StandardScaler(), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), CATEGORIES),
    )


def _ordinal(**options: Any) -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **options)


def _nested() -> Pipeline:
    inner = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), RobustScaler()), [0, 1]),
        (MinMaxScaler(clip=True), slice(2, 3)),
        ("drop", [3]),
        (FunctionTransformer(), np.array([False] * 3 + [True] + [False] * 5)),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), _ordinal(), MaxAbsScaler()), [4, 5]),
        remainder="drop",
    )
    return make_pipeline(inner, "passthrough", SimpleImputer(strategy="mean"))


PREPROCESSING: dict[str, Callable[[], Any]] = {
    "sparse": one_hot_and_scaled,
    "frequent": lambda: make_column_transformer(
        (
            OneHotEncoder(min_frequency=0.2, handle_unknown="infrequent_if_exist", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
        remainder="passthrough",
    ),
    "most": lambda: make_column_transformer(
        (OneHotEncoder(max_categories=3, drop="first", sparse_output=False), CATEGORIES),
        remainder=SimpleImputer(strategy="constant", fill_value=-7.5),
    ),
    "if_binary": lambda: make_column_transformer(
        (OneHotEncoder(drop="if_binary", handle_unknown="ignore", sparse_output=False), CATEGORIES),
        (SimpleImputer(), NUMBERS),
    ),
    "strict": lambda: make_column_transformer(
        (OneHotEncoder(handle_unknown="error", sparse_output=False), CATEGORIES), (SimpleImputer(), NUMBERS)
    ),
    "ordinal": lambda: make_column_transformer(
        (_ordinal(encoded_missing_value=-2), CATEGORIES), (SimpleImputer(), NUMBERS)
    ),
    "ordinal_strict": lambda: make_column_transformer(
        (OrdinalEncoder(encoded_missing_value=-2), CATEGORIES), (SimpleImputer(), NUMBERS)
    ),
    "ordinal_nulls": lambda: make_column_transformer(
        (make_pipeline(_ordinal(), SimpleImputer(add_indicator=True)), CATEGORIES), (SimpleImputer(), NUMBERS)
    ),
    "ordinal_frequent": lambda: make_column_transformer(
        (make_pipeline(_ordinal(min_frequency=30), SimpleImputer()), CATEGORIES), (SimpleImputer(), NUMBERS)
    ),
    "filled": lambda: make_column_transformer(
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore")
            ),
            CATEGORIES,
        ),
        (SimpleImputer(strategy="most_frequent"), NUMBERS),
        sparse_threshold=0,
    ),
    "codes": lambda: make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["size", "weight", "colour"]),
        (
            make_pipeline(SimpleImputer(strategy="median"), OneHotEncoder(handle_unknown="ignore")),
            ["weight", "size"],
        ),
        (StandardScaler(), ["size", "height"]),
        (SimpleImputer(), ["weight"]),
        sparse_threshold=0,
    ),
    "twice": lambda: make_pipeline(
        make_column_transformer(
            (_ordinal(encoded_missing_value=-3), CATEGORIES),
            (SimpleImputer(), NUMBERS),
            (_ordinal(), ["city"]),
        ),
        make_column_transformer((OneHotEncoder(), [0, 1, 2]), remainder=StandardScaler(), sparse_threshold=0),
    ),
    "nested": _nested,
    "sparse_scaled": lambda: make_pipeline(
        one_hot_and_scaled(), StandardScaler(with_mean=False), MaxAbsScaler()
    ),
    "as_frames": lambda: make_pipeline(
        make_column_transformer(
            (SimpleImputer(strategy="most_frequent"), CATEGORIES), (SimpleImputer(), NUMBERS)
        ),
        make_column_transformer(
            (_ordinal(), make_column_selector(dtype_exclude="number")), remainder="passthrough"
        ),
    ).set_output(transform="pandas"),
}
