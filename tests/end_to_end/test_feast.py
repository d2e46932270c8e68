"""Feast's own tools on a deployed stack, unchanged: they list what is declared and read what serving reads."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cli.serving import Served
from containers.serve.online.connection import Pool, connecting
from containers.serve.online.entities import Entities
from containers.serve.online.reader import Reader
from containers.serve.online.rows import Assembly
from containers.serve.online.settings import OnlineSettings
from containers.serve.online.signing import Signer
from containers.serve.online.store import Store
from containers.serve.online.views import stored_views
from infra.features import feature_plan
from tests.support import feasts
from tests.support.local_aws import wait_until
from tests.support.shop import Shop

STORE = "churn_local"


@pytest.fixture
def repo(shop: Shop, sluice: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Path:
    """A folder as `sluice feast` leaves it."""
    status, _, told = sluice("feast", str(tmp_path / "feast"))
    assert status == 0, told
    assert f"wrote {tmp_path / 'feast' / 'feature_store.yaml'}" in told
    assert "feature-views list" in told
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:" in told
    assert "note:" not in told
    assert "there is no registry yet" not in told
    return tmp_path / "feast"


class _Uncounted:
    def read(self, keys: int) -> None: ...
    def again(self) -> None: ...


def read_by_serving(shop: Shop, ids: list[str]) -> dict[str, list[Any]]:
    """What the endpoint's container gives the model for these customers, read by its own code."""
    plan = feature_plan(Path(str(shop.stack.project_folder)))
    assert plan is not None
    contract = Served.by(shop.stack).contract
    settings = OnlineSettings.of(
        {**shop.stack.aws_env, "SLUICE_ONLINE_STORE": STORE, "AWS_REGION": "us-east-1"}
    )
    assert settings is not None
    views = stored_views(plan, STORE)

    async def read() -> dict[str, list[Any]]:
        pool = Pool(connecting(settings.endpoint))
        signer = Signer(settings.endpoint.authority, settings.region)
        reader = Reader(Store(views, pool, signer, settings.credentials, _Uncounted(), 30.0))
        body = json.dumps({"entities": [{"customer_id": each} for each in ids]}).encode()
        asked = Entities(contract, plan, views).read(body, "application/json")
        places = [
            [(number, view.ids.of(key)) for key in zip(*(asked.keys[k.name] for k in view.keys), strict=True)]
            for number, view in enumerate(views)
        ]
        try:
            found = await reader.read([place for of_view in places for place in of_view], 60.0)
        finally:
            pool.close()
        rows = Assembly(contract, plan, views, "error").rows(asked, places, found, time.time_ns() // 1000)
        assert not rows.lacks
        return {name: list(rows.columns[name]) for name in contract.names}

    return asyncio.run(read())


def bits(value: Any) -> Any:
    """A value so that only the same is equal: doubles by their bits; what is no number is null to Feast."""
    if value is None or value != value:
        return None
    if isinstance(value, str):
        return str(value)
    return float(value).hex()


def test_the_cli_lists_what_features_py_declares(shop: Shop, repo: Path) -> None:
    asked = [("feature-views", "list"), ("entities", "list"), ("on-demand-feature-views", "list")]
    with ThreadPoolExecutor(2) as at_once:
        views, entities, on_demand = at_once.map(lambda each: feasts.said(shop.stack, repo, *each), asked)
    assert [(line[0], line[2]) for line in views] == [
        ("activity", "FeatureView"),
        ("pace", "OnDemandFeatureView"),
    ]
    assert [(line[0], line[-1]) for line in entities] == [("customer", "ValueType.STRING")]
    assert on_demand == [["pace"]]


def test_get_online_features_gives_the_very_values_that_serving_reads(shop: Shop, repo: Path) -> None:
    ids = sorted({str(each) for each in pq.read_table(shop.dataset())["customer_id"].to_pylist()})
    served = read_by_serving(shop, ids)
    rows = [{"customer_id": each} for each in ids]

    found = feasts.online_features(shop.stack, repo, [], rows)

    assert found["customer_id"] == ids
    assert len(ids) > 150
    assert "days_between_purchases" in served, "of an on-demand view"
    assert None in found["days_between_purchases"], "of a single purchase"
    assert len(set(found["days_between_purchases"])) > 50
    expected = {name: [bits(each) for each in values] for name, values in served.items()}
    assert {name: [bits(each) for each in found[name]] for name in expected} == expected


def test_the_ui_shows_the_views(shop: Shop, repo: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(feasts.FEAST), "-c", str(repo), "ui", "--host", "127.0.0.1", "--port", str(port)]
    with (repo / "ui.log").open("wb") as log:
        ui = subprocess.Popen(
            command,
            cwd=repo,
            env=feasts.environment(shop.stack, repo),
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        page = wait_until(lambda: ui.poll() is not None or answer(url), 120)
        assert ui.poll() is None, (repo / "ui.log").read_text()
        assert b"<title>Feast Feature Store</title>" in page
        projects = json.loads(answer(f"{url}/projects-list.json") or b"")
        assert [each["id"] for each in projects["projects"]] == [STORE]
        listed = json.loads(answer(f"{url}/api/v1/feature_views?project={STORE}") or b"")
        found = {each["spec"]["name"]: each["spec"] for each in listed["featureViews"]}
        assert found.keys() == {"activity", "pace"}
        words = {each["name"]: each["description"] for each in found["activity"]["features"]}
        assert words["avg_transaction_30d"] == "mean of amount, last 30 days"
        entities = json.loads(answer(f"{url}/api/v1/entities?project={STORE}") or b"")
        # Feast's own stand-in for the entity of views without one is listed, too.
        assert [each["spec"]["name"] for each in entities["entities"]] == ["customer", "__dummy"]
    finally:
        if ui.poll() is None:
            os.killpg(ui.pid, signal.SIGTERM)
        ui.wait(60)


def answer(url: str) -> bytes | None:
    """A page's bytes; None where nobody answers yet."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            body: bytes = response.read()
            return body
    except ConnectionRefusedError:
        return None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return None
        raise


def test_the_registry_was_written_once_by_all_that_ran(shop: Shop) -> None:
    """By several materializations, and by none of Feast's tools."""
    versions = shop.stack.client("s3").list_object_versions(
        Bucket=shop.stack.outputs["ArtifactsBucketName"], Prefix="feast/"
    )
    assert shop.materialize()["outcome"] == "Materialized"
    assert [each["Key"] for each in versions["Versions"]] == ["feast/registry.db"]


def test_the_table_of_a_view_that_left_is_told_with_how_to_drop_it(
    shop: Shop, sluice: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    dynamodb = shop.stack.client("dynamodb")
    key = {"AttributeName": "entity_id"}
    for name in (f"{STORE}.forgotten", "churn_locals.other"):
        dynamodb.create_table(
            TableName=name,
            KeySchema=[key | {"KeyType": "HASH"}],
            AttributeDefinitions=[key | {"AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    try:
        status, _, told = sluice("feast", str(tmp_path))
    finally:
        for name in (f"{STORE}.forgotten", "churn_locals.other"):
            dynamodb.delete_table(TableName=name)
    assert status == 0
    assert "no view 'forgotten' is in features.py, and its table churn_local.forgotten is there still" in told
    assert told.rstrip().endswith("aws dynamodb delete-table --table-name churn_local.forgotten")
    assert told.count("note:") == 1
