"""The model that learns churned: Sluice calls build_model and fits what it returns."""

from __future__ import annotations

from typing import Any

from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder


def build_model(hyperparameters: dict[str, Any]) -> Pipeline:
    """Gradient-boosted trees over the numbers as they are and the categories one-hot.

    The trees take missing numbers as they come; a missing category is a category of its own. A category that
    is rare, or that training has never seen, counts as "infrequent".
    """
    categories = OneHotEncoder(
        min_frequency=5, max_categories=50, handle_unknown="infrequent_if_exist", sparse_output=False
    )
    return make_pipeline(
        make_column_transformer(
            (categories, make_column_selector(dtype_exclude="number")),
            remainder="passthrough",
        ),
        HistGradientBoostingClassifier(random_state=0, **hyperparameters),
    )
