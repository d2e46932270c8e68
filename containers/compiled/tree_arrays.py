"""Trees of any library laid out as the plan wants them: level by level, siblings side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from containers.compiled.plan import MOST_NODES, Doubles, Indexes, Trees
from containers.compiled.signals import NotCompilable


@dataclass(frozen=True)
class Tree:
    """One tree as a library has it, node 0 the root; all arrays (nodes,).

    Attributes:
        slot: what a node tests, -1 in a leaf.
        threshold: up to and with it a value goes left.
        left, right: the children; anything in a leaf.
        null_left: where a null goes left.
        values: (nodes, width), what a leaf adds.
        sets: for a categorical node, the words of the set of whole numbers that go left.
    """

    slot: npt.NDArray[np.int64]
    threshold: Doubles
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    null_left: npt.NDArray[np.bool]
    values: Doubles
    sets: dict[int, Indexes] = field(default_factory=dict)


def joined(trees: list[Tree], *, divisor: float = 1.0, single: bool = False) -> Trees:
    """Lay trees out one after the other, in their order.

    Raises:
        NotCompilable: there are none, or too many nodes.
    """
    if not trees:
        raise NotCompilable("an ensemble without trees")
    total = sum(len(tree.slot) for tree in trees)
    if total > MOST_NODES:
        raise NotCompilable(f"{total:,} nodes; up to {MOST_NODES:,} are compiled")
    roots: list[int] = []
    parts: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in ("slot", "threshold", "left", "null_left", "category_set", "row", "values")
    }
    words: list[Indexes] = []
    at = rows = 0
    for tree in trees:
        order = _by_level(tree)
        place = np.empty(len(tree.slot), dtype=np.int64)
        place[order] = np.arange(len(order))
        slot = tree.slot[order]
        leaf = slot < 0
        sets = np.full(len(order), -1, dtype=np.int64)
        for node, members in tree.sets.items():
            sets[place[node]] = len(words)
            words.append(members)
        row = np.zeros(len(order), dtype=np.int64)
        row[leaf] = rows + np.arange(int(leaf.sum()))
        parts["slot"].append(slot)
        parts["threshold"].append(np.where(leaf | (sets >= 0), 0.0, tree.threshold[order]))
        parts["left"].append(np.where(leaf, 0, at + place[tree.left[order] * ~leaf]))
        parts["null_left"].append(tree.null_left[order] & ~leaf)
        parts["category_set"].append(sets)
        parts["row"].append(row)
        parts["values"].append(tree.values[order][leaf])
        roots.append(at)
        at += len(order)
        rows += int(leaf.sum())
    of = {name: np.concatenate(some) for name, some in parts.items()}
    return Trees(
        root=np.array(roots, dtype=np.uint32),
        slot=of["slot"].astype(np.int32),
        threshold=of["threshold"].astype(np.float64),
        left=of["left"].astype(np.uint32),
        null_left=of["null_left"].astype(np.uint8),
        category_set=of["category_set"].astype(np.int32),
        set_start=np.cumsum([0, *map(len, words)]).astype(np.uint32),
        set_words=np.concatenate([np.zeros(0, dtype=np.uint32), *words]).astype(np.uint32),
        row=of["row"].astype(np.uint32),
        values=of["values"].astype(np.float64),
        divisor=divisor,
        single=single,
    )


def _by_level(tree: Tree) -> npt.NDArray[np.int64]:
    """Give the nodes level by level, the two children of a node next to each other."""
    levels = [np.zeros(1, dtype=np.int64)]
    while True:
        inner = levels[-1][tree.slot[levels[-1]] >= 0]
        if len(inner) == 0:
            return np.concatenate(levels)
        levels.append(np.column_stack([tree.left[inner], tree.right[inner]]).ravel().astype(np.int64))
