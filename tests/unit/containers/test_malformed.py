"""Bodies that were an error of the server's, or a wrong answer, before they were refused; test_fuzz.py found some."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from containers.compiled import store
from containers.compiled.compile import compile_model
from containers.serve.app import Application
from containers.serve.scorer import load_scorer
from tests.support import oracle
from tests.support.asgi import Response, call, made, npy

from .test_app_limits import parquet

NPY, PARQUET, CSV = "application/x-npy", "application/x-parquet", "text/csv"
ROW: dict[str, Any] = {
    "size": 3,
    "weight": 0.25,
    "colour": "red",
    "grade": 2,
    "member": True,
    "region": "north",
}
FIELDS = ["3", "0.25", "red", "2", "true", "north"]
RECORD = json.dumps(ROW)


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    application = made(oracle.compiled())
    yield application
    application.close()


def refusal(response: Response, status: int = 400) -> str:
    """The message of an answer that has to be a refusal."""
    assert response.status == status, response.body[:500]
    assert response.headers["content-type"] == "application/json"
    assert set(response.json) == {"error", "message"}
    message: str = response.json["message"]
    return message


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"[" * 100_000, "application/json", "not valid JSON"),
        (b"[" * 100_000 + b"NaN", "application/json", "not valid JSON"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "application/json", "unknown: 'a'"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json", "nested too deeply"),
        (b"[" * 1000 + b"]" * 1000, "application/jsonlines", "row 1"),
        (RECORD[:-1] + ', "size": 4}', "application/json", "more than once: 'size'"),
        (f'[{RECORD}, {RECORD[:-1]}, "si\\u007ae": 4}}]', "application/json", "more than once: 'size'"),
        (f'{{"instances": [], "instances": [{RECORD}]}}', "application/json", "more than once: 'instances'"),
        (
            f'{RECORD}\n{RECORD[:-1]}, "size": 3}}',
            "application/jsonlines",
            "row 2: keys there more than once",
        ),
        ("3," + "1" * 100_000 + "x,red,2,true,north", CSV, "column 'weight': found the string '1111"),
    ],
)
def test_text_that_was_no_400(application: Application, body: Any, content_type: str, text: str) -> None:
    body = body if isinstance(body, bytes) else body.encode()
    assert text in refusal(call(application, body, content_type))


@pytest.mark.parametrize("text", ["a:b", ":", '"size":1'])
def test_a_colon_in_a_text_is_no_key(application: Application, text: str) -> None:
    rows = [{**ROW, "region": text}]
    for body in (
        json.dumps(rows[0]),
        json.dumps(rows),
        json.dumps({"instances": rows}),
        json.dumps([[*rows[0].values()]]),
    ):
        assert call(application, body.encode()).status == 200


def header(text: str, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode()


def described(descr: str, shape: str, data: bytes = b"") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n") + data


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (header("{'descr': '<f8', "), "not an NPY array"),
        (header("(" * 9000), "not an NPY array"),
        (header("-" * 9000 + "1", 2), "not an NPY array"),
        (header("{" * 20_000, 3), "not an NPY array"),
        (described("'<f8'", "(10000000000000, 6)"), "not an NPY array"),
        (described("'<f8'", f"({10**30}, 6)"), "not an NPY array"),
        (described("'<f8'", "(True, 6)", bytes(48)), "not an NPY array"),
        (described("'<f8'", "(-1, -6)", bytes(48)), "not an NPY array"),
        (described("'<f8'", "(3000000, 0)"), "found 3,000,000 rows, at most 1,000,000"),
        (described("'<U0'", "(1, 1000000000)"), "1,000,000,000 columns, expected 6"),
        (described("'<U0'", "(3000000, 6)"), "found 3,000,000 rows"),
        (described("[('size', '<U0')]", "(3000, 1000)"), "found 3,000,000 rows"),
        (described("[('size', '<f8', (1000000, 0))]", "(1,)"), "missing: 'weight'"),
        (described("'<U1'", "(1, 6)", b"\xff" * 24), "holds 0xffffffff, which is no Unicode character"),
        (described("'>U1'", "(1, 6)", b"\0\x11\0\0" * 6), "holds 0x110000, which is no Unicode character"),
        (described("[('size', '>U1')]", "(1,)", b"\1\0\0\0"), "missing: 'weight'"),
        (npy(np.array([[*FIELDS[:2], "red\ud800", *FIELDS[3:]]])), "column 'colour': found the string 'red"),
        (npy(np.array([FIELDS])) + b"\0", "found 1 bytes behind the array"),
        (b"PK\x03\x04garbage", "found an NPZ archive"),
        (
            npy(np.zeros(1, [(name, "f8", (2, 0) if name == "size" else ()) for name in ROW])),
            "column 'size': found ('<f8', (2, 0)), expected numbers",
        ),
        (npy(np.zeros(1, [(name, "M8[s]") for name in ROW])), "column 'size': found datetime64[s]"),
    ],
)
def test_arrays_that_were_no_400(application: Application, body: bytes, text: str) -> None:
    assert text in refusal(call(application, body, NPY))


def table(**changes: Any) -> pa.Table:
    return pa.table({name: changes.get(name, pa.array([value])) for name, value in ROW.items()})


NOT_UTF8 = pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("<ii", 0, 2)), pa.py_buffer(b"\xff\xfe"))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"colour": pa.array([2**62], pa.timestamp("us"))}, "column 'colour': found timestamp[us], expected"),
        ({"colour": pa.array([2**30], pa.date32())}, "column 'colour': found date32[day]"),
        ({"colour": pa.array([b"red"])}, "column 'colour': found binary"),
        ({"colour": pa.array([{"a": 1}])}, "column 'colour': found struct<a: int64>"),
        ({"colour": NOT_UTF8}, "Invalid UTF8"),
        ({"size": pa.array([Decimal("3.5")])}, "column 'size': found the number 3.5"),
        ({"weight": pa.array([Decimal(10) ** 75]), "region": pa.nulls(1)}, "column 'region': found null"),
    ],
)
def test_tables_that_were_no_400(application: Application, changes: dict[str, Any], text: str) -> None:
    assert text in refusal(call(application, parquet(table(**changes)), PARQUET))


def test_a_dictionary_that_stands_for_gigabytes_is_refused_unread(application: Application) -> None:
    rows = 50_000
    columns = {name: pa.array([value] * rows) for name, value in ROW.items()}
    columns["colour"] = pa.DictionaryArray.from_arrays(pa.array([0] * rows), pa.array(["x" * 100_000]))
    body = parquet(pa.table(columns))
    assert len(body) < 200_000
    assert "bytes uncompressed, at most 268,435,456" in refusal(call(application, body, PARQUET))


def test_many_rows_and_much_in_them_are_refused_by_what_the_file_says(application: Application) -> None:
    sink = io.BytesIO()
    columns = {name: pa.nulls(1_000_001, pa.string()) for name in ROW}
    pq.write_table(pa.table(columns), sink)
    assert "found 1,000,001 rows" in refusal(call(application, sink.getvalue(), PARQUET))
    numbers = {name: pa.array(np.zeros(900_000)) for name in ROW}
    sink = io.BytesIO()
    pq.write_table(
        pa.table({**numbers, "size": pa.array(["x" * 300] * 900_000)}),
        sink,
        use_dictionary=False,
        compression="zstd",
    )
    assert "bytes uncompressed, at most" in refusal(call(application, sink.getvalue(), PARQUET))


@pytest.mark.parametrize("text", ["0.1", "0.7", "1.1", "123456.789", "-2.675", "0.3"])
def test_a_decimal_is_the_double_that_its_text_is(application: Application, text: str) -> None:
    """As in a training file; Arrow's own cast is off by a bit here and there."""
    found = []

    class Recorder:
        contract = oracle.CONTRACT
        scoring = oracle.compiled().scoring

        def answer(self, *_: Any) -> None:
            return None

        answer_row = answer

        def score(self, columns: Any) -> Any:
            found.append(columns["weight"])
            return oracle.compiled().score(columns)

    recording = made(Recorder())
    for weight in (pa.array([Decimal(text)]), pa.array([Decimal(text)]).dictionary_encode()):
        assert call(recording, parquet(table(weight=weight)), PARQUET).status == 200
    recording.close()
    assert found == [[float(text)]] * 2


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/csv; charset=utf-16", 415),
        ("text/csv;charset=ISO-8859-1", 415),
        ('text/csv; Charset="UTF-8"', 200),
        ("TEXT/CSV; header=absent; charset=us-ascii", 200),
    ],
)
def test_a_charset_that_is_not_read_is_refused(
    application: Application, content_type: str, status: int
) -> None:
    response = call(application, ",".join(FIELDS).encode(), content_type)
    assert response.status == status
    if status == 415:
        assert "charset: found '" in refusal(response, 415)


