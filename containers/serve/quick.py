"""Answers from a body's bytes by the compiled model: only what is plainly right, and the rest is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import orjson

from containers.compiled.engine import Engine, Row, Rows
from containers.predictions import Predictions
from containers.serve.encoding import encode
from sluice.contract import ClassLabel, ModelContract

Found: TypeAlias = Row | Rows | None
"""One row's value and class, or many rows' as bytes."""


class QuickAnswers:
    """`answer` is the hot path of the server: every line of it is paid for by each request."""

    def __init__(self, engine: Engine, contract: ModelContract) -> None:
        self._engine = engine
        self._contract = contract
        target = contract.target
        self._classes: tuple[ClassLabel, ...] = target.classes
        # The value that a row's answer shows: the positive class's probability, the regression's value, or (-1) all.
        self._value = 0 if not target.classes else -1
        if target.positive is not None:
            self._value = target.classes.index(target.positive)
        self._heads = [b'{"label":%s,"probability":' % orjson.dumps(label) for label in target.classes]
        self._has_instances = "instances" in contract.names
        self._columns = len(contract.features)
        self._readers: dict[str, Callable[[bytes], Found]] = {
            "application/json": self._json,
            "application/jsonlines": self._json_lines,
            "text/csv": self._csv,
        }

    def answer(self, body: bytes, media_type: str, accepted: str) -> bytes | None:
        """Answer a body; None for anything that is not plainly right, or not read here."""
        read = self._readers.get(media_type)
        found = None if read is None else read(body)
        if found is None:
            return None
        if isinstance(found[0], bytes):
            return encode(self._predictions(found), accepted, self._contract)
        if self._value >= 0:
            if accepted == "application/json":
                return b'{"predictions":[%s]}' % self._record(found)
            if accepted == "text/csv":
                return b"%s\n" % repr(found[0]).encode()
        return encode(self._prediction(found), accepted, self._contract)

    def _record(self, row: Any) -> bytes:
        value, label = row
        if label < 0:
            return b'{"value":%s}' % orjson.dumps(value)
        return b"%s%s}" % (self._heads[label], orjson.dumps(value))

    def _json(self, body: bytes) -> Found:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        # A key that is there twice is there once in the document, but not without a second colon in the body.
        members = body.count(b":")
        if type(document) is dict:
            if "instances" not in document or self._has_instances:
                return self._engine.score_record(document, self._value) if members == len(document) else None
            if len(document) > 1:
                return None
            document = document["instances"]
            members -= 1
        return self._documents(document, members)

    def _json_lines(self, body: bytes) -> Found:
        try:
            documents = [orjson.loads(line) for line in body.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            return None
        return self._documents(documents, body.count(b":"))

    def _documents(self, documents: Any, members: int) -> Found:
        if type(documents) is not list or not documents:
            return None
        many = len(documents) > 1
        if type(documents[0]) is list:
            if many:
                return self._engine.score_lists(documents)
            return self._engine.score_list(documents[0], self._value)
        if members != len(documents) * self._columns:
            return None
        if many:
            return self._engine.score_records(documents)
        return self._engine.score_record(documents[0], self._value)

    def _csv(self, body: bytes) -> Found:
        row = self._engine.score_csv_row(body, self._value)
        return row if row is not None else self._engine.score_csv(body)

    def _predictions(self, rows: Any) -> Predictions:
        values = np.frombuffer(rows[0], dtype=np.float64)
        if rows[1] is None:
            return Predictions(values, None)
        labels = np.frombuffer(rows[1], dtype=np.int32).astype(np.int64)
        return Predictions(values.reshape(-1, len(self._classes)), labels)

    def _prediction(self, row: Any) -> Predictions:
        value, label = row
        if label < 0:
            return Predictions(np.array([value]), None)
        if self._value >= 0:
            # The other class's probability is not in the answer, so it is not asked of the model.
            values = np.full((1, len(self._classes)), np.nan)
            values[0, self._value] = value
        else:
            values = np.array([value])
        return Predictions(values, np.array([label]))
