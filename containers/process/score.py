"""Scores the held-out rows with one model, in a process of its own: `… score MODEL HELD_OUT OUT [METRIC SEED]`.

The first three are folders; with a metric it also weighs the features by it.

Two models bring two different `train` modules: in one process the second would be unpickled with the code
of the first.
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from containers import metrics
from containers.answers import Answers, answers_of
from containers.frames import features_of, read_training_set
from containers.model import Model
from containers.model_files import GOLDEN
from containers.predictions import PredictionFailed
from containers.process import importance, latency, refusal
from containers.process.measured import MEASURED, Important, Measured
from containers.scoring import Scoring
from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.errors import ProjectError, SluiceError
from sluice.payloads.evaluation import Importances
from sluice.payloads.golden import GoldenAnswers

_GOLDEN_ROWS = 20


def score(model_folder: Path, held_out_folder: Path, out: Path, important: Important | None = None) -> None:
    """Write `predictions.npz` (containers.model.Predictions), what was measured, some answers and its contract.

    Raises:
        PredictionFailed: the model does not load or predict, or wants other columns than the rows have.
    """
    table, given = read_training_set(held_out_folder)
    model = Model.load(model_folder)
    mismatch = mismatch_of(model.contract, given)
    if mismatch:
        raise PredictionFailed(
            "the model does not fit the held-out rows",
            where="contract.json",
            why=mismatch,
            fix="models can only be compared while target and features are the same",
        )
    features = features_of(table, model.contract)
    start = time.perf_counter()
    predictions = model.predict(features)
    seconds = time.perf_counter() - start
    labels = {} if predictions.labels is None else {"labels": predictions.labels}
    np.savez(out / "predictions.npz", allow_pickle=False, values=predictions.values, **labels)
    model.contract.save(out / "contract.json")
    measured = Measured(
        latency=latency.measure(features, model.predict, seconds),
        importance=None if important is None else importance_of(model, table, features, important),
    )
    (out / MEASURED).write_text(measured.model_dump_json(), encoding="utf-8")
    golden_of(model, table, features, exact=_is_exact(model_folder)).save(out / GOLDEN)


def golden_of(model: Model, table: Table, features: pd.DataFrame, *, exact: bool) -> GoldenAnswers:
    """Give rows from all over the held-out ones, and what the model answers to them and no others.

    A library may sum up many rows in another order than few.
    """
    rows = np.unique(np.linspace(0, len(features) - 1, _GOLDEN_ROWS).astype(np.int64))
    answered = model.predict(features.iloc[rows].reset_index(drop=True))
    values = answered.values
    if (positive := model.contract.target.positive) is not None:
        values = values[:, model.contract.target.classes.index(positive)]
    records = model.contract.records(table.select(list(model.contract.names)).take(rows).to_pydict())
    return GoldenAnswers(
        instances=tuple(records),
        answers=tuple(map(tuple, values.reshape(len(rows), -1).tolist())),
        exact=exact,
    )


def _is_exact(model_folder: Path) -> bool:
    """Whether what serves the model answers with the very bits of the pipeline."""
    try:
        return Scoring.load(model_folder).exact
    except ProjectError:
        return False


def importance_of(model: Model, table: Table, features: pd.DataFrame, asked: Important) -> Importances | None:
    def answers(frame: pd.DataFrame, rows: npt.NDArray[np.int64]) -> Answers:
        predictions = model.predict(frame, labels=asked.metric in metrics.OF_LABELS)
        return answers_of(predictions, model.contract, table.take(rows))

    try:
        return importance.permutation(features, answers, asked)
    except PredictionFailed as error:
        # Shuffled rows may be such as there are none, and a model may refuse them: it is judged all the same.
        return Importances(metric=asked.metric, unmeasured=str(error))


def mismatch_of(model: ModelContract, given: ModelContract) -> str:
    """Say why rows of one contract cannot be scored by a model of another; empty if they can."""
    theirs, ours = model.target, given.target
    for what in ("name", "problem", "positive"):
        if getattr(theirs, what) != getattr(ours, what):
            return f"its target's {what} is {getattr(theirs, what)!r}, here it is {getattr(ours, what)!r}"
    if theirs.problem == "binary" and set(theirs.classes) != set(ours.classes):
        return f"its classes are {list(theirs.classes)}, here they are {list(ours.classes)}"
    kinds = {feature.name: feature.kind for feature in given.features}
    missing = [feature.name for feature in model.features if feature.name not in kinds]
    if missing:
        return f"it takes {', '.join(map(repr, missing))}, which is no feature any more"
    changed = [feature.name for feature in model.features if kinds[feature.name] != feature.kind]
    if changed:
        return f"{', '.join(map(repr, changed))} changed between number and category"
    return ""


def main(arguments: list[str]) -> int:
    model_folder, held_out_folder, out = map(Path, arguments[:3])
    important = Important(arguments[3], int(arguments[4])) if len(arguments) > 3 else None
    try:
        score(model_folder, held_out_folder, out, important)
    except SluiceError as error:
        refusal.leave(error, out)
    except SystemExit as stop:
        traceback.print_exc()
        refusal.leave(
            PredictionFailed(
                f"the model's code called sys.exit({stop.code!r})", fix="raise an exception instead"
            ),
            out,
        )
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
