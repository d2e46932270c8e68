"""A trial of a search: which rows it is fitted and judged on, what it tells, and what goes wrong."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from containers.paths import MlPaths
from containers.train import fitting
from containers.train.trial import Fold, Trial, run_trial, trial_of
from sluice import objective
from sluice.errors import ProjectError, TrainingFailed
from sluice.splits import KEY_COLUMN, fold_of, is_held_out
from tests.support.jobs import BINARY, Job, Trained

SEARCH = """
[search]
folds = 3
[search.ranges.C]
type = "number"
min = 0.1
max = 10
"""
TRAIN = """
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

def build_model(hyperparameters):
    numbers = make_column_transformer((SimpleImputer(), ["size", "weight"]))
    return make_pipeline(numbers, LogisticRegression(C=hyperparameters.pop("C")))
"""
NAME = "toy-3fa9c1-eb865072a4c4f0bc-007-0123abcd"


def prepared(folder: Path, train_set: bytes, project: str = BINARY + SEARCH, hook: str = TRAIN) -> MlPaths:
    job = Job(folder, project, hooks={"train.py": hook})
    job.put("input/data/code/project.zip", job.code_zip())
    job.put("input/data/train/train.parquet", train_set)
    job.put("input/config/hyperparameters.json", b'{"C": "0.5", "_tuning_objective_metric": "roc_auc"}')
    return MlPaths(folder)


def run(paths: MlPaths, scratch: Path) -> list[tuple[Trial, Fold]]:
    heard: list[tuple[Trial, Fold]] = []
    run_trial(paths, {"TRAINING_JOB_NAME": NAME}, scratch, [lambda of, fold: heard.append((of, fold))])
    return heard


@pytest.mark.usefixtures("own_imports")
def test_a_trial_tells_the_mean_after_each_fold(
    binary: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = run(prepared(tmp_path, binary.train_set), tmp_path / "scratch")

    told = [float(found) for found in re.findall(objective.PATTERN, capsys.readouterr().out)]
    figures = [fold.figure for _, fold in heard]
    assert [fold.mean for _, fold in heard] == told
    assert told == pytest.approx([np.mean(figures[: n + 1]) for n in range(3)], abs=1e-15)
    assert all(0.5 < figure < 1 for figure in figures)
    [known] = {(of.search, of.number, of.metric, json.dumps(of.hyperparameters)) for of, _ in heard}
    assert known == ("toy-3fa9c1-eb865072a4c4f0bc", 7, "roc_auc", '{"C": 0.5}')
    # Nothing that could be taken for a model.
    assert not list((tmp_path / "model").rglob("*"))


@pytest.mark.usefixtures("own_imports")
def test_each_fold_is_judged_by_a_model_that_never_saw_its_rows(
    binary: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an independent way to the same figures: the rows of each fold by their keys, and scikit-learn's own AUC."""
    seen: list[Any] = []
    fit = fitting.fit

    def watched(project: Path, model: Any, features: Any, target: Any, *more: Any) -> Any:
        seen.append((features, fit(project, model, features, target, *more)))
        return seen[-1][1]

    monkeypatch.setattr(fitting, "fit", watched)
    heard = run(prepared(tmp_path, binary.train_set), tmp_path / "scratch")

    table = pq.read_table(io.BytesIO(binary.train_set))
    keys = [str(key) for key in table[KEY_COLUMN].to_pylist()]
    assert not any(is_held_out(key, salt="toy", share=0.3) for key in keys)
    for number, ((features, model), (_, fold)) in enumerate(zip(seen, heard, strict=True)):
        judged = [fold_of(key, salt="toy", folds=3) == number for key in keys]
        assert len(features) == len(keys) - sum(judged)
        assert 0.2 < sum(judged) / len(keys) < 0.47
        rows = table.filter(pa.array(judged)).to_pandas()[["size", "weight"]].astype(float)
        actual = [y == "yes" for y, out in zip(table["y"].to_pylist(), judged, strict=True) if out]
        chance = model.predict_proba(rows)[:, list(model.classes_).index("yes")]
        assert fold.figure == pytest.approx(roc_auc_score(actual, chance), abs=1e-12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    keys=st.lists(st.text(max_size=12), min_size=1, max_size=200),
    salt=st.text(min_size=1, max_size=16),
    share=st.floats(0.05, 0.9),
    folds=st.integers(2, 20),
)
def test_no_fold_holds_a_row_that_is_held_out(keys: list[str], salt: str, share: float, folds: int) -> None:
    """What a trial is given are the rows to train on; each is in one fold, all rows of an entity in the same."""
    train = [key for key in keys if not is_held_out(key, salt=salt, share=share)]
    parted = [{key for key in train if fold_of(key, salt=salt, folds=folds) == n} for n in range(folds)]
    assert set().union(*parted) == set(train)
    assert sum(map(len, parted)) == len(set(train))
    assert not any(is_held_out(key, salt=salt, share=share) for part in parted for key in part)


