"""A plan made ready to answer: by the native code where it was built, else by numpy."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from containers.compiled import reference
from containers.compiled.plan import (
    CompiledModelError,
    Doubles,
    Fill,
    Linear,
    NumberLookup,
    Plan,
    Step,
    TextLookup,
    Trees,
)
from containers.compiled.sources import source_hash
from sluice.contract import Columns, Feature, FeatureType, ModelContract, category_text

Rows: TypeAlias = tuple[bytes, bytes | None]
"""(n, values) float64 of the rows, C order, and (n,) int32 class indexes; None for a regression."""

Row: TypeAlias = tuple[Any, int]
"""The value asked for (a float, or a tuple of all) and the class index, -1 for a regression."""


class Engine(Protocol):
    """What answers rows. Every method but `score_columns` answers None for anything that is not plainly right.

    Then the caller reads the rows by ModelContract.columns_from_…, which knows how to read them or how to word
    the refusal, and asks `score_columns`.
    """

    name: Literal["native", "numpy"]

    def score_csv(self, body: bytes, value: int, /) -> Row | Rows | None:
        """Predict for a CSV body without header: one row's value number `value` (-1: all), or many rows'."""

    def score_json(self, body: bytes, value: int, /) -> Row | Rows | None:
        """Predict for a record, or a list of records or of lists in contract order, bare or as "instances"."""

    def score_json_lines(self, body: bytes, value: int, /) -> Row | Rows | None:
        """Predict for a record or a list a line."""

    def score_columns(self, columns: Columns, /) -> Rows | None:
        """Predict for columns that keep the contract.

        None where the fitted pipeline would raise for a row, or where an answer is no finite number.
        """


def engine_of(plan: Plan, contract: ModelContract) -> Engine:
    """Make a plan ready, natively if this machine can.

    Raises:
        CompiledModelError: the plan is not that of a model with this contract.
    """
    plan.fits(contract)
    native = _native()
    return NumpyEngine(plan) if native is None else NativeEngine(plan, contract, native)


class NumpyEngine:
    """Evaluates columns; leaves the reading of rows to ModelContract."""

    name: Literal["native", "numpy"] = "numpy"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def score_csv(self, _body: bytes, _value: int, /) -> Row | Rows | None:
        return None

    def score_json(self, _body: bytes, _value: int, /) -> Row | Rows | None:
        return None

    def score_json_lines(self, _body: bytes, _value: int, /) -> Row | Rows | None:
        return None

    def score_columns(self, columns: Columns, /) -> Rows | None:
        try:
            values, labels = reference.evaluate(self._plan, columns)
        except reference.Refused:
            return None
        if not np.isfinite(values).all():
            return None
        return values.tobytes(), None if labels is None else labels.tobytes()


class NativeEngine:
    """The native Scorer, whose methods are taken over as they are: a wrapper would cost as much as a row."""

    name: Literal["native", "numpy"] = "native"

    def __init__(self, plan: Plan, contract: ModelContract, native: Any) -> None:
        scorer = native.Scorer(_spec(plan, contract))
        self.score_csv = scorer.score_csv
        self.score_json = scorer.score_json
        self.score_json_lines = scorer.score_json_lines
        self.score_columns = scorer.score_columns


@cache
def _native() -> Any | None:
    """Give the extension, if there is one for this interpreter and it was built from the sources beside it."""
    try:
        native = importlib.import_module("containers.compiled._native")
    except ImportError:
        return None
    return native if source_hash() == native.SOURCE_HASH else None


def why_not_native() -> str:
    """Say why the numpy engine stands in; empty where it does not."""
    if _native() is not None:
        return ""
    return "the native extension is not built for this interpreter: python -m containers.compiled.build"


_TYPES: dict[FeatureType, int] = {"string": 0, "integer": 1, "number": 2, "boolean": 3}
_NODE = np.dtype([("threshold", "<f8"), ("left", "<u4"), ("where", "<u4")])


def _spec(plan: Plan, contract: ModelContract) -> dict[str, Any]:
    """Give what native/spec.c reads."""
    if any(feature.kind == "number" and feature.type == "string" for feature in plan.features):
        raise CompiledModelError("a number column of strings")
    texts = {text.column: text for text in plan.texts}
    steps: list[Step] = []

    def placed(more: tuple[Step, ...]) -> tuple[int, int]:
        steps.extend(more)
        return len(steps) - len(more), len(steps)

    numbers = [(n.column, n.slot, *placed(n.steps)) for n in plan.numbers]
    lookups = [_number_lookup(lookup, *placed(lookup.steps)) for lookup in plan.number_lookups]
    linear = isinstance(plan.model, Linear)
    return {
        "columns": [_column(feature, texts.get(i)) for i, feature in enumerate(plan.features)],
        "names": [feature.name.encode() for feature in plan.features],
        "nulls": [text.encode() for text in contract.null_values],
        "step_op": np.array([step.op for step in steps], dtype="<u4").tobytes(),
        "step_operand": np.array([step.operand for step in steps], dtype="<f8").tobytes(),
        "numbers": np.array(numbers, dtype="<u4").tobytes(),
        "number_lookups": lookups,
        "base": _bytes(plan.base),
        "start": _bytes(plan.start),
        "values": plan.values,
        "link": int(plan.link.kind),
        "labels": int(plan.link.labels),
        "sum": int(plan.link.sum),
        "factor": plan.link.factor,
        "numpy_exp": int(plan.link.numpy_exp and not numpy_exp_is_libms()),
        "exponential": _exp_in_place,
        "trees": None if isinstance(plan.model, Linear) else _trees(plan.model),
        "weights": _bytes(plan.model.weights) if linear and isinstance(plan.model, Linear) else b"",
    }


def _bytes(values: Doubles) -> bytes:
    return values.astype("<f8").tobytes()


def _column(feature: Feature, text: TextLookup | None) -> dict[str, Any]:
    lookup = None
    if text is not None:
        typed = sorted(
            (int(np.float64(value).view(np.uint64)), code)
            for code, key in enumerate(text.keys)
            if (value := _typed(key, feature.type)) is not None
        )
        lookup = {
            "texts": [key.encode() for key in text.keys],
            "typed": np.array([bits for bits, _ in typed], dtype="<u8").tobytes(),
            "typed_code": np.array([code for _, code in typed], dtype="<i4").tobytes(),
            **_fill(text.fill, len(text.keys)),
        }
    return {
        "name": feature.name,
        "type": _TYPES[feature.type],
        "category": int(feature.kind == "category"),
        "nullable": int(feature.nullable),
        "lookup": lookup,
    }


def _typed(key: str, type_: FeatureType) -> float | None:
    """Give the number whose category text `key` is, if it is one's."""
    if type_ == "string":
        return None
    if type_ == "boolean":
        return {"true": 1.0, "false": 0.0}.get(key)
    try:
        value = float(key)
        return value if category_text(value, type_) == key else None
    except (ValueError, OverflowError):
        return None


