"""Predictions by id: the same answer as the full row's; and what store and functions do wrong."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containers.predictions import Predictions
from containers.scoring import Scoring
from containers.serve.online.by_id import HEADER
from containers.serve.online.entities import MOST_ENTITIES
from sluice.contract import Columns
from sluice.errors import ProjectError
from sluice.features.plan import Key
from tests.support import dynamo as fake
from tests.support import oracle
from tests.support.asgi import call
from tests.support.by_id import (
    WAYS,
    WEIGHT_PANDAS,
    Served,
    csv_of,
    entity,
    full,
    lines_of,
    nullable_plan,
    parquet_of,
    plan_of,
    scorer,
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "accept", ["application/json", "application/jsonlines", "text/csv", "application/x-npy"]
)
def test_every_way_to_ask_is_answered_like_the_full_rows(served: Served, way: str, accept: str) -> None:
    served.put("C1")
    served.put("C2", size=7, spent=-1.25, grade=None, colour=None, member=False)
    media_type, write = WAYS[way]
    body = write([entity("C2", amount=2.0), entity("C1", amount=4.0), entity("C2", amount=2.0)])
    found = call(served.application, body, media_type, accept)
    other = full(size=7, weight=-1.25 + math.sqrt(2.0), grade=None, colour=None, member=False)
    expected = served.expected(other, full(), other, accept=accept)
    assert (found.status, found.body) == (200, expected.body)
    assert HEADER not in found.headers


@pytest.mark.parametrize("document", [{"entities": entity("C1")}, entity("C1"), {"entities": [entity("C1")]}])
def test_one_entity_may_stand_alone(served: Served, document: Any) -> None:
    served.put("C1")
    assert served.ask(document).body == served.expected(full()).body


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (rb'{"\u0063ustomer_id": "C1", "amount": 4, "region": "north"}', "application/json"),
        (rb'{"\u0065ntities": {"customer_id": "C1", "amount": 4, "region": "north"}}', "application/json"),
        (rb'{"region": "north", "amount": 4, "customer\u005fid": "C1"}', "application/jsonlines"),
    ],
)
def test_a_key_may_be_escaped(served: Served, body: bytes, content_type: str) -> None:
    served.put("C1")
    assert call(served.application, body, content_type).body == served.expected(full()).body


def test_a_key_may_be_called_anything() -> None:
    for name in ("Kunden-Nr. / Größe", 'a "quoted" one', "größe"):
        plan, model = nullable_plan()
        key = Key(name=name, type="string")
        views = tuple(view.model_copy(update={"keys": (key,)}) for view in plan.views)
        served = Served(plan.model_copy(update={"views": views}), scorer_=model)
        served.put("C1")
        for document in ({name: "C1"}, {"entities": [{name: "C1"}]}):
            assert served.ask(document).json == {"predictions": [{"value": 0.0}]}
        assert call(served.application, csv_of([{name: "C1"}]), "text/csv").status == 200


def test_a_body_without_a_type_is_looked_at(served: Served) -> None:
    served.put("C1")
    for body in (json.dumps(entity("C1")).encode(), csv_of([entity("C1")])):
        assert call(served.application, body, content_type=None).body == served.expected(full()).body


def test_full_rows_are_answered_without_the_store(served: Served) -> None:
    rows = [full(), full(size=1)]
    split = {"dataframe_split": {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}}
    for document in (rows[0], rows, {"instances": rows}, split, [list(row.values()) for row in rows]):
        assert served.ask(document).status == 200
    for body, media_type in ((csv_of(rows), "text/csv"), (parquet_of(rows), "application/x-parquet")):
        assert call(served.application, body, media_type).body == served.expected(*rows).body
    assert served.dynamo.requests == []
    assert served.counted('sluice_entities_total{features="found"}') == 0


def test_a_row_of_all_features_with_an_id_is_a_full_row_with_a_column_too_many(served: Served) -> None:
    response = served.ask(full(customer_id="C1"))
    assert (response.status, response.json["error"]) == (400, "RequestError")
    assert "unknown: 'customer_id'" in response.json["message"]


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "size": st.integers(-(2**53), 2**53),
    "spent": st.none() | st.floats(-1e300, 1e300),
    "grade": st.none() | st.sampled_from([1, 2, 30]) | st.integers(-(2**63), 2**63 - 1),
    "colour": st.none() | st.sampled_from(["red", "grün", "a,b", " red ", "NA", ""]) | st.text(max_size=5),
    "member": st.booleans(),
}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.fixed_dictionaries(SCALARS), min_size=1, max_size=5),
    st.lists(
        st.tuples(
            st.integers(0, 4), st.none() | st.floats(-1e6, 1e6), st.sampled_from(["north", "south", " west"])
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_by_id_is_the_full_row_bit_for_bit(stored: list[dict[str, Any]], asked: list[Any]) -> None:
    served = Served()
    for number, values in enumerate(stored):
        served.put(f"C{number}", **values)
    entities, rows = [], []
    for number, amount, region in asked:
        values = stored[number % len(stored)]
        entities.append(entity(f"C{number % len(stored)}", amount=amount, region=region))
        spent = values["spent"]
        weight = None if spent is None or amount is None else spent + math.sqrt(abs(amount))
        row = {name: value for name, value in values.items() if name != "spent"}
        rows.append(row | {"weight": weight, "region": region})
    by_id = served.ask({"entities": entities})
    assert (by_id.status, by_id.body) == (200, served.expected(*rows).body)


def test_a_pandas_function_is_given_a_frame() -> None:
    served = Served(plan_of("pandas", WEIGHT_PANDAS))
    served.put("C1")
    served.put("C2", spent=None)
    by_id = served.ask({"entities": [entity("C1"), entity("C2")]})
    assert by_id.body == served.expected(full(), full(weight=None)).body
    # One row of nothing but nulls is a column of numbers, too.
    assert served.ask(entity("C2")).body == served.expected(full(weight=None)).body


@pytest.mark.parametrize("size", [100, 3000])
def test_a_large_request_is_answered_in_order(served: Served, size: int) -> None:
    for number in range(200):
        served.put(f"C{number}", size=number)
    numbers = [(7 * number) % 200 for number in range(size)]
    by_id = served.ask({"entities": [entity(f"C{number}") for number in numbers]})
    assert by_id.body == served.expected(*(full(size=number) for number in numbers)).body
    assert max(request.keys for request in served.dynamo.requests) <= 100


def test_more_entities_than_are_taken_are_refused(served: Served) -> None:
    response = served.ask([entity("C1")] * (MOST_ENTITIES + 1))
    assert response.status == 400
    assert "at most 10,000" in response.json["message"]
    assert served.dynamo.requests == []


def test_the_scikit_learn_path_answers_by_id_too() -> None:
    class Slow:
        """Answers through `score` alone, as a model without a compiled form does."""

        contract = oracle.CONTRACT
        scoring = Scoring(path="scikit-learn", why="a fake")

        def answer(self, _body: bytes, _media_type: str, _accepted: str) -> None:
            return None

        def answer_row(self, _columns: Columns, _accepted: str) -> None:
            return None

        def score(self, columns: Columns) -> Predictions:
            return scorer().score(columns)

    served = Served(scorer_=Slow())
    served.put("C1")
    assert served.ask(entity("C1")).body == served.expected(full()).body


# What the store and the functions do wrong.


def test_a_store_that_cannot_be_read_is_unavailable_and_never_says_not_found(served: Served) -> None:
    table = served.dynamo.tables.pop("shop.profile")
    response = served.ask(entity("C9"))
    assert (response.status, response.json["error"]) == (503, "FeatureStoreUnavailable")
    assert "shop.profile" in response.json["message"]
    assert response.headers["retry-after"] == "1"
    assert served.counted("sluice_store_failures_total") == 1
    assert served.ask(full()).status == 200
    served.dynamo.tables["shop.profile"] = table
    assert served.ask(entity("C9")).status == 404


def test_throttling_is_waited_for_and_then_unavailable() -> None:
    served = Served(seconds=0.2)
    served.put("C1")
    served.dynamo.steps = [fake.say(fake.error("ProvisionedThroughputExceededException"))] * 2
    assert served.ask(entity("C1")).status == 200
    assert served.counted("sluice_store_retries_total") == 2
    served.dynamo.always = fake.say(fake.error("ProvisionedThroughputExceededException"))
    assert served.ask(entity("C1")).status == 503


def test_an_endpoint_without_a_store_says_so_and_answers_full_rows() -> None:
    served = Served()
    served.by_id._reader = None
    response = served.ask(entity("C1"))
    assert response.status == 503
    assert "SLUICE_ONLINE_STORE" in response.json["message"]
    assert served.ask(full()).status == 200


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def weigh(inputs):\n    return {'weight': [1 / 0 for _ in inputs['spent']]}", "ZeroDivisionError"),
        ("def weigh(inputs):\n    return {'other': inputs['spent']}", "KeyError"),
        ("def weigh(inputs):\n    return {'weight': []}", "0 values of 1 rows"),
        ("def weigh(inputs):\n    return [1.0]", "TypeError"),
    ],
)
def test_a_function_that_fails_is_the_projects_error(source: str, why: str) -> None:
    served = Served(plan_of(source=source))
    served.put("C1")
    response = served.ask(entity("C1"))
    assert (response.status, response.json["error"]) == (500, "UnreadableFeatures")
    assert why in response.json["message"]
    assert "'weighed'" in response.json["message"]


@pytest.mark.parametrize("source", ["def weigh(:", "x = 1", "weigh = 1 / 0", "import nothing_of_this_name"])
def test_a_function_that_does_not_load_is_told_before_serving(source: str) -> None:
    with pytest.raises(ProjectError, match="'weighed' cannot be loaded"):
        Served(plan_of(source=source))


def test_a_plan_of_another_model_is_refused() -> None:
    plan, _ = nullable_plan()
    with pytest.raises(ProjectError, match="not that of this model"):
        Served(plan)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=4) | st.sampled_from(["C1", " C1", "NA", "", "ü"]), min_size=1, max_size=3))
def test_an_id_alone_is_read_like_one_among_other_columns(ids: list[str]) -> None:
    plan, model = nullable_plan()
    served = Served(plan, scorer_=model)
    served.put("C1")
    rows = [{"customer_id": each} for each in ids]
    one, other = served.ask(rows), call(served.application, lines_of(rows), "application/jsonlines")
    assert (one.status, one.body) == (other.status, other.body)


@pytest.mark.parametrize(
    ("spent", "nulls"), [(1.5, 0.0), (None, 1.0), (math.nan, 1.0), (1.7e308, 0.0), (-0.0, 0.0)]
)
def test_a_stored_double_is_null_where_it_is_none_and_else_itself(spent: float | None, nulls: float) -> None:
    plan, model = nullable_plan()
    served = Served(plan, scorer_=model)
    served.put("C1", spent=spent)
    served.put("C2", spent=1.7e308)  # with which a sum is infinite
    for rows in (["C1"], ["C1", "C2"], ["C2", "C1"]):
        found = served.ask([{"customer_id": each} for each in rows]).json["predictions"]
        assert found == [{"value": nulls if each == "C1" else 0.0} for each in rows]


def test_an_infinite_double_is_no_feature() -> None:
    plan, model = nullable_plan()
    served = Served(plan, scorer_=model)
    served.put("C1")
    served.put("C2", spent=math.inf)
    first, second = served.ask([{"customer_id": "C1"}, {"customer_id": "C2"}]).json["predictions"]
    assert first == {"value": 0.0}
    assert (second["error"], "column 'spent'" in second["message"]) == ("IncompleteFeatures", True)


@pytest.mark.parametrize("raw", [b"\x12\x031.5", b"\x12\x071234567", b"\x38\x01"])
def test_a_stored_value_of_another_type_than_the_plans_is_not_taken_for_a_number(raw: bytes) -> None:
    plan, model = nullable_plan()
    served = Served(plan, scorer_=model)
    served.put("C1")
    (item,) = served.dynamo.tables["shop.activity"].values()
    item["values"]["M"]["spent"]["B"] = base64.b64encode(raw).decode()
    response = served.ask({"customer_id": "C1"})
    assert (response.status, response.json["error"]) == (409, "IncompleteFeatures")
