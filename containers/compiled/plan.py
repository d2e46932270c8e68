"""The compiled model as typed data: columns fill slots, a model weighs the slots, a link makes its answer.

A slot is one feature of the estimator's own, after preprocessing. A plan cannot exist unchecked: whoever holds one
may follow its indexes without looking.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sluice.contract import Feature, ModelContract

Doubles: TypeAlias = npt.NDArray[np.float64]
Indexes: TypeAlias = npt.NDArray[np.uint32]
Flags: TypeAlias = npt.NDArray[np.uint8]

MOST_NODES = 1 << 24
MOST_SLOTS = 1 << 20


class CompiledModelError(Exception):
    """A compiled model is no plan that could be followed: damaged, foreign, or of another version."""


class Op(IntEnum):
    """What is done to one number. native/model.h has the same numbers."""

    FILL_NULL = 0
    SUBTRACT = 1
    DIVIDE = 2
    MULTIPLY = 3
    ADD = 4
    AT_LEAST = 5
    AT_MOST = 6
    TO_FLOAT32 = 7
    IS_NULL = 8
    REFUSE_NULL = 9
    REFUSE_INFINITE = 10
    TINY_TO_ZERO = 11
    EQUAL_TO_NULL = 12


@dataclass(frozen=True)
class Step:
    """One operation on a number; `operand` where it takes one."""

    op: Op
    operand: float = 0.0


@dataclass(frozen=True)
class Number:
    """A number column that fills a slot after some steps."""

    column: int
    slot: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Fill:
    """What slots get for each code of a column; a slot that is not named keeps the base's value.

    Attributes:
        start: (codes + 1,) where a code's slots begin in `slot` and `value`. The codes are those of the keys, then
            the one for a value that is no key, then the one for null.
        slot: the slots.
        value: what they get.
        refused: (codes,) 1 where the fitted pipeline would raise.
    """

    start: Indexes
    slot: Indexes
    value: Doubles
    refused: Flags


@dataclass(frozen=True)
class TextLookup:
    """A category column: its values by text."""

    column: int
    keys: tuple[str, ...]
    fill: Fill


@dataclass(frozen=True)
class NumberLookup:
    """A number column whose values, after some steps, are categories: by value, ascending."""

    column: int
    steps: tuple[Step, ...]
    keys: Doubles
    fill: Fill


@dataclass(frozen=True)
class Trees:
    """An ensemble; the nodes of a tree follow each other, parents before children, siblings side by side.

    Attributes:
        root: (trees,) each tree's first node, ascending from 0.
        slot: (nodes,) what a node tests, -1 in a leaf.
        threshold: (nodes,) up to and with it, a value goes left.
        left: (nodes,) the left child; the right one is the next node.
        null_left: (nodes,) 1 where a null goes left.
        category_set: (nodes,) the set of the whole numbers that go left, -1 where the test is by threshold.
        set_start: (sets + 1,) where a set's words begin in `set_words`, 32 numbers each, lowest bit first.
        row: (nodes,) a leaf's row of `values`.
        values: (rows, width): of width 1, tree t adds to output t % outputs; else a row adds to all outputs.
        divisor: what the sums are divided by at the end.
        single: whether every sum is rounded to binary32.
    """

    root: Indexes
    slot: npt.NDArray[np.int32]
    threshold: Doubles
    left: Indexes
    null_left: Flags
    category_set: npt.NDArray[np.int32]
    set_start: Indexes
    set_words: Indexes
    row: Indexes
    values: Doubles
    divisor: float = 1.0
    single: bool = False
    depth: Indexes = field(init=False)

    def __post_init__(self) -> None:
        self._check()
        object.__setattr__(self, "depth", self._depths())

    def _check(self) -> None:
        nodes, trees = len(self.slot), len(self.root)
        _require(0 < trees <= nodes <= MOST_NODES, "the number of trees or nodes")
        of_nodes = (self.threshold, self.left, self.null_left, self.category_set, self.row)
        _require(all(a.shape == (nodes,) for a in of_nodes), "the number of nodes differs between arrays")
        ends = np.append(self.root[1:], np.uint32(nodes)).astype(np.int64)
        _require(self.root[0] == 0 and bool((np.diff(self.root.astype(np.int64)) > 0).all()), "the roots")
        _require(bool((ends <= nodes).all()), "a root lies beyond the nodes")
        inner = self.slot >= 0
        _require(bool((self.slot >= -1).all()), "a node's slot")
        own = np.flatnonzero(inner)
        end = np.repeat(ends, np.diff(np.append(self.root.astype(np.int64), nodes)))[own]
        left = self.left[own].astype(np.int64)
        _require(bool((left > own).all() and (left + 1 < end).all()), "a child lies outside of its tree")
        # Every node but a root is the child of one node: with parents before children these are trees.
        parents = np.zeros(nodes, dtype=np.int64)
        np.add.at(parents, left, 1)
        np.add.at(parents, left + 1, 1)
        parents[self.root] += 1
        _require(bool((parents == 1).all()), "a node with no parent, or several")
        # An infinite one is there where only nulls go right.
        _require(not bool(np.isnan(self.threshold[own]).any()), "a threshold is no number")
        _require(bool((self.null_left <= 1).all()), "a flag is neither 0 nor 1")
        _check_starts(self.set_start, len(self.set_words), "the category sets")
        # A number between -1 and 0 is looked for as 0, in a set of whatever size.
        _require(bool((np.diff(self.set_start.astype(np.int64)) > 0).all()), "a category set without a word")
        sets = len(self.set_start) - 1
        _require(
            bool((self.category_set >= -1).all() and (self.category_set < sets).all()),
            "a node's category set",
        )
        _require(self.values.ndim == 2 and len(self.values) > 0, "the leaves' values")
        _require(
            not self.single or self.values.shape[1] == 1, "sums in binary32 of more than one value a leaf"
        )
        _require(bool((self.row[~inner] < len(self.values)).all()), "a leaf's row")
        _require(bool(np.isfinite(self.values).all()), "a leaf's value is no number")
        _require(bool(np.isfinite(self.divisor)) and self.divisor != 0, "the divisor")

    def _depths(self) -> Indexes:
        """Give the number of steps from each tree's root to its deepest leaf."""
        depth = np.zeros(len(self.slot), dtype=np.uint32)
        level = self.root.astype(np.int64)
        while len(level):
            inner = level[self.slot[level] >= 0]
            left = self.left[inner].astype(np.int64)
            depth[left] = depth[left + 1] = depth[inner] + 1
            level = np.concatenate([left, left + 1])
        return np.maximum.reduceat(depth, self.root.astype(np.int64))


