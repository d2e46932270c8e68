"""LightGBM's LGBMClassifier and LGBMRegressor, from the text that LightGBM itself saves and loads a booster by.

How a row is followed: include/LightGBM/tree.h (NumericalDecision, CategoricalDecision, IsZero); how the sums become
answers: src/boosting/gbdt_prediction.cpp, src/objective/*.hpp (ConvertOutput). The text has 17 digits for each
double, which is all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from containers.compiled.estimator import CompiledEstimator
from containers.compiled.plan import Doubles, Indexes, Labels, Link, LinkKind, Op, Step
from containers.compiled.signals import Matrix, NotCompilable
from containers.compiled.tree_arrays import Tree, joined

# Decision types: 1 categorical, 2 null goes left; from bit 2 on what null is: nothing of its own, zero, or NaN.
_CATEGORICAL, _NULL_LEFT = 1, 2
_NO_NULL, _ZERO_IS_NULL = 0, 1

# kZeroThreshold, 1e-35f: what is left out of a row of a dense matrix, and a tree then reads as 0 (c_api.cpp,
# RowPairFunctionFromDenseMatric), and what a tree calls zero, where zero is null. What a sparse matrix stores is read
# as it is.
_TINY = float(np.float32(1e-35))

_REGRESSIONS = {
    "regression": LinkKind.IDENTITY,
    "regression_l1": LinkKind.IDENTITY,
    "huber": LinkKind.IDENTITY,
    "fair": LinkKind.IDENTITY,
    "quantile": LinkKind.IDENTITY,
    "mape": LinkKind.IDENTITY,
    "poisson": LinkKind.EXPONENTIAL,
    "gamma": LinkKind.EXPONENTIAL,
    "tweedie": LinkKind.EXPONENTIAL,
}

# Parameters of the estimator that LightGBM takes for each prediction, too, and that change it.
_OF_PREDICTION = {
    "pred_early_stop",
    "predict_raw_score",
    "is_predict_raw_score",
    "predict_rawscore",
    "raw_score",
    "predict_leaf_index",
    "is_predict_leaf_index",
    "leaf_index",
    "predict_contrib",
    "is_predict_contrib",
    "contrib",
    "start_iteration_predict",
    "num_iteration_predict",
}


def compile_lightgbm(model: Any, matrix: Matrix) -> CompiledEstimator:
    """Compile it, up to the iteration that early stopping chose.

    Raises:
        NotCompilable: its objective, its trees or its parameters have no compiled form.
    """
    odd = sorted(_OF_PREDICTION & set(model.get_params()))
    if odd:
        raise NotCompilable(f"a LightGBM model with the parameter {odd[0]}")
    # Booster.predict stops at best_iteration, and model_to_string does.
    saved = _Saved.read(model.booster_.model_to_string())
    outputs = int(saved.head["num_tree_per_iteration"])
    trees = [_tree(text) for text in saved.trees]
    divisor = len(trees) / outputs if "average_output" in saved.head else 1.0
    return CompiledEstimator(
        _as_predicted(matrix, saved.trees),
        joined(trees, divisor=divisor),
        np.zeros(outputs),
        _link(saved.head.get("objective", "custom"), classifies=hasattr(model, "classes_")),
    )


@dataclass(frozen=True)
class _Saved:
    """The text's parts, each a dictionary of its lines."""

    head: dict[str, str]
    trees: list[dict[str, str]]

    @classmethod
    def read(cls, text: str) -> _Saved:
        head, *trees = text.split("\nend of trees", 1)[0].split("\nTree=")
        return cls(_lines(head), [_lines(tree) for tree in trees])


def _lines(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in text.splitlines())}


def _numbers(tree: dict[str, str], name: str, kind: type[np.generic]) -> npt.NDArray[Any]:
    return np.array(tree.get(name, "").split(), dtype=np.float64).astype(kind)


