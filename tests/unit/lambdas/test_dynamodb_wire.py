"""Writes to DynamoDB: what goes over the wire, what is tried again, and what of it ends all others."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lambdas.adapters.dynamodb_wire import Wire
from lambdas.adapters.online_store import OnlineTable
from sluice.errors import OnlineTableMissing, StorageUnavailable
from sluice.features.materialization import Entity

URL = "http://127.0.0.1:8000"
KEYS = Credentials("AKID", "secret", "token")
ENTITY = Entity("0a", 1_767_225_600_000_000, {"spent": b"\x29\x00"}, 0)

Answer = tuple[int, bytes] | Exception
DONE: Answer = (200, b"{}")


def refusal(code: str, status: int = 400) -> Answer:
    return status, json.dumps(
        {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}
    ).encode()


def answers(*statements: dict[str, Any]) -> Answer:
    """What DynamoDB says of each statement of a batch."""
    return 200, json.dumps({"Responses": [{"TableName": "t", **each} for each in statements]}).encode()


@dataclass
class Server:
    """Answers requests, on however many connections, with one answer after the other, and at last with `always`."""

    answers: list[Answer] = field(default_factory=list)
    always: Answer = DONE
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    opened: int = 0
    closed: int = 0
    taking: threading.Lock = field(default_factory=threading.Lock)

    def connect(self) -> Any:
        self.opened += 1
        return Line(self)

    def answer(self, headers: dict[str, str], body: bytes) -> Answer:
        with self.taking:
            self.requests.append((headers, body))
            return self.answers.pop(0) if self.answers else self.always


class Line:
    """A connection, as much of http.client's as is used."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._answer: Answer = DONE

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        assert (method, path) == ("POST", "/")
        self._answer = self._server.answer(headers, body)

    def getresponse(self) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        status, body = self._answer
        response = io.BytesIO(body)
        response.status = status  # type: ignore[attr-defined]
        return response

    def close(self) -> None:
        self._server.closed += 1


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def wire(server: Server, keys: Callable[[], Any] = KEYS.get_frozen_credentials) -> Wire:
    return Wire(URL, "eu-west-1", keys, server.connect)


def call(server: Server) -> None:
    with wire(server).connected() as connection:
        connection.call("PutItem", {"TableName": "t"})


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], OnlineTable]:
    def made(server: Server) -> OnlineTable:
        monkeypatch.setattr(OnlineTable, "_wire", wire(server))
        return OnlineTable("shop_dev.activity", as_of=20, ttl_microseconds=1_500_000)

    return made


def test_a_request_is_signed_as_botocore_signs_it_with_the_credentials_of_now() -> None:
    server = Server()
    given = [KEYS, Credentials("OTHER", "other")]
    with wire(server, lambda: given.pop(0).get_frozen_credentials()).connected() as connection:
        connection.call("PutItem", {"TableName": "t"})
        connection.call("PutItem", {"TableName": "t"})
    (first, body), (second, _) = server.requests
    assert json.loads(body) == {"TableName": "t"}
    assert first["X-Amz-Target"] == "DynamoDB_20120810.PutItem"
    assert first["X-Amz-Security-Token"] == "token"
    assert "Credential=OTHER/" in second["Authorization"]
    again = AWSRequest(
        "POST", URL, data=body, headers={k: v for k, v in first.items() if k != "Authorization"}
    )
    again.context["timestamp"] = first["X-Amz-Date"]
    signer = SigV4Auth(KEYS.get_frozen_credentials(), "dynamodb", "eu-west-1")
    signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert first["Authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    "passing",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("InternalServerError", 500),
        (503, b"<html>"),
        ConnectionResetError("gone"),
        http.client.RemoteDisconnected("gone"),
        TimeoutError("late"),
    ],
)
def test_what_passes_is_tried_again_after_a_pause_that_grows(passing: Answer, pauses: list[float]) -> None:
    server = Server([passing] * 9)
    call(server)
    assert len(server.requests) == 10
    assert len(pauses) == 9
    assert all(0 <= pause <= 0.05 * 2**attempt for attempt, pause in enumerate(pauses, start=1))
    assert len(set(pauses)) == 9


def test_what_does_not_pass_ends_with_botocores_error(pauses: list[float]) -> None:
    server = Server(always=refusal("ProvisionedThroughputExceededException"))
    with pytest.raises(ClientError) as failure:
        call(server)
    assert failure.value.response["Error"] == {
        "Code": "ProvisionedThroughputExceededException",
        "Message": "no",
    }
    assert (len(server.requests), len(pauses)) == (10, 9)


def test_a_refusal_is_not_tried_again(pauses: list[float]) -> None:
    server = Server(always=refusal("ValidationException"))
    with pytest.raises(ClientError, match="ValidationException"):
        call(server)
    assert (len(server.requests), pauses) == (1, [])


def test_who_cannot_be_reached_is_told(pauses: list[float]) -> None:
    server = Server(always=ConnectionRefusedError("nobody there"))
    with pytest.raises(StorageUnavailable, match="cannot be reached") as failure:
        call(server)
    assert "nobody there" in str(failure.value)
    assert len(pauses) == 9


