"""Models whose numbers are nearly too large for a double: they are judged, whatever raises on the way."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, RobustScaler

from containers.compiled.compile import compile_model
from containers.compiled.engine import NumpyEngine, engine_of
from containers.compiled.exactness import check
from containers.compiled.plan import Op
from containers.frames import frame_of
from containers.train.compiling import compile_beside
from sluice.contract import Columns

from .cases import (
    CATEGORIES,
    NUMBERS,
    Classes,
    as_they_are,
    columns,
    contract_for,
    target,
)

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, of overflows


def large(scale: float) -> Columns:
    """Numbers up to `scale`, no infinite one among them."""
    data = columns(600)
    for name in ("weight", "height"):
        largest = max(abs(float(value or 0)) for value in data[name] if value == value)
        data[name] = [float(value or 0) / largest * scale for value in data[name]]
    return data


def with_scaler(scaler: Any, model: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median"), scaler)
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(make_column_transformer((numbers, NUMBERS), (encode, CATEGORIES)), model)


MODELS: dict[str, tuple[Any, Classes]] = {
    "trees": (make_pipeline(as_they_are(), HistGradientBoostingClassifier(max_iter=5)), "binary"),
    "line": (with_scaler(MaxAbsScaler(), LinearRegression()), "regression"),
    "logistic": (with_scaler(MaxAbsScaler(), LogisticRegression()), "binary"),
    "scaled forest": (with_scaler(MinMaxScaler(), RandomForestRegressor(5, random_state=0)), "regression"),
}


@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize("scale", [1e307, 1.6e308])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_huge_numbers_is_judged(name: str, scale: float, engine: str) -> None:
    model, classes = MODELS[name]
    contract, data = contract_for(classes), large(scale)
    data["weight"] = [0.0 if value != value else value for value in data["weight"]]
    model.fit(frame_of(data, contract), target(columns(600), classes))
    plan = compile_model(model, contract)
    made = NumpyEngine(plan) if engine == "numpy" else engine_of(plan, contract)
    found = check(model, plan, made, contract, data, seconds=60)
    assert found.why == ""
    assert found.rows > 1_000


def test_a_row_that_only_the_pipeline_refuses_is_a_difference() -> None:
    contract, data = contract_for("regression"), columns(600)
    data["weight"] = [0.0 if math.isnan(float(value or 0)) else value for value in data["weight"]]
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    model = make_pipeline(
        make_column_transformer(("passthrough", NUMBERS), (encode, CATEGORIES)),
        GradientBoostingRegressor(n_estimators=5, random_state=0),
    )
    model.fit(frame_of(data, contract), target(data, "regression"))
    plan = compile_model(model, contract)
    careless = dataclasses.replace(
        plan,
        numbers=tuple(
            dataclasses.replace(
                number, steps=tuple(step for step in number.steps if step.op != Op.REFUSE_NULL)
            )
            for number in plan.numbers
        ),
    )
    for judged, expected in ((plan, False), (careless, True)):
        found = check(model, judged, engine_of(judged, contract), contract, data, seconds=60)
        assert ("the pipeline raises (Input X contains NaN" in found.why) is expected, found.why


def test_a_scale_that_overflows_is_no_fault_of_the_compilers(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    contract, data = contract_for("regression"), large(1.6e308)
    data["weight"] = [1.6e308 if i % 2 else -1.6e308 for i in range(600)]
    model = with_scaler(RobustScaler(), RandomForestRegressor(5, random_state=0))
    model.fit(frame_of(data, contract), target(columns(600), "regression"))
    told = compile_beside(model, contract, frame_of(data, contract), tmp_path)
    assert "scikit-learn: not compilable" in told
    assert "Traceback" not in capsys.readouterr().err
