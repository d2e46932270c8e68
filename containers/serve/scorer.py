"""From a request's rows to predictions: the one seam between the HTTP side and the model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import numpy as np

from containers.compiled import reference, store
from containers.compiled.engine import Engine, engine_of, why_not_native
from containers.compiled.plan import CompiledModelError, Plan
from containers.predictions import PredictionFailed, Predictions
from containers.scoring import Scoring
from containers.serve.quick import QuickAnswers
from containers.serve.tally import Count, tally, uncounted
from sluice.contract import Columns, ModelContract
from sluice.errors import ProjectError, RequestError, SluiceError

logger = logging.getLogger(__name__)


class Scorer(Protocol):
    """What `/invocations` needs of a model."""

    @property
    def contract(self) -> ModelContract: ...

    @property
    def scoring(self) -> Scoring:
        """Which path this is, and why."""

    def score(self, columns: Columns) -> Predictions:
        """Predict for columns that keep the contract; may block, and is never called twice at once."""

    def answer(self, body: bytes, media_type: str, accepted: str) -> bytes | None:
        """Answer a body from its bytes, at once; None wherever `score` has to look at it."""

    def answer_row(self, columns: Columns, accepted: str) -> bytes | None:
        """Answer columns of one row that keep the contract, at once; None wherever `score` has to look at them."""


class ModelScorer:
    """Scores with the model as it was trained, through a data frame."""

    def __init__(self, folder: Path, why: str = "", count: Count = uncounted) -> None:
        # Only here: pandas and scikit-learn take more time and memory than all of the compiled path.
        from containers.frames import frame_of
        from containers.model import Model

        self._model = Model.load(folder)
        self._frame_of = frame_of
        self._count = count
        self.scoring = Scoring(path="scikit-learn", why=why)

    @property
    def contract(self) -> ModelContract:
        return self._model.contract

    def score(self, columns: Columns) -> Predictions:
        """Predict for columns that keep the contract.

        Raises:
            RequestError: scikit-learn does not take such values, as the compiled path says of the same model.
            PredictionFailed: the model raises anything else, or a prediction is no finite number.
        """
        try:
            predictions = self._model.predict(self._frame_of(columns, self.contract))
        except PredictionFailed as error:
            if not _is_of_scikit_learn(error.__cause__):
                raise
            raise RequestError(
                f"the model does not take these rows: {error.__cause__}",
                fix="send values like those it was trained on",
            ) from error
        return tally(predictions, self.contract, self._count)

    def answer(self, _body: bytes, _media_type: str, _accepted: str) -> bytes | None:
        return None

    def answer_row(self, _columns: Columns, _accepted: str) -> bytes | None:
        return None


def _is_of_scikit_learn(error: BaseException | None) -> bool:
    """Tell whether scikit-learn itself raised a ValueError: while predicting that is what it says of its input."""
    at = error.__traceback__ if isinstance(error, ValueError) else None
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and str(at.tb_frame.f_globals.get("__name__")).split(".")[0] == "sklearn"


class CompiledScorer:
    """Scores with the compiled model."""

    def __init__(self, plan: Plan, contract: ModelContract, count: Count = uncounted) -> None:
        self._plan = plan
        self._count = count
        self.contract = contract
        self.engine: Engine = engine_of(plan, contract)
        self.scoring = Scoring(path="compiled", engine=self.engine.name, why=why_not_native())
        quick = QuickAnswers(self.engine, contract, count)
        self.answer, self.answer_row = quick.answer, quick.answer_row

    def score(self, columns: Columns) -> Predictions:
        """Predict for columns that keep the contract.

        Raises:
            RequestError: the fitted pipeline would raise: it does not take such a value.
            PredictionFailed: a prediction is no finite number.
        """
        answer = self.engine.score_columns(columns)
        if answer is None:
            raise self._refusal(columns)
        values = np.frombuffer(answer[0], dtype=np.float64)
        if answer[1] is None:
            predictions = Predictions(values, None)
        else:
            labels = np.frombuffer(answer[1], dtype=np.int32).astype(np.int64)
            predictions = Predictions(values.reshape(-1, self._plan.values), labels)
        return tally(predictions, self.contract, self._count)

    def _refusal(self, columns: Columns) -> SluiceError:
        try:
            reference.fill_slots(self._plan, columns)
        except reference.Refused as refused:
            name = self.contract.names[refused.column]
            value = columns[name][refused.row]
            found = "null" if value is None or value != value else repr(value)
            return RequestError(
                f"row {refused.row + 1}, column {name!r}: found {found}, which the model does not take",
                fix="send a value like those it was trained on",
            )
        return PredictionFailed(
            "a prediction is not finite",
            where="the compiled model",
            why="a prediction has to be a finite number",
            fix="look for a division by zero, a logarithm of zero or a diverged fit in train.py",
        )


def load_scorer(folder: Path, count: Count = uncounted) -> Scorer:
    """Load the compiled model where the training job left one, else the model as it was trained.

    `count` is told of all that it predicts.

    Raises:
        ProjectError: there is no contract.
        PredictionFailed: there is no compiled model, and the model itself does not load.
    """
    contract = ModelContract.load(folder / "contract.json")
    try:
        scorer = CompiledScorer(store.load(folder), contract, count)
    except FileNotFoundError:
        why = _reason(folder)
    except CompiledModelError as error:
        why = f"{store.FILE_NAME} cannot be used: {error}"
        logger.warning("%s", why)
    else:
        logger.info("scoring: compiled, %s engine %s", scorer.scoring.engine, scorer.scoring.why)
        return scorer
    logger.info("scoring: scikit-learn: %s", why)
    return ModelScorer(folder, why, count)


def _reason(folder: Path) -> str:
    try:
        return Scoring.load(folder).why or f"{store.FILE_NAME} is missing"
    except ProjectError:
        return "the model was trained without a compiled form"