@pytest.mark.parametrize("quality", ["nan", "inf", "-1", "1e400", "2", "", "0x1", "1_0"])
def test_a_quality_that_is_none_counts_for_nothing(application: Application, quality: str) -> None:
    accept = f"text/csv;q={quality}, application/jsonlines;q=0.1"
    response = call(application, RECORD.encode(), accept=accept)
    assert response.headers["content-type"] == "application/jsonlines"


def raw(application: Application, headers: list[tuple[bytes, bytes]], body: bytes, *, more: bool) -> int:
    """Make a request with exactly these headers; give the answer's status."""
    messages: list[Any] = [{"type": "http.request", "body": body, "more_body": more}]
    messages += [{"type": "http.request", "body": b"", "more_body": False}] if more else []
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers}
    asyncio.run(application(scope, receive, send))
    status: int = sent[0]["status"]
    return status


def test_two_content_types_are_none(application: Application) -> None:
    json_type, csv_type = (b"content-type", b"application/json"), (b"content-type", b"text/csv")
    body = RECORD.encode()
    assert raw(application, [json_type], body, more=False) == 200
    assert raw(application, [csv_type, json_type], body, more=False) == 415


@pytest.mark.parametrize(
    ("length", "status"), [(b"9" * 5000, 413), (b"0" * 5000 + b"1", 200), (b"x", 200), (b"-1", 200)]
)
def test_a_length_of_thousands_of_digits_is_read(
    application: Application, length: bytes, status: int
) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    assert raw(application, headers, RECORD.encode(), more=True) == status


