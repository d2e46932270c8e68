"""What the evaluation writes down of a model's answers is what the serving container answers, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from containers.frames import frame_of
from containers.process.candidates import ArchivedModel
from containers.scoring import Scoring
from containers.serve.scorer import load_scorer
from containers.train.compiling import compile_beside
from sluice.contract import ModelContract
from sluice.payloads.golden import GoldenAnswers, Verdict
from sluice.release.golden import verify
from tests.support.asgi import call, made
from tests.support.jobs import Trained

from .compiled import cases


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
@pytest.mark.usefixtures("own_imports")
def test_the_container_answers_as_was_recorded(
    request: pytest.FixtureRequest, tmp_path: Path, problem: str
) -> None:
    trained: Trained = request.getfixturevalue(problem)
    (tmp_path / "held_out").mkdir()
    (tmp_path / "held_out" / "held_out.parquet").write_bytes(trained.held_out_set)
    (tmp_path / "model.tar.gz").write_bytes(trained.trained.model_archive())
    model = ArchivedModel("challenger", tmp_path, tmp_path / "held_out", tmp_path / "scratch")
    try:
        model.predictions(ModelContract.load(trained.model / "contract.json"), 0)
        recorded = GoldenAnswers.model_validate_json(model.golden.read_bytes())
    finally:
        model.stop()
    assert len(recorded.instances) == len(recorded.answers) == 20
    assert not recorded.exact, "what a class of the project's own answers depends on its libraries"

    application = made(load_scorer(trained.model))
    try:
        asked = json.dumps({"instances": recorded.instances}).encode()
        answer = call(application, asked, accept="text/csv")
    finally:
        application.close()
    assert answer.status == 200, answer.body
    # On one machine all bits are the same.
    exactly = recorded.model_copy(update={"exact": True})
    assert verify(exactly, answer.body).verdict is Verdict.SAME
    # And of other rows it answers otherwise.
    other = recorded.model_copy(update={"answers": recorded.answers[::-1]})
    assert verify(other, answer.body).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("estimator", "path", "exact"),
    [
        (HistGradientBoostingClassifier(max_iter=5), "compiled", True),
        # Compiled, and equal to 1e-12: its sums are taken in another order.
        (LogisticRegression(), "compiled", False),
        (GaussianNB(), "scikit-learn", False),
    ],
    ids=["trees", "linear", "neither"],
)
def test_bits_are_asked_for_of_compiled_trees_alone(
    tmp_path: Path, estimator: Any, path: str, exact: bool
) -> None:
    prepared = make_pipeline(cases.as_they_are(), SimpleImputer(), estimator)
    model, contract = cases.fitted(prepared, "binary", rows=200), cases.contract_for("binary")
    compile_beside(model, contract, frame_of(cases.columns(200), contract), tmp_path)
    verdict = Scoring.load(tmp_path)
    assert (verdict.path, verdict.exact) == (path, exact)
