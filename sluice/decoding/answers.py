"""An endpoint's answer, by content type, as one value a row: the reverse of what serving writes."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from sluice.contract import ModelContract, plain_class
from sluice.errors import RequestError

Answers = list[float] | list[str]
"""The positive class's probability, a regression's value, or of several classes the one that is answered, as text."""


def decode_answers(body: bytes, media_type: str, contract: ModelContract) -> Answers:
    """Read an answer.

    Args:
        body: as it was sent.
        media_type: one of `ANSWER_DECODERS`' keys.
        contract: of the model that answered.

    Raises:
        RequestError: it is no answer of such a model: an error, or another model's.
    """
    try:
        return ANSWER_DECODERS[media_type](body, contract)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, EOFError) as error:
        raise RequestError("the answer holds no predictions", why=type(error).__name__) from error


def _from_json(body: bytes, contract: ModelContract) -> Answers:
    return _of_records(json.loads(body)["predictions"], contract)


def _from_json_lines(body: bytes, contract: ModelContract) -> Answers:
    return _of_records([json.loads(line) for line in body.splitlines() if line.strip()], contract)


def _of_records(records: Sequence[dict[str, Any]], contract: ModelContract) -> Answers:
    target = contract.target
    if not target.classes:
        return [_finite(each["value"]) for each in records]
    if target.positive is not None:
        return [_finite(each["probability"]) for each in records]
    known = {plain_class(label) for label in target.classes}
    labels = [plain_class(each["label"]) for each in records]
    if not known.issuperset(labels):
        raise ValueError("a class that the model does not know")
    return labels


def _from_csv(body: bytes, contract: ModelContract) -> Answers:
    return _of_numbers([line.split(",") for line in body.decode().splitlines() if line.strip()], contract)


def _from_npy(body: bytes, contract: ModelContract) -> Answers:
    # Only now: who reads JSON alone needs no numpy.
    import numpy as np

    array = np.load(io.BytesIO(body), allow_pickle=False)
    return _of_numbers((array.reshape(-1, 1) if array.ndim == 1 else array).tolist(), contract)


def _of_numbers(rows: Sequence[Sequence[Any]], contract: ModelContract) -> Answers:
    """Read a number a row, or of several classes a probability each, of which the greatest says the class."""
    classes = contract.target.classes
    if classes and contract.target.positive is None:
        names = [plain_class(label) for label in classes]
        return [names[_greatest([_finite(value) for value in row], len(names))] for row in rows]
    return [_finite(_only(row)) for row in rows]


def _greatest(values: list[float], expected: int) -> int:
    if len(values) != expected:
        raise ValueError("another number of classes")
    return values.index(max(values))


def _only(row: Sequence[Any]) -> Any:
    (value,) = row
    return value


def _finite(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError("no finite number")
    return number


ANSWER_DECODERS: dict[str, Callable[[bytes, ModelContract], Answers]] = {
    "application/json": _from_json,
    "application/jsonlines": _from_json_lines,
    "application/x-jsonlines": _from_json_lines,
    "application/x-ndjson": _from_json_lines,
    "text/csv": _from_csv,
    "application/x-npy": _from_npy,
}
