"""From a fitted pipeline to a plan: which estimators have a compiled form, and why another has none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from containers.compiled.estimator import CompiledEstimator
from containers.compiled.plan import Plan
from containers.compiled.preprocessing import through
from containers.compiled.signals import Matrix, NotCompilable, ends_of, received
from sluice.contract import ModelContract

_FOREST = "sklearn.ensemble._forest"
_TREE = "sklearn.tree._classes"
_HISTOGRAM = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
_BOOSTING = "sklearn.ensemble._gb"
_LINEAR = "sklearn.linear_model."

# By name, so that no library is imported that the model does not use: the compiler of each class, and where it is.
_ESTIMATORS: dict[tuple[str, str], tuple[str, str]] = {
    (_HISTOGRAM, "HistGradientBoostingClassifier"): ("histogram_trees", "compile_histogram_trees"),
    (_HISTOGRAM, "HistGradientBoostingRegressor"): ("histogram_trees", "compile_histogram_trees"),
    (_FOREST, "RandomForestClassifier"): ("forests", "compile_forest"),
    (_FOREST, "RandomForestRegressor"): ("forests", "compile_forest"),
    (_FOREST, "ExtraTreesClassifier"): ("forests", "compile_forest"),
    (_FOREST, "ExtraTreesRegressor"): ("forests", "compile_forest"),
    (_TREE, "DecisionTreeClassifier"): ("forests", "compile_decision_tree"),
    (_TREE, "DecisionTreeRegressor"): ("forests", "compile_decision_tree"),
    (_BOOSTING, "GradientBoostingClassifier"): ("gradient_boosting", "compile_gradient_boosting"),
    (_BOOSTING, "GradientBoostingRegressor"): ("gradient_boosting", "compile_gradient_boosting"),
    (_LINEAR + "_logistic", "LogisticRegression"): ("linear", "compile_logistic"),
    (_LINEAR + "_base", "LinearRegression"): ("linear", "compile_regression"),
    (_LINEAR + "_ridge", "Ridge"): ("linear", "compile_regression"),
    (_LINEAR + "_coordinate_descent", "Lasso"): ("linear", "compile_regression"),
    (_LINEAR + "_coordinate_descent", "ElasticNet"): ("linear", "compile_regression"),
    ("lightgbm.sklearn", "LGBMClassifier"): ("lightgbm_trees", "compile_lightgbm"),
    ("lightgbm.sklearn", "LGBMRegressor"): ("lightgbm_trees", "compile_lightgbm"),
    ("xgboost.sklearn", "XGBClassifier"): ("xgboost_trees", "compile_xgboost"),
    ("xgboost.sklearn", "XGBRegressor"): ("xgboost_trees", "compile_xgboost"),
}


def compile_model(model: Any, contract: ModelContract) -> Plan:
    """Compile a fitted model that takes frames as containers.frames makes them.

    Raises:
        NotCompilable: a part of it has no compiled form.
    """
    matrix = received(contract)
    estimator = model
    if _name(model) == ("sklearn.pipeline", "Pipeline"):
        for _, step in model.steps[:-1]:
            matrix = through(step, matrix)
        estimator = model.steps[-1][1]
        if _name(estimator) == ("sklearn.pipeline", "Pipeline"):
            raise NotCompilable("a Pipeline that ends in a Pipeline")
    compiled = _compiler(estimator)(estimator, matrix)
    ends = ends_of(compiled.matrix, compiled.used(), contract)
    library = type(estimator).__module__.split(".")[0]
    return Plan(
        features=contract.features,
        numbers=ends.numbers,
        texts=ends.texts,
        number_lookups=ends.number_lookups,
        base=ends.base,
        model=compiled.model,
        start=compiled.start,
        link=compiled.link,
        # Not the distribution's version: the module xgboost is there by other names, too (xgboost-cpu).
        made_with={library.replace("sklearn", "scikit-learn"): sys.modules[library].__version__},
    )


def _compiler(estimator: Any) -> Callable[[Any, Matrix], CompiledEstimator]:
    module, name = _name(estimator)
    place = _ESTIMATORS.get((module, name))
    if place is None:
        raise NotCompilable(f"{module}.{name} is no estimator with a compiled form")
    compiler: Callable[[Any, Matrix], CompiledEstimator] = getattr(
        import_module(f"containers.compiled.{place[0]}"), place[1]
    )
    return compiler


def _name(model: Any) -> tuple[str, str]:
    return type(model).__module__, type(model).__qualname__
