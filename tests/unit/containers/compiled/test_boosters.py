"""LightGBM and XGBoost, compiled and compared with what they themselves answer, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder
from xgboost import XGBClassifier, XGBRegressor

from containers.compiled import store
from containers.compiled.compile import compile_model
from containers.compiled.engine import engine_of
from containers.compiled.exactness import check
from containers.compiled.plan import Op, Plan, Trees
from containers.compiled.signals import NotCompilable
from containers.frames import frame_of
from sluice.contract import Columns, ModelContract

from . import cases
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

LGB: dict[str, Any] = {"verbose": -1, "n_jobs": 1, "random_state": 0, "min_child_samples": 5}
XGB: dict[str, Any] = {"n_jobs": 1, "random_state": 0, "max_depth": 4}
FOREST: dict[str, Any] = {"num_parallel_tree": 15, "learning_rate": 1.0, "subsample": 0.8}
# Silent: XGBoost 3.4 warns that its boosters' names are to go.
DART: dict[str, Any] = {"booster": "dart", "rate_drop": 0.5, "skip_drop": 0.1, "verbosity": 0}


def lgb(n: int = 20, **options: Any) -> LGBMClassifier:
    return LGBMClassifier(n_estimators=n, **{**LGB, **options})


def lgb_value(n: int = 20, **options: Any) -> LGBMRegressor:
    return LGBMRegressor(n_estimators=n, **{**LGB, **options})


def xgb(n: int = 20, **options: Any) -> XGBClassifier:
    return XGBClassifier(n_estimators=n, **{**XGB, **options})


def xgb_value(n: int = 20, **options: Any) -> XGBRegressor:
    return XGBRegressor(n_estimators=n, **{**XGB, **options})


def sparse_with_nulls() -> Any:
    return make_column_transformer(
        ("passthrough", cases.NUMBERS), (OneHotEncoder(max_categories=3), ["city"]), sparse_threshold=1
    )


XGB_OBJECTIVES: dict[str, dict[str, Any]] = {
    "reg:squaredlogerror": {},
    "reg:absoluteerror": {},
    "reg:pseudohubererror": {},
    "reg:quantileerror": {"quantile_alpha": 0.8},
    "count:poisson": {},
    "reg:gamma": {},
    "reg:tweedie": {"tweedie_variance_power": 1.3},
}

MODELS: dict[str, tuple[Any, Any, Classes]] = {
    "lgb": (scaled_with_nulls(), lgb(40), "binary"),
    "lgb deep": (as_they_are(), lgb(20, num_leaves=80, min_child_samples=2), "binary"),
    "lgb sigmoid": (as_they_are(), lgb(sigmoid=0.7), "binary"),
    "lgb imputed": (one_hot_and_scaled(), lgb(), "binary"),
    "lgb sparse": (cases.sparse(), lgb(), "binary"),
    "lgb sparse nulls": (sparse_with_nulls(), lgb(5), "two codes"),
    "lgb sparse zero is null": (sparse_with_nulls(), lgb(5, zero_as_missing=True), "two codes"),
    "lgb sparse scaled": (make_pipeline(cases.sparse(), MaxAbsScaler()), lgb(), "multiclass"),
    "lgb ordinal": (PREPROCESSING["ordinal"](), lgb(), "multiclass"),
    "lgb frames": (PREPROCESSING["as_frames"](), lgb(), "multiclass"),
    "lgb three": (as_they_are(), lgb(15), "multiclass"),
    "lgb eleven": (as_they_are(), lgb(5), "many"),
    "lgb codes": (as_they_are(), lgb(5), "codes"),
    "lgb zero is null": (scaled_with_nulls(), lgb(zero_as_missing=True), "binary"),
    "lgb no null": (as_they_are(), lgb(use_missing=False), "binary"),
    "lgb forest": (as_they_are(), lgb(boosting_type="rf", subsample=0.6, subsample_freq=1), "binary"),
    "lgb dart": (as_they_are(), lgb(boosting_type="dart", drop_rate=0.5, skip_drop=0.1), "binary"),
    "lgb extra": (as_they_are(), lgb(extra_trees=True, data_sample_strategy="goss"), "binary"),
    "lgb stumps": (as_they_are(), lgb(min_child_samples=290), "binary"),
    "lgb value": (as_they_are(), lgb_value(40), "regression"),
    "lgb value forest": (
        as_they_are(),
        lgb_value(boosting_type="rf", subsample=0.6, subsample_freq=1),
        "regression",
    ),
    **{
        f"lgb {objective}": (scaled_with_nulls(), lgb_value(objective=objective), "regression")
        for objective in ("mae", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie")
    },
    "xgb": (scaled_with_nulls(), xgb(40), "two codes"),
    "xgb deep": (as_they_are(), xgb(15, max_depth=9, min_child_weight=0), "two codes"),
    "xgb base": (as_they_are(), xgb(base_score=0.9), "two codes"),
    "xgb imputed": (one_hot_and_scaled(), xgb(), "two codes"),
    "xgb sparse": (cases.sparse(), xgb(), "two codes"),
    "xgb sparse missing": (cases.sparse(), xgb(missing=1.0), "codes"),
    "xgb dart": (as_they_are(), xgb(base_score=0.8, **DART), "two codes"),
    "xgb dart four": (as_they_are(), xgb(8, base_score=0.3, **DART), "codes"),
    "xgb dart value": (as_they_are(), xgb_value(**DART), "regression"),
    "xgb ordinal": (PREPROCESSING["ordinal"](), xgb(), "codes"),
    "xgb frames": (PREPROCESSING["as_frames"](), xgb(), "codes"),
    "xgb four": (as_they_are(), xgb(10), "codes"),
    "xgb parallel": (as_they_are(), xgb(4, num_parallel_tree=3, subsample=0.7), "codes"),
    "xgb missing": (PREPROCESSING["ordinal"](), xgb(missing=1.0), "two codes"),
    "xgb exact": (as_they_are(), xgb(tree_method="exact", gamma=1.0), "two codes"),
    "xgb leaves": (as_they_are(), xgb(grow_policy="lossguide", max_leaves=9, max_depth=0), "two codes"),
    "xgb forest": (as_they_are(), xgb(1, **FOREST), "two codes"),
    "xgb value": (as_they_are(), xgb_value(40), "regression"),
    "xgb value forest": (scaled_with_nulls(), xgb_value(1, **FOREST), "regression"),
    **{
        f"xgb {objective}": (scaled_with_nulls(), xgb_value(objective=objective, **options), "regression")
        for objective, options in XGB_OBJECTIVES.items()
    },
}


@pytest.mark.parametrize("name", MODELS)
def test_a_booster_is_exact(name: str) -> None:
    before, estimator, classes = MODELS[name]
    model = fitted(make_pipeline(before, estimator), classes)
    plan = compiled(model, classes)
    native = engine_of(plan, contract_for(classes))
    found = verdict(model, plan, native, classes)
    assert found.why == ""
    assert found.rows > 1_000
    engines_agree(plan, native)


@pytest.mark.parametrize("options", [{"min_data_per_group": 5}, {"max_cat_to_onehot": 1, "cat_smooth": 1}])
def test_categories_as_lightgbm_sees_them_are_exact(options: dict[str, Any]) -> None:
    model = make_pipeline(PREPROCESSING["ordinal"](), lgb(**options))
    fitted(model, "multiclass", lgbmclassifier__categorical_feature=[0, 1, 2])
    plan = compiled(model, "multiclass")
    assert isinstance(plan.model, Trees)
    assert (plan.model.category_set >= 0).any()
    native = engine_of(plan, contract_for("multiclass"))
    assert verdict(model, plan, native, "multiclass").why == ""
    engines_agree(plan, native)


def numbers_only() -> ModelContract:
    contract = contract_for("binary")
    target = contract.target.model_copy(update={"classes": (0, 1), "positive": 1})
    features = tuple(feature for feature in contract.features if feature.kind == "number")
    return contract.model_copy(update={"features": features, "target": target})


@pytest.mark.parametrize("estimator", [lgb(), xgb()], ids=["lgb", "xgb"])
def test_a_booster_without_a_pipeline_is_exact(estimator: Any) -> None:
    contract = numbers_only()
    data = {name: values for name, values in cases.columns(600).items() if name in contract.names}
    labels = cases.target(cases.columns(600), "two codes")
    model = estimator.fit(frame_of(data, contract), labels)
    plan = compile_model(model, contract)
    assert check(model, plan, engine_of(plan, contract), contract, data, seconds=60).why == ""


@pytest.mark.parametrize("nulls", [{}, {"zero_as_missing": True}], ids=["", "zero is null"])
@pytest.mark.parametrize("share", [0, 1], ids=["dense", "sparse"])
def test_what_is_next_to_zero_is_zero_to_lightgbm_in_a_dense_matrix_only(
    share: int, nulls: dict[str, Any]
) -> None:
    contract = numbers_only()
    data = {name: values for name, values in cases.columns(600).items() if name in contract.names}
    below = np.array(data["height"], dtype=np.float64) < 0
    before = make_column_transformer(
        ("passthrough", ["height"]), (OneHotEncoder(), ["member"]), sparse_threshold=share
    )
    model = make_pipeline(before, lgb(3, **nulls)).fit(frame_of(data, contract), below.astype(np.int64))
    plan = compile_model(model, contract)
    tiny = float(np.float32(1e-35))
    assert isinstance(plan.model, Trees)
    assert nulls or -tiny in plan.model.threshold
    around = [
        float(np.nextafter(sign * tiny, to)) for sign in (-1, 1) for to in (-np.inf, sign * tiny, np.inf)
    ]
    heights = [*around, 1e-36, -1e-36, 5e-324, 0.0, -0.0, 1e-34]
    rows: Columns = {name: values[: len(heights)] for name, values in data.items()}
    rows["height"] = [*heights]
    assert check(model, plan, engine_of(plan, contract), contract, rows, seconds=60).why == ""


def test_only_the_trees_up_to_where_training_stopped_are_compiled() -> None:
    rows = frame_of(cases.columns(900), contract_for("codes"))
    before = as_they_are()
    x, y = before.fit_transform(rows), cases.target(cases.columns(900), "codes")
    judged = (x[600:], y[600:])
    ended = early_stopping(3, verbose=False)
    stopped: dict[str, Any] = {
        "xgb": xgb(300, early_stopping_rounds=3).fit(x[:600], y[:600], eval_set=[judged], verbose=False),
        "lgb": lgb(300).fit(x[:600], y[:600], eval_X=judged[0], eval_y=judged[1], callbacks=[ended]),
    }
    for estimator in stopped.values():
        model = Pipeline([("before", before), ("model", estimator)])
        plan = compiled(model, "codes")
        assert isinstance(plan.model, Trees)
        best = getattr(estimator, "best_iteration_", None) or estimator.best_iteration + 1
        assert len(plan.model.root) == best * plan.outputs < 4 * 300
        assert verdict(model, plan, engine_of(plan, contract_for("codes")), "codes").why == ""


def test_a_zero_that_a_sparse_matrix_leaves_out_is_null_to_xgboost() -> None:
    plans = {
        name: compiled(fitted(make_pipeline(before, xgb(5)), "two codes"), "two codes")
        for name, before in (("sparse", cases.sparse()), ("dense", cases.as_they_are()))
    }
    assert {name: _empties(plan) for name, plan in plans.items()} == {"sparse": {0.0}, "dense": set()}


def _empties(plan: Plan) -> set[float]:
    return {step.operand for n in plan.numbers for step in n.steps if step.op == Op.EQUAL_TO_NULL}


REFUSED: dict[str, tuple[Any, Any, Classes, str]] = {
    "ova": (
        as_they_are(),
        lgb(objective="multiclassova"),
        "multiclass",
        "objective 'multiclassova num_class:3",
    ),
    "sqrt": (as_they_are(), lgb_value(reg_sqrt=True), "regression", "objective 'regression sqrt'"),
    "entropy": (as_they_are(), lgb(objective="cross_entropy"), "two codes", "objective 'cross_entropy'"),
    "own": (
        as_they_are(),
        lgb_value(objective=lambda y, p: (p - y, np.ones_like(y))),
        "regression",
        "objective 'custom'",
    ),
    "linear trees": (
        make_pipeline(as_they_are(), SimpleImputer()),
        lgb_value(linear_tree=True),
        "regression",
        "linear trees",
    ),
    "stops early": (as_they_are(), lgb(pred_early_stop=True), "binary", "parameter pred_early_stop"),
    "softmax": (as_they_are(), xgb(objective="multi:softmax"), "codes", "objective 'multi:softmax'"),
    "hinge": (as_they_are(), xgb(objective="binary:hinge"), "two codes", "objective 'binary:hinge'"),
    "raw": (as_they_are(), xgb(objective="binary:logitraw"), "two codes", "objective 'binary:logitraw'"),
    "gblinear": (
        make_pipeline(as_they_are(), SimpleImputer()),
        xgb(booster="gblinear", verbosity=0),
        "two codes",
        "booster gblinear",
    ),
    "vectors": (as_they_are(), xgb(multi_strategy="multi_output_tree"), "codes", "a value for each class"),
    "sets": (
        cases.codes_of_texts(),
        xgb(feature_types=["c"] * 2 + ["q"] * 4, enable_categorical=True),
        "two codes",
        "categorical splits",
    ),
    "infinite": (as_they_are(), xgb(missing=np.inf), "two codes", "missing=inf"),
    "sparse and scaled": (
        make_pipeline(cases.sparse(), MaxAbsScaler()),
        xgb(),
        "two codes",
        "behind a sparse matrix that was imputed or scaled",
    ),
}


@pytest.mark.filterwarnings("ignore:.*booster=gblinear")  # deprecated since XGBoost 3.4
@pytest.mark.parametrize("name", REFUSED)
def test_a_booster_that_would_not_be_exact_is_named(name: str) -> None:
    before, estimator, classes, reason = REFUSED[name]
    model = fitted(make_pipeline(before, estimator), classes)
    with pytest.raises(NotCompilable, match=reason):
        compile_model(model, contract_for(classes))


def test_serving_a_booster_imports_neither_library(tmp_path: Path) -> None:
    store.save(compiled(fitted(make_pipeline(as_they_are(), lgb(3)), "binary"), "binary"), tmp_path)
    (tmp_path / "contract.json").write_text(contract_for("binary").model_dump_json())
    script = (
        "import sys; from pathlib import Path; from containers.serve.scorer import load_scorer\n"
        f"scorer = load_scorer(Path({str(tmp_path)!r}))\n"
        "print(scorer.scoring.path, [n for n in ('lightgbm', 'xgboost', 'sklearn', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "compiled []"