def _tree(tree: dict[str, str]) -> Tree:
    """Give a tree: its inner nodes first, then its leaves, which LightGBM counts from -1 downwards."""
    if tree.get("is_linear", "0") != "0":
        raise NotCompilable("a LightGBM model with linear trees")
    leaf_value = _numbers(tree, "leaf_value", np.float64)
    threshold = _numbers(tree, "threshold", np.float64)
    inner, leaves = len(threshold), len(leaf_value)
    decision = _numbers(tree, "decision_type", np.int64)

    def child(name: str) -> npt.NDArray[np.int64]:
        numbers = _numbers(tree, name, np.int64)
        return np.concatenate(
            [np.where(numbers < 0, inner - 1 - numbers, numbers), np.zeros(leaves, np.int64)]
        )

    return Tree(
        slot=np.concatenate([_numbers(tree, "split_feature", np.int64), np.full(leaves, -1)]),
        threshold=np.concatenate([threshold, np.zeros(leaves)]),
        left=child("left_child"),
        right=child("right_child"),
        null_left=np.concatenate([_null_left(decision, threshold), np.zeros(leaves, dtype=bool)]),
        values=np.concatenate([np.zeros(inner), leaf_value])[:, None],
        sets=_sets(tree, decision, threshold),
    )


def _null_left(decision: npt.NDArray[np.int64], threshold: Doubles) -> npt.NDArray[np.bool]:
    """A column that had no null in training takes one for 0; a category that is null is none of the set."""
    left = np.where(decision >> 2 == _NO_NULL, threshold >= 0.0, decision & _NULL_LEFT != 0)
    return np.asarray(left & (decision & _CATEGORICAL == 0))


def _sets(tree: dict[str, str], decision: npt.NDArray[np.int64], threshold: Doubles) -> dict[int, Indexes]:
    """Give the words of each categorical node's set, whose number stands in place of the threshold."""
    start = _numbers(tree, "cat_boundaries", np.int64)
    words = _numbers(tree, "cat_threshold", np.uint32)
    nodes = np.flatnonzero(decision & _CATEGORICAL)
    numbers = threshold[nodes].astype(np.int64)
    return {
        node: words[start[number] : start[number + 1]]
        for node, number in zip(nodes.tolist(), numbers.tolist(), strict=True)
    }


def _as_predicted(matrix: Matrix, trees: list[dict[str, str]]) -> Matrix:
    """Take the columns through what is done to each number before a tree sees it.

    Raises:
        NotCompilable: zero is null for some tests of a column, and for others is not.
    """
    zero_is_null: dict[int, bool] = {}
    for tree in trees:
        decisions = _numbers(tree, "decision_type", np.int64)
        slots = _numbers(tree, "split_feature", np.int64)
        for slot, decision in zip(slots.tolist(), decisions.tolist(), strict=True):
            this = decision >> 2 == _ZERO_IS_NULL and not decision & _CATEGORICAL
            if zero_is_null.setdefault(slot, this) != this:
                raise NotCompilable("a LightGBM model for which zero is sometimes null")
    tiny, null = Step(Op.TINY_TO_ZERO, _TINY), Step(Op.EQUAL_TO_NULL, 0.0)
    usual = [] if matrix.sparse else [tiny]
    return matrix.by_column(
        *([tiny, null] if zero_is_null.get(i) else usual for i in range(len(matrix.signals)))
    )


def _link(objective: str, *, classifies: bool) -> Link:
    name, *options = objective.split() or ["custom"]
    if classifies and name == "binary":
        sigmoid = dict(option.split(":") for option in options)["sigmoid"]
        return Link(LinkKind.LOGISTIC, Labels.VALUE_LARGEST, factor=float(sigmoid))
    if classifies and name == "multiclass":
        return Link(LinkKind.SOFTMAX, Labels.VALUE_LARGEST)
    if not classifies and name in _REGRESSIONS and "sqrt" not in options:
        return Link(_REGRESSIONS[name], Labels.NONE)
    raise NotCompilable(f"a LightGBM model with the objective {objective!r}")
