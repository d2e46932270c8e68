"""Whether a compiled model says what the fitted pipeline says, bit for bit: asked in every training job.

On rows of the training data; on rows at every threshold, one representable number to each side of it; on random
doubles, nulls, known and unknown categories. Rows for which the pipeline raises have to be refused.
"""

from __future__ import annotations

import math
import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from containers.compiled import reference
from containers.compiled.engine import Engine
from containers.compiled.plan import Doubles, Linear, Op, Plan, Step
from containers.frames import frame_of
from containers.model import plain_labels
from sluice.contract import Columns, ModelContract, Value

MOST_BOUNDARIES = 4_000
MOST_TRAINING_ROWS = 1_000
MIXED_ROWS = 1_000
SINGLE_ROWS = 6
RAISING_ROWS = 40
SECONDS = 10.0
LINEAR_TOLERANCE = 1e-12

_CHUNK = 1_000


@dataclass(frozen=True)
class Verdict:
    """What came out: `why` is empty where the two agree on all of `rows` rows."""

    rows: int
    why: str = ""


@dataclass(frozen=True)
class _Rows:
    what: str
    columns: Columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, these: slice | npt.NDArray[np.int64]) -> _Rows:
        numbers = np.arange(len(self))[these].tolist()
        return _Rows(self.what, {n: [values[i] for i in numbers] for n, values in self.columns.items()})


def check(
    model: Any,
    plan: Plan,
    engine: Engine,
    contract: ModelContract,
    training: Columns,
    *,
    seed: int = 0,
    seconds: float = SECONDS,
) -> Verdict:
    """Compare engine and pipeline.

    Args:
        model: the fitted pipeline.
        plan: what was compiled of it, to know its thresholds and what it refuses.
        engine: the plan made ready.
        contract: the model's, complete.
        training: rows of the training data.
        seed: of the generated rows.
        seconds: after which no more rows are begun with; some of every kind come first.
    """
    started = time.perf_counter()
    kinds = [_generated(plan, contract, training, seed), list(_chunks(_sampled(training)))]
    checked = 0
    judge = _Judge(model, plan, engine, contract)
    with _one_thread(model):
        for rows in _alternating(kinds):
            why = judge.compare(rows)
            checked += len(rows)
            if why:
                return Verdict(checked, f"not exact: {rows.what}: {why}")
            if time.perf_counter() - started > seconds:
                break
    return Verdict(checked)


