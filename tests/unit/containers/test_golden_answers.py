"""What the evaluation writes down of a model's answers is what the serving container answers, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from containers.process.candidates import ArchivedModel
from containers.serve.scorer import load_scorer
from sluice.contract import ModelContract
from sluice.payloads.golden import GoldenAnswers, Verdict
from sluice.release.golden import verify
from tests.support.asgi import call, made
from tests.support.jobs import Trained


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
    assert recorded.exact == ((model.scoring or "").startswith("compiled"))

    application = made(load_scorer(trained.model))
    try:
        asked = json.dumps({"instances": recorded.instances}).encode()
        answer = call(application, asked, accept="text/csv")
    finally:
        application.close()
    assert answer.status == 200, answer.body
    exactly = recorded.model_copy(update={"exact": True})
    assert verify(exactly, answer.body).verdict is Verdict.SAME
    # And of other rows it answers otherwise.
    other = recorded.model_copy(update={"answers": recorded.answers[::-1]})
    assert verify(other, answer.body).verdict is Verdict.DIFFERENT
