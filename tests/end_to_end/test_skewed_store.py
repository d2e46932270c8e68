"""The gate looks into the online store: where it agrees a model is promoted, where it does not none is."""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cli import executions, materialization, prediction
from cli.serving import Served
from sluice.features.online_keys import EntityIds
from sluice.features.online_values import encode
from sluice.features.plan import Key
from tests.support.bank import Bank, write_csv

PROJECT = """\
[project]
name = "kiosk"

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

[gates]
minimum = { roc_auc = 0.6 }
rule = "non-inferiority"  # the same rows again make the same model
margin = 0.2
min_held_out_rows = 10

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


def build_labels(table):
    labels = table.groupby("customer_id", as_index=False).agg(at=("at", "max"), total=("amount", "sum"))
    labels["y"] = ["yes" if total > 150 else "no" for total in labels.pop("total")]
    return labels
"""
TRAIN = """\
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build_model(hyperparameters):
    return make_pipeline(StandardScaler(), LogisticRegression())
"""
TABLE = "kiosk_local.activity"
CUSTOMERS = [f"C{number:03}" for number in range(150)]
ID = EntityIds((Key(name="customer_id", type="string"),))


@pytest.fixture(scope="module")
def kiosk(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A project with a view, beside the bank."""
    folder = tmp_path_factory.mktemp("kiosk")
    (folder / "project").mkdir()
    for name, text in {"project.toml": PROJECT, "features.py": FEATURES, "train.py": TRAIN}.items():
        (folder / "project" / name).write_text(text)
    return bank.beside(folder / "project", folder)


def log(file: Path) -> Path:
    draw = random.Random(3)
    rows = [
        [customer, f"2026-01-{draw.randint(1, 28):02}", f"{draw.uniform(1, 100):.2f}"]
        for customer in CUSTOMERS
        for _ in range(draw.randint(2, 4))
    ]
    return write_csv(file, rows, ["customer_id", "at", "amount"])


def train_again(kiosk: Bank, name: str) -> dict[str, Any]:
    started = kiosk.stack.client("stepfunctions").start_execution(
        stateMachineArn=kiosk.stack.outputs["TrainingArn"], name=name, input="{}"
    )
    return executions.follow(kiosk.stack, started["executionArn"])


def entered(kiosk: Bank, execution: str, state: str) -> datetime:
    pages = kiosk.stack.client("stepfunctions").get_paginator("get_execution_history")
    [at] = [
        event["timestamp"]
        for page in pages.paginate(executionArn=execution)
        for event in page["events"]
        if event.get("stateEnteredEventDetails", {}).get("name") == state
    ]
    found: datetime = at
    return found


def materializations(kiosk: Bank) -> list[dict[str, Any]]:
    machine = kiosk.stack.outputs["MaterializationArn"]
    found: list[dict[str, Any]] = kiosk.stack.client("stepfunctions").list_executions(
        stateMachineArn=machine
    )["executions"]
    return found


def overwrite(kiosk: Bank, customer: str) -> None:
    """Write an item as Feast's own tools do, of a time to come: ours puts nothing older over it."""
    kiosk.stack.client("dynamodb").put_item(
        TableName=TABLE,
        Item={
            "entity_id": {"S": ID.of((customer,))},
            "event_ts": {"S": "2036-01-01 00:00:00+00:00"},
            "values": {
                "M": {"spent": {"B": encode(54321.5, "number")}, "purchases": {"B": encode(3, "integer")}}
            },
        },
    )


def mend(kiosk: Bank, customers: list[str]) -> None:
    """Take out what was overwritten, and what is known of the table, so that the next run writes it whole."""
    for customer in customers:
        key = {"entity_id": {"S": ID.of((customer,))}}
        kiosk.stack.client("dynamodb").delete_item(TableName=TABLE, Key=key)
    for ledger in kiosk.keys("features/activity/"):
        kiosk.stack.client("s3").delete_object(Bucket=kiosk.stack.outputs["ArtifactsBucketName"], Key=ledger)


def test_a_model_is_promoted_where_the_store_agrees_and_refused_where_it_does_not(
    kiosk: Bank, tmp_path: Path
) -> None:
    first = kiosk.train(log(tmp_path / "log.csv"))

    assert first["outcome"] == "Deployed", first
    assert (
        first["reasons"][-1] == "The online store agrees with the training data for all 150 sampled entities."
    )
    # The upload had the store written once, under the name that follows from its execution, and before its gate.
    [written] = materializations(kiosk)
    assert written["executionArn"] == materialization.of(kiosk.stack, first["execution_arn"])
    assert written["status"] == "SUCCEEDED"
    assert written["stopDate"] < entered(kiosk, first["execution_arn"], "DecideGate")
    champion = kiosk.endpoint_config()
    served = Served.by(kiosk.stack)
    [before] = prediction.predict_ids(served, served.by_id().records(CUSTOMERS[:1], []))
    assert before.prediction is not None

    for customer in CUSTOMERS[1:4]:
        overwrite(kiosk, customer)
    refused = train_again(kiosk, "of-a-store-that-differs")

    assert refused["outcome"] == "GateRejected", refused
    reason = (
        "The online store differs from the training data for 3 of 150 sampled entities (2 %, at most 1 % is"
        " allowed): spent 3"
    )
    assert refused["reasons"][-1].startswith(reason)
    assert kiosk.endpoint_config() == champion
    [after] = prediction.predict_ids(served, served.by_id().records(CUSTOMERS[:1], []))
    assert after.prediction == before.prediction
    [message] = kiosk.notifications(refused["execution_arn"])
    assert reason in message["Message"]
    history = kiosk.stack.client("stepfunctions").get_execution_history(
        executionArn=refused["execution_arn"], maxResults=1000
    )
    assert "54321" not in json.dumps(history, default=str)

    mend(kiosk, CUSTOMERS[1:4])
    mended = train_again(kiosk, "of-a-store-that-was-mended")
    assert mended["outcome"] == "Deployed", mended
    assert "agrees with the training data for all 150" in mended["reasons"][-1]


def test_a_store_that_cannot_be_written_fails_the_training_and_says_so(kiosk: Bank) -> None:
    champion = kiosk.endpoint_config()
    dynamodb = kiosk.stack.client("dynamodb")
    described = dynamodb.describe_table(TableName=TABLE)["Table"]
    dynamodb.delete_table(TableName=TABLE)
    try:
        failed = train_again(kiosk, "without-a-table")
    finally:
        dynamodb.create_table(
            TableName=TABLE,
            KeySchema=described["KeySchema"],
            AttributeDefinitions=described["AttributeDefinitions"],
            BillingMode="PAY_PER_REQUEST",
        )

    assert (failed["outcome"], failed["error"]) == ("Failed", "OnlineTableMissing"), failed
    assert TABLE in failed["cause"]
    assert kiosk.endpoint_config() == champion
