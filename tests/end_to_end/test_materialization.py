"""The online store follows the table: the right items move and no others, and Feast reads what was written."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from lambdas.adapters.online_store import OnlineTable
from sluice import keys
from sluice.features.materialization import Entity
from sluice.features.online_keys import EntityIds
from sluice.features.plan import Key
from tests.support.bank import Bank, write_csv
from tests.support.feasts import online_features, write_configuration

PROJECT = """\
[project]
name = "corner"

[entity]
key = "customer_id"
timestamp = "at"

[target]
column = "y"
problem = "binary"
positive = "yes"

[columns.customer_id]
type = "string"
[columns.at]
type = "timestamp"
[columns.amount]
type = "number"

[features]
numeric = ["spent", "purchases"]

[online]
as_of = "last_event"
refresh_minutes = 0
"""
FEATURES = """\
from feast import BatchFeatureView, Entity, Field, FileSource, ValueType
from feast.aggregation import Aggregation
from feast.types import Float64, Int64

customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
events = FileSource(name="events", path="dataset.parquet", timestamp_field="at")
activity = BatchFeatureView(
    name="activity",
    entities=[customer],
    source=events,
    schema=[Field(name="spent", dtype=Float64), Field(name="purchases", dtype=Int64)],
    aggregations=[
        Aggregation(column="amount", function="sum", name="spent"),
        Aggregation(column="amount", function="count", name="purchases"),
    ],
)


def build_labels(table): ...
"""
HEADER = ["customer_id", "at", "amount"]
TABLE = "corner_local.activity"
ID = EntityIds((Key(name="customer_id", type="string"),))


@pytest.fixture(scope="module")
def corner(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A project with a view, beside the bank."""
    folder = tmp_path_factory.mktemp("corner")
    (folder / "project").mkdir()
    (folder / "project" / "project.toml").write_text(PROJECT)
    (folder / "project" / "features.py").write_text(FEATURES)
    (folder / "project" / "train.py").write_text("def build_model(hyperparameters): ...\n")
    return bank.beside(folder / "project", folder)


def append(corner: Bank, file: Path) -> None:
    ended = corner.train(file, f"{keys.INCOMING_EVENTS}{uuid.uuid4().hex}/{file.name}")
    assert ended["outcome"] == "Appended", ended


def materialized(corner: Bank, count: int) -> list[dict[str, Any]]:
    """What the materializations told, once there are as many; the rule starts one after each upload."""
    machine = corner.stack.outputs["MaterializationArn"]
    client = corner.stack.client("stepfunctions")
    deadline = time.monotonic() + 120
    while True:
        found = client.list_executions(stateMachineArn=machine)["executions"]
        if len(found) >= count and all(each["status"] != "RUNNING" for each in found):
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    found.sort(key=lambda each: each["startDate"])
    told = [client.describe_execution(executionArn=each["executionArn"]) for each in found]
    assert [each["status"] for each in told] == ["SUCCEEDED"] * count, told
    return [json.loads(each["output"]) for each in told]


def items(corner: Bank) -> dict[str, dict[str, Any]]:
    pages = corner.stack.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    return {item["entity_id"]["S"]: item for page in pages for item in page["Items"]}


def test_the_store_follows_the_table_and_feast_reads_it(
    corner: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_csv(
        tmp_path / "first.csv",
        [["A", "2026-01-01", "1.1"], ["A", "2026-01-02", "2.2"], ["B", "2026-01-02", "5"]],
        HEADER,
    )
    append(corner, first)
    told = materialized(corner, 1)
    assert (told[-1]["written"], told[-1]["superseded"]) == (2, 0)
    before = items(corner)
    assert before.keys() == {ID.of(("A",)), ID.of(("B",))}

    # Of the same time as the last event: nothing but B's features moves.
    append(
        corner,
        write_csv(tmp_path / "second.csv", [["B", "2026-01-01", "7"], ["C", "2026-01-02", "3"]], HEADER),
    )
    told = materialized(corner, 2)
    assert (told[-1]["written"], told[-1]["held"]) == (2, 1)
    after = items(corner)
    assert after[ID.of(("A",))] == before[ID.of(("A",))]
    assert after[ID.of(("B",))]["values"] != before[ID.of(("B",))]["values"]
    assert after.keys() - before.keys() == {ID.of(("C",))}

    corner.train(first, f"{keys.INCOMING_EVENTS}again.csv")
    told = materialized(corner, 3)
    assert (told[-1]["written"], told[-1]["removed"], told[-1]["held"]) == (0, 0, 3)
    assert items(corner) == after

    write_configuration(corner.stack, tmp_path)
    rows = [{"customer_id": each} for each in ("A", "B", "C", "nobody")]
    answer = online_features(corner.stack, tmp_path, ["activity:spent", "activity:purchases"], rows)
    assert answer["spent"] == [1.1 + 2.2, 12.0, 3.0, None]
    assert answer["purchases"] == [2, 2, 1, None]

    # A writer that looked the dataset up before the last one did.
    for name, value in corner.stack.aws_env.items():
        monkeypatch.setenv(name, value)
    older = OnlineTable(TABLE, as_of=1, ttl_microseconds=None)
    late = Entity(ID.of(("A",)), 1_893_456_000_000_000, {"spent": b"", "purchases": b""}, 0)
    assert older.put([late]) == 0
    assert older.delete([late.id], late.event) == 0
    assert items(corner) == after
