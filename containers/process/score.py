"""Scores the held-out rows with one model, in a process of its own: `… score MODEL_DIR HELD_OUT_DIR OUT_DIR`.

Two models bring two different `train` modules: in one process the second would be unpickled with the code
of the first.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import numpy as np

from containers.frames import features_of, read_training_set
from containers.model import Model
from containers.predictions import PredictionFailed
from containers.process import refusal
from sluice.contract import ModelContract
from sluice.errors import SluiceError


def score(model_folder: Path, held_out_folder: Path, out: Path) -> None:
    """Write `predictions.npz` (containers.model.Predictions) and the model's `contract.json` to `out`.

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
    predictions = model.predict(features_of(table, model.contract))
    labels = {} if predictions.labels is None else {"labels": predictions.labels}
    np.savez(out / "predictions.npz", allow_pickle=False, values=predictions.values, **labels)
    model.contract.save(out / "contract.json")


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
    model_folder, held_out_folder, out = map(Path, arguments)
    try:
        score(model_folder, held_out_folder, out)
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
