"""What is told of a model that was trained: its iterations, and a request that is nobody's row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from containers.model_files import HISTORY, history_in
from containers.train import told
from sluice.contract import Feature, FeatureType, Kind, ModelContract, TargetContract
from sluice.decoding.bodies import decode

X = np.random.default_rng(0).normal(size=(200, 2))
Y = X[:, 0] > 0
CONTRACT = ModelContract(
    features=(
        Feature(name="age", kind="number", type="integer", nullable=True),
        Feature(name="balance", kind="number", type="number", nullable=True),
        Feature(name="job", kind="category", type="string", nullable=True),
        Feature(name="empty", kind="category", type="string", nullable=True),
    ),
    target=TargetContract(name="y", problem="regression"),
)


def test_a_boosters_scores_are_told_after_each_iteration() -> None:
    model = make_pipeline(
        StandardScaler(), HistGradientBoostingClassifier(max_iter=5, early_stopping=True, n_iter_no_change=99)
    ).fit(X, Y)

    found = told.history(model)

    assert found.keys() == {"train_score", "validation_score"}
    assert found["validation_score"] == list(model[-1].validation_score_)
    assert len(found["train_score"]) == 6  # before the first tree, and after each


def test_other_boosters_and_models_that_keep_nothing() -> None:
    assert len(told.history(GradientBoostingRegressor(n_estimators=7).fit(X, Y))["train_score"]) == 7
    assert told.history(make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y)) == {}


def test_the_example_is_a_request_that_is_taken_whatever_a_category_is_to_people() -> None:
    kinds: list[tuple[Kind, FeatureType]] = [
        *(("number", type_) for type_ in ("integer", "number", "boolean")),
        *(("category", type_) for type_ in ("integer", "number", "boolean", "string")),
    ]
    contract = ModelContract(
        features=tuple(
            Feature(name=f"{kind} {type_}", kind=kind, type=type_, nullable=False) for kind, type_ in kinds
        ),
        target=TargetContract(name="y", problem="regression"),
    )
    texts = {"integer": "0", "number": "1.5", "boolean": "true", "string": "a"}
    frame = pd.DataFrame(
        {
            f"{kind} {type_}": [1.0, 1.0, 0.0] if kind == "number" else [texts[type_]] * 3
            for kind, type_ in kinds
        }
    )

    record = told.example(contract, frame)

    assert record["category integer"] == 0
    assert record["category boolean"] is True
    assert record["number boolean"] is True
    decoded = decode(json.dumps(record).encode(), "application/json", contract)
    assert decoded["category integer"] == ["0"]
    assert decoded["category number"] == ["1.5"]


def test_a_request_is_made_of_medians_and_the_most_frequent_values() -> None:
    frame = pd.DataFrame(
        {
            "age": [20.0, 31.0, 34.0, np.nan],
            "balance": [1.5, 2.5, 4.0, 9.0],
            "job": ["nurse", "clerk", "nurse", None],
            "empty": [None] * 4,
        }
    )

    assert told.example(CONTRACT, frame) == {"age": 31, "balance": 3.25, "job": "nurse", "empty": None}


@pytest.mark.parametrize("text", ['{"loss": [0.5, NaN, 0.25, Infinity]}'])
def test_figures_that_are_not_finite_are_left_out_of_the_history(tmp_path: Path, text: str) -> None:
    assert history_in(tmp_path) == {}
    (tmp_path / HISTORY).write_text(text)

    assert history_in(tmp_path) == {"loss": (0.5, 0.25)}