@dataclass(frozen=True)
class Linear:
    """(outputs, slots) weights of a linear model."""

    weights: Doubles


class LinkKind(IntEnum):
    """From sums to answers. native/model.h has the same numbers, native/links.c the formulas' sources."""

    IDENTITY = 0
    LOGISTIC = 1
    SOFTMAX = 2
    EXPONENTIAL = 3
    LOGISTIC32 = 4
    SOFTMAX32 = 5
    EXPONENTIAL32 = 6
    SHARE = 7


class Labels(IntEnum):
    """How the predicted class follows."""

    NONE = 0
    RAW_ABOVE_ZERO = 1
    RAW_FROM_ZERO = 2
    RAW_LARGEST = 3
    VALUE_LARGEST = 4
    VALUE_ABOVE_HALF = 5


class Sum(IntEnum):
    """In which order a softmax adds up, which its last bit depends on."""

    SEQUENTIAL = 0
    PAIRWISE = 1  # numpy, along contiguous rows
    PAIRWISE_IF_SINGLE = 2  # numpy, across columns; of a single row, along it


@dataclass(frozen=True)
class Link:
    """What is done to the sums; `numpy_exp`: by numpy's exp, which need not be libm's."""

    kind: LinkKind
    labels: Labels
    factor: float = 1.0
    sum: Sum = Sum.SEQUENTIAL
    numpy_exp: bool = False


_CLASSIFIES = {LinkKind.LOGISTIC, LinkKind.SOFTMAX, LinkKind.LOGISTIC32, LinkKind.SOFTMAX32, LinkKind.SHARE}


