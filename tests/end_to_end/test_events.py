"""Data that keeps coming: events appended to a table, and a training on what the table has become."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cli import executions
from sluice import keys
from tests.support.bank import HEADER, Bank, bank_rows, write_csv, write_project

COLUMNS = [*HEADER, "at"]


@pytest.fixture(scope="module")
def shop(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A project whose rows have a time, beside the bank."""
    folder = tmp_path_factory.mktemp("shop")
    write_project(folder / "project", "till")
    file = folder / "project" / "project.toml"
    text = file.read_text().replace('key = "id"', 'key = "id"\ntimestamp = "at"')
    file.write_text(text + '\n[columns.at]\ntype = "timestamp"\n')
    return bank.beside(folder / "project", folder)


def rows(count: int, *, seed: int, day: int) -> list[list[str]]:
    return [[*row, f"2026-01-{day:02d}"] for row in bank_rows(count, seed=seed)]


def append(shop: Bank, file: Path) -> dict[str, Any]:
    return shop.train(file, f"{keys.INCOMING_EVENTS}{file.name}")


def document(shop: Bank, key: str) -> dict[str, Any]:
    bucket = shop.stack.outputs["ArtifactsBucketName"]
    read: dict[str, Any] = json.loads(
        shop.stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    )
    return read


def train_on(shop: Bank, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Start a training by hand."""
    started = shop.stack.client("stepfunctions").start_execution(
        stateMachineArn=shop.stack.outputs["TrainingArn"], name=name, input=json.dumps(given)
    )
    return executions.follow(shop.stack, started["executionArn"])


def test_a_table_grows_by_events_and_a_training_takes_all_of_it(shop: Bank, tmp_path: Path) -> None:
    nothing = train_on(shop, "too-early", {})
    assert (nothing["outcome"], nothing["error"]) == ("Failed", "NoDataset")

    first = append(shop, write_csv(tmp_path / "first.csv", rows(400, seed=1, day=1), COLUMNS))
    assert first["outcome"] == "Appended", first
    assert first["notes"] == ["There was no table: these rows are all of it."]
    assert shop.endpoint_config() is None
    assert len(shop.notifications(first["execution_arn"])) == 1

    overlapping = [*rows(400, seed=1, day=1)[:50], *rows(200, seed=2, day=2)]
    for row in overlapping[:50]:
        row[1] = "33"
    second = append(shop, write_csv(tmp_path / "second.csv", overlapping, COLUMNS))
    assert second["outcome"] == "Appended", second
    assert second["notes"] == [
        "This is part 2 of the table, which now has 600 rows that count.",
        "50 of its rows have the key and time of rows that were there, and take their place.",
    ]

    bad = append(shop, write_csv(tmp_path / "bad.csv", [["x"] * 7] * 10, COLUMNS))
    assert (bad["outcome"], bad["error"]) == ("Failed", "DataRejected")
    assert document(shop, keys.current())["dataset_version"] == second["dataset_version"]

    trained = train_on(shop, "on-what-there-is", {"dataset": "current"})
    assert trained["outcome"] == "Deployed", trained
    assert trained["dataset_version"] == second["dataset_version"]
    assert document(shop, keys.training_set("on-what-there-is"))["dataset_rows"] == 600

    files = [write_csv(tmp_path / f"{day}.csv", rows(20, seed=day, day=day), COLUMNS) for day in (3, 4, 5)]
    with ThreadPoolExecutor(3) as at_once:
        ends = list(at_once.map(lambda file: append(shop, file), files))
    assert [end["outcome"] for end in ends] == ["Appended"] * 3
    current = document(shop, keys.current())["dataset_version"]
    manifest = document(shop, keys.manifest(current))
    assert [part["rows"] for part in manifest["parts"]] == [400, 250, 20, 20, 20]
    assert manifest["rows"] == 660
