"""Predictions by id: the same answer as the full row's, and every way of not having one."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containers.predictions import Predictions
from containers.scoring import Scoring
from containers.serve.app import Application
from containers.serve.metrics import Totals
from containers.serve.online.by_id import HEADER, ById
from containers.serve.online.entities import MOST_ENTITIES, Entities
from containers.serve.online.rows import Assembly
from containers.serve.online.settings import Missing
from containers.serve.online.views import stored_views
from containers.serve.scorer import CompiledScorer, Scorer
from containers.serve.settings import Settings
from sluice.contract import Columns, Feature, ModelContract, TargetContract
from sluice.errors import ProjectError, RequestError
from sluice.features.plan import FeaturePlan, Key, OnDemand, Value, View
from tests.support import dynamo as fake
from tests.support import oracle
from tests.support.asgi import Response, call, npy
from tests.support.dynamo import Dynamo, reader_of

CUSTOMER = Key(name="customer_id", type="string")
TTL = 3600 * 1_000_000
WEIGHT = """
@on_demand_feature_view(sources=[activity, request], schema=[Field("weight", Float64)], mode="python")
def weigh(inputs: dict[str, Any]) -> dict[str, Any]:
    import math

    return {
        "weight": [
            None if spent is None or amount is None else spent + math.sqrt(abs(amount))
            for spent, amount in zip(inputs["spent"], inputs["amount"])
        ]
    }
"""
WEIGHT_PANDAS = """
def weigh(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"weight": frame["spent"] + frame["amount"].abs() ** 0.5})
"""


def plan_of(
    mode: Literal["python", "pandas"] = "python", source: str = WEIGHT, key: Key = CUSTOMER
) -> FeaturePlan:
    """The oracle's model: two views, a feature that is made on demand, and one that the request brings."""
    return FeaturePlan(
        timestamp="at",
        views=(
            View(
                name="activity",
                keys=(key,),
                features=(
                    Value(name="size", type="integer"),
                    Value(name="spent", type="number"),
                    Value(name="grade", type="integer"),
                ),
                ttl_microseconds=TTL,
            ),
            View(
                name="profile",
                keys=(key,),
                features=(Value(name="colour", type="string"), Value(name="member", type="boolean")),
            ),
        ),
        on_demand=(
            OnDemand(
                name="weighed",
                mode=mode,
                function="weigh",
                source=source,
                inputs=("spent", "amount"),
                features=(Value(name="weight", type="number"),),
            ),
        ),
        request=(Value(name="amount", type="number"), Value(name="region", type="string")),
        model=(
            "activity:size",
            "weighed:weight",
            "profile:colour",
            "activity:grade",
            "profile:member",
            "region",
        ),
    )


PLAN = plan_of()


@cache
def scorer() -> CompiledScorer:
    return oracle.compiled()


def now() -> int:
    return time.time_ns() // 1000


class Served:
    """An application by id over a store in memory."""

    def __init__(
        self,
        plan: FeaturePlan = PLAN,
        missing: Missing = "error",
        scorer_: Scorer | None = None,
        seconds: float = 20.0,
        **given: Any,
    ) -> None:
        self.plan = plan
        self.scorer = scorer_ or scorer()
        self.dynamo = Dynamo(tables={f"shop.{view.name}": {} for view in plan.views})
        self.totals = Totals(1)
        counters = self.totals.counters(0)
        views = stored_views(plan, "shop")
        contract = self.scorer.contract
        self.by_id = ById(
            self.scorer,
            views,
            Entities(contract, plan, views),
            Assembly(contract, plan, views, missing),
            reader_of(self.dynamo, plan, counting=counters, **given),
            seconds,
        )
        configured = Settings(model=None, host="", port=0, workers=1)  # type: ignore[arg-type]
        self.application = Application(self.scorer, configured, counters, self.by_id)
        self.full = Application(self.scorer, configured, counters)

    def put(
        self, customer: Any, *, event: int | None = None, only: Sequence[str] | None = None, **values: Any
    ) -> None:
        """Write a row of each view; values that are not given are some."""
        row = {"size": 3, "spent": 0.5, "grade": 2, "colour": "red", "member": True} | values
        for view in self.plan.views:
            if only is None or view.name in only:
                cells = {value.name: row[value.name] for value in view.features if value.name in row}
                at = now() if event is None else event
                key = {view.keys[0].name: customer}
                self.dynamo.put(self.plan, "shop", view.name, key, at, **cells)

    def ask(self, document: Any, accept: str | None = None) -> Response:
        return call(self.application, json.dumps(document).encode(), accept=accept)

    def expected(self, *rows: dict[str, Any], accept: str | None = None) -> Response:
        response = call(self.full, json.dumps(list(rows)).encode(), accept=accept)
        assert response.status == 200, response.body
        return response

    def counted(self, name: str) -> int:
        text = call(self.application, method="GET", path="/metrics").body.decode()
        (line,) = [line for line in text.splitlines() if line.startswith(name + " ")]
        return int(line.rpartition(" ")[2])


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.application.close()
    served.full.close()


