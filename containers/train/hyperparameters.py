"""The hyperparameters of a training job, from the file SageMaker writes them to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sluice.errors import TrainingFailed
from sluice.hyperparameters import decode

# What SageMaker's SDK (sagemaker_program, sagemaker_submit_directory, …) and its tuning jobs put among them for
# SageMaker's own containers. No model has a parameter of such a name, and build_model would hand it on to one.
_NOT_THE_MODELS = ("sagemaker_", "_tuning_objective_")


def load_hyperparameters(file: Path) -> dict[str, Any]:
    """Read hyperparameters.json, without those that are SageMaker's; without a file there are none.

    Raises:
        TrainingFailed: it is no JSON object of strings.
    """
    if not file.exists():
        return {}
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingFailed("the hyperparameters are no JSON", where=file.name, why=str(error)) from error
    if not isinstance(raw, dict):
        raise TrainingFailed("the hyperparameters are no JSON object", where=file.name)
    return {
        name: decode(value) if isinstance(value, str) else value
        for name, value in raw.items()
        if not name.lower().startswith(_NOT_THE_MODELS)
    }
