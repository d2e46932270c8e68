"""Where the online store is, and with whose credentials it is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from containers.serve.metrics import Totals, embedded_metrics
from containers.serve.online.by_id import FILE_NAME, load_by_id
from containers.serve.online.connection import Connection, Endpoint, Pool
from containers.serve.online.credentials import Container, source_of
from containers.serve.online.failures import FeatureStoreUnavailable
from containers.serve.online.settings import OnlineSettings
from containers.serve.online.signing import Credentials
from containers.serve.settings import SettingError, Settings
from sluice.errors import ProjectError
from tests.support import oracle
from tests.support.dynamo import Link

KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cret"}
STORE = {"SLUICE_ONLINE_STORE": "churn_prod", "AWS_REGION": "eu-west-1", **KEYS}


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(bounded())


def test_an_endpoint_without_a_store_reads_none() -> None:
    assert Settings.of({}).online is None
    assert Settings.of({"SLUICE_ONLINE_STORE": ""}).online is None


def test_the_store_is_the_regions_own() -> None:
    found = OnlineSettings.of(STORE)
    assert found is not None
    assert (found.store, found.region) == ("churn_prod", "eu-west-1")
    assert found.endpoint == Endpoint("dynamodb.eu-west-1.amazonaws.com", 443, is_tls=True)
    assert found.endpoint.authority == "dynamodb.eu-west-1.amazonaws.com"
    assert (found.missing, found.seconds) == ("error", 10)
    assert run(found.credentials.current()) == Credentials("AKID", "s3cret")


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({"AWS_REGION": "cn-north-1"}, "https://dynamodb.cn-north-1.amazonaws.com.cn"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566"),
        (
            {
                "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
                "AWS_ENDPOINT_URL_DYNAMODB": "https://db.local:8000/",
            },
            "https://db.local:8000",
        ),
        ({"AWS_ENDPOINT_URL": "http://[::1]:4566"}, "http://[::1]:4566"),
    ],
)
def test_the_endpoint_is_found_as_the_sdks_do(given: dict[str, str], endpoint: str) -> None:
    found = OnlineSettings.of(STORE | given)
    assert found is not None
    assert found.endpoint == Endpoint.of(endpoint)
    assert found.endpoint.authority == endpoint.partition("//")[2]


def test_the_default_region_is_one() -> None:
    given = {name: value for name, value in STORE.items() if name != "AWS_REGION"}
    found = OnlineSettings.of(given | {"AWS_DEFAULT_REGION": "us-east-2"})
    assert found is not None
    assert found.region == "us-east-2"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"AWS_REGION": ""}, "AWS_REGION is missing"),
        ({"AWS_ACCESS_KEY_ID": ""}, "there are no credentials"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:4566"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "ftp://127.0.0.1"}, "no http or https URL"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, "AWS_ENDPOINT_URL"),
        ({"SLUICE_MISSING_FEATURES": "maybe"}, "expected error or null"),
        ({"SLUICE_ONLINE_SECONDS": "0"}, "expected a number from 1 to 60"),
        ({"SLUICE_ONLINE_SECONDS": "1.5"}, "expected a number from 1 to 60"),
        (
            {"AWS_ACCESS_KEY_ID": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/"},
            "no credentials over plain HTTP",
        ),
    ],
)
def test_what_cannot_be_used_is_told_at_the_start(given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError, match="the online store cannot be read") as failure:
        Settings.of(STORE | given)
    assert message in failure.value.why


class Giver:
    """The endpoint that gives a container its credentials."""

    def __init__(self, *lifetimes: float) -> None:
        self.lifetimes = list(lifetimes)
        self.requests: list[str] = []
        self.now = 1_700_000_000.0
        self.broken: Callable[[Link], None] | None = None

    async def connect(self) -> Connection:
        connection = Connection()
        connection.connection_made(Link(self, connection))  # type: ignore[arg-type]
        return connection

    def take(self, link: Link, data: bytes) -> None:
        self.requests.append(data.decode())
        asyncio.get_running_loop().call_soon(self._answer, link)

    def _answer(self, link: Link) -> None:
        if self.broken is not None:
            self.broken(link)
            return
        from datetime import UTC, datetime

        ends = datetime.fromtimestamp(self.now + self.lifetimes.pop(0), UTC)
        body = json.dumps(
            {
                "AccessKeyId": f"AKID{len(self.requests)}",
                "SecretAccessKey": "s3cret",
                "Token": "T",
                "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ).encode()
        link.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def source(self, token: Callable[[], str] = lambda: "") -> Container:
        url = "http://169.254.170.2/v2/credentials/abc?x=1"
        return Container(url, token, Pool(self.connect), lambda: self.now)


def test_a_containers_credentials_are_asked_for_once_and_used() -> None:
    giver = Giver(3600)

    async def scenario() -> None:
        source = giver.source(lambda: "Bearer xyz")
        both = await asyncio.gather(source.current(), source.current())
        assert [each.key for each in both] == ["AKID1", "AKID1"]
        assert (await source.current()).token == "T"

    run(scenario())
    (request,) = giver.requests
    assert request.startswith("GET /v2/credentials/abc?x=1 HTTP/1.1\r\nHost: 169.254.170.2\r\n")
    assert "Authorization: Bearer xyz\r\n" in request


def test_they_are_renewed_before_they_expire_and_used_meanwhile() -> None:
    giver = Giver(3600, 3600)

    async def scenario() -> None:
        source = giver.source()
        await source.current()
        giver.now += 3600 - 601
        assert (await source.current()).key == "AKID1"
        assert len(giver.requests) == 1
        giver.now += 2
        assert (await source.current()).key == "AKID1"
        while (await source.current()).key == "AKID1":
            await asyncio.sleep(0)
        assert len(giver.requests) == 2

    run(scenario())


def test_expired_ones_are_not_used() -> None:
    giver = Giver(3600, 3600)

    async def scenario() -> None:
        source = giver.source()
        await source.current()
        giver.now += 3600 - 29
        assert (await source.current()).key == "AKID2"

    run(scenario())


def test_refused_ones_are_asked_for_again() -> None:
    giver = Giver(3600, 3600)

    async def scenario() -> None:
        source = giver.source()
        first = await source.current()
        second = await source.renewed(first)
        assert second is not None
        assert second.key == "AKID2"
        # Another request, which still had the old ones, asks for no third.
        assert await source.renewed(first) is second

    run(scenario())


@pytest.mark.parametrize(
    "broken",
    [
        lambda link: link.close(),
        lambda link: link.deliver(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        lambda link: link.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        lambda link: link.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
        lambda link: link.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
    ],
)
def test_no_credentials_are_an_error_that_says_so_until_there_are_some(broken: Any) -> None:
    giver = Giver(3600)

    async def scenario() -> None:
        source = giver.source()
        giver.broken = broken
        with pytest.raises(FeatureStoreUnavailable, match="no credentials") as failure:
            await source.current()
        assert failure.value.where == "169.254.170.2/v2/credentials/abc"
        giver.broken = None
        assert (await source.current()).secret == "s3cret"

    run(scenario())


def test_a_renewal_that_fails_leaves_the_old_ones_in_use() -> None:
    giver = Giver(3600)

    async def scenario() -> None:
        source = giver.source()
        await source.current()
        giver.broken = lambda link: link.close()
        giver.now += 3600 - 500
        for _ in range(20):
            assert (await source.current()).key == "AKID1"
            await asyncio.sleep(0)

    run(scenario())
    assert len(giver.requests) == 2  # and not with each request


def test_the_token_of_a_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one\n")
    source = source_of(
        {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
        }
    )
    assert isinstance(source, Container)
    assert source._token() == "one"
    file.write_text("two")
    assert source._token() == "two"


def test_a_secret_is_not_shown() -> None:
    assert "s3cret" not in repr(Credentials("AKID", "s3cret", "t0ken"))
    assert "t0ken" not in repr(Credentials("AKID", "s3cret", "t0ken"))


def test_a_model_without_a_plan_is_not_asked_by_id(tmp_path: Path) -> None:
    counters = Totals(1).counters(0)
    assert load_by_id(tmp_path, oracle.compiled(), None, counters) is None
    (tmp_path / FILE_NAME).write_text("{}")
    with pytest.raises(ProjectError, match="not a feature plan"):
        load_by_id(tmp_path, oracle.compiled(), None, counters)


def test_entities_become_embedded_metrics_where_there_are_any() -> None:
    totals = Totals(1)
    counters, before = totals.counters(0), totals.sums()
    counters.request(200, 0.001)
    line = embedded_metrics(totals.sums(), before, 0)
    assert line is not None
    assert "Entities" not in json.loads(line)
    counters.entities(5, 3, 2, 1)
    counters.read(11)
    counters.again()
    counters.store_failure()
    line = embedded_metrics(totals.sums(), before, 0)
    assert line is not None
    told = json.loads(line)
    names = ("Entities", "UnknownEntities", "StaleEntities", "IncompleteEntities")
    assert [told[name] for name in names] == [11, 3, 2, 1]
    assert (told["StoreReads"], told["StoreRetries"], told["StoreFailures"]) == (1, 1, 1)
    (definition,) = told["_aws"]["CloudWatchMetrics"]
    assert {metric["Name"] for metric in definition["Metrics"]} == told.keys() - {"_aws"}
