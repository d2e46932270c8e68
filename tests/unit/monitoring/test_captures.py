"""Captured traffic is read as serving read it, and what cannot be read is counted, where it lies and why."""

from __future__ import annotations

import io
import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from containers.predictions import Predictions
from containers.serve.encoding import ENCODERS, encode
from sluice.column_names import PREDICTION
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.decoding.answers import ANSWER_DECODERS
from sluice.monitoring.captures import MOST_ASIDE, CaptureReader
from sluice.monitoring.model_reference import answers_of
from tests.support.captured import record

FEATURES = (
    Feature(name="age", kind="number", type="integer", nullable=True),
    Feature(name="plan", kind="category", type="string", nullable=True),
)
BINARY = ModelContract(
    features=FEATURES,
    target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
)
SEVERAL = ModelContract(
    features=FEATURES, target=TargetContract(name="y", problem="multiclass", classes=(1, 2, 3))
)
REGRESSION = ModelContract(features=FEATURES, target=TargetContract(name="y", problem="regression"))
RELEASED = datetime(2026, 3, 1, 11, 59, 59, 900_000, tzinfo=UTC)
ONE = b'{"predictions":[{"label":"yes","probability":0.75}]}'


def reader(contract: ModelContract = BINARY, since: datetime = RELEASED) -> CaptureReader:
    return CaptureReader(contract, since)


def rows_of(found: CaptureReader, *lines: bytes) -> list[dict[str, Any]]:
    return [row for batch in found.batches("captures/a.jsonl", lines) for row in batch.to_pylist()]


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"plan": ["basic", None], "age": pa.array([31, None], pa.int64())}), sink)
    return sink.getvalue()


def npy() -> bytes:
    sink = io.BytesIO()
    rows = np.array([(31.0, "basic"), (math.nan, "")], dtype=[("age", "<f8"), ("plan", "<U5")])
    np.save(sink, rows, allow_pickle=False)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b"31,basic\n,\n"),
        ("text/csv; charset=utf-8", b"plan,age\nbasic,31\n,\n"),
        ("", b"31,basic\n,\n"),
        ("application/json", b'[{"age": 31, "plan": "basic"}, {"age": null, "plan": null}]'),
        ("application/json", b'{"instances": [[31, "basic"], [null, null]]}'),
        ("application/jsonlines", b'{"age": 31, "plan": "basic"}\n{"plan": null, "age": null}\n'),
        ("application/x-ndjson", b'[31, "basic"]\n[null, null]\n'),
        ("application/x-parquet", parquet()),
        ("application/x-npy", npy()),
    ],
)
def test_every_type_and_encoding_gives_the_rows_that_were_scored(content_type: str, body: bytes) -> None:
    answer = b'{"predictions":[{"label":"no","probability":0.25},{"label":"yes","probability":0.75}]}'
    found = reader()

    first, second = rows_of(found, record(body, answer, content_type=content_type))

    assert first == {"age": 31.0, "plan": "basic", PREDICTION: 0.25}
    assert (math.isnan(second["age"]), second["plan"], second[PREDICTION]) == (True, None, 0.75)
    assert (found.records, found.unread, found.earlier) == (1, {}, 0)


def predictions(contract: ModelContract) -> Predictions:
    if not contract.target.classes:
        return Predictions(np.array([1.5, -2e300]), None)
    values = np.array([[0.1, 0.2, 0.7], [0.5, 0.4, 0.1]])[:, : len(contract.target.classes)]
    values = values / values.sum(axis=1, keepdims=True)
    return Predictions(values, values.argmax(axis=1))


@pytest.mark.parametrize("contract", [BINARY, SEVERAL, REGRESSION], ids=lambda each: each.target.problem)
@pytest.mark.parametrize("media_type", sorted(ENCODERS))
def test_every_answer_that_serving_writes_is_read_as_the_reference_has_it(
    contract: ModelContract, media_type: str
) -> None:
    said = predictions(contract)
    line = record(b"31,basic\n32,plus\n", encode(said, media_type, contract), answer_type=media_type)

    found = rows_of(reader(contract), line)

    assert [row[PREDICTION] for row in found] == answers_of(said.values, said.labels, contract).to_pylist()


def test_there_is_a_reader_for_each_type_that_serving_answers() -> None:
    assert ANSWER_DECODERS.keys() == ENCODERS.keys()


