"""A fit in stages is bit for bit the fit at one go, also where it was cut off; what is not, is not staged."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder

from containers.paths import MlPaths
from containers.train import training
from containers.train.checkpoints import fit_in_stages
from tests.support.jobs import Job, Trained

ROWS = 600


def table() -> tuple[Any, Any]:
    draw = np.random.default_rng(3)
    features = draw.normal(size=(ROWS, 5))
    features[draw.random(features.shape) < 0.05] = np.nan
    features[:, 4] = draw.integers(0, 5, ROWS)
    return features, np.nan_to_num(features).sum(axis=1) + draw.normal(size=ROWS)


X, VALUE = table()
CLASS = (VALUE > 2).astype(int)
CLASSES = np.digitize(VALUE, [1, 3])


def classifier(**more: Any) -> Any:
    return HistGradientBoostingClassifier(**{"max_iter": 25, "early_stopping": False, **more})


def regressor(**more: Any) -> Any:
    return HistGradientBoostingRegressor(**{"max_iter": 25, "early_stopping": False, **more})


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "binary": (classifier, CLASS),
    "multiclass": (classifier, CLASSES),
    "regression": (regressor, VALUE),
    "sampled features": (lambda: classifier(max_features=0.4), CLASS),
    "categories": (lambda: classifier(categorical_features=[4]), CLASS),
    "stops early": (
        lambda: classifier(early_stopping=True, n_iter_no_change=2, learning_rate=0.5, max_iter=60),
        CLASS,
    ),
    "never stops early": (lambda: classifier(early_stopping=True, n_iter_no_change=60), CLASS),
    "poisson": (lambda: regressor(loss="poisson"), np.exp(VALUE / 4)),
    "a pipeline": (lambda: make_pipeline(StandardScaler(), regressor()), VALUE),
    # Fits and transforms another way than it transforms later.
    "a pipeline with a target encoder": (
        lambda: make_pipeline(TargetEncoder(target_type="binary"), classifier()),
        CLASS,
    ),
    "a pipeline of one": (lambda: make_pipeline(regressor()), VALUE),
    "one iteration": (lambda: classifier(max_iter=1), CLASS),
}


def features_of(name: str) -> Any:
    return np.nan_to_num(X) if "encoder" in name else X


def fitted(make: Callable[[], Any], seen: Any, target: Any, folder: Path | None) -> Any:
    # As in a job: estimators without a random_state take numpy's.
    np.random.seed(0)
    return fit_in_stages(make(), seen, target, folder)


def answers(model: Any, seen: Any) -> Any:
    return model.predict_proba(seen) if hasattr(model, "predict_proba") else model.predict(seen)


def parameters(model: Any) -> dict[str, str]:
    return {name: repr(value) for name, value in model.get_params().items()}


class Cut(Exception):
    """The instance is taken back."""


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_in_stages_is_the_fit_at_one_go(tmp_path: Path, name: str) -> None:
    make, target = MODELS[name]
    seen = features_of(name)
    whole = fitted(make, seen, target, None)
    staged = fitted(make, seen, target, tmp_path)
    assert np.array_equal(answers(staged, seen), answers(whole, seen))
    assert parameters(staged) == parameters(whole)
    assert (tmp_path / "stage.joblib").is_file()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("after", [1, 3])
def test_a_fit_that_was_cut_off_goes_on_to_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: int
) -> None:
    make, target = MODELS[name]
    seen = features_of(name)
    whole = fitted(make, seen, target, None)
    dump, kept = joblib.dump, []

    def cut(state: Any, file: Path) -> None:
        dump(state, file)
        kept.append(state["estimator"].n_iter_)
        if len(kept) > after:
            raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(joblib, "dump", cut)
        try:
            fitted(make, seen, target, tmp_path)
        except Cut:
            assert len(kept) == after + 1

    fits: list[int] = []
    booster = type(whole.steps[-1][1] if hasattr(whole, "steps") else whole)
    fit = booster.fit

    def counted(self: Any, *rows: Any) -> Any:
        fits.append(self.max_iter)
        return fit(self, *rows)

    monkeypatch.setattr(booster, "fit", counted)
    resumed = fitted(make, seen, target, tmp_path)
    assert np.array_equal(answers(resumed, seen), answers(whole, seen))
    assert parameters(resumed) == parameters(whole)
    if len(kept) > after:
        assert fits[0] > kept[after - 1], "what the checkpoint holds is not fitted again"


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(n_estimators=3),
        GradientBoostingClassifier(n_estimators=3),
        classifier(max_iter=3, warm_start=True),
        make_pipeline(classifier(max_iter=3), memory="unused"),
        type("Own", (HistGradientBoostingClassifier,), {})(max_iter=3),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_is_not_known_to_be_the_same_is_fitted_at_one_go(tmp_path: Path, model: Any) -> None:
    seen = np.nan_to_num(X)
    assert fit_in_stages(model, seen, CLASS, tmp_path) is model
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["cut off", "of another model", "of another scikit-learn"])
def test_a_checkpoint_that_is_none_of_this_fit_is_said_and_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    fitted(lambda: classifier(learning_rate=0.3 if "model" in kind else 0.1), X, CLASS, tmp_path)
    file = tmp_path / "stage.joblib"
    if kind == "cut off":
        file.write_bytes(file.read_bytes()[:100])
    elif "scikit" in kind:
        held = joblib.load(file)
        joblib.dump({**held, "identity": {**held["identity"], "scikit-learn": "0.1"}}, file)
    model = fitted(classifier, X, CLASS, tmp_path)
    assert "the fit begins anew" in capsys.readouterr().out
    assert pickle.dumps(answers(model, X)) == pickle.dumps(answers(fitted(classifier, X, CLASS, None), X))


HOOK = """
from pathlib import Path
from sklearn.dummy import DummyClassifier

def build_model(hyperparameters):
    return DummyClassifier()

def fit_model(model, X, y, checkpoints):
    model.told = None if checkpoints is None else checkpoints.name
    if checkpoints is not None:
        (checkpoints / "mine.txt").write_text("kept")
    return model.fit(X, y)
"""


@pytest.mark.usefixtures("own_imports")
@pytest.mark.parametrize(
    ("environment", "told"), [({"SPOT": "true"}, "checkpoints"), ({"SPOT": "false"}, None)]
)
def test_a_hook_that_asks_for_the_folder_gets_it_on_spot_instances(
    binary: Trained, tmp_path: Path, environment: dict[str, str], told: str | None
) -> None:
    job = Job(tmp_path, hooks={"train.py": HOOK})
    job.put("input/data/code/project.zip", job.code_zip())
    job.put("input/data/train/train.parquet", binary.train_set)
    training.train(MlPaths(tmp_path), environment, tmp_path / "scratch")
    assert joblib.load(tmp_path / "model" / "model.joblib").told == told
    assert (tmp_path / "checkpoints" / "mine.txt").exists() == (told is not None)
