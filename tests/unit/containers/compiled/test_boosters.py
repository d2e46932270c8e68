"""LightGBM and XGBoost, compiled and compared with what they themselves answer, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from containers.compiled.compile import compile_model
from containers.compiled.engine import engine_of
from containers.compiled.exactness import check
from containers.compiled.plan import Op, Plan, Trees
from containers.compiled.signals import NotCompilable
from containers.frames import frame_of
from sluice.contract import ModelContract

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


def lgb(n: int = 20, **options: Any) -> LGBMClassifier:
    return LGBMClassifier(n_estimators=n, **{**LGB, **options})


def lgb_value(n: int = 20, **options: Any) -> LGBMRegressor:
    return LGBMRegressor(n_estimators=n, **{**LGB, **options})


def xgb(n: int = 20, **options: Any) -> XGBClassifier:
    return XGBClassifier(n_estimators=n, **{**XGB, **options})


def xgb_value(n: int = 20, **options: Any) -> XGBRegressor:
    return XGBRegressor(n_estimators=n, **{**XGB, **options})


MODELS: dict[str, tuple[Any, Any, Classes]] = {
    "lgb": (scaled_with_nulls(), lgb(40), "binary"),
    "lgb deep": (as_they_are(), lgb(20, num_leaves=80, min_child_samples=2), "binary"),
    "lgb sigmoid": (as_they_are(), lgb(sigmoid=0.7), "binary"),
    "lgb sparse": (one_hot_and_scaled(), lgb(), "binary"),
    "lgb ordinal": (PREPROCESSING["ordinal"](), lgb(), "multiclass"),
    "lgb three": (as_they_are(), lgb(15), "multiclass"),
    "lgb eleven": (as_they_are(), lgb(5), "many"),
    "lgb codes": (as_they_are(), lgb(5), "codes"),
    "lgb sets": (PREPROCESSING["ordinal"](), lgb(categorical_feature=[0, 1, 2], min_data_per_group=5), "binary"),
    "lgb one hot sets": (
        PREPROCESSING["ordinal"](),
        lgb(categorical_feature=[0, 2], min_data_per_group=2, cat_smooth=1, max_cat_to_onehot=1),
        "multiclass",
    ),
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
    "xgb sparse": (one_hot_and_scaled(), xgb(), "two codes"),
    "xgb ordinal": (PREPROCESSING["ordinal"](), xgb(), "codes"),
    "xgb four": (as_they_are(), xgb(10), "codes"),
    "xgb parallel": (as_they_are(), xgb(4, num_parallel_tree=3, subsample=0.7), "codes"),
    "xgb missing": (PREPROCESSING["ordinal"](), xgb(missing=1.0), "two codes"),
    "xgb exact": (as_they_are(), xgb(tree_method="exact", gamma=1.0), "two codes"),
    "xgb leaves": (as_they_are(), xgb(grow_policy="lossguide", max_leaves=9, max_depth=0), "two codes"),
    "xgb forest": (as_they_are(), XGBRFClassifier(n_estimators=15, **XGB), "two codes"),
    "xgb value": (as_they_are(), xgb_value(40), "regression"),
    "xgb value forest": (scaled_with_nulls(), XGBRFRegressor(n_estimators=15, **XGB), "regression"),
    **{
        f"xgb {objective}": (scaled_with_nulls(), xgb_value(objective=objective, **options), "regression")
        for objective, options in (
            ("reg:squaredlogerror", {}),
            ("reg:absoluteerror", {}),
            ("reg:pseudohubererror", {}),
            ("reg:quantileerror", {"quantile_alpha": 0.8}),
            ("count:poisson", {}),
            ("reg:gamma", {}),
            ("reg:tweedie", {"tweedie_variance_power": 1.3}),
        )
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
