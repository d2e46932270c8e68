"""What a request has to be answered, found out the plain way: row by row, and by scikit-learn.

Of containers/serve only what is to be judged is named here, and nothing of sluice/contract.py's reading. A body is
read by Python's own json and csv, a value is judged by the few rules of docs/architecture.md, and the pipeline itself
predicts.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits

from containers.compiled.compile import compile_model
from containers.serve.scorer import CompiledScorer
from sluice.contract import Feature, ModelContract, TargetContract

CONTRACT = ModelContract(
    features=(
        Feature(name="size", kind="number", type="integer", nullable=False),
        Feature(name="weight", kind="number", type="number", nullable=True),
        Feature(name="colour", kind="category", type="string", nullable=True),
        Feature(name="grade", kind="category", type="integer", nullable=True),
        Feature(name="member", kind="number", type="boolean", nullable=False),
        Feature(name="region", kind="category", type="string", nullable=False),
    ),
    target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
    null_values=("", "NA"),
)
NAMES = CONTRACT.names
_TYPES = {feature.name: feature.type for feature in CONTRACT.features}
_NULLABLE = {feature.name for feature in CONTRACT.features if feature.nullable}
_CATEGORIES = {feature.name for feature in CONTRACT.features if feature.kind == "category"}
_NULLS = {"", "NA"}
_TRUE = ("true", "t", "yes", "y", "1", "1.0")

Row: TypeAlias = dict[str, Any]
"""A value a feature: a float, a text, or None."""


class Malformed(Exception):
    """The body, or a row of it, is not what the contract wants."""


@dataclass(frozen=True)
class Answers:
    """The positive class's probabilities and the labels, one a row."""

    probabilities: list[float]
    labels: list[str]


@cache
def pipeline() -> Pipeline:
    """A model whose answer hangs on every feature, so that a value read wrongly shows."""
    draw = np.random.default_rng(3)
    rows: list[Row] = [
        {
            "size": float(draw.integers(0, 9)),
            "weight": None if draw.random() < 0.1 else float(draw.normal()),
            "colour": [None, "red", "grün", "a,b"][draw.integers(4)],
            "grade": [None, "1", "2", "30"][draw.integers(4)],
            "member": float(draw.integers(2)),
            "region": ["north", "south", '"', "x y"][draw.integers(4)],
        }
        for _ in range(1500)
    ]
    score = [
        row["size"] / 4
        + (row["weight"] if row["weight"] is not None else 1.5)
        + {None: 0.0, "red": 0.6, "grün": 1.4, "a,b": -0.9}[row["colour"]]
        + {None: 0.0, "1": 0.7, "2": -0.8, "30": 1.6}[row["grade"]]
        + row["member"]
        + {"north": 0.5, "south": -0.6, '"': 1.2, "x y": -1.3}[row["region"]]
        for row in rows
    ]
    target = np.where(np.array(score) > np.median(score), "yes", "no").astype(object)
    texts = sorted(_CATEGORIES)
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts), remainder="passthrough"
    )
    model: Pipeline = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=40, random_state=0))
    with threadpool_limits(1):
        return model.fit(frame(rows), target)


@cache
def compiled() -> CompiledScorer:
    return CompiledScorer(compile_model(pipeline(), CONTRACT), CONTRACT)


def answers(rows: list[Row]) -> Answers:
    """Predict, as a user of the pipeline would."""
    table = frame(rows)
    with threadpool_limits(1):  # threads that wait for one another take longer than the work
        return Answers(pipeline().predict_proba(table)[:, 1].tolist(), pipeline().predict(table).tolist())


def frame(rows: list[Row]) -> pd.DataFrame:
    """Give the model's input."""
    return pd.DataFrame(
        {
            name: (
                pd.Series([row[name] for row in rows], dtype=pd.StringDtype(na_value=np.nan))
                if name in _CATEGORIES
                else np.array([math.nan if row[name] is None else row[name] for row in rows])
            )
            for name in NAMES
        }
    )


def read(body: bytes, media_type: str) -> list[Row]:
    """Read a body.

    Raises:
        Malformed: it is to be refused.
    """
    if not body.strip():
        raise Malformed
    reader = _READERS[media_type]
    try:
        return reader(body.decode("utf-8") if media_type in _OF_TEXT else body)
    except Malformed:
        raise
    except Exception as error:  # json's, csv's, numpy's or Arrow's: they are of many kinds
        raise Malformed from error


def _json(text: str) -> list[Row]:
    document = _document(text)
    if isinstance(document, dict):
        envelopes = {"instances", "dataframe_records", "dataframe_split"} & set(document)
        if not envelopes:
            document = [document]
        elif len(document) > 1:
            raise Malformed
        elif "dataframe_split" in document:
            document = _split(document["dataframe_split"])
        else:
            (document,) = document.values()
    elif (
        isinstance(document, list)
        and document
        and not any(isinstance(each, dict | list) for each in document)
    ):
        document = [document]
    if not isinstance(document, list):
        raise Malformed
    return _rows(document)


def _split(split: Any) -> Any:
    if not isinstance(split, dict) or "data" not in split or set(split) - {"columns", "index", "data"}:
        raise Malformed
    rows, names = split["data"], split.get("columns", list(NAMES))
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and len(row) == len(NAMES) for row in rows
    ):
        raise Malformed
    if not isinstance(names, list) or len(names) != len(NAMES):
        raise Malformed
    return [dict(zip(names, row, strict=True)) for row in rows]


def _json_lines(text: str) -> list[Row]:
    return _rows([_document(line) for line in re.split("[\r\n]", text) if line.strip(" \t\v\f")])


