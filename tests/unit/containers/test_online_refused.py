"""Requests by id that are not right: told what is wrong, with the row and the column."""

from __future__ import annotations

import json

import numpy as np
import pytest

from containers.predictions import Predictions
from containers.scoring import Scoring
from sluice.contract import Columns, Feature, ModelContract, TargetContract
from sluice.features.plan import FeaturePlan, Key, Value, View
from tests.support.asgi import call, npy
from tests.support.by_id import CUSTOMER, Served, csv_of, entity, full, now, parquet_of, plan_of


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b'{"entities": []}', "application/json", "no rows"),
        (b'{"entities": 3}', "application/json", "expected an object or a list of objects"),
        (b'{"entities": ["C1"]}', "application/json", "row 1: found the string 'C1', expected an object"),
        (b'{"entities": [], "x": 1}', "application/json", "unknown keys beside \"entities\": 'x'"),
        (b'{"x": 1, "entities": []}', "application/json", "unknown keys beside \"entities\": 'x'"),
        (b'{"entities": [{"customer_id": "C1"}]}', "application/json", "missing: 'amount', 'region'"),
        (b'{"customer_id": "C1", "colour": "red"}', "application/json", "unknown: 'colour'"),
        (
            json.dumps(entity(5)).encode(),
            "application/json",
            "column 'customer_id': found the number 5, expected a string",
        ),
        (
            json.dumps(entity(None)).encode(),
            "application/json",
            "found null, expected a string",
        ),
        (json.dumps(entity("")).encode(), "application/json", "column 'customer_id': found an empty text"),
        (
            json.dumps(entity("C1", amount="4")).encode(),
            "application/json",
            "column 'amount': found the string '4'",
        ),
        (json.dumps(entity("C1", region=None)).encode(), "application/json", "column 'region': found null"),
        (b'{"customer_id": "C1", "customer_id": "C2"}', "application/json", "more than once"),
        (b'{"customer_id": "C1", "amount": NaN}', "application/json", "NaN"),
        (b"customer_id\nC1\n", "text/csv", "missing: 'amount', 'region'"),
        (b"customer_id,x,y\nC1,2,3\n", "text/csv", "unknown: 'x', 'y'"),
        (b"customer_id,amount,region\n", "text/csv", "no rows"),
        (b"customer_id,amount,region\nC1,4\n", "text/csv", "row 1: found 2 values"),
        (
            b"customer_id,amount,region\nC1,four,north\n",
            "text/csv",
            "column 'amount': found the string 'four'",
        ),
    ],
)
def test_a_request_that_is_not_right_is_told_what_is_wrong(
    served: Served, body: bytes, content_type: str, message: str
) -> None:
    response = call(served.application, body, content_type)
    assert (response.status, response.json["error"]) == (400, "RequestError")
    assert message in response.json["message"]
    assert served.dynamo.requests == []


def test_an_id_that_is_a_number_where_the_key_is_a_text_is_refused_in_parquet_too(served: Served) -> None:
    response = call(served.application, parquet_of([entity(5)]), "application/x-parquet")
    assert response.status == 400
    assert "column 'customer_id': found the number 5, expected a string" in response.json["message"]


def test_ids_in_a_csv_are_texts_as_they_stand(served: Served) -> None:
    served.put("007")
    served.put("7", size=5)
    response = call(served.application, b"customer_id,amount,region\n007,4,north\n7,4,north\n", "text/csv")
    assert response.body == served.expected(full(), full(size=5)).body


def test_an_integer_key_is_a_number_of_all_its_digits() -> None:
    served = Served(plan_of(key=Key(name="customer_id", type="integer")))
    served.put(2**63 - 1)
    served.put(2**63 - 2, size=5)
    expected = served.expected(full(), full(size=5)).body
    rows = [entity(2**63 - 1), entity(2**63 - 2)]
    assert served.ask(rows).body == expected
    assert call(served.application, csv_of(rows), "text/csv").body == expected
    assert call(served.application, parquet_of(rows), "application/x-parquet").body == expected
    refused = served.ask(entity("5"))
    assert refused.status == 400
    assert "column 'customer_id': found the string '5', expected a whole number" in refused.json["message"]


def test_an_array_has_no_names_to_ask_by(served: Served) -> None:
    named = np.array(
        [("C1", 4.0, "north")], dtype=[("customer_id", "U2"), ("amount", "f8"), ("region", "U5")]
    )
    for array in (named, np.array(["C1"])):
        response = call(served.application, npy(array), "application/x-npy")
        assert response.status == 400
        assert "ask for entities as JSON, CSV or Parquet" in response.json["message"]


def test_a_header_of_keys_is_none_of_texts_where_the_model_takes_as_many_texts() -> None:
    contract = ModelContract(
        features=(Feature(name="town", kind="category", type="string", nullable=False),),
        target=TargetContract(name="y", problem="regression"),
    )

    class ByLength:
        """Answers with the text's length, at once from a CSV, as a compiled model would."""

        scoring = Scoring(path="compiled", engine="native")

        def __init__(self) -> None:
            self.contract = contract

        def answer(self, body: bytes, media_type: str, _accepted: str) -> bytes | None:
            return b"quick" if media_type == "text/csv" and b"customer_id" in body else None

        def answer_row(self, _columns: Columns, _accepted: str) -> None:
            return None

        def score(self, columns: Columns) -> Predictions:
            return Predictions(np.array([float(len(str(text))) for text in columns["town"]]), None)

    view = View(name="profile", keys=(CUSTOMER,), features=(Value(name="town", type="string"),))
    plan = FeaturePlan(timestamp=None, views=(view,), model=("profile:town",))
    served = Served(plan, scorer_=ByLength())
    served.dynamo.put(plan, "shop", "profile", {"customer_id": "C1"}, now(), town="Ulm")
    response = call(served.application, b"customer_id\nC1\n", "text/csv")
    assert response.json == {"predictions": [{"value": 3.0}]}