@pytest.fixture(params=["compiled", "scikit-learn"])
def strict(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Application]:
    """A model that takes no nulls and no categories it was not trained on, though its contract does."""
    names = [feature.name for feature in oracle.CONTRACT.features if feature.kind == "number"]
    encode = make_column_transformer((OneHotEncoder(sparse_output=False), ["region"]), ("passthrough", names))
    rows = [{**oracle.read(RECORD.encode(), "application/json")[0], "size": float(i)} for i in range(40)]
    model = make_pipeline(encode, RandomForestClassifier(5, random_state=0))
    model.fit(oracle.frame(rows), np.array(["no", "yes"] * 20, dtype=object))
    oracle.CONTRACT.save(tmp_path / "contract.json")
    joblib.dump(model, tmp_path / "model.joblib")
    (tmp_path / "code").mkdir()
    if request.param == "compiled":
        store.save(compile_model(model, oracle.CONTRACT), tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    application = made(load_scorer(tmp_path))
    assert call(application, method="GET", path="/ping").json["scoring"]["path"] == request.param
    yield application
    application.close()


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # scikit-learn's, before its error
@pytest.mark.parametrize("change", [{"region": "nowhere"}, {"weight": 1e300}])
def test_values_that_the_model_does_not_take_are_the_clients(
    strict: Application, change: dict[str, Any]
) -> None:
    assert call(strict, RECORD.encode()).status == 200
    assert "take" in refusal(call(strict, json.dumps({**ROW, **change}).encode()))
