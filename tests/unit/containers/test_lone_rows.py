"""A request for one entity takes a shorter way through the server, and has the longer one's answer, bit for bit."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline

from containers.compiled.compile import compile_model
from containers.serve.app import Application
from containers.serve.encoding import encode
from containers.serve.metrics import Totals
from containers.serve.online.by_id import ById
from containers.serve.online.entities import Asked, Entities
from containers.serve.online.failures import FeatureStoreUnavailable
from containers.serve.online.rows import Assembly
from containers.serve.online.settings import Missing
from containers.serve.online.views import Row, stored_views
from containers.serve.scorer import CompiledScorer
from containers.serve.settings import Settings
from sluice.contract import Columns, Feature, ModelContract, TargetContract
from sluice.errors import RequestError
from sluice.features.online_keys import EntityIds
from sluice.features.plan import FeaturePlan, Key, Value, View
from tests.support import dynamo as fake
from tests.support.asgi import Response, call
from tests.support.dynamo import Dynamo, reader_of

CUSTOMER = Key(name="customer_id", type="string")
TTL = 3600 * 1_000_000
EVENT = 4_000_000_000_000_000
"""Far ahead, and so never stale."""

# One number may be null, the other may not.
PLAN = FeaturePlan(
    timestamp="at",
    views=(
        View(
            name="activity",
            keys=(CUSTOMER,),
            features=(Value(name="spent", type="number"), Value(name="orders", type="integer")),
            ttl_microseconds=TTL,
        ),
        View(name="profile", keys=(CUSTOMER,), features=(Value(name="age", type="number"),)),
    ),
    model=("activity:orders", "profile:age", "activity:spent"),
)
FEATURES = (
    Feature(name="orders", kind="number", type="integer", nullable=False),
    Feature(name="age", kind="number", type="number", nullable=True),
    Feature(name="spent", kind="number", type="number", nullable=False),
)
BINARY = TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes")
CLASSES = TargetContract(name="y", problem="multiclass", classes=("a", "b", "c"))
REGRESSION = TargetContract(name="y", problem="regression")


@cache
def scorer(target: TargetContract = BINARY) -> CompiledScorer:
    draw = np.random.default_rng(2)
    frame = pd.DataFrame(draw.normal(size=(400, 3)), columns=["orders", "age", "spent"])
    total = frame.sum(axis=1)
    if target.classes:
        cuts = np.quantile(total, np.linspace(0, 1, len(target.classes) + 1)[1:-1])
        model = HistGradientBoostingClassifier(max_iter=20)
        y: Any = np.array(target.classes, dtype=object)[np.searchsorted(cuts, total)]
    else:
        model, y = HistGradientBoostingRegressor(max_iter=20), total
    contract = ModelContract(features=FEATURES, target=target)
    return CompiledScorer(compile_model(make_pipeline(model).fit(frame, y), contract), contract)


class LongWay:
    """The same model, which says nothing of a row by itself."""

    def __init__(self, inner: CompiledScorer) -> None:
        self.contract, self.scoring = inner.contract, inner.scoring
        self.score, self.answer = inner.score, inner.answer

    def answer_row(self, _columns: Columns, _accepted: str) -> None:
        return None


class ShortWay(LongWay):
    """The same model, which counts what it says at once."""

    def __init__(self, inner: CompiledScorer) -> None:
        super().__init__(inner)
        self._inner = inner
        self.said = 0

    def answer_row(self, columns: Columns, accepted: str) -> Any:
        found = self._inner.answer_row(columns, accepted)
        self.said += found is not None
        return found


def asked(scorer_: Any, dynamo: Dynamo, document: Any, missing: Missing, accept: str | None) -> Response:
    views, counters = stored_views(PLAN, "shop"), Totals(1).counters(0)
    contract = scorer_.contract
    by_id = ById(
        scorer_,
        views,
        Entities(contract, PLAN, views),
        Assembly(contract, PLAN, views, missing),
        reader_of(dynamo, PLAN, counting=counters),
        20.0,
    )
    configured = Settings(model=None, host="", port=0, workers=1)  # type: ignore[arg-type]
    return call(
        Application(scorer_, configured, counters, by_id), json.dumps(document).encode(), accept=accept
    )


def filled(activity: dict[str, Any] | None, profile: dict[str, Any] | None, event: int) -> Dynamo:
    dynamo = Dynamo(tables={"shop.activity": {}, "shop.profile": {}})
    for view, row in (("activity", activity), ("profile", profile)):
        if row is not None:
            dynamo.put(PLAN, "shop", view, {"customer_id": "C1"}, event, **row)
    return dynamo


NUMBERS = st.none() | st.floats() | st.sampled_from([0.0, -0.0, 1.5])
ACTIVITY = st.fixed_dictionaries(
    {}, optional={"spent": NUMBERS, "orders": st.none() | st.integers(-(2**63), 2**63 - 1)}
)


@given(
    st.none() | ACTIVITY,
    st.none() | st.fixed_dictionaries({}, optional={"age": NUMBERS}),
    st.sampled_from([EVENT, 0]),
    st.sampled_from(["error", "null"]),
    st.sampled_from([None, "text/csv", "application/jsonlines"]),
)
@example({"spent": 0.5, "orders": None}, {"age": 0.5}, EVENT, "error", None)
@example({"spent": 0.5, "orders": 2}, {"age": 0.5}, 0, "error", None)
@settings(deadline=None)
def test_whatever_the_store_holds_a_row_is_answered_as_the_long_way_answers_it(
    activity: Any, profile: Any, event: int, missing: Missing, accept: str | None
) -> None:
    dynamo = filled(activity, profile, event)
    document = {"entities": [{"customer_id": "C1"}]}
    short, long = (asked(way(scorer()), dynamo, document, missing, accept) for way in (ShortWay, LongWay))
    assert (short.status, short.body, short.headers) == (long.status, long.body, long.headers)


def test_a_plain_row_is_answered_at_once() -> None:
    way = ShortWay(scorer())
    dynamo = filled({"spent": 0.25, "orders": 3}, {"age": 0.5}, EVENT)
    response = asked(way, dynamo, {"entities": [{"customer_id": "C1"}]}, "error", None)
    full = {"orders": 3, "age": 0.5, "spent": 0.25}
    assert (response.status, way.said) == (200, 1)
    assert response.body == scorer().answer(json.dumps(full).encode(), "application/json", "application/json")


@pytest.mark.parametrize("target", [BINARY, REGRESSION, CLASSES])
@given(st.integers(-9, 9), st.floats(-9, 9), st.floats(-9, 9))
@settings(deadline=None, max_examples=30)
def test_a_row_by_itself_is_answered_as_among_others(
    target: TargetContract, orders: int, age: float, spent: float
) -> None:
    model = scorer(target)
    columns: Columns = {"orders": [float(orders)], "age": [age], "spent": [spent]}
    at_once = model.answer_row(columns, "application/json")
    right = encode(model.score(columns), "application/json", model.contract)
    # Of several classes none of which is the positive one there is no single number.
    assert at_once == (None if target is CLASSES else right)
    assert model.answer_row(columns, "text/csv") is None


ENTITIES = Entities(scorer().contract, PLAN, stored_views(PLAN, "shop"))
BLANKS = st.text(" \t\n\r", max_size=2)
IDS = (
    st.text() | st.text(' aZ9~"\\\x7f\x1c\u00a0é', max_size=4) | st.sampled_from(["C1", "a b", " C1", "C1 "])
)


def read(body: bytes) -> list[Any] | str:
    """The ids that are read of a body, or what is wrong with it."""
    try:
        found: Asked = ENTITIES.read(body, "application/json")
    except RequestError as error:
        return error.what
    return found.keys["customer_id"]


@given(
    IDS,
    st.booleans(),
    st.sampled_from(["list", "object", "bare"]),
    st.lists(BLANKS, min_size=12, max_size=12),
)
def test_an_id_is_the_same_however_the_body_is_laid_out(
    text: str, ascii_: bool, layout: str, blanks: list[str]
) -> None:
    try:
        name = json.dumps(text, ensure_ascii=ascii_).encode().decode()
    except UnicodeEncodeError:
        name = json.dumps(text)
    record = ["{", '"customer_id"', ":", name, "}"]
    tokens = {
        "list": ["{", '"entities"', ":", "[", *record, "]", "}"],
        "object": ["{", '"entities"', ":", *record, "}"],
        "bare": record,
    }[layout]
    spaced = "".join(blank + token for blank, token in zip(blanks, tokens, strict=False)) + blanks[-1]
    of_two = read(('{"entities":[%s,%s]}' % (("".join(record),) * 2)).encode())
    assert read(spaced.encode()) == (of_two if isinstance(of_two, str) else of_two[:1])


@pytest.mark.parametrize(
    "body",
    [
        '{"entities":[{"customer_id":"C1"}}',
        '{"entities":{"customer_id":"C1"}]}',
        '{"entities":[{"customer_id":"C1"}]}x',
        '{"entities":[{"customer_id":"C1","customer_id":"C2"}]}',
        '{"entities":[{"customer_id":"C1"}],"entities":[{"customer_id":"C2"}]}',
    ],
)
def test_what_only_looks_like_one_entity_is_refused(body: str) -> None:
    with pytest.raises(RequestError):
        ENTITIES.read(body.encode(), "application/json")


def test_each_request_has_its_own_time_and_no_other_is_touched_by_its_end() -> None:
    dynamo = filled({"spent": 0.25, "orders": 3}, {"age": 0.5}, 0)
    place = (0, EntityIds([CUSTOMER]).of(["C1"]))

    async def scenario() -> None:
        dynamo.always = fake.nothing
        reader = reader_of(dynamo, PLAN, attempt_seconds=0.05)
        loop = asyncio.get_running_loop()
        started = loop.time()
        patient = loop.create_task(reader.read([place], 20))
        hurried = [loop.create_task(reader.read([place], seconds)) for seconds in (0.2, 0.1)]
        for task in hurried:
            with pytest.raises(FeatureStoreUnavailable, match="not read in time"):
                await task
        assert loop.time() - started < 10
        dynamo.always = None
        assert await patient == {place: Row([3, 0.25], 0)}

    asyncio.run(asyncio.wait_for(scenario(), 30))
