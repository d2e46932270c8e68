"""HistGradientBoostingClassifier and -Regressor: sklearn/ensemble/_hist_gradient_boosting/."""

from __future__ import annotations

from typing import Any

import numpy as np

from containers.compiled.estimator import CompiledEstimator
from containers.compiled.plan import Labels, Link, LinkKind, Sum
from containers.compiled.preprocessing import through
from containers.compiled.signals import Matrix, NotCompilable
from containers.compiled.tree_arrays import Tree, joined

_REGRESSION_LINKS = {"IdentityLink": LinkKind.IDENTITY, "LogLink": LinkKind.EXPONENTIAL}


def compile_histogram_trees(model: Any, matrix: Matrix) -> CompiledEstimator:
    """Compile it; infinities and nulls are taken as they come (_preprocess_X)."""
    if model._preprocessor is not None:
        # It encodes the categorical columns, and puts them in front of the others.
        matrix = through(model._preprocessor, matrix)
    known, positions = model._bin_mapper.make_known_categories_bitsets()
    trees = [_tree(p, known, positions) for iteration in model._predictors for p in iteration]
    start = np.zeros(model.n_trees_per_iteration_) + np.ravel(model._baseline_prediction)
    return CompiledEstimator(matrix, joined(trees), start, _link(model))


def _tree(predictor: Any, known: Any, positions: Any) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"] != 0
    null_left = nodes["missing_go_to_left"] != 0
    sets = {}
    for i in np.flatnonzero((nodes["is_categorical"] != 0) & ~leaf).tolist():
        members = predictor.raw_left_cat_bitsets[nodes[i]["bitset_idx"]]
        if null_left[i]:
            # An unknown category goes where nulls go.
            members = members | ~known[positions[nodes[i]["feature_idx"]]]
        sets[i] = members.astype(np.uint32)
    return Tree(
        slot=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        null_left=null_left,
        values=nodes["value"].astype(np.float64)[:, None],
        sets=sets,
    )


def _link(model: Any) -> Link:
    link = type(model._loss.link).__name__
    if not hasattr(model, "classes_"):
        if link not in _REGRESSION_LINKS:
            raise NotCompilable(f"a HistGradientBoostingRegressor with the loss {model.loss!r}")
        return Link(_REGRESSION_LINKS[link], Labels.NONE, numpy_exp=True)
    if link == "LogitLink":
        return Link(LinkKind.LOGISTIC, Labels.RAW_ABOVE_ZERO)
    if link == "MultinomialLogit":
        # _raw_predict adds up in Fortran order, so that softmax sums across columns.
        return Link(LinkKind.SOFTMAX, Labels.RAW_LARGEST, sum=Sum.PAIRWISE_IF_SINGLE, numpy_exp=True)
    raise NotCompilable(f"a HistGradientBoostingClassifier with the loss {model.loss!r}")
