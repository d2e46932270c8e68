"""A plan evaluated with numpy: the pure fallback, as exact as the native code and the judge of it."""

from __future__ import annotations

import ctypes
import ctypes.util
import math

import numpy as np
import numpy.typing as npt

from containers.compiled.plan import (
    Doubles,
    Fill,
    Labels,
    Linear,
    Link,
    LinkKind,
    NumberLookup,
    Op,
    Plan,
    Step,
    Sum,
    Trees,
)
from sluice.contract import Columns

_BLOCK = 4096  # rows


class Refused(Exception):
    """The fitted pipeline would raise for a row.

    Attributes:
        row: the first such row, from 0.
        column: the number of the column that holds the value.
    """

    def __init__(self, row: int, column: int) -> None:
        super().__init__(f"row {row + 1}")
        self.row = row
        self.column = column


@np.errstate(all="ignore")  # whoever asks looks whether all answers are finite
def evaluate(plan: Plan, columns: Columns) -> tuple[Doubles, npt.NDArray[np.int32] | None]:
    """Predict for columns that keep the contract.

    Returns:
        (n, values) probabilities in class order, or (n, 1) values of a regression; (n,) class indexes or None.

    Raises:
        Refused: the fitted pipeline would raise.
    """
    slots = fill_slots(plan, columns)
    sums = _linear(plan, slots) if isinstance(plan.model, Linear) else _trees(plan, plan.model, slots)
    values = linked(plan.link, sums)
    return values, _labels(plan.link, sums, values)


def fill_slots(plan: Plan, columns: Columns) -> Doubles:
    """Give the (n, slots) features of the estimator itself.

    Raises:
        Refused: the fitted pipeline would raise.
    """
    slots, refused = fill(plan, columns)
    worst = [(int(np.argmax(these)), column) for column, these in sorted(refused.items()) if these.any()]
    if worst:
        raise Refused(*min(worst))
    return slots


def fill(plan: Plan, columns: Columns) -> tuple[Doubles, dict[int, npt.NDArray[np.bool]]]:
    """Give (n, slots) features, and by column which of the n rows are refused for it."""
    received = list(columns.values())
    rows = len(received[0])
    slots = np.tile(plan.base, (rows, 1))
    refused: dict[int, npt.NDArray[np.bool]] = {}

    def refuse(column: int, these: npt.NDArray[np.bool]) -> None:
        refused[column] = refused.get(column, np.zeros(rows, dtype=bool)) | these

    for number in plan.numbers:
        values, wrong = run(number.steps, np.array(received[number.column], dtype=np.float64))
        slots[:, number.slot] = values
        refuse(number.column, wrong)
    for lookup in plan.number_lookups:
        values, wrong = run(lookup.steps, np.array(received[lookup.column], dtype=np.float64))
        codes = codes_of_numbers(lookup, values)
        refuse(lookup.column, wrong | _apply(lookup.fill, codes, slots))
    for text in plan.texts:
        known = {key: code for code, key in enumerate(text.keys)}
        unknown, null = len(known), len(known) + 1
        codes = np.array(
            [null if value is None else known.get(str(value), unknown) for value in received[text.column]],
            dtype=np.int64,
        )
        refuse(text.column, _apply(text.fill, codes, slots))
    return slots, refused


def run(steps: tuple[Step, ...], values: Doubles) -> tuple[Doubles, npt.NDArray[np.bool]]:
    """Take numbers through the steps; give them and which of them are refused on the way."""
    refused = np.zeros(len(values), dtype=bool)
    x = values.astype(np.float64)
    with np.errstate(all="ignore"):
        for step in steps:
            match step.op:
                case Op.FILL_NULL:
                    x = np.where(np.isnan(x), step.operand, x)
                case Op.SUBTRACT:
                    x = x - step.operand
                case Op.DIVIDE:
                    x = x / step.operand
                case Op.MULTIPLY:
                    x = x * step.operand
                case Op.ADD:
                    x = x + step.operand
                case Op.AT_LEAST:
                    x = np.where(x < step.operand, step.operand, x)
                case Op.AT_MOST:
                    x = np.where(x > step.operand, step.operand, x)
                case Op.TO_FLOAT32:
                    x = x.astype(np.float32).astype(np.float64)
                case Op.IS_NULL:
                    x = np.isnan(x).astype(np.float64)
                case Op.REFUSE_NULL:
                    refused |= np.isnan(x)
                case Op.REFUSE_INFINITE:
                    refused |= np.isinf(x)
                case Op.TINY_TO_ZERO:
                    x = np.where(np.abs(x) <= step.operand, 0.0, x)
                case Op.EQUAL_TO_NULL:
                    x = np.where(x == step.operand, np.nan, x)
    return x, refused


def codes_of_numbers(lookup: NumberLookup, values: Doubles) -> npt.NDArray[np.int64]:
    """Give each value's code: its key's position, or that of the unknown, or of null."""
    keys = lookup.keys
    place = np.searchsorted(keys, values)
    found = np.zeros(len(values), dtype=bool)
    inside = place < len(keys)
    found[inside] = keys[place[inside]] == values[inside]
    codes = np.where(found, place, len(keys))
    return np.where(np.isnan(values), len(keys) + 1, codes).astype(np.int64)


def _apply(fill: Fill, codes: npt.NDArray[np.int64], slots: Doubles) -> npt.NDArray[np.bool]:
    for code in np.unique(codes):
        own = slice(int(fill.start[code]), int(fill.start[code + 1]))
        rows = np.flatnonzero(codes == code)
        slots[np.ix_(rows, fill.slot[own])] = fill.value[own]
    return np.asarray(fill.refused[codes] != 0)