def full(**values: Any) -> dict[str, Any]:
    """The row that `put` and a request of amount 4 and region north are."""
    return {
        "size": 3,
        "weight": 2.5,
        "colour": "red",
        "grade": 2,
        "member": True,
        "region": "north",
    } | values


def entity(customer: Any, **values: Any) -> dict[str, Any]:
    return {"customer_id": customer, "amount": 4, "region": "north"} | values


def csv_of(rows: Sequence[dict[str, Any]]) -> bytes:
    sink = io.StringIO()
    writer = csv.DictWriter(sink, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


def parquet_of(rows: Sequence[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), sink)
    return sink.getvalue()


def lines_of(rows: Sequence[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


WAYS: dict[str, tuple[str, Callable[[Sequence[dict[str, Any]]], bytes]]] = {
    "entities": ("application/json", lambda rows: json.dumps({"entities": rows}).encode()),
    "a list": ("application/json", lambda rows: b" \n" + json.dumps(rows).encode()),
    "lines": ("application/jsonlines", lines_of),
    "csv": ("text/csv", csv_of),
    "csv with a mark": ("text/csv", lambda rows: b"\xef\xbb\xbf\r\n" + csv_of(rows)),
    "csv in another order": (
        "text/csv",
        lambda rows: csv_of([{name: row[name] for name in reversed(row)} for row in rows]),
    ),
    "parquet": ("application/x-parquet", parquet_of),
}


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


# What is refused.


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


# What is missing.


def test_an_unknown_id_is_not_found_and_named(served: Served) -> None:
    response = served.ask(entity("C9"))
    assert (response.status, response.json["error"]) == (404, "UnknownEntity")
    assert "customer_id 'C9'" in response.json["message"]
    assert served.counted('sluice_entities_total{features="unknown"}') == 1
    assert served.counted('sluice_invocations_total{status="404"}') == 1


def test_a_stale_row_is_a_conflict_and_named(served: Served) -> None:
    served.put("C1", event=now() - TTL - 60_000_000)
    response = served.ask(entity("C1"))
    assert (response.status, response.json["error"]) == (409, "StaleFeatures")
    assert "customer_id 'C1'" in response.json["message"]
    assert "'activity'" in response.json["message"]
    assert "ttl 3,600 s" in response.json["message"]
    assert served.counted('sluice_entities_total{features="stale"}') == 1


def test_a_row_within_its_ttl_is_not_stale_and_one_without_ttl_never(served: Served) -> None:
    served.put("C1", event=now() - TTL + 60_000_000, only=["activity"])
    served.put("C1", event=0, only=["profile"])
    assert served.ask(entity("C1")).status == 200


def test_ttl_ends_after_its_last_microsecond() -> None:
    served = Served()
    wanted = served.by_id.read(json.dumps(entity("C1")).encode(), "application/json")
    moment = 1_700_000_000_000_000
    for age, lacks in ((TTL, {}), (TTL + 1, {0: "stale"})):
        served.put("C1", event=moment - age, only=["activity"])
        served.put("C1", only=["profile"])
        found = asyncio.run(served.by_id.find(wanted, 20))
        rows = served.by_id._assembly.rows(wanted.asked, wanted.places, found, moment)
        assert rows.lacks == lacks


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda served: served.put("C1", only=["profile"]), "the view 'activity' has none"),
        (lambda served: served.put("C1", size=None), "column 'size': found null"),
        (lambda served: _without(served, "grade"), "written without 'grade'"),
    ],
)
def test_a_partial_row_is_a_conflict_that_says_what_is_missing(
    served: Served, write: Callable[[Served], None], message: str
) -> None:
    write(served)
    response = served.ask(entity("C1"))
    assert (response.status, response.json["error"]) == (409, "IncompleteFeatures")
    assert "customer_id 'C1'" in response.json["message"]
    assert message in response.json["message"]
    assert served.counted('sluice_entities_total{features="incomplete"}') == 1


