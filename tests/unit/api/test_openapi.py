"""The OpenAPI document is valid, the same for the same project, and agrees with what the model really takes."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from sluice.api import schemas
from sluice.api.openapi import document
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.decoding.bodies import decode
from sluice.errors import RequestError
from sluice.project import Project
from sluice.spelling import Spelling

PROJECT: dict[str, Any] = {
    "project": {"name": "bank"},
    "target": {"column": "y", "problem": "binary", "positive": "yes"},
    "columns": {"age": {"type": "integer"}, "y": {"type": "string"}},
    "features": {"numeric": ["age"]},
    "api": {"max_rows": 3},
}
CONTRACT = ModelContract(
    features=(
        Feature(name="age", kind="number", type="integer", nullable=False),
        Feature(name="balance", kind="number", type="number", nullable=True, spelling=Spelling(decimal=",")),
        Feature(name="job", kind="category", type="string", nullable=False),
        Feature(name="owns", kind="category", type="boolean", nullable=True),
    ),
    target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
    dataset_version="0123456789abcdef",
)
IDS = ModelContract(
    features=(Feature(name="customer_id", kind="category", type="string", nullable=False),),
    target=CONTRACT.target,
)
ROW = [41, 1.5, "nurse", True]
RECORD = dict(zip(CONTRACT.names, ROW, strict=True))


def project(**tables: Any) -> Project:
    return Project.model_validate(PROJECT | tables)


def takes(schema: dict[str, Any], body: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(body))


@pytest.mark.parametrize("contracts", [(), (CONTRACT,), (CONTRACT, IDS)], ids=["none", "model", "by id"])
@pytest.mark.parametrize("authorization", ["iam", "api_key"])
def test_it_is_valid_openapi(contracts: tuple[ModelContract, ...], authorization: str) -> None:
    made = document(project(api={"authorization": authorization}), contracts, url="https://a.example/prod")
    OpenAPIV31SpecValidator(json.loads(json.dumps(made))).validate()


def test_the_same_project_is_the_same_document() -> None:
    written = [json.dumps(document(project(), (CONTRACT,))) for _ in range(2)]
    assert written[0] == written[1]
    assert document(project(), (CONTRACT,))["info"]["version"] == "0123456789abcdef"


def test_before_the_first_model_it_says_so_and_knows_the_forms() -> None:
    made = document(project())
    assert "No model is in service yet" in made["info"]["description"]
    schema = made["components"]["schemas"]["PredictionRequest"]
    assert takes(schema, {"anything": 1})
    assert not takes(schema, "text")


def test_its_example_is_a_request_that_it_takes() -> None:
    made = document(project(), (CONTRACT,), example={"instances": [RECORD]})
    (content,) = made["paths"]["/invocations"]["post"]["requestBody"]["content"].values()
    assert takes(made["components"]["schemas"]["PredictionRequest"], content["example"])


FORMS = [
    RECORD,
    [RECORD, RECORD],
    [ROW],
    {"features": ROW},
    [{"features": ROW}],
    {"instances": [RECORD]},
    {"instances": [ROW]},
    {"dataframe_records": [RECORD]},
    {"dataframe_split": {"columns": list(CONTRACT.names), "data": [ROW]}},
    {"dataframe_split": {"data": [ROW]}},
]
NO_REQUESTS: list[Any] = [
    *(None, 1, "text", True, [], {}, [[]], [1, 2], {"instances": []}, {"instances": [[]]}),
    *({"features": []}, {"instances": [RECORD], "more": 1}, {"dataframe_split": [ROW]}, {"age": {"of": 1}}),
]


@pytest.mark.parametrize("body", FORMS, ids=json.dumps)
def test_each_form_is_taken_by_gateway_document_and_container(body: Any) -> None:
    assert jsonschema.Draft4Validator(schemas.forms(500)).is_valid(body)
    assert takes(schemas.request((CONTRACT,), 500), body)
    decode(json.dumps(body).encode(), "application/json", CONTRACT)


@pytest.mark.parametrize("body", NO_REQUESTS, ids=json.dumps)
def test_what_has_no_form_is_refused_by_all_of_them(body: Any) -> None:
    assert not jsonschema.Draft4Validator(schemas.forms(500)).is_valid(body)
    assert not takes(schemas.request((CONTRACT,), 500), body)
    if body != [1, 2]:  # one row without its brackets: the container's alone
        with pytest.raises(RequestError):
            decode(json.dumps(body).encode(), "application/json", CONTRACT)


def test_rows_are_counted() -> None:
    gateway, exact = schemas.forms(2), schemas.request((CONTRACT,), 2)
    for envelope in (lambda rows: rows, lambda rows: {"instances": rows}):
        assert jsonschema.Draft4Validator(gateway).is_valid(envelope([RECORD] * 2))
        assert not jsonschema.Draft4Validator(gateway).is_valid(envelope([RECORD] * 3))
        assert not takes(exact, envelope([RECORD] * 3))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(
            ("age", "41"),
            ("age", 1.5),
            ("age", None),
            ("age", True),
            ("balance", True),
            ("job", 1),
            ("job", None),
        ),
        *(("owns", "yes"), ("owns", 1)),
    ],
)
def test_a_value_of_another_type_is_in_the_document_what_it_is_to_the_model(column: str, value: Any) -> None:
    body = {**RECORD, column: value}
    assert not takes(schemas.request((CONTRACT,), 500), body)
    # The gateway lets it pass: the model says which row and column it is.
    assert jsonschema.Draft4Validator(schemas.forms(500)).is_valid(body)
    with pytest.raises(RequestError, match=f"row 1, column '{column}'"):
        decode(json.dumps(body).encode(), "application/json", CONTRACT)


def test_missing_and_unknown_columns_are_refused_and_ids_are_another_record() -> None:
    exact = schemas.request((CONTRACT, IDS), 500)
    assert takes(exact, {"customer_id": "C1"})
    assert takes(exact, [{"customer_id": "C1"}, {"customer_id": "C2"}])
    assert not takes(exact, {"age": 1})
    assert not takes(exact, {**RECORD, "other": 1})
    assert not takes(schemas.request((CONTRACT,), 500), {"customer_id": "C1"})


def test_a_column_called_like_a_form_is_a_column() -> None:
    odd = CONTRACT.model_copy(
        update={"features": (Feature(name="instances", kind="number", type="number", nullable=False),)}
    )
    exact = schemas.request((odd,), 500)
    # So the gateway, which knows no columns, takes one value there.
    assert jsonschema.Draft4Validator(schemas.forms(500)).is_valid({"instances": 4})
    assert takes(exact, {"instances": 4})
    assert not takes(schemas.request((CONTRACT,), 500), {"instances": 4})
    assert not takes(exact, {"instances": [[4]]})
    assert takes(exact, {"dataframe_records": [{"instances": 4}]})


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
# Values that a column takes, mostly.
ROWS = st.tuples(
    st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9).map(float) | VALUES,
    st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["1,5", "-2", ""])
    | VALUES,
    st.text(min_size=1, max_size=5) | VALUES,
    st.none() | st.booleans() | VALUES,
).map(list)


@given(st.lists(ROWS, min_size=1, max_size=3), st.booleans())
def test_what_the_model_takes_the_gateway_and_the_document_take(rows: list[list[Any]], named: bool) -> None:
    body = [dict(zip(CONTRACT.names, row, strict=True)) for row in rows] if named else rows
    try:
        decode(json.dumps(body).encode(), "application/json", CONTRACT)
    except RequestError:
        return
    assert jsonschema.Draft4Validator(schemas.forms(500)).is_valid(body)
    assert takes(schemas.request((CONTRACT,), 500), body)


@pytest.mark.parametrize(
    ("target", "good", "bad"),
    [
        (CONTRACT.target, {"label": "yes", "probability": 0.4}, {"label": "maybe", "probability": 0.4}),
        (CONTRACT.target, {"label": "yes", "probability": 1}, {"label": "yes", "probability": 1.1}),
        (
            TargetContract(name="y", problem="multiclass", classes=("a", "b", "c")),
            {"label": "a", "probabilities": {"a": 0.5, "b": 0.25, "c": 0.25}},
            {"label": "a"},
        ),
        (TargetContract(name="y", problem="regression"), {"value": math.pi}, {"value": "3"}),
    ],
)
def test_answers_are_described(target: TargetContract, good: Any, bad: Any) -> None:
    schema = schemas.answer(target)
    assert takes(schema, {"predictions": [good]})
    assert not takes(schema, {"predictions": [bad]})
    assert not takes(schema, {"predictions": []})
