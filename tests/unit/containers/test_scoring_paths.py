"""What a serving process does with a model folder: the compiled model, or the fitted one and the reason why."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from containers.compiled import store
from containers.frames import frame_of
from containers.scoring import Scoring
from containers.serve.scorer import ModelScorer, Scorer, load_scorer
from containers.train.compiling import compile_beside
from tests.support.asgi import call, made

from .compiled import cases

pytestmark = pytest.mark.usefixtures("own_imports")


class Cautious(HistGradientBoostingClassifier):
    """A user's own estimator: never sure of anything."""

    def predict_proba(self, rows: Any) -> Any:
        return 0.25 + 0.5 * super().predict_proba(rows)


def saved(kind: type[HistGradientBoostingClassifier], folder: Path) -> tuple[Any, str]:
    """A model folder as the training job leaves it, the model, and the line in the job's log."""
    estimator = kind(max_iter=5, early_stopping=False, random_state=0)
    model = cases.fitted(make_pipeline(cases.as_they_are(), estimator), "binary", rows=200)
    contract = cases.contract_for("binary")
    folder.mkdir()
    joblib.dump(model, folder / "model.joblib")
    contract.save(folder / "contract.json")
    return model, compile_beside(model, contract, frame_of(cases.columns(200), contract), folder)


def ping(scorer: Scorer) -> dict[str, Any]:
    application = made(scorer)
    response = call(application, method="GET", path="/ping")
    application.close()
    assert response.status == 200
    scoring: dict[str, Any] = response.json["scoring"]
    return scoring


def test_a_class_of_the_users_own_is_served_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, line = saved(Cautious, tmp_path / "model")
    why = f"not compilable: {__name__}.Cautious is no estimator with a compiled form"
    assert line.startswith(f"scoring: scikit-learn: {why} (")
    assert Scoring.load(tmp_path / "model") == Scoring(path="scikit-learn", why=why)
    assert not (tmp_path / "model" / store.FILE_NAME).exists()
    with caplog.at_level(logging.INFO, "containers.serve.scorer"):
        scorer = load_scorer(tmp_path / "model")
    assert f"scoring: scikit-learn: {why}" in caplog.messages
    assert ping(scorer) == {"path": "scikit-learn", "engine": "", "why": why}
    rows = cases.columns(50, seed=3)
    expected = model.predict_proba(frame_of(rows, scorer.contract))
    assert expected.min() >= 0.25
    assert expected.max() <= 0.75
    np.testing.assert_array_equal(scorer.score(rows).values, expected)


def test_a_model_that_compiles_is_served_without_itself(tmp_path: Path) -> None:
    model, line = saved(HistGradientBoostingClassifier, tmp_path / "model")
    assert line.startswith("scoring: compiled, equal to ")
    (tmp_path / "model" / "model.joblib").unlink()
    scorer = load_scorer(tmp_path / "model")
    assert ping(scorer)["path"] == "compiled"
    rows = cases.columns(50, seed=3)
    np.testing.assert_array_equal(
        scorer.score(rows).values, model.predict_proba(frame_of(rows, scorer.contract))
    )


def _cut(content: bytes) -> bytes:
    return content[:-1]


def _empty(content: bytes) -> bytes:
    return b""


def _bent(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def _old(content: bytes) -> bytes:
    return content[:8] + b"\1" + content[9:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_cut, "cut off or added to"),
        (_empty, "this is no compiled model"),
        (_bent, "its checksum does not match: it was damaged"),
        (_old, "a compiled model of version 1; this code knows version 2"),
    ],
)
def test_a_damaged_compiled_model_is_named_and_the_fitted_one_serves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any, reason: str
) -> None:
    model, _ = saved(HistGradientBoostingClassifier, tmp_path / "model")
    file = tmp_path / "model" / store.FILE_NAME
    file.write_bytes(damage(file.read_bytes()))
    scorer = load_scorer(tmp_path / "model")
    assert isinstance(scorer, ModelScorer)
    said = ping(scorer)
    assert said["path"] == "scikit-learn"
    assert said["why"].startswith("compiled.sluice cannot be used: ")
    assert reason in said["why"]
    assert any(reason in record.message for record in caplog.records if record.levelname == "WARNING")
    rows = cases.columns(50, seed=3)
    np.testing.assert_array_equal(
        scorer.score(rows).values, model.predict_proba(frame_of(rows, scorer.contract))
    )


def test_a_compiled_model_of_another_contract_is_not_used(tmp_path: Path) -> None:
    saved(HistGradientBoostingClassifier, tmp_path / "model")
    contract = cases.contract_for("binary")
    first = contract.features[0].model_copy(update={"nullable": True})
    contract.model_copy(update={"features": (first, *contract.features[1:])}).save(
        tmp_path / "model" / "contract.json"
    )
    said = ping(load_scorer(tmp_path / "model"))
    assert said["path"] == "scikit-learn"
    assert "its columns are not those of contract.json" in said["why"]