def _without(served: Served, name: str) -> None:
    served.put("C1")
    (item,) = served.dynamo.tables["shop.activity"].values()
    del item["values"]["M"][name]


def test_of_many_the_others_keep_their_predictions(served: Served) -> None:
    served.put("C1")
    served.put("C2", event=now() - 2 * TTL)
    served.put("C3", size=None)
    served.put("C4", size=7)
    asked = [entity(name) for name in ("C9", "C1", "C2", "C3", "C4")]
    for accept in ("application/json", "application/jsonlines"):
        response = served.ask({"entities": asked}, accept)
        assert response.status == 200
        rows = (
            response.json["predictions"]
            if accept == "application/json"
            else [json.loads(line) for line in response.body.splitlines()]
        )
        right = served.expected(full(), full(size=7)).json["predictions"]
        assert [rows[1], rows[4]] == right
        assert [rows[place]["error"] for place in (0, 2, 3)] == [
            "UnknownEntity",
            "StaleFeatures",
            "IncompleteFeatures",
        ]
        assert [name in rows[place]["message"] for place, name in ((0, "C9"), (2, "C2"), (3, "C3"))] == [
            True
        ] * 3
        assert response.headers[HEADER] == "missing-features=unknown:1,stale:1,incomplete:1"


def test_of_many_all_may_be_unknown(served: Served) -> None:
    response = served.ask([entity("C8"), entity("C9")])
    assert response.status == 200
    assert [row["error"] for row in response.json["predictions"]] == ["UnknownEntity"] * 2


@pytest.mark.parametrize("accept", ["text/csv", "application/x-npy"])
def test_an_answer_without_room_for_errors_is_refused_as_a_whole(served: Served, accept: str) -> None:
    served.put("C1")
    served.put("C2", event=now() - 2 * TTL)
    response = served.ask([entity("C1"), entity("C2")], accept)
    assert (response.status, response.headers["content-type"]) == (409, "application/json")
    assert "1 of 2 entities" in response.json["message"]
    assert "customer_id 'C2'" in response.json["message"]
    assert served.ask([entity("C2"), entity("C9")], accept).status == 404


def test_nulls_are_the_models_to_handle_where_the_project_says_so() -> None:
    contract = oracle.CONTRACT
    assert not contract.features[0].nullable
    served = Served(missing="null")
    served.put("C1")
    served.put("C2", grade=7, only=["profile"])  # the model takes no null for its size
    response = served.ask([entity("C1"), entity("C2")])
    assert response.status == 200
    first, second = response.json["predictions"]
    assert first == served.expected(full()).json["predictions"][0]
    assert (second["error"], "column 'size': found null" in second["message"]) == ("IncompleteFeatures", True)


def nullable_plan() -> tuple[FeaturePlan, Scorer]:
    """A model all of whose stored features may be null."""
    contract = ModelContract(
        features=(
            Feature(name="spent", kind="number", type="number", nullable=True),
            Feature(name="colour", kind="category", type="string", nullable=True),
        ),
        target=TargetContract(name="y", problem="regression"),
        null_values=("", "NA"),
    )

    class Nulls:
        """Answers with how many nulls a row has."""

        scoring = Scoring(path="compiled", engine="native")

        def __init__(self) -> None:
            self.contract = contract

        def answer(self, _body: bytes, _media_type: str, _accepted: str) -> None:
            return None

        def answer_row(self, _columns: Columns, _accepted: str) -> None:
            return None

        def score(self, columns: Columns) -> Predictions:
            rows = zip(columns["spent"], columns["colour"], strict=True)
            return Predictions(np.array([float((a != a) + (b is None)) for a, b in rows]), None)

    views = PLAN.views
    return FeaturePlan(timestamp=None, views=views, model=("activity:spent", "profile:colour")), Nulls()


