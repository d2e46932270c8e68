"""Every kind of model and preprocessing, compiled and compared with itself, natively and by numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from containers.compiled.compile import compile_model
from containers.compiled.engine import engine_of
from containers.compiled.signals import NotCompilable

from .cases import (
    PREPROCESSING,
    Classes,
    as_they_are,
    contract_for,
    fitted,
    one_hot_and_scaled,
    scaled_with_nulls,
)
from .comparing import compiled, engines_agree, verdict

HGB: dict[str, Any] = {"early_stopping": False, "random_state": 0, "min_samples_leaf": 5}

MODELS: dict[str, tuple[Any, Classes]] = {
    "hgb": (make_pipeline(scaled_with_nulls(), HistGradientBoostingClassifier(max_iter=40, **HGB)), "binary"),
    "hgb deep": (
        make_pipeline(as_they_are(), HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=60, **HGB)),
        "binary",
    ),
    "hgb three": (
        make_pipeline(scaled_with_nulls(), HistGradientBoostingClassifier(max_iter=15, **HGB)),
        "multiclass",
    ),
    "hgb eleven": (make_pipeline(as_they_are(), HistGradientBoostingClassifier(max_iter=4, **HGB)), "many"),
    "hgb categorical": (
        make_pipeline(
            PREPROCESSING["ordinal"](),
            HistGradientBoostingClassifier(max_iter=20, categorical_features=[0, 1, 2], **HGB),
        ),
        "binary",
    ),
    "hgb value": (
        make_pipeline(as_they_are(), HistGradientBoostingRegressor(max_iter=30, **HGB)),
        "regression",
    ),
    "hgb poisson": (
        make_pipeline(as_they_are(), HistGradientBoostingRegressor(max_iter=20, loss="poisson", **HGB)),
        "regression",
    ),
    "hgb gamma": (
        make_pipeline(scaled_with_nulls(), HistGradientBoostingRegressor(max_iter=20, loss="gamma", **HGB)),
        "regression",
    ),
    "forest": (
        make_pipeline(scaled_with_nulls(), RandomForestClassifier(30, random_state=0, n_jobs=2)),
        "binary",
    ),
    "forest sparse": (
        make_pipeline(one_hot_and_scaled(), RandomForestClassifier(10, max_depth=4, random_state=0)),
        "multiclass",
    ),
    "forest eleven": (make_pipeline(as_they_are(), RandomForestClassifier(7, random_state=0)), "many"),
    "forest value": (make_pipeline(as_they_are(), RandomForestRegressor(20, random_state=0)), "regression"),
    "forest small": (
        make_pipeline(scaled_with_nulls(), RandomForestRegressor(20, max_leaf_nodes=12, random_state=0)),
        "regression",
    ),
    "extra": (make_pipeline(scaled_with_nulls(), ExtraTreesClassifier(20, random_state=0)), "binary"),
    "extra value": (
        make_pipeline(one_hot_and_scaled(), ExtraTreesRegressor(20, random_state=0)),
        "regression",
    ),
    "tree": (make_pipeline(as_they_are(), DecisionTreeClassifier(max_depth=6, random_state=0)), "multiclass"),
    "tree value": (make_pipeline(as_they_are(), DecisionTreeRegressor(random_state=0)), "regression"),
    "boosting": (
        make_pipeline(one_hot_and_scaled(), GradientBoostingClassifier(n_estimators=30, random_state=0)),
        "binary",
    ),
    "boosting exponential": (
        make_pipeline(
            one_hot_and_scaled(),
            GradientBoostingClassifier(n_estimators=20, loss="exponential", random_state=0),
        ),
        "binary",
    ),
    "boosting zero": (
        make_pipeline(
            one_hot_and_scaled(), GradientBoostingClassifier(n_estimators=20, init="zero", random_state=0)
        ),
        "binary",
    ),
    "boosting eleven": (
        make_pipeline(one_hot_and_scaled(), GradientBoostingClassifier(n_estimators=5, random_state=0)),
        "many",
    ),
    "boosting value": (
        make_pipeline(
            one_hot_and_scaled(), GradientBoostingRegressor(n_estimators=30, loss="huber", random_state=0)
        ),
        "regression",
    ),
    "logistic": (make_pipeline(one_hot_and_scaled(), LogisticRegression()), "binary"),
    "logistic dense": (
        make_pipeline(one_hot_and_scaled(sparse_output=False), LogisticRegression()),
        "binary",
    ),
    "logistic eleven": (make_pipeline(one_hot_and_scaled(), LogisticRegression(max_iter=500)), "many"),
    "linear": (make_pipeline(one_hot_and_scaled(), LinearRegression()), "regression"),
    "ridge": (make_pipeline(one_hot_and_scaled(), Ridge()), "regression"),
    "lasso": (make_pipeline(one_hot_and_scaled(), Lasso(alpha=0.01)), "regression"),
    "elastic": (
        make_pipeline(one_hot_and_scaled(), ElasticNet(alpha=0.01, fit_intercept=False)),
        "regression",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_exact(name: str) -> None:
    model, classes = MODELS[name]
    fitted(model, classes)
    plan = compiled(model, classes)
    native = engine_of(plan, contract_for(classes))
    found = verdict(model, plan, native, classes)
    assert found.why == ""
    assert found.rows > 1_000
    engines_agree(plan, native)


@pytest.mark.parametrize("name", PREPROCESSING)
def test_a_preprocessing_is_exact(name: str) -> None:
    final = LogisticRegression() if "sparse" in name else HistGradientBoostingClassifier(max_iter=20, **HGB)
    model = fitted(make_pipeline(PREPROCESSING[name](), final), "binary")
    plan = compiled(model, "binary")
    native = engine_of(plan, contract_for("binary"))
    assert verdict(model, plan, native, "binary").why == ""
    engines_agree(plan, native)


def test_numpys_exponential_may_differ_from_libms(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine where it does, it is numpy's that is asked."""
    model, classes = MODELS["hgb eleven"]
    plan = compiled(fitted(model, classes), classes)
    monkeypatch.setattr("containers.compiled.engine.numpy_exp_is_libms", lambda: False)
    engine = engine_of(plan, contract_for(classes))
    assert verdict(model, plan, engine, classes).why == ""
    engines_agree(plan, engine)


def test_a_wrong_compilation_is_found() -> None:
    model, classes = MODELS["hgb"]
    plan = compiled(fitted(model, classes), classes)
    trees: Any = plan.model
    node = int(np.flatnonzero(trees.slot >= 0)[0])
    trees.threshold[node] = np.nextafter(trees.threshold[node], np.inf)
    found = verdict(model, plan, engine_of(plan, contract_for(classes)), classes)
    assert found.why.startswith("not exact: at a threshold: expected")


class Careful(LogisticRegression):
    """A class of the user's own may do anything."""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (make_pipeline(one_hot_and_scaled(), Careful()), "Careful"),
        (make_pipeline(one_hot_and_scaled(), DummyClassifier()), "DummyClassifier"),
        (
            make_pipeline(
                one_hot_and_scaled(),
                GradientBoostingClassifier(n_estimators=2, init=LogisticRegression(), random_state=0),
            ),
            "starts from a LogisticRegression",
        ),
    ],
)
def test_what_has_no_compiled_form_is_named(model: Any, reason: str) -> None:
    with pytest.raises(NotCompilable, match=reason):
        compile_model(fitted(model, "binary"), contract_for("binary"))
