"""XGBoost's scikit-learn estimators, from the JSON that XGBoost itself saves and loads a booster by.

How a row is followed: include/xgboost/tree_model.h, src/predictor/cpu_predictor.cc; how the sums become answers:
src/objective/*.cu (PredTransform, ProbToMargin), src/common/math.h; which trees: python-package sklearn.py. All
in binary32, which the plan's `single` and its ...32 links stand for.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from containers.compiled.estimator import CompiledEstimator
from containers.compiled.plan import Doubles, Labels, Link, LinkKind, Op, Step
from containers.compiled.signals import Matrix, NotCompilable
from containers.compiled.tree_arrays import Tree, joined

Singles: TypeAlias = npt.NDArray[np.float32]

_CLASSIFICATIONS = {
    "binary:logistic": Link(LinkKind.LOGISTIC32, Labels.VALUE_ABOVE_HALF),
    "multi:softprob": Link(LinkKind.SOFTMAX32, Labels.VALUE_LARGEST),
}
_IDENTITY, _EXPONENTIAL = Link(LinkKind.IDENTITY, Labels.NONE), Link(LinkKind.EXPONENTIAL32, Labels.NONE)
_REGRESSIONS = {
    "reg:squarederror": _IDENTITY,
    "reg:squaredlogerror": _IDENTITY,
    "reg:absoluteerror": _IDENTITY,
    "reg:pseudohubererror": _IDENTITY,
    "reg:quantileerror": _IDENTITY,
    "count:poisson": _EXPONENTIAL,
    "reg:gamma": _EXPONENTIAL,
    "reg:tweedie": _EXPONENTIAL,
}


def compile_xgboost(model: Any, matrix: Matrix) -> CompiledEstimator:
    """Compile it, up to the iteration that early stopping chose.

    Raises:
        NotCompilable: its booster, its objective or its trees have no compiled form.
    """
    booster = model.get_booster()
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    link = _link(learner["objective"]["name"], classifies=hasattr(model, "classes_"))
    parameters = learner["learner_model_param"]
    if int(parameters.get("num_target", 1)) > 1:
        raise NotCompilable("several targets")
    outputs = max(int(parameters["num_class"]), 1)
    start = np.broadcast_to(_margins(parameters["base_score"], link.kind), (outputs,))
    trees = _in_turns(*_trees(learner["gradient_booster"], booster.attributes(), start), outputs)
    return CompiledEstimator(
        _as_predicted(matrix, float(model.missing)),
        joined(trees, single=True),
        start.astype(np.float64),
        link,
    )


def _link(objective: str, *, classifies: bool) -> Link:
    link = (_CLASSIFICATIONS if classifies else _REGRESSIONS).get(objective)
    if link is None:
        raise NotCompilable(f"an XGBoost model with the objective {objective!r}")
    return link


def _as_predicted(matrix: Matrix, missing: float) -> Matrix:
    """Take the columns through what is done to each number before a tree sees it (src/data/adapter.h).

    Raises:
        NotCompilable: zeros of a sparse matrix are null where they are not stored, and else are not.
    """
    steps = [Step(Op.TO_FLOAT32)]
    if matrix.sparse:
        if matrix.stores_zeros:
            raise NotCompilable("an XGBoost model behind a sparse matrix that was imputed or scaled")
        steps.insert(0, Step(Op.EQUAL_TO_NULL, 0.0))
    if not np.isnan(missing):
        if not np.isfinite(np.float32(missing)):
            raise NotCompilable(f"an XGBoost model of missing={missing}")
        steps.append(Step(Op.EQUAL_TO_NULL, float(np.float32(missing))))
    return matrix.then(*steps)


def _trees(
    booster: dict[str, Any], attributes: dict[str, str], start: Singles
) -> tuple[list[Tree], list[int]]:
    """Give the trees that predict, and which output each adds to."""
    kind = booster["name"]
    if kind not in ("gbtree", "dart"):
        raise NotCompilable(f"an XGBoost model with the booster {kind}")
    model = (booster["gbtree"] if kind == "dart" else booster)["model"]
    count = len(model["trees"])
    if "best_iteration" in attributes:
        count = model["iteration_indptr"][int(attributes["best_iteration"]) + 1]
    trees, output = [_tree(tree) for tree in model["trees"][:count]], model["tree_info"][:count]
    if kind == "dart":
        around = [start[k] for k in output]
        return _weighted(trees, booster["weight_drop"], around), output
    if "weight_drop" in model:  # from XGBoost 3.4 on
        return _weighted(trees, model["weight_drop"], [np.float32(0.0)] * count), output
    return trees, output


def _tree(tree: dict[str, Any]) -> Tree:
    if int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise NotCompilable("an XGBoost model whose leaves hold a value for each class")
    if any(tree["split_type"]):
        raise NotCompilable("an XGBoost model with categorical splits")
    left = np.array(tree["left_children"], dtype=np.int64)
    leaf = left < 0
    condition = np.array(tree["split_conditions"], dtype=np.float32)
    return Tree(
        slot=np.where(leaf, -1, np.array(tree["split_indices"], dtype=np.int64)),
        threshold=_last_below(condition),
        left=left,
        right=np.array(tree["right_children"], dtype=np.int64),
        null_left=np.array(tree["default_left"]) != 0,
        values=condition.astype(np.float64)[:, None],
    )


def _weighted(trees: list[Tree], weights: list[float], around: list[np.float32]) -> list[Tree]:
    """Weigh trees as DART does: what a tree predicts alone, less what that started from, times its weight.

    In this order, each rounded to binary32 (src/gbm/gbtree.cc, Dart::InplacePredict); from XGBoost 3.4 on a tree
    alone starts from 0.
    """

    def values(tree: Tree, weight: float, start: np.float32) -> Doubles:
        leaves = ((start + tree.values.astype(np.float32)) - start) * np.float32(weight)
        return leaves.astype(np.float64)

    return [
        replace(tree, values=values(tree, weight, start))
        for tree, weight, start in zip(trees, weights, around, strict=False)
    ]


def _last_below(condition: Singles) -> Doubles:
    """Give the binary32 number up to which values go left: XGBoost tests `<`, and a plan `<=`."""
    with np.errstate(under="ignore"):
        return np.nextafter(condition, np.float32(-np.inf)).astype(np.float64)


def _in_turns(trees: list[Tree], output: list[int], outputs: int) -> list[Tree]:
    """Put the trees in the order in which tree t adds to output t % outputs, and each output's keep their own.

    With several trees an iteration (num_parallel_tree) XGBoost has those of an output one after the other.
    """
    of_output = [
        [tree for tree, k in zip(trees, output, strict=True) if k == wanted] for wanted in range(outputs)
    ]
    if len({len(those) for those in of_output}) != 1:
        raise NotCompilable("an XGBoost model with more trees for one class than for another")
    return [tree for turn in zip(*of_output, strict=True) for tree in turn]


def _margins(base_score: str, kind: LinkKind) -> Singles:
    """Give what sums start from; base_score is a prediction, and since XGBoost 3.1 may be one for each class."""
    given = json.loads(base_score)
    scores = np.atleast_1d(np.array(given, dtype=np.float32))
    match kind:
        case LinkKind.LOGISTIC32:
            return -_log32(np.float32(1.0) / scores - np.float32(1.0))
        case LinkKind.EXPONENTIAL32:
            return _log32(scores)
        case _:
            return scores


def _log32(x: Singles) -> Singles:
    """Give libm's logf, which need not be numpy's."""
    logf = ctypes.CDLL(ctypes.util.find_library("m")).logf
    logf.argtypes, logf.restype = [ctypes.c_float], ctypes.c_float
    return np.array([logf(value) for value in x.tolist()], dtype=np.float32)
