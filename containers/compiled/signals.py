"""What becomes of the columns on their way through a fitted pipeline, followed symbolically.

A signal is one column of a matrix between two steps of the pipeline: a number after some operations, a category's
text, or a table of what each value of a column has become. An encoder's output is a table; what happens to a table
later happens to its few values at compile time, by numpy, in scikit-learn's own order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from containers.compiled.plan import (
    Doubles,
    Fill,
    Number,
    NumberLookup,
    Op,
    Step,
    TextLookup,
)
from containers.compiled.reference import run
from sluice.contract import ModelContract

_MAKES_INFINITE = {Op.SUBTRACT, Op.DIVIDE, Op.MULTIPLY, Op.ADD, Op.TO_FLOAT32}
_MOST_CODES = 1 << 20


class NotCompilable(Exception):
    """The pipeline has a part that has no compiled form; the message names it."""


@dataclass(frozen=True)
class NumberSignal:
    """A number column after some steps."""

    column: int
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class TextSignal:
    """A category column; `words` says which values were replaced, null being None."""

    column: int
    words: Mapping[str | None, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableSignal:
    """What each value of a column has become.

    Attributes:
        column: the column, of categories or of numbers.
        steps: what is done to a number before it is looked up.
        keys: the values; of a number column ascending.
        values: (keys + 2,) what each became; then a value that is no key; then null.
        refused: (keys + 2,) where the pipeline raises.
    """

    column: int
    steps: tuple[Step, ...]
    keys: tuple[str, ...] | tuple[float, ...]
    values: Doubles
    refused: npt.NDArray[np.bool]


Signal: TypeAlias = NumberSignal | TextSignal | TableSignal


@dataclass(frozen=True)
class Matrix:
    """Signals side by side.

    Attributes:
        signals: the columns.
        sparse: whether scikit-learn holds them in a sparse matrix, where it scales in another way.
        checks: tables that fill no slot, but refuse values.
        stores_zeros: whether a sparse matrix may store a zero, which is then another thing than one left out.
    """

    signals: tuple[Signal, ...]
    sparse: bool = False
    checks: tuple[TableSignal, ...] = ()
    stores_zeros: bool = False

    def take(self, indexes: Sequence[int]) -> Matrix:
        return replace(self, signals=tuple(self.signals[i] for i in indexes), checks=())

    def then(self, *steps: Step) -> Matrix:
        """Take every signal through the same steps."""
        return replace(self, signals=tuple(then(signal, *steps) for signal in self.signals))

    def by_column(self, *columns: Sequence[Step]) -> Matrix:
        """Take each signal through steps of its own."""
        signals = tuple(then(signal, *steps) for signal, steps in zip(self.signals, columns, strict=True))
        return replace(self, signals=signals)


def received(contract: ModelContract) -> Matrix:
    """Give the matrix a pipeline starts from, as containers.frames makes it."""
    return Matrix(
        tuple(
            NumberSignal(i) if feature.kind == "number" else TextSignal(i)
            for i, feature in enumerate(contract.features)
        )
    )


def then(signal: Signal, *steps: Step) -> Signal:
    """Take a signal through more steps.

    Raises:
        NotCompilable: it is text.
    """
    if isinstance(signal, TextSignal):
        raise NotCompilable("a category column reaches a step that takes numbers, and is not encoded before")
    if isinstance(signal, TableSignal):
        values, refused = run(steps, signal.values)
        return replace(signal, values=values, refused=signal.refused | refused)
    so_far = list(signal.steps)
    for step in steps:
        # What is received is finite already: the contract sees to it.
        harmless = step.op == Op.REFUSE_INFINITE and not any(s.op in _MAKES_INFINITE for s in so_far)
        if not harmless:
            so_far.append(step)
    return replace(signal, steps=tuple(so_far))


@dataclass(frozen=True)
class Question:
    """What an encoder is to be asked about one column.

    Attributes:
        keys, steps: of the tables that the answer becomes.
        inputs: (keys + 2,) the values as they reach the encoder; the last two are one that is no key, and null.
        refused: (keys + 2,) what was refused before.
    """

    signal: Signal
    steps: tuple[Step, ...]
    keys: tuple[str, ...] | tuple[float, ...]
    inputs: list[Any]
    refused: npt.NDArray[np.bool]

    def tables(self, values: Doubles, refused: npt.NDArray[np.bool]) -> list[TableSignal]:
        """Give the encoder's outputs, at least one; `values` is (keys + 2, width)."""
        columns = values.T if values.shape[1] else np.zeros((1, len(values)))
        return [
            TableSignal(self.signal.column, self.steps, self.keys, column, self.refused | refused)
            for column in columns
        ]


