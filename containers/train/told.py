"""What is told of a model that was trained, for its run: how the training went, and what a request looks like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from containers.model_files import EXAMPLE, HISTORY
from sluice.contract import ModelContract

# What estimators keep of each iteration: scikit-learn's boosters and its neural networks.
_SERIES = ("train_score_", "validation_score_", "loss_curve_", "validation_scores_")
# As many iterations are told of; of a training that takes more, the first ones.
_MOST_ITERATIONS = 1_000


def write_beside(model: Any, contract: ModelContract, features: pd.DataFrame, folder: Path) -> None:
    """Write `history.json`, where the model has one, and `input_example.json` into the model folder."""
    (folder / EXAMPLE).write_text(json.dumps(example(contract, features)), encoding="utf-8")
    found = history(model)
    if found:
        (folder / HISTORY).write_text(json.dumps(found), encoding="utf-8")


def example(contract: ModelContract, features: pd.DataFrame) -> dict[str, Any]:
    """Give a record of medians and of the most frequent values: what a row looks like, and nobody's row."""
    seen: dict[str, list[Any]] = {}
    for feature in contract.features:
        column = features[feature.name].dropna()
        if column.empty:
            seen[feature.name] = [None]
        elif feature.kind == "number":
            median = float(column.median())
            seen[feature.name] = [median if feature.type == "number" else float(round(median))]
        else:
            seen[feature.name] = [str(column.mode().iloc[0])]
    [record] = contract.records(seen)
    return record


def history(model: Any) -> dict[str, list[float]]:
    """Give what the model, or a step of its pipeline, measured after each iteration; empty where it says nothing."""
    for estimator in _steps(model):
        found = dict(_series(estimator))
        if found:
            return found
    return {}


def _steps(model: Any) -> Iterator[Any]:
    """The model and what it is made of, the last step first."""
    yield model
    for _, step in reversed(getattr(model, "steps", None) or []):
        yield from _steps(step)
    for name in ("best_estimator_", "estimator_", "regressor_", "classifier_"):
        if (inner := getattr(model, name, None)) is not None:
            yield from _steps(inner)


def _series(estimator: Any) -> Iterator[tuple[str, list[float]]]:
    for attribute in _SERIES:
        values = getattr(estimator, attribute, None)
        if values is not None and np.ndim(values) == 1 and len(values) > 1:
            yield attribute.rstrip("_"), _told(values)
    # LightGBM and XGBoost: {"valid_0": {"auc": [...]}}; the second has a method, which fails of a model without.
    results = getattr(estimator, "evals_result_", None)
    if isinstance(results, dict):
        for data, metrics in results.items():
            for metric, values in metrics.items():
                yield f"{data}/{metric}", _told(values)


def _told(values: Any) -> list[float]:
    return [float(each) for each in values[:_MOST_ITERATIONS]]