class _Judge:
    def __init__(self, model: Any, plan: Plan, engine: Engine, contract: ModelContract) -> None:
        self._model = model
        self._plan = plan
        self._engine = engine
        self._contract = contract
        self._positions = {label: i for i, label in enumerate(contract.target.classes)}
        self._singles = SINGLE_ROWS
        self._raises = SINGLE_ROWS
        self._raising = RAISING_ROWS

    def compare(self, rows: _Rows) -> str:
        """Give the first difference, or nothing."""
        _, by_column = reference.fill(self._plan, rows.columns)
        refused = np.zeros(len(rows), dtype=bool)
        for these in by_column.values():
            refused |= these
        why = self._compare_refused(rows.take(np.flatnonzero(refused)))
        accepted = rows.take(np.flatnonzero(~refused))
        if why or len(accepted) == 0:
            return why
        why = self._compare_accepted(accepted)
        while not why and self._singles > 0 and len(accepted):
            self._singles -= 1
            why = self._compare_accepted(accepted.take(slice(0, 1)))
            accepted = accepted.take(slice(1, None, 3))
        return why

    def _compare_refused(self, rows: _Rows) -> str:
        if len(rows) == 0:
            return ""
        if self._engine.score_columns(rows.columns) is not None:
            return "the compiled model answers where it should refuse"
        for i in range(len(rows)):
            if self._raises == 0:
                break
            self._raises -= 1
            row = rows.take(slice(i, i + 1))
            try:
                self._ask(row.columns)
            except ValueError:
                continue
            return f"the compiled model refuses a row that the pipeline takes: {_shown(row, 0)}"
        return ""

    def _compare_accepted(self, rows: _Rows) -> str:
        try:
            expected, labels = self._ask(rows.columns)
        except ValueError as error:
            return self._compare_raising(rows, error)
        finite = np.isfinite(expected).all(axis=1)
        if not finite.all():
            # Such an answer is refused, whoever gives it.
            rows, expected = rows.take(np.flatnonzero(finite)), expected[finite]
            labels = labels if labels is None else labels[finite]
            if len(rows) == 0:
                return ""
        answer = self._engine.score_columns(rows.columns)
        if answer is None:
            return f"the compiled model refuses one of {len(rows)} rows, among them {_shown(rows, 0)}"
        found = np.frombuffer(answer[0], dtype=np.float64).reshape(len(rows), -1)
        if expected.shape != found.shape:
            return f"the pipeline answers the shape {expected.shape}, the compiled model {found.shape}"
        wrong = np.argwhere(~self._equal(expected, found))
        if len(wrong):
            row, value = wrong[0]
            difference = f"expected {float(expected[row, value])!r}, got {float(found[row, value])!r}"
            return f"{difference} for {_shown(rows, row)}"
        if labels is not None and answer[1] is not None:
            other = np.flatnonzero(np.frombuffer(answer[1], dtype=np.int32) != labels)
            if len(other):
                return f"another class is predicted for {_shown(rows, int(other[0]))}"
        return ""

    def _compare_raising(self, rows: _Rows, error: ValueError) -> str:
        """Find the rows that the pipeline raises for though no step refuses them, as where a sum overflows.

        The compiled model may not answer those either: what is not finite it refuses.
        """
        if self._raising == 0:
            return ""
        if len(rows) > 1:
            middle = len(rows) // 2
            return self._compare_accepted(rows.take(slice(0, middle))) or self._compare_accepted(
                rows.take(slice(middle, None))
            )
        self._raising -= 1
        if self._engine.score_columns(rows.columns) is None:
            return ""
        return f"the pipeline raises ({error}) where the compiled model answers: {_shown(rows, 0)}"

    def _equal(self, expected: Doubles, found: Doubles) -> npt.NDArray[np.bool]:
        if isinstance(self._plan.model, Linear):
            tolerance = LINEAR_TOLERANCE * np.maximum(1.0, np.abs(expected))
            return np.asarray(np.abs(expected - found) <= tolerance)
        return np.asarray(expected == found)

    def _ask(self, columns: Columns) -> tuple[Doubles, npt.NDArray[np.int64] | None]:
        rows: Any = frame_of(columns, self._contract)
        estimator = self._model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown categories, of numbers that overflow
            if hasattr(estimator, "steps"):
                # Once for both questions, as Pipeline.predict and .predict_proba each do it.
                rows = estimator[:-1].transform(rows) if len(estimator.steps) > 1 else rows
                estimator = estimator[-1]
            if not self._contract.target.classes:
                return np.asarray(estimator.predict(rows), dtype=np.float64).reshape(-1, 1), None
            values = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
            labels = [self._positions[label] for label in plain_labels(estimator.predict(rows))]
        return values, np.array(labels, dtype=np.int64)


def _shown(rows: _Rows, row: int) -> str:
    return str({name: values[row] for name, values in rows.columns.items()})[:400]


@contextmanager
def _one_thread(model: Any) -> Iterator[None]:
    """A forest adds its trees up in the order of its threads: with one it has an order."""
    estimator = model.steps[-1][1] if hasattr(model, "steps") else model
    if not hasattr(estimator, "estimators_") or not hasattr(estimator, "n_jobs"):
        yield
        return
    before, estimator.n_jobs = estimator.n_jobs, 1
    try:
        yield
    finally:
        estimator.n_jobs = before


def _alternating(kinds: list[list[_Rows]]) -> Iterator[_Rows]:
    """Give a chunk of each kind in turn, so that a limit of time leaves none out."""
    for i in range(max(map(len, kinds))):
        yield from (chunks[i] for chunks in kinds if i < len(chunks))


def _chunks(rows: _Rows) -> Iterator[_Rows]:
    for first in range(0, len(rows), _CHUNK):
        yield rows.take(slice(first, first + _CHUNK))


