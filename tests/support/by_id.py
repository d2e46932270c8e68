"""Predictions by id over a store in memory: the plan, the application, and ways to ask it."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from containers.predictions import Predictions
from containers.scoring import Scoring
from containers.serve.app import Application
from containers.serve.metrics import Totals
from containers.serve.online.by_id import ById
from containers.serve.online.entities import Entities
from containers.serve.online.rows import Assembly
from containers.serve.online.settings import Missing
from containers.serve.online.views import stored_views
from containers.serve.scorer import CompiledScorer, Scorer
from containers.serve.settings import Settings
from sluice.contract import Columns, Feature, ModelContract, TargetContract
from sluice.features.plan import FeaturePlan, Key, OnDemand, Value, View
from tests.support import oracle
from tests.support.asgi import Response, call
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
