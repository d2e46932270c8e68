"""Every kind of model over every kind of preprocessing and problem, and pipelines put together at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import ColumnTransformer, make_column_transformer
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
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from containers.compiled.engine import engine_of

from .cases import CATEGORIES, NUMBERS, Classes, contract_for, fitted
from .comparing import compiled, engines_agree, verdict

Make = Callable[..., Any]

# Of each kind: the classifier, the regressor, and its options for little trees.
KINDS: dict[str, tuple[Make, Make, dict[str, Any]]] = {
    "hist": (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        {"max_iter": 5, "min_samples_leaf": 5, "early_stopping": False},
    ),
    "forest": (RandomForestClassifier, RandomForestRegressor, {"n_estimators": 5}),
    "extra": (ExtraTreesClassifier, ExtraTreesRegressor, {"n_estimators": 5}),
    "boosting": (GradientBoostingClassifier, GradientBoostingRegressor, {"n_estimators": 5}),
    "linear": (LogisticRegression, Ridge, {}),
    "least squares": (LogisticRegression, LinearRegression, {}),
    "lightgbm": (
        LGBMClassifier,
        LGBMRegressor,
        {"n_estimators": 5, "min_child_samples": 5, "verbose": -1, "n_jobs": 1},
    ),
    "xgboost": (XGBClassifier, XGBRegressor, {"n_estimators": 5, "n_jobs": 1}),
}
_STOCHASTIC = {"hist", "forest", "extra", "boosting", "lightgbm", "xgboost"}
TAKE_NULLS = {"hist", "forest", "extra", "lightgbm", "xgboost"}
PROBLEMS: tuple[Classes, ...] = ("two codes", "codes", "regression")


def estimator(kind: str, classes: Classes, seed: int = 0, **more: Any) -> Any:
    classifier, regressor, options = KINDS[kind]
    options = {**options, **more, **({"random_state": seed} if kind in _STOCHASTIC else {})}
    if kind in ("linear", "least squares") and classes != "regression":
        options["max_iter"] = 1_000
    return regressor(**options) if classes == "regression" else classifier(**options)


def one_hot(**options: Any) -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", **options)


def ordinal(**options: Any) -> OrdinalEncoder:
    return OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2, **options
    )


PREPROCESSING: dict[str, Callable[[], ColumnTransformer]] = {
    "imputed, scaled, one-hot": lambda: make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (one_hot(), CATEGORIES),
        sparse_threshold=1.0,
    ),
    "imputed, ordinal": lambda: make_column_transformer(
        (SimpleImputer(strategy="median", add_indicator=True), NUMBERS), (ordinal(), CATEGORIES)
    ),
    "as they are": lambda: make_column_transformer(
        (one_hot(sparse_output=False), CATEGORIES), remainder="passthrough"
    ),
}


COVERED = [
    (kind, before)
    for kind in KINDS
    for before in PREPROCESSING
    if kind in TAKE_NULLS or before != "as they are"
]


def hold(kind: str, before: Any, classes: Classes, last: Any) -> None:
    model = fitted(make_pipeline(before, last), classes, rows=300)
    plan = compiled(model, classes)
    native = engine_of(plan, contract_for(classes))
    found = verdict(model, plan, native, classes)
    assert (kind, found.why) == (kind, "")
    engines_agree(plan, native)


@pytest.mark.parametrize("classes", PROBLEMS)
@pytest.mark.parametrize(("kind", "before"), COVERED)
def test_each_kind_is_exact_over_each_preprocessing(kind: str, before: str, classes: Classes) -> None:
    columns = PREPROCESSING[before]()
    if kind == "hist":
        columns.set_params(sparse_threshold=0)
    hold(kind, columns, classes, estimator(kind, classes))


_imputers = st.builds(
    SimpleImputer,
    strategy=st.sampled_from(["mean", "median", "most_frequent"]),
    add_indicator=st.booleans(),
)
_scalers = st.sampled_from([StandardScaler, RobustScaler, MinMaxScaler]).map(lambda kind: kind())
_encoders = st.one_of(
    st.builds(one_hot, sparse_output=st.booleans(), max_categories=st.sampled_from([None, 3])),
    st.builds(ordinal),
)


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[str, Any, Classes, Any]:
    """A kind, a preprocessing of the columns in a few groups, a problem, and the estimator."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    classes = draw(st.sampled_from(PROBLEMS))
    sparse = kind != "hist" and draw(st.booleans())
    takes_nulls = kind in TAKE_NULLS and not (sparse and kind in ("forest", "extra"))
    numbers = draw(st.permutations(NUMBERS))
    cut = draw(st.integers(1, len(numbers) - 1))
    parts: list[Any] = []
    for columns in (numbers[:cut], numbers[cut:]):
        steps = [draw(_imputers)] if not takes_nulls or draw(st.booleans()) else []
        steps += [draw(_scalers)] if draw(st.booleans()) else []
        parts.append((make_pipeline(*steps) if steps else "passthrough", list(columns)))
    parts.append((draw(_encoders), draw(st.permutations(CATEGORIES))[: draw(st.integers(1, 5))]))
    before = make_column_transformer(*draw(st.permutations(parts)), sparse_threshold=int(sparse))
    return kind, before, classes, estimator(kind, classes, seed=draw(st.integers(0, 99)))


@given(case=pipelines())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_random_pipeline_is_exact(case: tuple[str, Any, Classes, Any]) -> None:
    hold(*case)