WITHOUT_DATA = {"captureData": {"endpointInput": {"encoding": "CSV"}}}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"captureData": {"endpointInput": {"data": "31,b\n', "corrupt"),
        (b"\xff\xfe\n", "corrupt"),
        (b"[1, 2]\n", "corrupt"),
        (b"[" * 100_000, "corrupt"),
        (b'{"captureData": {}, "eventMetadata": {"inferenceTime": "2026-03-01T12:00:00Z"}}\n', "corrupt"),
        (record(b"31,basic\n", ONE, at="yesterday"), "corrupt"),
        (record(b"31,basic\n", ONE, captureData=WITHOUT_DATA["captureData"]), "corrupt"),
        (
            record(b"31,basic\n", ONE, content_type="application/x-npy").replace(b'"data": "', b'"data": "*'),
            "corrupt",
        ),
        (record(b"31,basic\n", ONE, content_type="image/png"), "unknown_type"),
        (record(b"31,basic\n", ONE, answer_type="text/html"), "unknown_type"),
        (record(b"31,basic\n", ONE).replace(b'"CSV"', b'"ZIP"'), "unknown_type"),
        (record(b'{"entities": [{"id": 7}]}', ONE, content_type="application/json"), "no_features"),
        (record(b"31,basic,more\n", ONE), "no_features"),
        (record(b"thirty,basic\n", ONE), "no_features"),
        (record(b"31,basic\n", None), "no_answer"),
        (record(b"31,basic\n32,plus\n", ONE), "no_answer"),
        (record(b"31,basic\n", b'{"error":"RequestError","message":"no"}'), "no_answer"),
        (record(b"31,basic\n", b'{"predictions":[{"label":"yes","probability":NaN}]}'), "no_answer"),
        (record(b"31,basic\n", b"0.5,0.5\n", answer_type="text/csv"), "no_answer"),
        (record(b"31,basic\n", b"\x93NUMPY", answer_type="application/x-npy"), "no_answer"),
    ],
)
def test_what_cannot_be_read_is_counted_and_the_next_line_is_read(line: bytes, reason: str) -> None:
    found = reader()

    rows = rows_of(found, record(b"30,plus\n", ONE), line, b"\n", record(b"32,plus\n", ONE))

    assert [row["age"] for row in rows] == [30.0, 32.0]
    assert found.records == 3
    assert dict(found.unread) == {reason: 1}
    [aside] = found.aside
    assert (aside.key, aside.line, aside.reason) == ("captures/a.jsonl", 2, reason)


def test_a_class_that_the_model_does_not_know_is_no_answer_of_it() -> None:
    found = reader(SEVERAL)
    answer = b'{"predictions":[{"label":4,"probabilities":{}}]}'
    assert rows_of(found, record(b"31,basic\n", answer)) == []
    assert dict(found.unread) == {"no_answer": 1}


def test_what_another_model_answered_is_counted_and_not_taken_for_this_ones() -> None:
    found = reader()

    rows = rows_of(
        found,
        record(b"30,plus\n", ONE, at="2026-03-01T11:59:58Z"),
        # In the second of the release: captures are timed by whole seconds.
        record(b"31,plus\n", ONE, at="2026-03-01T11:59:59Z"),
        record(b"32,plus\n", ONE, at="2026-03-01T14:00:00+01:00"),
    )

    assert [row["age"] for row in rows] == [31.0, 32.0]
    assert (found.records, found.earlier) == (3, 1)
    assert found.first == datetime(2026, 3, 1, 11, 59, 59, tzinfo=UTC)
    assert found.last == datetime(2026, 3, 1, 13, 0, 0, tzinfo=UTC)


def test_memory_does_not_grow_with_what_is_wrong_nor_with_the_rows() -> None:
    found = reader()
    lines = [b"broken\n"] * 1000 + [record(b"30,plus\n" * 3000, json_of(3000))] * 6

    sizes = [batch.num_rows for batch in found.batches("captures/a.jsonl", lines)]

    assert sizes == [9000, 9000]
    assert (len(found.aside), found.unread["corrupt"]) == (MOST_ASIDE, 1000)


def json_of(rows: int) -> bytes:
    return json.dumps({"predictions": [{"label": "yes", "probability": 0.5}] * rows}).encode()


def test_a_deployments_look_at_its_model_is_nobodys_traffic() -> None:
    found = reader()
    line = json.loads(record(b"31,basic\n", b'{"predictions":[{"label":"yes","probability":0.5}]}'))
    line["eventMetadata"]["inferenceId"] = "sluice-verification"

    assert rows_of(found, json.dumps(line).encode()) == []
    assert (found.records, found.earlier, found.unread, found.aside) == (0, 0, {}, [])
    # Another id is a client's own.
    line["eventMetadata"]["inferenceId"] = "request-1"
    assert len(rows_of(found, json.dumps(line).encode())) == 1
    assert found.records == 1
