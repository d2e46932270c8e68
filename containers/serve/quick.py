"""Answers from a body's bytes by the compiled model: only what is plainly right, and the rest is left alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from struct import Struct
from typing import Any

import numpy as np
import orjson

from containers.compiled.engine import Engine
from containers.predictions import Predictions
from containers.serve.encoding import encode, record_heads
from containers.serve.tally import Count, tally, uncounted
from sluice.contract import Columns, ModelContract

_ONE = b'{"predictions":[%s%s}]}'

_double = Struct("=d")


class QuickAnswers:
    """The hot paths of the server: every line is paid for by each request."""

    def __init__(self, engine: Engine, contract: ModelContract, count: Count = uncounted) -> None:
        self._contract = contract
        self._count = count
        target = contract.target
        # The value that a row's answer shows: the positive class's probability, the regression's value, or (-1) all.
        self._value = 0 if not target.classes else -1
        if target.positive is not None:
            self._value = target.classes.index(target.positive)
        self._heads = record_heads(contract)  # the one of a regression is also its last: label -1
        self._readers: dict[str, Callable[[bytes, int], Any]] = {
            "application/json": engine.score_json,
            "application/jsonlines": engine.score_json_lines,
            "application/x-jsonlines": engine.score_json_lines,
            "application/x-ndjson": engine.score_json_lines,
            "text/csv": engine.score_csv,
        }
        self._score_columns = engine.score_columns
        if any(feature.spelling for feature in contract.features):
            del self._readers["text/csv"]  # which would take 1.234 for less than two

    def answer(self, body: bytes, media_type: str, accepted: str) -> bytes | None:
        """Answer a body; None for anything that is not plainly right, or not read here."""
        read = self._readers.get(media_type)
        found = None if read is None else read(body, self._value)
        if found is None:
            return None
        value, label = found
        if type(value) is float:
            self._count(1, value, value * value)
            if accepted == "application/json":
                return _ONE % (self._heads[label], orjson.dumps(value))
            if accepted == "text/csv":
                return orjson.dumps(value) + b"\n"
            return encode(self._predictions(value, label), accepted, self._contract)
        predictions = tally(self._predictions(value, label), self._contract, self._count)
        return encode(predictions, accepted, self._contract)

    def answer_row(self, columns: Columns, accepted: str) -> bytes | None:
        """Answer one row's columns that keep the contract; None for what is not plainly answered here."""
        if accepted != "application/json" or self._value < 0:
            return None
        found = self._score_columns(columns)
        if found is None:
            return None
        values, labels = found
        label = -1 if labels is None else int.from_bytes(labels, sys.byteorder)
        (value,) = _double.unpack_from(values, 8 * self._value)
        self._count(1, value, value * value)
        return _ONE % (self._heads[label], orjson.dumps(value))

    def _predictions(self, value: Any, label: Any) -> Predictions:
        classes = len(self._contract.target.classes)
        if isinstance(value, bytes):
            values = np.frombuffer(value, dtype=np.float64)
            if label is None:
                return Predictions(values, None)
            labels = np.frombuffer(label, dtype=np.int32).astype(np.int64)
            return Predictions(values.reshape(-1, classes), labels)
        return self._prediction(value, label, classes)

    def _prediction(self, value: Any, label: Any, classes: int) -> Predictions:
        if label < 0:
            return Predictions(np.array([value]), None)
        if self._value >= 0:
            # The other class's probability is not in the answer, so it is not asked of the model.
            values = np.full((1, classes), np.nan)
            values[0, self._value] = value
        else:
            values = np.array([value])
        return Predictions(values, np.array([label]))
