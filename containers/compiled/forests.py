"""Decision trees and what is averaged of them: sklearn/tree/_classes.py, sklearn/ensemble/_forest.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from containers.compiled.estimator import CompiledEstimator
from containers.compiled.plan import Labels, Link, LinkKind, Op, Step
from containers.compiled.signals import Matrix, NotCompilable
from containers.compiled.tree_arrays import Tree, joined

_TO_FLOAT32 = (Step(Op.TO_FLOAT32), Step(Op.REFUSE_INFINITE))


def compile_forest(model: Any, matrix: Matrix) -> CompiledEstimator:
    """Compile a RandomForest or ExtraTrees estimator.

    With n_jobs above 1 scikit-learn adds the trees up in the order in which its threads get to them, and its own
    last bit changes from call to call; the order here is that of n_jobs=1.
    """
    return _averaged(model, model.estimators_, matrix)


def compile_decision_tree(model: Any, matrix: Matrix) -> CompiledEstimator:
    """Compile a single tree."""
    return _averaged(model, [model], matrix)


def _averaged(model: Any, estimators: list[Any], matrix: Matrix) -> CompiledEstimator:
    if model.n_outputs_ != 1:
        raise NotCompilable("several targets")
    classes = int(model.n_classes_) if hasattr(model, "classes_") else 0
    trees = [tree_of(estimator.tree_) for estimator in estimators]
    if classes:
        trees = [
            _of_classes(tree, estimator, classes) for tree, estimator in zip(trees, estimators, strict=True)
        ]
    nulls = not matrix.sparse and estimators[0].__sklearn_tags__().input_tags.allow_nan
    return CompiledEstimator(
        matrix.then(*_TO_FLOAT32, *(() if nulls else (Step(Op.REFUSE_NULL),))),
        joined(trees, divisor=float(len(estimators))),
        np.zeros(classes or 1),
        Link(LinkKind.SHARE, Labels.VALUE_LARGEST) if classes else Link(LinkKind.IDENTITY, Labels.NONE),
    )


def tree_of(tree: Any, scale: float = 1.0) -> Tree:
    """Give a sklearn.tree._tree.Tree; its thresholds are doubles that binary32 values are compared with."""
    state = tree.__getstate__()["nodes"]
    leaf = state["left_child"] < 0
    return Tree(
        slot=np.where(leaf, -1, state["feature"]).astype(np.int64),
        threshold=state["threshold"].astype(np.float64),
        left=state["left_child"].astype(np.int64),
        right=state["right_child"].astype(np.int64),
        null_left=state["missing_go_to_left"] != 0,
        values=scale * tree.value[:, 0, :],
    )


def _of_classes(tree: Tree, estimator: Any, classes: int) -> Tree:
    if tree.values.shape[1] != classes or int(estimator.n_classes_) != classes:
        raise NotCompilable("a tree that knows other classes than its forest")
    return tree