def question_of(signal: Signal, categories: npt.NDArray[Any]) -> Question:
    """Say what to ask an encoder with these categories: each of them, an unknown one, and null.

    Raises:
        NotCompilable: there are too many, or they are not of the column's kind.
    """
    keys: tuple[str, ...] | tuple[float, ...]
    steps: tuple[Step, ...] = ()
    if len(categories) > _MOST_CODES:
        raise NotCompilable(f"an encoder with {len(categories):,} categories")
    known = [c for c in categories.tolist() if c is not None and c == c]
    if isinstance(signal, TableSignal):
        return Question(signal, signal.steps, signal.keys, signal.values.tolist(), signal.refused)
    if isinstance(signal, NumberSignal):
        if not all(isinstance(c, (int, float)) for c in known):
            raise NotCompilable("an encoder with text among the categories of a number column")
        keys, steps = tuple(sorted({float(c) for c in known})), signal.steps
        inputs: list[Any] = [*keys, _other_number(keys), float("nan")]
    else:
        if not all(isinstance(c, str) for c in known):
            raise NotCompilable("an encoder whose categories are not all text")
        keys = tuple(dict.fromkeys([*known, *(word for word in signal.words if word is not None)]))
        inputs = [signal.words.get(text, text) for text in map(str, keys)]
        inputs += [_other_text({*keys, *known}), signal.words.get(None, float("nan"))]
    return Question(signal, steps, keys, inputs, np.zeros(len(inputs), dtype=bool))


def _other_text(keys: set[str]) -> str:
    text = "no such category"
    while text in keys:
        text += "'"
    return text


def _other_number(keys: tuple[float, ...]) -> float:
    number = 0.5
    while number in keys:
        number += 1.0
    return number


@dataclass(frozen=True)
class Ends:
    """The plan's part that signals become."""

    numbers: tuple[Number, ...]
    texts: tuple[TextLookup, ...]
    number_lookups: tuple[NumberLookup, ...]
    base: Doubles


def ends_of(matrix: Matrix, used: npt.NDArray[np.bool], contract: ModelContract) -> Ends:
    """Turn the signals in front of an estimator into the plan's columns and slots.

    Args:
        matrix: one signal a slot.
        used: (slots,) which slots the estimator looks at; the others are filled only as far as they may refuse.
        contract: the columns' kinds.
    """
    base = np.zeros(max(len(matrix.signals), 1))
    numbers: list[Number] = []
    tables: dict[Any, list[tuple[int | None, TableSignal]]] = defaultdict(list)
    for slot, signal in enumerate(matrix.signals):
        if isinstance(signal, TextSignal):
            name = contract.features[signal.column].name
            raise NotCompilable(f"column {name!r} reaches the estimator as text")
        if isinstance(signal, TableSignal):
            tables[_group(signal, contract)].append((slot if used[slot] else None, signal))
        elif used[slot] or any(step.op in (Op.REFUSE_NULL, Op.REFUSE_INFINITE) for step in signal.steps):
            numbers.append(Number(signal.column, slot, signal.steps))
    for check in matrix.checks:
        tables[_group(check, contract)].append((None, check))
    texts, lookups = [], []
    for group in tables.values():
        first = group[0][1]
        if contract.features[first.column].kind == "category":
            keys = tuple(dict.fromkeys(str(key) for _, table in group for key in table.keys))
            texts.append(TextLookup(first.column, keys, _fill(group, keys, base)))
        else:
            fill = _fill(group, first.keys, base)
            lookups.append(NumberLookup(first.column, first.steps, np.array(first.keys), fill))
    texts.sort(key=lambda text: text.column)
    return Ends(tuple(numbers), tuple(texts), tuple(lookups), base)


def _group(table: TableSignal, contract: ModelContract) -> Any:
    """Tables of one category column are one lookup; those of a number column only if they look up the same."""
    if contract.features[table.column].kind == "category":
        return table.column
    return table.column, table.steps, table.keys


def _fill(group: list[tuple[int | None, TableSignal]], keys: tuple[Any, ...], base: Doubles) -> Fill:
    codes = len(keys) + 2
    refused = np.zeros(codes, dtype=np.uint8)
    entries: list[tuple[int, int, float]] = []
    for slot, table in group:
        own = {key: code for code, key in enumerate(table.keys)}
        unknown = len(own)
        place = np.array([*(own.get(key, unknown) for key in keys), unknown, unknown + 1])
        refused |= table.refused[place]
        if slot is None:
            continue
        values = table.values[place]
        bits = values.view(np.uint64)
        kinds, counts = np.unique(bits, return_counts=True)
        usual = kinds[np.argmax(counts)]
        base[slot] = usual.view(np.float64)
        entries += [(int(code), slot, float(values[code])) for code in np.flatnonzero(bits != usual)]
    entries.sort(key=lambda entry: entry[:2])
    counts = np.bincount(np.array([code for code, _, _ in entries], dtype=np.int64), minlength=codes)
    return Fill(
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.uint32),
        slot=np.array([slot for _, slot, _ in entries], dtype=np.uint32),
        value=np.array([value for _, _, value in entries], dtype=np.float64),
        refused=refused,
    )
