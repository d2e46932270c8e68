"""The work of a training job: the project's model, fitted on the training side, saved with its contract."""

from __future__ import annotations

import copy
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

from containers.failure import run_job
from containers.frames import features_of, read_training_set, target_of
from containers.hooks import copy_code, unpack_project
from containers.paths import MlPaths
from containers.train import fitting, told
from containers.train.compiling import compile_beside
from containers.train.hyperparameters import load_hyperparameters
from containers.train.login import sign_in
from containers.train.recording import record
from containers.train.trial import VARIABLE, run_trial
from sluice.contract import ModelContract
from sluice.errors import TrainingFailed
from sluice.features.source import PLAN

_SEED = 0
_RECORDED = ("scikit-learn", "numpy", "pandas", "joblib")


def train(paths: MlPaths, environment: Mapping[str, str], scratch: Path) -> None:
    """Fit the project's model on the train channel and write the model folder.

    Raises:
        TrainingFailed: a hook raises, or what it gives is no model that can be served.
        ProjectError: the job was not given what it needs.
    """
    # Estimators without a random_state take numpy's: with it seeded, the same data gives the same model.
    random.seed(_SEED)
    np.random.seed(_SEED)
    hyperparameters = load_hyperparameters(paths.hyperparameters)
    # The hook may take some of them out.
    asked = copy.deepcopy(hyperparameters)
    project = unpack_project(paths.channel("code"), scratch / "code")
    table, contract = read_training_set(paths.channel("train"))
    _say(f"{table.num_rows:,} rows, {len(contract.features)} features, target {contract.target.name!r}")
    _say(f"hyperparameters: {hyperparameters}")

    _say("building the model")
    model = fitting.build(project, hyperparameters)
    _say("fitting the model")
    started = time.perf_counter()
    features = features_of(table, contract)
    model = fitting.fit(
        project, model, features, target_of(table, contract), _checkpoints(paths, environment)
    )
    _say(f"fitted {type(model).__name__} in {time.perf_counter() - started:.1f} s")
    fitting.check_answers(model, contract)
    contract = _complete(contract, model, environment.get("DATASET_VERSION", ""))
    _save(model, contract, project, paths.model)
    record(paths, environment, project, asked, _SEED)
    told.write_beside(model, contract, features, paths.model)
    _say(f"saved to {paths.model}")
    _say(compile_beside(model, contract, features, paths.model))


def _complete(contract: ModelContract, model: Any, dataset_version: str) -> ModelContract:
    """Put into the contract what only the fitted model and this process know."""
    own = fitting.with_classes_of(model, contract)
    classes = own.target.classes
    if set(classes) != set(contract.target.classes):
        raise TrainingFailed(
            f"the model knows the classes {list(classes)}, the training data {list(contract.target.classes)}",
            where="train.py",
            fix="fit the model on the target as it is given: scikit-learn encodes classes by itself",
        )
    versions = {"python": platform.python_version(), **{name: version(name) for name in _RECORDED}}
    return own.model_copy(update={"dataset_version": dataset_version, "versions": versions})


def _checkpoints(paths: MlPaths, environment: Mapping[str, str]) -> Path | None:
    """Give the folder that outlives an interruption, where there can be one: on spot instances."""
    if environment.get("SPOT") != "true":
        return None
    paths.checkpoints.mkdir(parents=True, exist_ok=True)
    return paths.checkpoints


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
        sign_in(os.environ)
        with tempfile.TemporaryDirectory() as scratch:
            asked = run_trial if VARIABLE in os.environ else train
            asked(paths, os.environ, Path(scratch))

    return run_job(work, paths.training_failure, unforeseen=TrainingFailed)


if __name__ == "__main__":
    sys.exit(main())
