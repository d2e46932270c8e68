"""Predictions as the bytes of an answer, by the type the client accepts; every float with all its digits."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from operator import add
from typing import Any

import numpy as np
import orjson

from containers.predictions import Predictions
from sluice.contract import ModelContract


def encode(predictions: Predictions, media_type: str, contract: ModelContract) -> bytes:
    """Write predictions as `media_type`, one of ENCODERS' keys."""
    return ENCODERS[media_type](predictions, contract)


def choose(accept: str) -> str | None:
    """Choose an answer's type by an Accept header (RFC 9110, 12.5.1); None if it names none we have."""
    ranges = [part.strip() for part in accept.split(",") if part.strip()]
    if not ranges:
        return DEFAULT
    quality = {
        media_type: max((_match(each, media_type) for each in ranges), default=(0, 0.0))[1]
        for media_type in ENCODERS
    }
    best = max(ENCODERS, key=lambda media_type: quality[media_type])
    return best if quality[best] > 0 else None


def _match(media_range: str, media_type: str) -> tuple[int, float]:
    """Give how closely a range names a type (0: not at all) and the quality it gives it."""
    name, *parameters = (part.strip().lower() for part in media_range.split(";"))
    closeness = {media_type: 3, media_type.split("/")[0] + "/*": 2, "*/*": 1}.get(name, 0)
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            quality = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return (closeness, quality if closeness else 0.0)


def record_heads(contract: ModelContract) -> list[bytes]:
    """Give how the record of a prediction begins, up to its number, by class index; of a regression, one.

    Of several classes without a positive one, there is no single number: an empty list.
    """
    target = contract.target
    if not target.classes:
        return [b'{"value":']
    if target.positive is None:
        return []
    return [b'{"label":%s,"probability":' % orjson.dumps(label) for label in target.classes]


def records(predictions: Predictions, contract: ModelContract) -> list[bytes]:
    """Give each prediction as a JSON object, without its closing brace."""
    heads = record_heads(contract)
    if not heads:
        return _records_of_classes(predictions, contract)
    numbers = _numbers(answered(predictions, contract)).split(b",")
    if predictions.labels is None:
        return [heads[0] + number for number in numbers]
    labels = predictions.labels.tolist()
    return [heads[label] + number for label, number in zip(labels, numbers, strict=True)]


def _records_of_classes(predictions: Predictions, contract: ModelContract) -> list[bytes]:
    assert predictions.labels is not None
    names = [orjson.dumps(str(label)) + b":" for label in contract.target.classes]
    heads = [b'{"label":%s,"probabilities":{' % orjson.dumps(label) for label in contract.target.classes]
    return [
        heads[label] + b",".join(map(add, names, row.split(b","))) + b"}"
        for label, row in zip(predictions.labels.tolist(), _rows(predictions.values), strict=True)
    ]


def answered(predictions: Predictions, contract: ModelContract) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give (n,) probabilities of the positive class or values, or (n, classes) probabilities."""
    target = contract.target
    if predictions.labels is not None and target.positive is not None:
        return np.ascontiguousarray(predictions.values[:, target.classes.index(target.positive)])
    return predictions.values


def _numbers(values: np.ndarray[Any, np.dtype[np.float64]]) -> bytes:
    """Write (n,) numbers, n > 0, with commas between them."""
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def _rows(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[bytes]:
    """Write (n, k) numbers, a row each."""
    return _numbers(values)[1:-1].split(b"],[")


def _to_json(predictions: Predictions, contract: ModelContract) -> bytes:
    return b'{"predictions":[%s}]}' % b"},".join(records(predictions, contract))


def _to_json_lines(predictions: Predictions, contract: ModelContract) -> bytes:
    return b"}\n".join(records(predictions, contract)) + b"}\n"


def _to_csv(predictions: Predictions, contract: ModelContract) -> bytes:
    array = answered(predictions, contract)
    if array.ndim == 1:
        return _numbers(array).replace(b",", b"\n") + b"\n"
    return b"\n".join(_rows(array)) + b"\n"


def _to_npy(predictions: Predictions, contract: ModelContract) -> bytes:
    sink = io.BytesIO()
    np.save(sink, answered(predictions, contract), allow_pickle=False)
    return sink.getvalue()


_QUALITY = re.compile(r"[01](\.[0-9]{0,3})?")
DEFAULT = "application/json"
# In the order of our preference, where a client leaves the choice to us.
ENCODERS: dict[str, Callable[[Predictions, ModelContract], bytes]] = {
    DEFAULT: _to_json,
    "application/jsonlines": _to_json_lines,
    "application/x-jsonlines": _to_json_lines,
    "application/x-ndjson": _to_json_lines,
    "text/csv": _to_csv,
    "application/x-npy": _to_npy,
}
