"""How far a fit came, kept where an interrupted job finds it again: histogram boosting in stages.

Only what is bit for bit the model of a fit at one go is fitted in stages; docs/search.md says which models those are.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import joblib
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

_STAGES = 10
_FILE = "stage.joblib"


def fit_in_stages(model: Any, features: Any, target: Any, folder: Path | None) -> Any:
    """Fit a model; with a folder, in stages that are kept there, and from the last one that is.

    Without a folder, and for every other model, this is `model.fit`.

    Returns:
        The model.
    """
    booster = None if folder is None else _booster(model)
    if folder is None or booster is None:
        model.fit(features, target)
        return model
    before = model[:-1] if isinstance(model, Pipeline) and len(model.steps) > 1 else None
    seen = features if before is None else before.fit_transform(features, target)
    total = booster.max_iter
    step, done = math.ceil(total / _STAGES), 0
    kept = _kept(folder, booster)
    if kept is not None:
        booster, done = kept, kept.max_iter
        print(f"going on from iteration {done} of {total}, which a checkpoint holds", flush=True)
    # Fewer iterations than were asked for: it stopped early.
    while done < total and (done == 0 or booster.n_iter_ == done):
        done = min(done + step, total)
        booster.set_params(max_iter=done, warm_start=True).fit(seen, target)
        _keep(folder, booster)
    booster.set_params(max_iter=total, warm_start=False)
    if not isinstance(model, Pipeline):
        return booster
    model.steps[-1] = (model.steps[-1][0], booster)
    return model


def _booster(model: Any) -> Any:
    """Give the estimator that can be fitted in stages; None of a model that has none."""
    last = model
    if isinstance(model, Pipeline):
        if model.memory is not None:
            return None
        last = model.steps[-1][1]
    # Of a subclass nobody knows what it does in fit.
    if type(last) not in (HistGradientBoostingClassifier, HistGradientBoostingRegressor) or last.warm_start:
        return None
    return last


def _identity(booster: Any) -> dict[str, Any]:
    """By what a checkpoint is known to be of this fit."""
    parameters = {
        name: repr(value)
        for name, value in booster.get_params(deep=False).items()
        if name not in ("max_iter", "warm_start")
    }
    return {"scikit-learn": sklearn.__version__, "type": type(booster).__name__, **parameters}


def _kept(folder: Path, booster: Any) -> Any:
    """Read what a job of the same name left; what is none of this fit, or was cut off, is said and not used."""
    file = folder / _FILE
    if not file.is_file():
        return None
    try:
        held = joblib.load(file)
        identity, kept = held["identity"], held["estimator"]
    except Exception as error:
        print(
            f"the checkpoint cannot be read, the fit begins anew: {type(error).__name__}: {error}", flush=True
        )
        return None
    if identity != _identity(booster):
        print("the checkpoint is of another model, the fit begins anew", flush=True)
        return None
    return kept


def _keep(folder: Path, booster: Any) -> None:
    # SageMaker copies what it sees at any moment: a file is there whole, or is the one before.
    partial = folder / f".{_FILE}"
    joblib.dump({"identity": _identity(booster), "estimator": booster}, partial)
    partial.replace(folder / _FILE)
