"""The serving application, called as an ASGI server calls it: no sockets."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from containers.model import Model
from containers.predictions import PredictionFailed
from containers.serve.app import Application
from containers.serve.scorer import ModelScorer
from containers.serve.settings import MAX_BODY_BYTES
from tests.support.asgi import CONTRACT, ROWS, FakeScorer, call, made, npy
from tests.support.jobs import Trained


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    application = made(FakeScorer())
    yield application
    application.close()


@pytest.mark.parametrize(
    ("body", "content_type", "rows"),
    [
        (json.dumps(ROWS[0]), "application/json", 1),
        (json.dumps(ROWS), "application/json; charset=utf-8", 2),
        (json.dumps({"instances": ROWS}), "application/json", 2),
        (json.dumps([[1, 0.1, "red"], [2, None, None]]), "application/json", 2),
        ("\n".join(map(json.dumps, ROWS)) + "\n\n", "application/jsonlines", 2),
        ("1,0.1,red\n2,,\n", "text/csv", 2),
        ("\ufeffcolour,size,weight\r\nred,1,0.1\r\n,2,\r\n", "text/csv", 2),
        ('"size","weight","colour"\n1,0.1,"red"', "text/csv", 1),
    ],
)
def test_every_way_to_ask(application: Application, body: str, content_type: str, rows: int) -> None:
    response = call(application, body.encode(), content_type)
    assert response.status == 200, response.body
    predictions = response.json["predictions"]
    assert [p["probability"] for p in predictions] == [0.25, 0.2][:rows]
    assert [p["label"] for p in predictions] == ["no", "no"][:rows]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv;q=0.5, application/x-npy", "application/x-npy"),
        ("application/json;q=0, */*;q=0.1", "application/jsonlines"),
        ("image/png, application/jsonlines", "application/jsonlines"),
    ],
)
def test_the_answer_is_of_an_accepted_type(
    application: Application, accept: str | None, media_type: str
) -> None:
    response = call(application, json.dumps(ROWS).encode(), accept=accept)
    assert response.status == 200
    assert response.headers["content-type"] == media_type


def test_every_answer_carries_the_same_digits(application: Application) -> None:
    body = json.dumps([{**ROWS[0], "size": 0}, *ROWS]).encode()
    expected = [1 / 3, 0.25, 0.2]
    lines = call(application, body, accept="application/jsonlines").body.splitlines()
    assert [json.loads(line)["probability"] for line in lines] == expected
    assert [float(t) for t in call(application, body, accept="text/csv").body.split()] == expected
    array = np.load(io.BytesIO(call(application, body, accept="application/x-npy").body))
    assert array.tolist() == expected


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"", "application/json", "no body"),
        (b"  \n", "text/csv", "no body"),
        (b"{", "application/json", "not valid JSON"),
        (b'{"size": NaN, "weight": 1, "colour": "a"}', "application/json", "no NaN or Infinity"),
        (b"3", "application/json", "expected a record"),
        (b"[]", "application/json", "no rows"),
        (b"[1, 2]", "application/json", "row 1: found 2 values, expected 3"),
        (b'{"instances": [], "x": 1}', "application/json", "'x'"),
        (b'{"size": 1, "weight": 1}', "application/json", "missing: 'colour'"),
        (b'{"size": 1}\n{', "application/jsonlines", "row 2 is not valid JSON"),
        (b"size,weight,colour\n", "text/csv", "no rows"),
        (b"1,2\n", "text/csv", "found 2 values, expected 3"),
        (b"1,x,red\n", "text/csv", "row 1, column 'weight'"),
        (b"1,\xff,red\n", "text/csv", "not UTF-8"),
        (b'1,2,"red\n', "text/csv", "not valid CSV"),
        (b"garbage", "application/x-npy", "not an NPY array"),
        (b"\x93NUMPY\x01\x00", "application/x-npy", "not an NPY array"),
    ],
)
def test_a_bad_body_is_a_400_that_says_what(
    application: Application, body: bytes, content_type: str, text: str
) -> None:
    response = call(application, body, content_type)
    assert response.status == 400
    assert response.json["error"] == "RequestError"
    assert text in response.json["message"]


def test_pickled_arrays_are_refused(application: Application) -> None:
    response = call(application, npy(np.array([[1, None, "a"]], dtype=object)), "application/x-npy")
    assert response.status == 400
    assert "allow_pickle" in response.json["message"]


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((1, 2)), np.zeros((1, 3), dtype=complex)])
def test_arrays_of_another_shape_are_refused(application: Application, array: Any) -> None:
    assert call(application, npy(array), "application/x-npy").status == 400


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"content_type": "image/png"}, 415),
        ({"content_type": "application/octet-stream"}, 415),
        ({"accept": "image/png"}, 406),
        ({"method": "GET"}, 405),
        ({"path": "/ping"}, 405),
        ({"path": "/nowhere"}, 404),
        ({"length": MAX_BODY_BYTES + 1}, 413),
    ],
)
def test_http_refusals_are_json(application: Application, request_: dict[str, Any], status: int) -> None:
    response = call(application, [b"[", b"]"], **request_)
    assert response.status == status
    assert set(response.json) == {"error", "message"}


def test_a_body_without_a_length_is_measured_as_it_comes(application: Application) -> None:
    response = call(application, [b"x" * (MAX_BODY_BYTES // 2), b"x" * (MAX_BODY_BYTES // 2 + 1)])
    assert response.status == 413
    assert response.headers["connection"] == "close"


def test_a_body_of_exactly_the_limit_is_read(application: Application) -> None:
    row = json.dumps(ROWS[0]).encode()
    assert call(application, [row, b" " * (MAX_BODY_BYTES - len(row))]).status == 200


def test_ping(application: Application) -> None:
    response = call(application, method="GET", path="/ping", content_type=None)
    assert response.status == 200
    assert response.json["status"] == "Healthy"
    assert call(application, method="HEAD", path="/ping").body == b""


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (PredictionFailed("2 of 2 predictions are NaN"), "PredictionFailed"),
        (ZeroDivisionError("x"), "InternalError"),
    ],
)
def test_a_model_that_fails_is_a_500_and_logged(
    caplog: pytest.LogCaptureFixture, failure: Exception, error: str
) -> None:
    application = made(FakeScorer(failure=failure))
    response = call(application, json.dumps(ROWS).encode())
    application.close()
    assert response.status == 500
    assert response.json["error"] == error
    assert caplog.records[-1].levelname == "ERROR"


rows_of_values = st.lists(
    st.fixed_dictionaries(
        {
            "size": st.integers(-(2**53), 2**53),
            "weight": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "colour": st.none() | st.text(min_size=1).filter(lambda text: "\x00" not in text),
        }
    ),
    min_size=1,
    max_size=5,
)


def _csv(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(rows[0])
    writer.writerows(
        ["" if v is None else repr(v) if isinstance(v, float) else v for v in r.values()] for r in rows
    )
    return buffer.getvalue().encode("utf-8", "surrogatepass")


@given(rows_of_values)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_encoding_of_a_row_reaches_the_model_alike(rows: list[dict[str, Any]]) -> None:
    rows = [{name: row[name] for name in CONTRACT.names} for row in rows]
    scorer = FakeScorer()
    application = made(scorer)
    structured = np.array(
        [(r["size"], math.nan if r["weight"] is None else r["weight"], r["colour"] or "") for r in rows],
        dtype=[("size", "i8"), ("weight", "f8"), ("colour", "U64")],
    )
    text = np.array([["" if v is None else str(v) for v in r.values()] for r in rows], dtype=str)
    bodies = [
        (json.dumps(rows).encode(), "application/json"),
        ("\n".join(map(json.dumps, rows)).encode(), "application/jsonlines"),
        (_csv(rows), "text/csv"),
        (npy(text), "application/x-npy"),
    ]
    if all(len(row["colour"] or "") <= 64 for row in rows):
        bodies.append((npy(structured), "application/x-npy"))
    answers = [call(application, body, content_type) for body, content_type in bodies]
    application.close()
    assert {answer.status for answer in answers} == {200}, [answer.body for answer in answers]
    assert len({answer.body for answer in answers}) == 1
    assert len({repr(columns) for columns in scorer.seen}) == 1


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_served_predictions_are_the_models_own(
    request: pytest.FixtureRequest, own_imports: None, problem: str
) -> None:
    trained: Trained = request.getfixturevalue(problem)
    scorer = ModelScorer(trained.model)
    rows = [
        {"size": i, "weight": None if i % 3 == 0 else i / 7, "member": i % 2 == 0, "colour": c, "grade": g}
        for i, (c, g) in enumerate([("red", 1), ("green", None), (None, 3), ("never seen", 99)])
    ]
    frame = pd.DataFrame(
        {
            "size": [0.0, 1.0, 2.0, 3.0],
            "weight": [np.nan, 1 / 7, 2 / 7, np.nan],
            "member": [1.0, 0.0, 1.0, 0.0],
            "colour": np.array(["red", "green", None, "never seen"], dtype=object),
            "grade": np.array(["1", None, "3", "99"], dtype=object),
        }
    )
    application = made(scorer)
    array = np.load(io.BytesIO(call(application, json.dumps(rows).encode(), accept="application/x-npy").body))
    document = call(application, json.dumps(rows).encode()).json["predictions"]
    application.close()
    estimator = Model.load(trained.model)._estimator
    if problem == "regression":
        expected = estimator.predict(frame)
        assert [p["value"] for p in document] == expected.tolist()
    else:
        expected = estimator.predict_proba(frame)
        assert [p["label"] for p in document] == estimator.predict(frame).tolist()
        if problem == "binary":
            expected = expected[:, 1]
            assert [p["probability"] for p in document] == expected.tolist()
        else:
            assert [list(p["probabilities"].values()) for p in document] == expected.tolist()
            assert list(document[0]["probabilities"]) == ["high", "low", "middle"]
    assert array.tolist() == expected.tolist()
