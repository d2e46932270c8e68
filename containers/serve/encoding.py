"""Predictions as the bytes of an answer, by the type the client accepts; every float with all its digits."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
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


def _records(predictions: Predictions, contract: ModelContract) -> list[dict[str, Any]]:
    target = contract.target
    values = predictions.values.tolist()
    if predictions.labels is None:
        return [{"value": value} for value in values]
    labels = [target.classes[i] for i in predictions.labels.tolist()]
    if target.positive is not None:
        column = target.classes.index(target.positive)
        return [
            {"label": label, "probability": row[column]} for label, row in zip(labels, values, strict=True)
        ]
    names = [str(label) for label in target.classes]
    return [
        {"label": label, "probabilities": dict(zip(names, row, strict=True))}
        for label, row in zip(labels, values, strict=True)
    ]


def _array(predictions: Predictions, contract: ModelContract) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give (n,) probabilities of the positive class or values, or (n, classes) probabilities."""
    target = contract.target
    if predictions.labels is not None and target.positive is not None:
        return np.ascontiguousarray(predictions.values[:, target.classes.index(target.positive)])
    return predictions.values


def _to_json(predictions: Predictions, contract: ModelContract) -> bytes:
    return orjson.dumps({"predictions": _records(predictions, contract)})


def _to_json_lines(predictions: Predictions, contract: ModelContract) -> bytes:
    return b"".join(orjson.dumps(record) + b"\n" for record in _records(predictions, contract))


def _to_csv(predictions: Predictions, contract: ModelContract) -> bytes:
    rows = _array(predictions, contract).reshape(len(predictions.values), -1).tolist()
    return "".join(",".join(map(repr, row)) + "\n" for row in rows).encode()


def _to_npy(predictions: Predictions, contract: ModelContract) -> bytes:
    sink = io.BytesIO()
    np.save(sink, _array(predictions, contract), allow_pickle=False)
    return sink.getvalue()


_QUALITY = re.compile(r"[01](\.[0-9]{0,3})?")
DEFAULT = "application/json"
# In the order of our preference, where a client leaves the choice to us.
ENCODERS: dict[str, Callable[[Predictions, ModelContract], bytes]] = {
    DEFAULT: _to_json,
    "application/jsonlines": _to_json_lines,
    "text/csv": _to_csv,
    "application/x-npy": _to_npy,
}