@dataclass(frozen=True)
class Plan:
    """All of a compiled model.

    Attributes:
        features: the columns, in contract order.
        base: (slots,) what slots hold where no column fills them.
        start: (outputs,) what the trees' sums start from; a linear model's intercepts, added last.
        values: how many values a row is answered with: one a class, or 1 for a regression.
        made_with: names and versions of the libraries that made the model, for people.
    """

    features: tuple[Feature, ...]
    numbers: tuple[Number, ...]
    texts: tuple[TextLookup, ...]
    number_lookups: tuple[NumberLookup, ...]
    base: Doubles
    model: Trees | Linear
    start: Doubles
    link: Link
    made_with: dict[str, str] = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        return len(self.start)

    @property
    def values(self) -> int:
        return 2 if self.link.kind in (LinkKind.LOGISTIC, LinkKind.LOGISTIC32) else self.outputs

    def __post_init__(self) -> None:
        _require(0 < len(self.features) <= MOST_SLOTS, "the number of columns")
        names = {feature.name for feature in self.features}
        _require(len(names) == len(self.features), "two columns of one name")
        _require(0 < len(self.base) <= MOST_SLOTS, "the number of slots")
        _require(bool(np.isfinite(self.start).all()) and self.outputs > 0, "the sums' start")
        for number in self.numbers:
            self._check_column(number.column, "number")
            _require(0 <= number.slot < len(self.base), "a number's slot")
            _check_steps(number.steps)
        for lookup in self.number_lookups:
            self._check_column(lookup.column, "number")
            _check_steps(lookup.steps)
            _require(bool((lookup.keys[1:] > lookup.keys[:-1]).all()), "the keys of a number column")
            self._check_fill(lookup.fill, len(lookup.keys))
        for text in self.texts:
            self._check_column(text.column, "category")
            _require(len(set(text.keys)) == len(text.keys), "a category is there twice")
            self._check_fill(text.fill, len(text.keys))
        columns = [text.column for text in self.texts]
        _require(len(set(columns)) == len(columns), "a category column is looked up twice")
        self._check_slots()
        self._check_model()
        self._check_link()

    def _check_column(self, column: int, kind: str) -> None:
        _require(0 <= column < len(self.features), "a column's number")
        _require(self.features[column].kind == kind, "a column's kind")

    def _check_fill(self, fill: Fill, keys: int) -> None:
        _require(fill.start.shape == (keys + 3,) and fill.refused.shape == (keys + 2,), "a column's codes")
        _check_starts(fill.start, len(fill.slot), "a column's codes")
        _require(fill.slot.shape == fill.value.shape, "a column's slots")
        _require(bool((fill.slot < len(self.base)).all()), "a column's slot")
        _require(bool((fill.refused <= 1).all()), "a flag is neither 0 nor 1")

    def _check_slots(self) -> None:
        """See that no slot has two sources: the masks of both would leave no leaf standing."""
        fills = [lookup.fill for lookup in self.number_lookups] + [text.fill for text in self.texts]
        numbers = np.array([number.slot for number in self.numbers], dtype=np.int64)
        slots = np.concatenate([numbers, *(np.unique(fill.slot) for fill in fills)])
        _require(len(np.unique(slots)) == len(slots), "a slot is filled by two columns")

    def _check_model(self) -> None:
        if isinstance(self.model, Linear):
            shape = (self.outputs, len(self.base))
            _require(self.model.weights.shape == shape, "the weights' shape")
            _require(bool(np.isfinite(self.model.weights).all()), "a weight is no number")
        else:
            _require(bool((self.model.slot < len(self.base)).all()), "a node's slot")
            _require(self.model.values.shape[1] in (1, self.outputs), "the leaves' width")
            _require(not self.model.single or _are_single(self.start), "sums in binary32 start from others")

    def _check_link(self) -> None:
        logistic = self.link.kind in (LinkKind.LOGISTIC, LinkKind.LOGISTIC32)
        _require(not logistic or self.outputs == 1, "a logistic link takes one sum")
        _require(bool(np.isfinite(self.link.factor)), "the link's factor")
        labelled = self.link.labels != Labels.NONE
        _require(labelled == (self.link.kind in _CLASSIFIES), "the link's labels")
        _require(labelled or self.outputs == 1, "a regression has one value")
        _require(not labelled or self.values > 1, "one class alone")
        two = self.link.labels in (Labels.RAW_ABOVE_ZERO, Labels.RAW_FROM_ZERO, Labels.VALUE_ABOVE_HALF)
        _require(not two or self.values == 2, "labels of two classes, and another number of values")

    def fits(self, contract: ModelContract) -> None:
        """Make sure that the plan takes and answers what `contract` says.

        Raises:
            CompiledModelError: it belongs to another model.
        """
        _require(self.features == contract.features, "its columns are not those of contract.json")
        expected = len(contract.target.classes) or 1
        _require(self.values == expected, "its classes are not those of contract.json")
        classifies = contract.target.problem != "regression"
        _require((self.link.labels != Labels.NONE) == classifies, "its problem is not that of contract.json")


def _are_single(values: Doubles) -> bool:
    with np.errstate(over="ignore"):
        return bool((values.astype(np.float32) == values).all())


def _check_steps(steps: tuple[Step, ...]) -> None:
    _require(all(np.isfinite(step.operand) for step in steps), "a step's operand")


def _check_starts(start: Indexes, count: int, what: str) -> None:
    numbers = start.astype(np.int64)
    _require(len(numbers) > 0 and numbers[0] == 0 and numbers[-1] == count, what)
    _require(bool((np.diff(numbers) >= 0).all()), what)


def _require(kept: bool | np.bool, what: str) -> None:
    if not kept:
        raise CompiledModelError(f"not a plan that can be followed: {what}")
