"""The project's model: built by its train.py, fitted on rows, and looked at before anything is done with it."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from containers.hooks import guarded, load_hooks
from containers.model import plain_labels
from containers.train.checkpoints import fit_in_stages
from sluice.contract import ModelContract
from sluice.errors import TrainingFailed

_NEEDED = {
    "binary": ("predict", "predict_proba"),
    "multiclass": ("predict", "predict_proba"),
    "regression": ("predict",),
}


def build(project: Path, hyperparameters: dict[str, Any]) -> Any:
    """Give the model that train.py makes of hyperparameters, which are its own to change.

    Raises:
        TrainingFailed: there is no such hook, or it raises or gives nothing.
    """
    hooks = load_hooks(_hook_file(project), TrainingFailed)
    build_model = getattr(hooks, "build_model", None)
    if not callable(build_model):
        raise TrainingFailed(
            "train.py has no build_model",
            where="train.py",
            fix="define build_model(hyperparameters) and return an estimator",
        )
    model = guarded(
        lambda: build_model(dict(hyperparameters)), project, "build_model of train.py", TrainingFailed
    )
    if model is None:
        raise TrainingFailed(
            "build_model returned None", where="train.py", fix="return an estimator with fit and predict"
        )
    return model


def fit(
    project: Path, model: Any, features: pd.DataFrame, target: pd.Series, checkpoints: Path | None = None
) -> Any:
    """Fit the model that `build` gave.

    Args:
        project: the unpacked code.
        model: what `build` gave.
        features: (rows, features).
        target: (rows,).
        checkpoints: a folder that outlives an interruption of the job; None where there is none.

    Raises:
        TrainingFailed: the model or the hook raises, or gives nothing.
    """
    fit_model = getattr(sys.modules["train"], "fit_model", None)
    if fit_model is None:
        if not callable(getattr(model, "fit", None)):
            raise TrainingFailed(
                f"build_model returned a {type(model).__name__}, which has no fit",
                where="train.py",
                fix="return an estimator, or define fit_model(model, X, y)",
            )
        return guarded(
            lambda: fit_in_stages(model, features, target, checkpoints),
            project,
            "fitting the model",
            TrainingFailed,
        )
    more = {"checkpoints": checkpoints} if "checkpoints" in inspect.signature(fit_model).parameters else {}
    fitted = guarded(
        lambda: fit_model(model, features, target, **more), project, "fit_model of train.py", TrainingFailed
    )
    if fitted is None:
        raise TrainingFailed(
            "fit_model returned None", where="train.py", fix="return the fitted model at its end"
        )
    return fitted


def check_answers(model: Any, contract: ModelContract) -> None:
    """See that a fitted model answers what it is judged and served by.

    Raises:
        TrainingFailed: it lacks a method.
    """
    problem = contract.target.problem
    for method in _NEEDED[problem]:
        if not callable(getattr(model, method, None)):
            raise TrainingFailed(
                f"the model ({type(model).__name__}) has no {method}",
                where="train.py",
                why=f"a {problem} model is judged and served by its {' and '.join(_NEEDED[problem])}",
                fix="return a classifier that gives probabilities; CalibratedClassifierCV adds them to one"
                if method == "predict_proba"
                else f"return an estimator with {method}",
            )


def with_classes_of(model: Any, contract: ModelContract) -> ModelContract:
    """Put the classes into the order of the model's own probabilities, which need not be the sorted one."""
    if not contract.target.classes or not hasattr(model, "classes_"):
        return contract
    target = contract.target.model_copy(update={"classes": tuple(plain_labels(model.classes_))})
    return contract.model_copy(update={"target": target})


def _hook_file(project: Path) -> Path:
    file = project / "train.py"
    if not file.is_file():
        raise TrainingFailed("the project has no train.py", where="the code channel", fix="add train.py")
    return file
