"""What a feature is worth, where it is known; and how long a model takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from containers.answers import Answers, BinaryAnswers
from containers.model import Model
from containers.predictions import PredictionFailed
from containers.process import importance, latency, score
from containers.process.importance import permutation
from containers.process.measured import Important
from sluice.contract import ModelContract, TargetContract
from sluice.judging.scores import BinaryScores

ASKED = Important("roc_auc", 7)


def rows(count: int = 400, features: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "told": draw.normal(size=count),
            "kind": pd.Series(draw.choice(["a", "b"], count), dtype="str"),
            "idle": draw.normal(size=count),
        }
    )
    return frame.assign(**{f"more_{number}": 0.0 for number in range(features)})


def predictor(frame: pd.DataFrame, asked: list[int] | None = None) -> Callable[[pd.DataFrame, Any], Answers]:
    """Knows the truth by `told`, a little by `kind`, and never looks at `idle`."""
    actual = (frame["told"] + 0.5 * (frame["kind"] == "a") > 0.3).to_numpy()

    def answers(shuffled: pd.DataFrame, at: Any) -> Answers:
        if asked is not None:
            asked.append(len(shuffled))
        assert shuffled.dtypes.equals(frame.dtypes)
        chance = 1 / (1 + np.exp(-(shuffled["told"] + 0.5 * (shuffled["kind"] == "a") - 0.3).to_numpy()))
        return BinaryAnswers(actual[at], BinaryScores(chance, chance > 0.5))

    return answers


def test_what_decides_is_worth_most_and_what_is_not_looked_at_nothing() -> None:
    frame = rows()
    found = permutation(frame, predictor(frame), ASKED)
    assert found is not None
    assert [each.feature for each in found.features] == ["told", "kind", "idle"]
    told, kind, idle = found.features
    assert told.loss > 0.3
    assert 0 < kind.loss < told.loss
    assert (idle.loss, idle.error) == (0.0, 0.0)


def test_of_an_error_the_loss_is_what_it_grows_by() -> None:
    frame = rows()
    found = permutation(frame, predictor(frame), Important("log_loss", 7))
    assert found is not None
    assert found.features[0].feature == "told"
    assert found.features[0].loss > 0


def test_it_is_bounded_seeded_and_leaves_the_rows_as_they_are() -> None:
    frame = rows(5_000)
    before, asked = frame.copy(), list[int]()
    found = permutation(frame, predictor(frame, asked), ASKED)
    assert asked == [1_000, 3 * 3 * 1_000]
    assert permutation(frame, predictor(frame), ASKED) == found
    assert permutation(frame, predictor(frame), Important("roc_auc", 8)) != found
    pd.testing.assert_frame_equal(frame, before)
    many, asked_of_many = rows(5_000, features=97), list[int]()
    permutation(many, predictor(many, asked_of_many), ASKED)
    assert sum(asked_of_many) == 100_000 // 300 * (1 + 3 * 100)
    assert max(asked_of_many) * 100 <= 5_000_000


def test_features_of_several_calls_are_worth_what_they_are_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows()
    found = permutation(frame, predictor(frame), ASKED)
    monkeypatch.setattr(importance, "_MOST_CELLS", 1)
    asked = list[int]()
    assert permutation(frame, predictor(frame, asked), ASKED) == found
    assert asked == [400] + [3 * 400] * 3


def test_rows_of_one_class_tell_nothing() -> None:
    frame = rows().assign(told=5.0)
    assert permutation(frame, predictor(frame), ASKED) is None


def test_a_model_that_refuses_shuffled_rows_is_judged_all_the_same() -> None:
    def refuses(_frame: pd.DataFrame, *, labels: bool) -> Any:
        raise PredictionFailed("the model raised ValueError", why="no such pair")

    contract = ModelContract(features=(), target=TargetContract(name="y", problem="binary"))
    table = pa.table({"y": ["no", "yes"] * 100})
    model: Any = SimpleNamespace(predict=refuses, contract=contract)
    found = score.importance_of(model, table, rows(200), ASKED)
    assert found is not None
    assert found.features == ()
    assert "no such pair" in (found.unmeasured or "")


class Counted:
    """A classifier that counts how often it was asked for classes."""

    def __init__(self) -> None:
        self.classes_asked = 0

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        chance = 1 / (1 + np.exp(-frame["told"].to_numpy()))
        return np.column_stack([1 - chance, chance])

    def predict(self, frame: pd.DataFrame) -> Any:
        self.classes_asked += 1
        # Not the likelier one: a model may have a threshold of its own.
        return np.where(frame["told"] > 1.0, "yes", "no")


@pytest.mark.parametrize(("metric", "asked"), [("roc_auc", False), ("log_loss", False), ("accuracy", True)])
def test_classes_are_asked_for_where_the_metric_is_about_them(metric: str, asked: bool) -> None:
    target = TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes")
    estimator = Counted()
    model = Model(estimator, ModelContract(features=(), target=target), Path())
    frame = rows(400)
    table = pa.table({"y": np.where(frame["told"] > 1.0, "yes", "no").tolist()})
    found = score.importance_of(model, table, frame, Important(metric, 7))
    assert found is not None
    assert found.features[0].feature == "told"
    assert (estimator.classes_asked > 0) is asked
    if asked:
        # By its own threshold it makes no mistake, so that all of the loss is the shuffling's.
        assert found.features[0].loss > 0.2


@pytest.mark.parametrize("count", [1, 3, 400])
def test_a_models_time_is_that_of_rows_that_come_alone(count: int) -> None:
    asked: list[int] = []
    found = latency.measure(rows(count), lambda frame: asked.append(len(frame)), batch_seconds=0.5)
    assert set(asked) == {1}
    assert 5 <= len(asked) <= 30
    assert found.batch_row_us == pytest.approx(5e5 / count)
    assert found.row_ms >= 0
