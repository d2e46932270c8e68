"""Predictions by id: what the endpoint reads online is what was computed offline, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cli import prediction
from cli.serving import Served
from tests.support.shop import Shop


def test_by_id_is_the_answer_to_the_full_offline_row_for_everybody(
    shop: Shop, sluice: Callable[..., tuple[int, str, str]]
) -> None:
    rows = shop.offline()
    served = Served.by(shop.stack)
    ids = [row["customer_id"] for row in rows]
    assert len(ids) == len(set(ids)) == shop.materialized["written"] > 150
    full = [
        {name: None if row[name] != row[name] else row[name] for name in served.contract.names}
        for row in rows
    ]
    expected = prediction.Asked(served).predictions(full)

    found = [answer.prediction for answer in shop.ask(*ids)]

    assert found == expected
    assert len({each["probability"] for each in expected}) > 50

    named = [argument for id_ in ids[:3] for argument in ("--id", id_)]
    status, out, _ = sluice("predict", *named, "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (0, expected[:3])
    file = shop.folder / "ids.csv"
    file.write_text("\n".join(["customer_id", *ids]) + "\n")
    status, out, _ = sluice("predict", "--file", str(file), "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (0, expected)


def test_a_batch_takes_full_rows_and_tells_who_gives_ids(
    shop: Shop, sluice: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    rows = shop.offline()
    served = Served.by(shop.stack)
    full = [
        {name: None if row[name] != row[name] else row[name] for name in served.contract.names}
        for row in rows
    ]
    file = tmp_path / "full.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)

    status, _, told = sluice(
        "predict", "--batch", str(file), "--wait", "--output", str(tmp_path / "out.parquet")
    )

    assert status == 0, told
    result = pq.read_table(tmp_path / "out.parquet")
    assert result["customer_id"].to_pylist() == [row["customer_id"] for row in rows]
    assert result["probability"].to_pylist() == [
        each["probability"] for each in prediction.Asked(served).predictions(full)
    ]

    ids = tmp_path / "ids.csv"
    ids.write_text("customer_id\n" + "\n".join(row["customer_id"] for row in rows) + "\n")
    status, _, told = sluice("predict", "--batch", str(ids), "--wait")
    assert status == 1
    assert "SchemaMismatch" in told
    assert "a batch reads nothing from the online store: give full rows" in told
    assert "`sluice predict --file FILE`" in told


def test_an_id_that_nobody_has_is_404_and_the_others_keep_their_answers(
    shop: Shop, sluice: Callable[..., tuple[int, str, str]]
) -> None:
    known = pq.read_table(shop.folder / "data.parquet")["customer_id"][0].as_py()
    status, told = shop.status("nobody")
    assert (status, told["error"]) == (404, "UnknownEntity")

    code, out, err = sluice("predict", "--id", known, "--id", "nobody")

    assert code == 1
    header, first, second = out.splitlines()
    assert (header, second) == ("label,probability", ",")
    assert first.startswith(("yes,", "no,"))
    assert "nobody: the online store has no features of customer_id 'nobody': upload its events" in err


def test_a_log_is_no_request_by_id(shop: Shop, sluice: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = sluice("predict", "--file", str(shop.folder / "log.csv"))
    assert code == 1
    assert "`sluice predict --id C1`" in err


def test_a_table_deleted_under_the_endpoint_is_503_until_it_is_back(
    shop: Shop, sluice: Callable[..., tuple[int, str, str]]
) -> None:
    known = pq.read_table(shop.folder / "data.parquet")["customer_id"][0].as_py()
    before = shop.ask(known)
    dynamodb = shop.stack.client("dynamodb")
    dynamodb.delete_table(TableName=shop.table)

    status, told = shop.status(known)
    assert (status, told["error"]) == (503, "FeatureStoreUnavailable")
    assert shop.table in told["message"] or "ResourceNotFound" in told["message"]
    code, _, err = sluice("predict", "--id", known)
    assert code == 1
    assert "the endpoint cannot read the online store" in err

    key = {"AttributeName": "entity_id"}
    dynamodb.create_table(
        TableName=shop.table,
        KeySchema=[key | {"KeyType": "HASH"}],
        AttributeDefinitions=[key | {"AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    code, _, err = sluice("materialize", "--wait")
    assert code == 0, err
    assert f"{shop.materialized['written']} written, 0 held" in err
    assert shop.ask(known) == before
    assert shop.materialize()["written"] == 0