def _linear(plan: Plan, slots: Doubles) -> Doubles:
    assert isinstance(plan.model, Linear)
    # The one order of summation whatever the number of rows, which BLAS does not promise.
    sums = np.zeros((len(slots), plan.outputs))
    for slot in range(slots.shape[1]):
        sums += slots[:, slot, None] * plan.model.weights[:, slot]
    return sums + plan.start


def _trees(plan: Plan, trees: Trees, slots: Doubles) -> Doubles:
    sums = np.tile(plan.start, (len(slots), 1))
    for first in range(0, len(slots), _BLOCK):
        block = slice(first, first + _BLOCK)
        x, own = slots[block], sums[block]
        for tree in range(len(trees.root)):
            leaf = leaves(trees, tree, x)
            if trees.values.shape[1] == 1:
                output = tree % plan.outputs
                own[:, output] += trees.values[trees.row[leaf], 0]
            else:
                own += trees.values[trees.row[leaf]]
            if trees.single:
                own[:] = own.astype(np.float32)
    return sums / trees.divisor


def leaves(trees: Trees, tree: int, slots: Doubles) -> npt.NDArray[np.int64]:
    """Give the (n,) leaves that (n, slots) rows end in."""
    at = np.full(len(slots), trees.root[tree], dtype=np.int64)
    rows = np.arange(len(slots))
    for _ in range(int(trees.depth[tree])):
        slot = trees.slot[at]
        x = slots[rows, np.maximum(slot, 0)]
        left = np.where(np.isnan(x), trees.null_left[at] != 0, x <= trees.threshold[at])
        categorical = np.flatnonzero(trees.category_set[at] >= 0)
        if len(categorical):
            left[categorical] = _in_sets(trees, at[categorical], x[categorical])
        at = np.where(slot < 0, at, trees.left[at].astype(np.int64) + ~left)
    return at


def _in_sets(trees: Trees, nodes: npt.NDArray[np.int64], x: Doubles) -> npt.NDArray[np.bool]:
    sets = trees.category_set[nodes]
    first = trees.set_start[sets].astype(np.int64)
    words = trees.set_start[sets + 1].astype(np.int64) - first
    inside = (x > -1.0) & (x < words * 32.0)
    number = np.where(inside, x, 0.0).astype(np.int64)
    word = trees.set_words[np.where(inside, first + number // 32, 0)] if len(trees.set_words) else first
    member = ((word.astype(np.int64) >> (number % 32)) & 1) != 0
    below = ~(x > -1.0)  # NaN, too
    return np.asarray(np.where(below, trees.null_left[nodes] != 0, inside & member))


def linked(link: Link, sums: Doubles) -> Doubles:
    """Turn (n, outputs) sums into (n, values) answers."""
    single = sums.astype(np.float32)
    with np.errstate(over="ignore"):
        match link.kind:
            case LinkKind.LOGISTIC:
                p = 1.0 / (1.0 + libm_exp(-(link.factor * sums[:, 0])))
                return np.column_stack([1.0 - p, p])
            case LinkKind.SOFTMAX:
                moved = sums - sums.max(axis=1, keepdims=True)
                e = np.exp(moved) if link.numpy_exp else libm_exp(moved)
                return np.asarray(e / _sum(link, e)[:, None], dtype=np.float64)
            case LinkKind.EXPONENTIAL:
                return np.exp(sums) if link.numpy_exp else libm_exp(sums)
            case LinkKind.LOGISTIC32:
                x = np.minimum(-single[:, 0], np.float32(88.7))
                p32 = np.float32(1) / (libm_exp32(x) + np.float32(1) + np.float32(1e-16))
                return np.column_stack([np.float32(1) - p32, p32]).astype(np.float64)
            case LinkKind.SOFTMAX32:
                e32 = libm_exp32(single - single.max(axis=1, keepdims=True))
                total = _sequential(e32.astype(np.float64)).astype(np.float32)
                return (e32 / total[:, None]).astype(np.float64)
            case LinkKind.EXPONENTIAL32:
                return libm_exp32(single).astype(np.float64)
            case _:
                return sums


def _sum(link: Link, e: Doubles) -> Doubles:
    if link.sum == Sum.PAIRWISE or (link.sum == Sum.PAIRWISE_IF_SINGLE and len(e) == 1):
        return np.asarray(np.ascontiguousarray(e).sum(axis=1), dtype=np.float64)
    return _sequential(e)


def _sequential(e: Doubles) -> Doubles:
    total = np.zeros(len(e))
    for k in range(e.shape[1]):
        total = total + e[:, k]
    return total


def _labels(link: Link, sums: Doubles, values: Doubles) -> npt.NDArray[np.int32] | None:
    match link.labels:
        case Labels.NONE:
            return None
        case Labels.RAW_ABOVE_ZERO:
            label = sums[:, 0] > 0
        case Labels.RAW_FROM_ZERO:
            label = sums[:, 0] >= 0
        case Labels.VALUE_ABOVE_HALF:
            label = values[:, 1] > 0.5
        case Labels.RAW_LARGEST:
            label = np.argmax(sums, axis=1)
        case Labels.VALUE_LARGEST:
            label = np.argmax(values, axis=1)
    return np.asarray(label, dtype=np.int32)


def libm_exp(x: Doubles) -> Doubles:
    """Give libm's exp, which is what C code calls, of every element."""
    return np.array([_exp(value) for value in x.ravel().tolist()], dtype=np.float64).reshape(x.shape)


def _exp(x: float) -> float:
    try:
        return math.exp(x)  # libm's
    except OverflowError:
        return math.inf


def libm_exp32(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    expf = ctypes.CDLL(ctypes.util.find_library("m")).expf
    expf.argtypes, expf.restype = [ctypes.c_float], ctypes.c_float
    return np.array([expf(value) for value in x.ravel().tolist()], dtype=np.float32).reshape(x.shape)
