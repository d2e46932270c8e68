"""The work of a training job: the project's model, fitted on the training side, saved with its contract."""

from __future__ import annotations

import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from containers.failure import run_job
from containers.frames import features_of, read_training_set, target_of
from containers.hooks import copy_code, guarded, load_hooks, unpack_project
from containers.model import plain_labels
from containers.paths import MlPaths
from containers.train import told
from containers.train.compiling import compile_beside
from containers.train.hyperparameters import load_hyperparameters
from sluice.contract import ModelContract
from sluice.errors import TrainingFailed
from sluice.features.source import PLAN

_NEEDED = {
    "binary": ("predict", "predict_proba"),
    "multiclass": ("predict", "predict_proba"),
    "regression": ("predict",),
}
_RECORDED = ("scikit-learn", "numpy", "pandas", "joblib")


def train(paths: MlPaths, environment: Mapping[str, str], scratch: Path) -> None:
    """Fit the project's model on the train channel and write the model folder.

    Raises:
        TrainingFailed: a hook raises, or what it gives is no model that can be served.
        ProjectError: the job was not given what it needs.
    """
    # Estimators without a random_state take numpy's: with it seeded, the same data gives the same model.
    random.seed(0)
    np.random.seed(0)
    hyperparameters = load_hyperparameters(paths.hyperparameters)
    project = unpack_project(paths.channel("code"), scratch / "code")
    table, contract = read_training_set(paths.channel("train"))
    _say(f"{table.num_rows:,} rows, {len(contract.features)} features, target {contract.target.name!r}")
    _say(f"hyperparameters: {hyperparameters}")

    model = _build(project, hyperparameters)
    started = time.perf_counter()
    features = features_of(table, contract)
    model = _fit(project, model, features, target_of(table, contract))
    _say(f"fitted {type(model).__name__} in {time.perf_counter() - started:.1f} s")
    _check_answers(model, contract)
    contract = _complete(contract, model, environment.get("DATASET_VERSION", ""))
    _save(model, contract, project, paths.model)
    told.write_beside(model, contract, features, paths.model)
    _say(f"saved to {paths.model}")
    _say(compile_beside(model, contract, features, paths.model))


def _build(project: Path, hyperparameters: dict[str, Any]) -> Any:
    hooks = load_hooks(_hook_file(project), TrainingFailed)
    build_model = getattr(hooks, "build_model", None)
    if not callable(build_model):
        raise TrainingFailed(
            "train.py has no build_model",
            where="train.py",
            fix="define build_model(hyperparameters) and return an estimator",
        )
    _say("building the model")
    model = guarded(lambda: build_model(hyperparameters), project, "build_model of train.py", TrainingFailed)
    if model is None:
        raise TrainingFailed(
            "build_model returned None", where="train.py", fix="return an estimator with fit and predict"
        )
    return model


def _hook_file(project: Path) -> Path:
    file = project / "train.py"
    if not file.is_file():
        raise TrainingFailed("the project has no train.py", where="the code channel", fix="add train.py")
    return file


def _fit(project: Path, model: Any, features: pd.DataFrame, target: pd.Series) -> Any:
    fit_model = getattr(sys.modules["train"], "fit_model", None)
    _say("fitting the model")
    if fit_model is None:
        if not callable(getattr(model, "fit", None)):
            raise TrainingFailed(
                f"build_model returned a {type(model).__name__}, which has no fit",
                where="train.py",
                fix="return an estimator, or define fit_model(model, X, y)",
            )
        guarded(lambda: model.fit(features, target), project, "fitting the model", TrainingFailed)
        return model
    fitted = guarded(
        lambda: fit_model(model, features, target), project, "fit_model of train.py", TrainingFailed
    )
    if fitted is None:
        raise TrainingFailed(
            "fit_model returned None", where="train.py", fix="return the fitted model at its end"
        )
    return fitted


def _check_answers(model: Any, contract: ModelContract) -> None:
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


def _complete(contract: ModelContract, model: Any, dataset_version: str) -> ModelContract:
    """Put into the contract what only the fitted model and this process know."""
    target = contract.target
    if target.classes and hasattr(model, "classes_"):
        # The order of the model's own probabilities, which need not be the sorted one.
        classes = tuple(plain_labels(model.classes_))
        if set(classes) != set(target.classes):
            raise TrainingFailed(
                f"the model knows the classes {list(classes)}, the training data {list(target.classes)}",
                where="train.py",
                fix="fit the model on the target as it is given: scikit-learn encodes classes by itself",
            )
        target = target.model_copy(update={"classes": classes})
    versions = {"python": platform.python_version(), **{name: version(name) for name in _RECORDED}}
    return contract.model_copy(
        update={"target": target, "dataset_version": dataset_version, "versions": versions}
    )


def _save(model: Any, contract: ModelContract, project: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        joblib.dump(model, folder / "model.joblib")
    except Exception as error:
        raise TrainingFailed(
            f"the model cannot be saved: {type(error).__name__}",
            where=f"pickling the {type(model).__name__} of train.py",
            why=str(error),
            fix="define what the model holds at the top level of a file: lambdas do not pickle",
        ) from error
    contract.save(folder / "contract.json")
    copy_code(project, folder / "code")
    if (project / PLAN).is_file():
        shutil.copyfile(project / PLAN, folder / PLAN)


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    paths = MlPaths.of(os.environ)

    def work() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            train(paths, os.environ, Path(scratch))

    return run_job(work, paths.training_failure, unforeseen=TrainingFailed)


if __name__ == "__main__":
    sys.exit(main())
