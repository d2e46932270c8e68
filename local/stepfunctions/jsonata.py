"""JSONata as Step Functions evaluates it: variables as bindings, its own functions, undefined as an error."""

from __future__ import annotations

import hashlib
import json
import random
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import jsonata
from jsonata.utils import Utils

TIMEOUT_MILLISECONDS = 10_000
RANGE_MAX = 1000
_NULL = Utils.NULL_VALUE
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_HASHES = {
    "MD5": hashlib.md5,
    "SHA-1": hashlib.sha1,
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}


class QueryEvaluationError(Exception):
    """An expression failed, or gave what JSON cannot hold. `str()` is the cause Step Functions reports."""


def check_syntax(expression: str) -> None:
    """Compile an expression without evaluating it.

    Raises:
        QueryEvaluationError: it is no JSONata, or uses `$eval`, which Step Functions does not have.
    """
    try:
        compiled = jsonata.Jsonata(expression)
    except Exception as error:
        raise QueryEvaluationError(
            f"The JSONata expression '{expression}' cannot be parsed: {error}"
        ) from error
    if compiled.errors:
        raise _failed(expression, f"cannot be parsed: {compiled.errors[0]}")
    if re.search(r"\$eval\b", _without_literals(expression)):
        raise _failed(expression, "calls $eval, which Step Functions does not support; use $parse.")


def evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    """Evaluate an expression; `variables` are JSON values by name, without the dollar sign.

    Raises:
        QueryEvaluationError: it fails, or its result is undefined or a function.
    """
    try:
        compiled = jsonata.Jsonata(expression, timeout=TIMEOUT_MILLISECONDS)
        compiled.set_output_convert_nulls(False)
        for name, function in _FUNCTIONS.items():
            compiled.register_lambda(name, function)
        used = set(_VARIABLE.findall(expression))
        bindings = {name: _to_jsonata(value) for name, value in variables.items() if name in used}
        result = compiled.evaluate(None, bindings)
    except Exception as error:
        raise QueryEvaluationError(
            f"The JSONata expression '{expression}' threw an error: {error}"
        ) from error
    if result is None:
        raise _failed(expression, "returned nothing (undefined).")
    return _from_jsonata(result, expression)


def _failed(expression: str, what: str) -> QueryEvaluationError:
    return QueryEvaluationError(f"The JSONata expression '{expression}' {what}")


def _to_jsonata(value: Any) -> Any:
    """Copy a JSON value: the engine may change it, and wants its own null, for None is undefined to it."""
    if value is None:
        return _NULL
    if isinstance(value, dict):
        return {key: _to_jsonata(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_jsonata(item) for item in value]
    return value


def _from_jsonata(value: Any, expression: str) -> Any:
    if value is _NULL or value is None:
        return None
    if isinstance(value, dict):
        return {key: _from_jsonata(item, expression) for key, item in value.items()}
    if isinstance(value, list):
        # an integer range is a list that computes its items and holds none: its length and index are right
        return [_from_jsonata(value[index], expression) for index in range(len(value))]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (str, bool, int, float)):
        return value
    raise _failed(expression, "returned an unsupported result type.")


def _without_literals(expression: str) -> str:
    return re.sub(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", "''", expression)


def _partition(items: list[Any] | None, size: int) -> list[list[Any]] | None:
    if items is None:
        return None
    if size < 1:
        raise ValueError(f"$partition needs a chunk size of at least 1, not {size}")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _range(first: int, last: int, step: int) -> list[int]:
    if step == 0:
        raise ValueError("$range needs a step other than 0")
    numbers = list(range(first, last + (1 if step > 0 else -1), step))
    if len(numbers) > RANGE_MAX:
        raise ValueError(f"$range gives at most {RANGE_MAX} numbers, not {len(numbers)}")
    return numbers


def _hash(data: Any, algorithm: str) -> str | None:
    if data is None:
        return None
    if algorithm not in _HASHES:
        raise ValueError(f"$hash knows {', '.join(_HASHES)}, not {algorithm!r}")
    text = data if isinstance(data, str) else json.dumps(_from_jsonata(data, "$hash"), separators=(",", ":"))
    return _HASHES[algorithm](text.encode()).hexdigest()


def _random(seed: int | None = None) -> float:
    # A seed makes it repeatable, as documented; nothing here is secret.
    return (random if seed is None else random.Random(seed)).random()  # noqa: S311


def _uuid() -> str:
    return str(uuid.uuid4())


def _parse(text: str | None) -> Any:
    return None if text is None else _to_jsonata(json.loads(text))


# https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#jsonata-functions-provided-by-sfn
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "random": _random,
    "uuid": _uuid,
    "parse": _parse,
}