def test_missing_features_are_marked_in_the_answer_and_counted() -> None:
    plan, model = nullable_plan()
    served = Served(plan, missing="null", scorer_=model)
    served.put("C1")
    served.put("C2", event=now() - 2 * TTL)
    served.put("C3", only=["profile"])
    one = served.ask({"customer_id": "C9"})
    assert (one.status, one.json) == (200, {"predictions": [{"value": 2.0, "missing": "unknown"}]})
    assert one.headers[HEADER] == "missing-features=unknown"
    many = served.ask([{"customer_id": f"C{number}"} for number in (1, 2, 3, 9)])
    assert many.json["predictions"] == [
        {"value": 0.0},
        {"value": 1.0, "missing": "stale"},
        {"value": 1.0, "missing": "incomplete"},
        {"value": 2.0, "missing": "unknown"},
    ]
    assert many.headers[HEADER] == "missing-features=unknown:1,stale:1,incomplete:1"
    plain = served.ask([{"customer_id": "C1"}, {"customer_id": "C9"}], "text/csv")
    assert (plain.status, plain.body) == (200, b"0.0\n2.0\n")
    assert plain.headers[HEADER] == "missing-features=unknown:1"
    kinds = ("found", "unknown", "stale", "incomplete")
    assert [served.counted(f'sluice_entities_total{{features="{kind}"}}') for kind in kinds] == [2, 3, 1, 1]


def test_an_entity_of_two_keys_is_unknown_where_one_of_them_is() -> None:
    shop = Key(name="shop", type="string")
    plan = FeaturePlan(
        timestamp=None,
        views=(
            PLAN.views[0],
            View(name="profile", keys=(shop, CUSTOMER), features=PLAN.views[1].features),
        ),
        model=("activity:spent", "profile:colour"),
    )
    _, model = nullable_plan()
    served = Served(plan, scorer_=model)
    served.dynamo.put(plan, "shop", "activity", {"customer_id": "C1"}, now(), size=1, spent=1.0, grade=1)
    pair = {"customer_id": "C1", "shop": "S1"}
    refused = served.ask(pair)
    assert (refused.status, refused.json["error"]) == (404, "UnknownEntity")
    assert "shop 'S1', customer_id 'C1'" in refused.json["message"]
    served.dynamo.put(plan, "shop", "profile", pair, now(), colour="red", member=True)
    assert served.ask(pair).json == {"predictions": [{"value": 0.0}]}


def test_a_row_that_the_model_does_not_take_leaves_the_others_their_answers() -> None:
    plan, inner = nullable_plan()

    class Choosy:
        scoring = inner.scoring
        contract = inner.contract

        def answer(self, _body: bytes, _media_type: str, _accepted: str) -> None:
            return None

        def answer_row(self, _columns: Columns, _accepted: str) -> None:
            return None

        def score(self, columns: Columns) -> Predictions:
            if "green" in columns["colour"]:
                row = columns["colour"].index("green") + 1
                raise RequestError(
                    f"row {row}, column 'colour': found 'green', which the model does not take"
                )
            return inner.score(columns)

    served = Served(plan, scorer_=Choosy())
    served.put("C1")
    served.put("C2", colour="green")
    many = served.ask([{"customer_id": "C1"}, {"customer_id": "C2"}, {"customer_id": "C1"}]).json[
        "predictions"
    ]
    assert [row.get("value") for row in many] == [0.0, None, 0.0]
    assert (many[1]["error"], "'green'" in many[1]["message"]) == ("IncompleteFeatures", True)
    assert served.ask({"customer_id": "C2"}).status == 409


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