def _sampled(training: Columns) -> _Rows:
    rows = _Rows("on a row of the training data", training)
    return rows.take(slice(None, None, max(1, len(rows) // MOST_TRAINING_ROWS)))


def _generated(plan: Plan, contract: ModelContract, training: Columns, seed: int) -> list[_Rows]:
    draw = random.Random(seed)  # noqa: S311 - a sample, no secret
    pools = {name: _pool(values) for name, values in training.items()}
    categories = {contract.features[text.column].name: list(text.keys) for text in plan.texts}
    made = [
        *_chunks(_boundary_rows(plan, contract, pools, draw)),
        *_chunks(_mixed_rows(contract, pools, categories, draw)),
    ]
    draw.shuffle(made)
    return made


def _pool(values: list[Value]) -> list[Value]:
    return values[:: max(1, len(values) // 1_000)] or [None]


def _mixed_rows(
    contract: ModelContract,
    pools: dict[str, list[Value]],
    categories: dict[str, list[str]],
    draw: random.Random,
) -> _Rows:
    """Rows whose values come from training, from anywhere among the doubles, from all categories and none."""
    columns: Columns = {}
    most = max([MIXED_ROWS, *(2 * len(keys) for keys in categories.values())])
    for feature in contract.features:
        column: list[Value] = []
        keys = draw.sample(categories.get(feature.name, []), len(categories.get(feature.name, [])))
        for i in range(min(most, 10 * MIXED_ROWS)):
            value = draw.choice(pools[feature.name])
            kind = draw.random()
            if feature.nullable and kind < 0.05:
                value = None if feature.kind == "category" else float("nan")
            elif feature.kind == "number" and kind < 0.2:
                number = _any_double(draw, usual=value)
                # No request holds an infinite number: the contract refuses it.
                value = number if math.isfinite(number) else value
            elif feature.kind == "category" and i < len(keys):
                value = keys[i]
            elif feature.kind == "category" and kind < 0.1:
                value = draw.choice(["", "no such category", "größer", "a b", "NaN", "0"])
            column.append(value)
        columns[feature.name] = column
    return _Rows("on random values", columns)


def _any_double(draw: random.Random, usual: Value) -> float:
    scale = abs(usual) if isinstance(usual, float) and np.isfinite(usual) and usual else 1.0
    match draw.randrange(5):
        case 0:
            return draw.uniform(-10.0, 10.0) * scale
        case 1:
            return draw.gauss(0.0, 1.0) * 10.0 ** draw.randint(-40, 37)
        case 2:
            return float(draw.randint(-100, 100))
        case 3:
            return draw.choice([0.0, -0.0, 5e-324, 1e-35, -1e-35, 1e-300, 3.4e38])
        case _:
            with np.errstate(over="ignore"):
                return draw.choice([-1.0, 1.0]) * float(np.float32(draw.uniform(0.0, 2.0) * scale))


def _boundary_rows(
    plan: Plan, contract: ModelContract, pools: dict[str, list[Value]], draw: random.Random
) -> _Rows:
    """Rows with one number at a threshold, or next to it."""
    values = list(_boundaries(plan))
    draw.shuffle(values)
    values = values[:MOST_BOUNDARIES]
    columns: Columns = {name: [draw.choice(pool) for _ in values] for name, pool in pools.items()}
    names = contract.names
    for row, (column, value) in enumerate(values):
        columns[names[column]][row] = value
    return _Rows("at a threshold", columns)


def _boundaries(plan: Plan) -> Iterator[tuple[int, float]]:
    """Give, for each threshold of a number, the last number that goes left and its neighbours, by column."""
    if isinstance(plan.model, Linear):
        return
    trees = plan.model
    inner = (trees.slot >= 0) & (trees.category_set < 0)
    for number in plan.numbers:
        if any(step.op == Op.IS_NULL for step in number.steps):
            continue
        thresholds = np.unique(trees.threshold[inner & (trees.slot == number.slot)])
        thresholds = thresholds[np.isfinite(thresholds)]
        last = _last_below(number.steps, thresholds)
        around = np.stack([_float(_order(last) + k) for k in (-1, 0, 1, 2)])
        for value in around[np.isfinite(around)].tolist():
            yield number.column, value


def _last_below(steps: tuple[Step, ...], thresholds: Doubles) -> Doubles:
    """Find the largest x that the steps, which never turn the order, take to at most the threshold.

    By bisection among all doubles: thresholds lie behind a scaling and a rounding, which no formula inverts to
    the bit. One number that becomes null among them would send it the wrong way.
    """
    steps = tuple(step for step in steps if step.op != Op.EQUAL_TO_NULL)
    low = np.full(len(thresholds), _order(np.array([-np.finfo(np.float64).max]))[0])
    high = np.full(len(thresholds), _order(np.array([np.finfo(np.float64).max]))[0])
    for _ in range(65):
        middle = low // 2 + high // 2 + (low % 2 + high % 2) // 2
        at, _ = reference.run(steps, _float(middle))
        below = at <= thresholds
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return _float(low)


def _order(x: Doubles) -> npt.NDArray[np.int64]:
    """Number the doubles in their order: neighbours differ by 1."""
    bits = x.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _float(order: npt.NDArray[np.int64]) -> Doubles:
    bits = np.where(order < 0, np.int64(-(2**63)) - order, order)
    return np.asarray(bits, dtype=np.int64).view(np.float64)
