"""Hyperparameters as SageMaker hands them on: every value is a string, and comes back as what it was."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

# Python's spelling, which a template may have written.
_PYTHONS = {"True": True, "False": False}


def encode(hyperparameters: Mapping[str, Any]) -> dict[str, str]:
    """Write values as strings that `decode` reads back.

    A string stays as it is, unless it would be read as something else: then it is quoted, as JSON like any other
    value.
    """
    return {
        name: value if isinstance(value, str) and decode(value) == value else _json(value)
        for name, value in hyperparameters.items()
    }


def decode(text: str) -> Any:
    """Read a value by what it looks like: JSON (numbers, booleans, lists, quoted strings), else the text."""
    if text in _PYTHONS:
        return _PYTHONS[text]
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _json(value: Any) -> str:
    # JSON has no word for infinity, and reads this as one.
    return {math.inf: "1e999", -math.inf: "-1e999"}.get(value) or json.dumps(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