def _fill(fill: Fill, keys: int) -> dict[str, Any]:
    return {
        "keys": keys,
        "refused": fill.refused.astype("<u1").tobytes(),
        "start": fill.start.astype("<u4").tobytes(),
        "slot": fill.slot.astype("<u4").tobytes(),
        "value": _bytes(fill.value),
    }


def _number_lookup(lookup: NumberLookup, first: int, end: int) -> dict[str, Any]:
    return {
        "column": lookup.column,
        "first": first,
        "end": end,
        "key_values": _bytes(lookup.keys),
        **_fill(lookup.fill, len(lookup.keys)),
    }


def _trees(trees: Trees) -> dict[str, Any]:
    """Give the nodes as native/model.h wants them: a leaf is its own left child, and everything goes left."""
    count = len(trees.slot)
    leaf = trees.slot < 0
    categorical = trees.category_set >= 0
    node = np.zeros(count, dtype=_NODE)
    node["threshold"] = np.where(categorical, trees.category_set, trees.threshold)
    node["threshold"][leaf] = np.inf
    node["left"] = np.where(leaf, np.arange(count), trees.left)
    flags = (trees.null_left != 0) | leaf
    node["where"] = (np.maximum(trees.slot, 0).astype(np.uint32) << 2) | (categorical & ~leaf) * 2 | flags
    width = trees.values.shape[1]
    row = np.where(leaf, trees.row, 0)
    return {
        "width": width,
        "categorical": int((categorical & ~leaf).any()),
        "single": int(trees.single),
        "divisor": trees.divisor,
        "root": trees.root.astype("<u4").tobytes(),
        "depth": trees.depth.astype("<u4").tobytes(),
        "node": node.tobytes(),
        "leaf": _bytes(trees.values[row, 0]) if width == 1 else b"",
        "row": row.astype("<u4").tobytes(),
        "values": _bytes(trees.values),
        "set_start": trees.set_start.astype("<u4").tobytes(),
        "set_words": trees.set_words.astype("<u4").tobytes(),
    }


@cache
def numpy_exp_is_libms() -> bool:
    """Tell whether numpy's exp is libm's here; its vector code, where it has some, differs in the last bit.

    Among 4,096 values another algorithm would show many times: two that are off by half a unit here and there
    agree on nine of ten values, not on all.
    """
    x = np.linspace(-40.0, 5.0, 4096)
    return bool((np.exp(x) == reference.libm_exp(x)).all())


def _exp_in_place(view: memoryview) -> None:
    x = np.frombuffer(view, dtype=np.float64)
    np.exp(x, out=x)
