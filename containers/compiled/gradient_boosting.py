"""GradientBoostingClassifier and -Regressor: sklearn/ensemble/_gb.py, _gradient_boosting.pyx."""

from __future__ import annotations

from typing import Any

import numpy as np

from containers.compiled.estimator import CompiledEstimator
from containers.compiled.forests import tree_of
from containers.compiled.plan import Labels, Link, LinkKind, Op, Step, Sum
from containers.compiled.signals import Matrix, NotCompilable
from containers.compiled.tree_arrays import joined


def compile_gradient_boosting(model: Any, matrix: Matrix) -> CompiledEstimator:
    """Compile it; predict_stages adds learning_rate * value, tree after tree, to what the prior gives."""
    prior = model.init_
    constant = isinstance(prior, str) or type(prior).__module__ == "sklearn.dummy"
    if not constant:
        raise NotCompilable(f"a GradientBoosting that starts from a {type(prior).__name__}")
    start = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32))[0]
    trees = [tree_of(e.tree_, float(model.learning_rate)) for stage in model.estimators_ for e in stage]
    return CompiledEstimator(
        matrix.then(Step(Op.TO_FLOAT32), Step(Op.REFUSE_INFINITE), Step(Op.REFUSE_NULL)),
        joined(trees),
        np.asarray(start, dtype=np.float64),
        _link(model),
    )


def _link(model: Any) -> Link:
    if not hasattr(model, "classes_"):
        return Link(LinkKind.IDENTITY, Labels.NONE)
    match type(model._loss.link).__name__:
        case "LogitLink":
            return Link(LinkKind.LOGISTIC, Labels.RAW_FROM_ZERO)
        case "HalfLogitLink":
            return Link(LinkKind.LOGISTIC, Labels.RAW_FROM_ZERO, factor=2.0)
        case "MultinomialLogit":
            return Link(LinkKind.SOFTMAX, Labels.RAW_LARGEST, sum=Sum.PAIRWISE, numpy_exp=True)
        case other:
            raise NotCompilable(f"a GradientBoostingClassifier with the link {other}")
