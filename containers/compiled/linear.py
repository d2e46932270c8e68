"""Linear and logistic models: sklearn/linear_model/_base.py, _logistic.py.

The sum is exact but for its order: BLAS adds up in another one for one row than for many, and so does a sparse
product. What is left of that stays below 1e-12.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from containers.compiled.estimator import CompiledEstimator
from containers.compiled.plan import Labels, Linear, Link, LinkKind, Op, Step, Sum
from containers.compiled.signals import Matrix, NotCompilable

_FINITE = (Step(Op.REFUSE_INFINITE), Step(Op.REFUSE_NULL))


def compile_regression(model: Any, matrix: Matrix) -> CompiledEstimator:
    """Compile a model whose answer is the sum itself."""
    weights = _weights(model)
    if len(weights) != 1:
        raise NotCompilable("several targets")
    return CompiledEstimator(
        matrix.then(*_FINITE), Linear(weights), _intercepts(model, 1), Link(LinkKind.IDENTITY, Labels.NONE)
    )


def compile_logistic(model: Any, matrix: Matrix) -> CompiledEstimator:
    """Compile a LogisticRegression: logistic of one sum, or softmax of one a class."""
    weights = _weights(model)
    binary = len(model.classes_) == 2
    if len(weights) != (1 if binary else len(model.classes_)):
        raise NotCompilable("a LogisticRegression with another number of sums than of classes")
    link = (
        Link(LinkKind.LOGISTIC, Labels.RAW_ABOVE_ZERO)
        if binary
        else Link(LinkKind.SOFTMAX, Labels.RAW_LARGEST, sum=Sum.PAIRWISE, numpy_exp=True)
    )
    return CompiledEstimator(matrix.then(*_FINITE), Linear(weights), _intercepts(model, len(weights)), link)


def _weights(model: Any) -> Any:
    coefficients = model.coef_
    if hasattr(coefficients, "toarray"):  # sparsify()
        coefficients = coefficients.toarray()
    return np.atleast_2d(np.asarray(coefficients, dtype=np.float64))


def _intercepts(model: Any, outputs: int) -> Any:
    return np.broadcast_to(np.ravel(np.asarray(model.intercept_, dtype=np.float64)), (outputs,)).copy()