def test_an_item_is_feasts_with_when_it_was_looked_up_and_when_it_expires(
    table: Callable[[Server], OnlineTable],
) -> None:
    server = Server()
    assert table(server).put([ENTITY]) == 1
    ((_, body),) = server.requests
    asked = json.loads(body)
    assert asked["TableName"] == "shop_dev.activity"
    assert asked["Item"] == {
        "entity_id": {"S": "0a"},
        "event_ts": {"S": "2026-01-01 00:00:00+00:00"},
        "values": {"M": {"spent": {"B": "KQA="}}},
        "as_of": {"N": "20"},
        # One and a half seconds later, and not before: whole seconds.
        "expires_at": {"N": str(1_767_225_600 + 2)},
    }


def test_an_item_of_a_later_writer_is_counted_and_no_error(table: Callable[[Server], OnlineTable]) -> None:
    server = Server(always=refusal("ConditionalCheckFailedException"))
    assert table(server).put([ENTITY, ENTITY]) == 0
    assert table(server).delete(["0a"], 1) == 0


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(
    ("always", "error", "words"),
    [
        (refusal("ResourceNotFoundException"), OnlineTableMissing, "shop_dev.activity is not there"),
        (refusal("ProvisionedThroughputExceededException"), StorageUnavailable, "too busy"),
        (refusal("ThrottlingException"), StorageUnavailable, "too busy"),
        (refusal("InternalServerError", 500), StorageUnavailable, "too busy"),
        (OSError("nobody there"), StorageUnavailable, "cannot be reached"),
    ],
)
def test_what_is_wrong_with_the_table_is_told(
    table: Callable[[Server], OnlineTable], always: Answer, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        table(Server(always=always)).put([ENTITY])
    with pytest.raises(error, match=words):
        table(Server(always=always)).delete(["0a"], 1)
    with pytest.raises(error, match=words):
        table(Server(always=always)).insert([ENTITY])


def test_each_item_is_written_once_by_all_writers_together(table: Callable[[Server], OnlineTable]) -> None:
    server = Server()
    entities = [Entity(f"{number:032x}", 5, {"spent": b""}, 0) for number in range(500)]
    assert table(server).put(entities) == 500
    written = [json.loads(body)["Item"]["entity_id"]["S"] for _, body in server.requests]
    assert sorted(written) == [entity.id for entity in entities]
    assert server.opened <= 16
    assert server.closed == server.opened


def test_where_one_write_fails_the_others_are_not_begun(table: Callable[[Server], OnlineTable]) -> None:
    server = Server([refusal("ResourceNotFoundException")])
    with pytest.raises(OnlineTableMissing):
        table(server).put([ENTITY] * 10_000)
    assert len(server.requests) < 10_000


def test_nothing_to_write_opens_nothing(table: Callable[[Server], OnlineTable]) -> None:
    server = Server()
    assert (table(server).put([]), table(server).delete([], 1), server.opened) == (0, 0, 0)
    assert (table(server).insert([]), server.opened) == ([], 0)


def test_what_is_not_there_yet_is_inserted_with_the_attributes_of_an_item_that_is_put(
    table: Callable[[Server], OnlineTable],
) -> None:
    inserting, putting = Server(always=answers({})), Server()
    assert table(inserting).insert([ENTITY]) == []
    table(putting).put([ENTITY])
    ((headers, body),), ((_, put),) = inserting.requests, putting.requests
    assert headers["X-Amz-Target"] == "DynamoDB_20120810.BatchExecuteStatement"
    ((statement, parameters),) = (each.values() for each in json.loads(body)["Statements"])
    assert statement == (
        'INSERT INTO "shop_dev.activity" '
        "VALUE {'entity_id': ?, 'event_ts': ?, 'values': ?, 'as_of': ?, 'expires_at': ?}"
    )
    assert parameters == list(json.loads(put)["Item"].values())


def test_each_item_is_inserted_once_twenty_five_with_a_call(table: Callable[[Server], OnlineTable]) -> None:
    server = Server([answers(*[{}] * 25)] * 4, always=answers(*[{}] * 25))
    entities = [Entity(f"{number:032x}", 5, {"spent": b""}, 0) for number in range(100)]
    assert table(server).insert(entities) == []
    batches = [json.loads(body)["Statements"] for _, body in server.requests]
    assert [len(batch) for batch in batches] == [25] * 4
    ids = [statement["Parameters"][0]["S"] for batch in batches for statement in batch]
    assert sorted(ids) == [entity.id for entity in entities]


def test_what_was_not_inserted_is_given_back_whatever_it_failed_of(
    table: Callable[[Server], OnlineTable],
) -> None:
    codes = ["DuplicateItem", None, "ProvisionedThroughputExceeded", "InternalServerError"]
    server = Server(
        always=answers(
            *[{} if code is None else {"Error": {"Code": code, "Message": "no"}} for code in codes]
        )
    )
    entities = [Entity(f"{number:032x}", 5, {"spent": b""}, 0) for number in range(4)]
    assert table(server).insert(entities) == [entities[0], *entities[2:]]
