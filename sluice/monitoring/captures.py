"""Captured traffic as batches of features and answers, with a count of whatever is none.

The lines are SageMaker's: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO, Literal, NamedTuple

import pyarrow as pa

from sluice.column_names import PREDICTION
from sluice.contract import Columns, ModelContract
from sluice.decoding.answers import ANSWER_DECODERS, Answers, decode_answers
from sluice.decoding.bodies import DECODERS, decode, looks_like
from sluice.errors import RequestError
from sluice.payloads.base import Payload
from sluice.payloads.golden import VERIFICATION

Reason = Literal["corrupt", "unknown_type", "no_features", "no_answer"]
SAID: dict[Reason, str] = {
    "corrupt": "lines that are no capture record",
    "unknown_type": "requests or answers of a type that nothing here reads",
    "no_features": "requests without the model's features: asked by id, or for another model",
    "no_answer": "requests that were not answered with a prediction for each row",
}
MOST_ASIDE = 20
"""Places of unread lines that are named; all are counted."""
_BATCH_ROWS = 8_192
_BLOCK_BYTES = 4 * 1024 * 1024
_TEXTS = frozenset({"CSV", "JSON"})


def lines_of(source: BinaryIO) -> Iterator[bytes]:
    """Read lines block by block, in memory that does not grow with the file."""
    rest = b""
    while block := source.read(_BLOCK_BYTES):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


class Aside(Payload):
    """Where a line lies that was not read; what it holds is not repeated."""

    key: str
    line: int
    reason: Reason


class _Side(NamedTuple):
    """A body, and its type without parameters; empty where none was said."""

    body: bytes
    media_type: str


class _Verification(Exception):
    """Nobody's traffic: VerifyModel asked held-out rows."""


class _Unread(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class CaptureReader:
    """Reads capture objects of one model. What was seen adds up over all of them.

    Args:
        contract: of the model, by which serving decoded the requests, too.
        since: when the model was released; what was answered before is counted, and nothing else.

    Attributes:
        records: lines that hold anything, but for those by which a deployment looked at its model.
        earlier: records of before `since`.
        unread: lines by the reason they were not read for.
        aside: where the first of those lie.
        first, last: inference times of what was read, in UTC.
    """

    def __init__(self, contract: ModelContract, since: datetime) -> None:
        self._contract = contract
        # Captures are timed by whole seconds.
        self._since = since.replace(microsecond=0)
        self.records = 0
        self.earlier = 0
        self.unread: Counter[Reason] = Counter()
        self.aside: list[Aside] = []
        self.first: datetime | None = None
        self.last: datetime | None = None

    def batches(self, key: str, lines: Iterable[bytes]) -> Iterator[Any]:
        """Give an object's rows as record batches: the features in contract order, and `PREDICTION`.

        Args:
            key: of the object, for `aside`.
            lines: of the object.
        """
        waiting = _Rows(self._contract)
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                found = self._read(line)
            except _Verification:
                continue
            except _Unread as unread:
                self.records += 1
                self.unread[unread.reason] += 1
                if len(self.aside) < MOST_ASIDE:
                    self.aside.append(Aside(key=key, line=number, reason=unread.reason))
                continue
            self.records += 1
            if found is None:
                self.earlier += 1
                continue
            waiting.add(*found)
            if waiting.count >= _BATCH_ROWS:
                yield waiting.taken()
        if waiting.count:
            yield waiting.taken()

    def _read(self, line: bytes) -> tuple[Columns, Answers] | None:
        """Read a record; None of one that was answered before the model was released."""
        try:
            record = json.loads(line)
            at = _moment(record["eventMetadata"]["inferenceTime"])
            captured = record["captureData"]
            asked = _side(captured["endpointInput"])
            said = _side(captured["endpointOutput"]) if "endpointOutput" in captured else None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise _Unread("corrupt") from error
        if record["eventMetadata"].get("inferenceId") == VERIFICATION:
            raise _Verification
        if at < self._since:
            return None
        columns = self._columns(asked)
        answers = self._answers(said)
        if len(answers) != len(columns[self._contract.names[0]]):
            raise _Unread("no_answer")
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)
        return columns, answers

    def _columns(self, asked: _Side) -> Columns:
        media_type = asked.media_type or looks_like(asked.body)
        if media_type not in DECODERS:
            raise _Unread("unknown_type")
        try:
            return decode(asked.body, media_type, self._contract)
        except RequestError as error:
            raise _Unread("no_features") from error

    def _answers(self, said: _Side | None) -> Answers:
        if said is None:
            raise _Unread("no_answer")
        if said.media_type not in ANSWER_DECODERS:
            raise _Unread("unknown_type")
        try:
            return decode_answers(said.body, said.media_type, self._contract)
        except RequestError as error:
            raise _Unread("no_answer") from error


class _Rows:
    """Rows that wait for there being enough of them."""

    def __init__(self, contract: ModelContract) -> None:
        target = contract.target
        self._types = {
            each.name: pa.float64() if each.kind == "number" else pa.string() for each in contract.features
        }
        by_class = bool(target.classes) and target.positive is None
        self._types[PREDICTION] = pa.string() if by_class else pa.float64()
        self._columns: dict[str, list[Any]] = {name: [] for name in self._types}
        self.count = 0

    def add(self, columns: Columns, answers: Answers) -> None:
        for name, values in columns.items():
            self._columns[name] += values
        self._columns[PREDICTION] += answers
        self.count += len(answers)

    def taken(self) -> Any:
        arrays = [pa.array(self._columns[name], type_) for name, type_ in self._types.items()]
        batch = pa.record_batch(arrays, list(self._types))
        self._columns = {name: [] for name in self._types}
        self.count = 0
        return batch


def _side(captured: dict[str, Any]) -> _Side:
    """Give a body as it went over the wire."""
    data, encoding = captured["data"], captured["encoding"]
    media_type = str(captured.get("observedContentType") or "").partition(";")[0].strip().lower()
    if encoding == "BASE64":
        try:
            return _Side(base64.b64decode(data, validate=True), media_type)
        except binascii.Error as error:
            raise _Unread("corrupt") from error
    if encoding not in _TEXTS:
        raise _Unread("unknown_type")
    return _Side(data.encode(), media_type)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