@pytest.mark.usefixtures("own_imports")
@pytest.mark.parametrize(
    ("project", "hook", "rows", "text"),
    [
        (BINARY + SEARCH, "def build_model(h): return 1 / 0", None, "raised ZeroDivisionError"),
        (BINARY + SEARCH, TRAIN, 1, "no rows are left to"),
        (BINARY + SEARCH.replace("folds = 3", "folds = 20"), TRAIN, 40, "roc_auc cannot be computed"),
        (
            BINARY + SEARCH,
            "from sklearn.svm import SVC\ndef build_model(h): return SVC()\n"
            "def fit_model(model, X, y): return model.fit(X[['size']], y)",
            None,
            "has no predict_proba",
        ),
    ],
)
def test_a_trial_that_cannot_be_judged_fails_and_says_why(
    binary: Trained, tmp_path: Path, project: str, hook: str, rows: int | None, text: str
) -> None:
    train_set = binary.train_set
    if rows is not None:
        sink = io.BytesIO()
        pq.write_table(pq.read_table(io.BytesIO(train_set)).slice(0, rows), sink)
        train_set = sink.getvalue()
    with pytest.raises(TrainingFailed) as caught:
        run(prepared(tmp_path, train_set, project, hook), tmp_path / "scratch")
    assert text in str(caught.value)
    assert caught.value.fix


@pytest.mark.usefixtures("own_imports")
def test_rows_of_one_class_cannot_be_searched_on(binary: Trained, tmp_path: Path) -> None:
    table = pq.read_table(io.BytesIO(binary.train_set))
    sink = io.BytesIO()
    pq.write_table(table.filter(pa.array([y == "yes" for y in table["y"].to_pylist()])), sink)
    with pytest.raises(TrainingFailed, match="all rows to fit on are of one class"):
        run(prepared(tmp_path, sink.getvalue()), tmp_path / "scratch")


@pytest.mark.usefixtures("own_imports")
def test_a_trial_of_a_project_without_a_search(binary: Trained, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="a trial of a search, and no search"):
        run(prepared(tmp_path, binary.train_set, BINARY), tmp_path / "scratch")


@pytest.mark.parametrize("name", ["", "toy-train", "toy-01-0123abcd"])
def test_a_job_of_another_name_is_a_trial_of_no_known_search(name: str) -> None:
    assert (trial_of(name, "roc_auc", {}).search, trial_of(name, "roc_auc", {}).number) == (None, None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_figure_is_no_objective(value: float) -> None:
    with pytest.raises(ValueError, match="is no figure"):
        objective.line(value, fold=1, folds=3)


@pytest.mark.parametrize("value", [0.0, -1.5e-9, 1e22, 0.1 + 0.2, -123456.789])
def test_an_objective_is_read_as_it_was_told(value: float) -> None:
    found = re.search(objective.PATTERN, objective.line(value, fold=1, folds=3))
    assert found is not None
    assert float(found[1]) == value
