"""SageMaker hands hyperparameters over as strings: here they become what they were in project.toml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from sluice.errors import TrainingFailed


def load_hyperparameters(file: Path) -> dict[str, Any]:
    """Read hyperparameters.json; without one there are none.

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
    return {name: from_text(value) if isinstance(value, str) else value for name, value in raw.items()}


def from_text(text: str) -> Any:
    """Read a value by what it looks like: JSON (numbers, booleans, lists, quoted strings), else the text."""
    if text in {"True", "False"}:  # Python's spelling, which a template may have written
        return text == "True"
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