def _document(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise Malformed
        return dict(pairs)

    def constant(_: str) -> Any:
        raise Malformed

    return json.loads(text, object_pairs_hook=unique, parse_constant=constant)


def _rows(documents: list[Any]) -> list[Row]:
    documents = [
        each["features"]
        if isinstance(each, dict) and set(each) == {"features"} and isinstance(each["features"], list)
        else each
        for each in documents
    ]
    if not documents or len({type(each) for each in documents}) > 1:
        raise Malformed
    rows = [_named(each) for each in documents]
    return [{name: of_json(row[name], name) for name in NAMES} for row in rows]


def _named(document: Any) -> dict[str, Any]:
    if isinstance(document, list) and len(document) == len(NAMES):
        return dict(zip(NAMES, document, strict=True))
    if isinstance(document, dict) and set(document) == set(NAMES):
        return document
    raise Malformed


def _csv(text: str) -> list[Row]:
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    return _text_rows([row for row in csv.reader(lines, strict=True) if row])


def _text_rows(fields: list[list[str]]) -> list[Row]:
    if not fields:
        raise Malformed
    names = [field.strip() for field in fields[0]]
    known = sum(name in NAMES for name in names)
    if known and 2 * known >= min(len(names), len(NAMES)):
        fields = fields[1:]
    else:
        names = list(NAMES)
    if sorted(names) != sorted(NAMES) or not fields or any(len(row) != len(names) for row in fields):
        raise Malformed
    return [{name: of_text(row[names.index(name)], name) for name in NAMES} for row in fields]


def _npy(body: bytes) -> list[Row]:
    stream = io.BytesIO(body)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    if stream.read():
        raise Malformed
    if array.dtype.names is not None:
        for name in array.dtype.names:
            _refuse_no_unicode(array[name])
        return _table([dict(zip(array.dtype.names, row, strict=True)) for row in array.reshape(-1).tolist()])
    if array.dtype.kind == "U":
        _refuse_no_unicode(array)
        return _text_rows(array.tolist())
    return _table([dict(zip(NAMES, row, strict=True)) for row in array.tolist()])


def _refuse_no_unicode(array: Any) -> None:
    if array.dtype.kind == "U" and array.size:
        array.astype(array.dtype.newbyteorder("<")).tobytes().decode("utf-32-le")


def _parquet(body: bytes) -> list[Row]:
    table = pq.read_table(io.BytesIO(body), partitioning=None)
    plain = "bool|u?int|float|halffloat|double|decimal|string|large_string|null|dictionary<values=(?!binary)"
    if not all(re.match(plain, str(kind)) for kind in table.schema.types):
        raise Malformed
    return _table(table.to_pylist())


def _table(rows: list[Row]) -> list[Row]:
    if not rows or any(set(row) != set(NAMES) for row in rows):
        raise Malformed
    return [{name: of_array(row[name], name) for name in NAMES} for row in rows]


def of_json(value: Any, name: str) -> Any:
    """Judge one JSON value."""
    type_ = _TYPES[name]
    if value is None:
        return _null(name)
    if type_ == "string" and isinstance(value, str):
        return _text(value, name)
    if type_ == "boolean" and isinstance(value, bool):
        return float(value)
    if type_ in ("integer", "number") and isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, name)
    raise Malformed


def of_text(value: str, name: str) -> Any:
    """Judge one field of text."""
    text, type_ = value.strip(), _TYPES[name]
    if text in _NULLS:
        return _null(name)
    if type_ == "string":
        return _text(text, name)
    if type_ == "boolean":
        if text.lower() not in (*_TRUE, "false", "f", "no", "n", "0", "0.0"):
            raise Malformed
        return float(text.lower() in _TRUE)
    if set(text) - set("0123456789+-.eE"):
        raise Malformed
    if type_ == "integer":
        if re.fullmatch("[+-]?[0-9]+", text):
            return _number(int(text), name)
        if not re.fullmatch(r"[+-]?[0-9]+\.0+", text):
            raise Malformed
    return _number(float(text), name)


def of_array(value: Any, name: str) -> Any:
    """Judge one value of an array or a table."""
    if isinstance(value, Decimal):
        value = int(value) if value == int(value) else float(value)
    if value == "" or (isinstance(value, float) and math.isnan(value)):
        return _null(name)
    if _TYPES[name] == "boolean" and isinstance(value, int | float) and value in (0, 1):
        return float(value)
    return of_json(value, name)


def _number(value: float, name: str) -> Any:
    try:
        number = float(value)
    except OverflowError as error:
        raise Malformed from error
    if not math.isfinite(number):
        raise Malformed
    if _TYPES[name] == "integer":
        # As int64 holds it, written so that no other integer may have been meant.
        held = -(2**63) <= value < 2**63 if isinstance(value, int) else abs(value) < 2**53
        if not held or number != math.floor(number):
            raise Malformed
    return str(int(value)) if name in _CATEGORIES else number


def _text(value: str, name: str) -> Any:
    text = value.strip()
    text.encode()  # a lone surrogate is a ValueError
    return _null(name) if text in _NULLS else text


def _null(name: str) -> None:
    if name not in _NULLABLE:
        raise Malformed


_OF_TEXT = ("application/json", "application/jsonlines", "text/csv")
_READERS: dict[str, Callable[[Any], list[Row]]] = {
    **dict(zip(_OF_TEXT, (_json, _json_lines, _csv), strict=True)),
    "application/x-npy": _npy,
    "application/x-parquet": _parquet,
}


def bits(number: float) -> bytes:
    return struct.pack(">d", number)
