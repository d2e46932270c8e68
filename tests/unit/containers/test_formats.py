"""Rows in every shape that clients of SageMaker and MLflow send: each is answered as the same rows in CSV are."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containers.serve.app import Application
from sluice.contract import Feature, ModelContract
from tests.support import oracle
from tests.support.asgi import CONTRACT, ROWS, FakeScorer, call, made

JSON, LINES = "application/json", "application/jsonlines"
NAMES = list(oracle.NAMES)


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    application = made(oracle.compiled())
    yield application
    application.close()


rows_of_values = st.lists(
    st.fixed_dictionaries(
        {
            "size": st.integers(0, 9),
            "weight": st.none() | st.floats(-5, 5),
            "colour": st.none() | st.sampled_from(["red", "grün", "a,b", "none"]),
            "grade": st.none() | st.sampled_from([1, 2, 30]),
            "member": st.booleans(),
            "region": st.sampled_from(["north", "south", '"', "x y"]),
        }
    ),
    min_size=1,
    max_size=4,
)


def values(rows: list[dict[str, Any]]) -> list[list[Any]]:
    return [[row[name] for name in NAMES] for row in rows]


def turned(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = NAMES[::-1]
    return {"columns": names, "data": [[row[name] for name in names] for row in rows]}


def lines(documents: list[Any]) -> str:
    return "\n".join(map(json.dumps, documents))


SHAPES: dict[str, tuple[Callable[[list[dict[str, Any]]], str], str | None]] = {
    "records": (json.dumps, JSON),
    "lists": (lambda rows: json.dumps(values(rows)), JSON),
    "instances": (lambda rows: json.dumps({"instances": rows}), JSON),
    "instances of lists": (lambda rows: json.dumps({"instances": values(rows)}), JSON),
    "instances of features": (
        lambda rows: json.dumps({"instances": [{"features": row} for row in values(rows)]}),
        JSON,
    ),
    "split": (
        lambda rows: json.dumps({"dataframe_split": {"columns": NAMES, "data": values(rows)}}),
        JSON,
    ),
    "split, other order": (lambda rows: json.dumps({"dataframe_split": turned(rows)}), JSON),
    "split, with index": (
        lambda rows: json.dumps({"dataframe_split": {**turned(rows), "index": list(range(len(rows)))}}),
        JSON,
    ),
    "split, no columns": (lambda rows: json.dumps({"dataframe_split": {"data": values(rows)}}), JSON),
    "dataframe records": (lambda rows: json.dumps({"dataframe_records": rows}), JSON),
    "lines": (lines, LINES),
    "x-jsonlines": (lines, "application/x-jsonlines"),
    "x-ndjson": (lambda rows: lines(values(rows)), "application/x-ndjson"),
    "lines of features": (lambda rows: lines([{"features": row} for row in values(rows)]), LINES),
    "no type, JSON": (lambda rows: "\n " + json.dumps(rows), None),
    "no type, JSON object": (lambda rows: json.dumps({"instances": rows}), None),
    "no type, CSV": (lambda rows: as_csv(rows), None),
    "no type, CSV with a header": (lambda rows: as_csv(rows, header=True), None),
    "a header": (lambda rows: as_csv(rows, header=True), "text/csv"),
}


def as_csv(rows: list[dict[str, Any]], *, header: bool = False) -> str:
    sink = io.StringIO()
    frame = pd.DataFrame(rows, columns=NAMES).astype({"grade": "Int64"})
    frame.to_csv(sink, index=False, header=header)
    return sink.getvalue()


@pytest.mark.parametrize("shape", SHAPES)
@given(rows=rows_of_values)
@settings(max_examples=25, deadline=None)
def test_every_shape_is_answered_as_csv_is(
    application: Application, shape: str, rows: list[dict[str, Any]]
) -> None:
    write, media_type = SHAPES[shape]
    by_csv = call(application, as_csv(rows).encode(), "text/csv")
    assert by_csv.status == 200
    assert len(by_csv.json["predictions"]) == len(rows)
    response = call(application, write(rows).encode(), media_type)
    assert (response.status, response.body) == (200, by_csv.body)


@given(rows=rows_of_values)
@settings(max_examples=25, deadline=None)
def test_a_flat_list_is_one_row(application: Application, rows: list[dict[str, Any]]) -> None:
    by_csv = call(application, as_csv(rows[:1]).encode(), "text/csv")
    response = call(application, json.dumps(values(rows)[0]).encode())
    assert (response.status, response.body) == (200, by_csv.body)


@pytest.mark.parametrize("accept", ["application/x-jsonlines", "application/x-ndjson"])
def test_json_lines_are_answered_under_the_name_they_were_asked_by(
    application: Application, accept: str
) -> None:
    row = {"size": 1, "weight": None, "colour": "red", "grade": 1, "member": True, "region": "north"}
    usual = call(application, json.dumps(row).encode(), accept=LINES)
    response = call(application, json.dumps(row).encode(), accept=accept)
    assert response.body == usual.body
    assert response.headers["content-type"] == accept


@pytest.mark.parametrize("name", ["instances", "features", "dataframe_split", "dataframe_records"])
def test_a_feature_may_be_called_like_an_envelope(name: str) -> None:
    contract = ModelContract(
        features=(*CONTRACT.features[:1], Feature(name=name, kind="number", type="number", nullable=False)),
        target=CONTRACT.target,
    )
    scorer = FakeScorer(contract)
    application = made(scorer)
    record = {"size": 1, name: 0.5}
    bodies = [(json.dumps(record), JSON), (json.dumps([record]), JSON), (json.dumps(record), LINES)]
    for body, media_type in bodies:
        assert call(application, body.encode(), media_type).status == 200
    assert scorer.seen == [{"size": [1.0], name: [0.5]}] * 3
    application.close()


ROW = [1, 0.5, "red"]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"dataframe_split": {"columns": ["size", "weight"], "data": [[1, 0.5]]}}, "missing: 'colour'"),
        (
            {"dataframe_split": {"columns": ["size", "weight", "colour", "size"], "data": [[*ROW, 1]]}},
            "there twice: 'size'",
        ),
        ({"dataframe_split": {"columns": ["colour", "weight", "size"], "data": [ROW[:2]]}}, "row 1: found 2"),
        ({"dataframe_split": {"columns": [1, 2, 3], "data": [ROW]}}, 'expected names in "columns"'),
        ({"dataframe_split": {"columns": ["size"]}}, 'expected an object with "columns" and "data"'),
        ({"dataframe_split": [ROW]}, 'expected an object with "columns" and "data"'),
        ({"dataframe_split": {"data": []}}, "no rows"),
        ({"dataframe_split": {"data": [ROW], "dtype": 1}}, "unknown keys: 'dtype'"),
        (
            {"dataframe_split": {"data": [ROW]}, "params": {}},
            "unknown keys beside \"dataframe_split\": 'params'",
        ),
        ({"dataframe_records": {"size": 1}}, "found a dict"),
        ({"instances": [{"features": {"size": 1}}]}, "unknown: 'features'"),
        ({"instances": [{"features": ROW, "more": 1}]}, "unknown: 'features', 'more'"),
        ({"instances": [{"features": ROW[:2]}]}, "row 1: found 2 values, expected 3"),
        ({"instances": ROW}, "row 1: found the number 1"),
        (ROW[:2], "row 1: found 2 values, expected 3"),
        ([[ROW]], "row 1: found 1 values, expected 3"),
        ([*ROW[:2], [1]], "row 1: found the number 1"),
    ],
)
def test_a_shape_that_is_not_quite_right_is_named(document: Any, text: str) -> None:
    application = made(FakeScorer())
    response = call(application, json.dumps(document).encode())
    assert response.status == 400
    assert text in response.json["message"]
    application.close()


def test_what_has_no_type_and_looks_like_csv_is_told_so() -> None:
    application = made(FakeScorer())
    response = call(application, b"\x93NUMPY\x01\x00", None)
    assert response.status == 400
    assert "the CSV is not UTF-8" in response.json["message"]
    assert (
        call(application, b"1,0.1,red\n", None).json == call(application, json.dumps(ROWS[:1]).encode()).json
    )
    application.close()
