"""Entities without features, or with old or partial ones: an error that names the id, or the nulls of the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from containers.predictions import Predictions
from containers.serve.online.by_id import HEADER
from sluice.contract import Columns
from sluice.errors import RequestError
from sluice.features.plan import FeaturePlan, Key, View
from tests.support import oracle
from tests.support.by_id import CUSTOMER, PLAN, TTL, Served, entity, full, now, nullable_plan


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
