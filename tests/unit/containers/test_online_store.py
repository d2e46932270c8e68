"""Reading the online store: batches, faults, and what is never taken for "not found"."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from containers.serve.online.failures import FeatureStoreUnavailable, UnreadableFeatures
from containers.serve.online.reader import Reader
from containers.serve.online.signing import Credentials, Signer
from containers.serve.online.store import Place
from containers.serve.online.views import Row, StoredView, stored_views
from sluice.features.online_keys import EntityIds
from sluice.features.plan import FeaturePlan, Key, Value, View
from tests.support import dynamo as fake
from tests.support.dynamo import Counted, Dynamo, reader_of, store_of

CUSTOMER = Key(name="customer_id", type="string")
PLAN = FeaturePlan(
    timestamp="at",
    views=(
        View(
            name="activity",
            keys=(CUSTOMER,),
            features=(
                Value(name="spent", type="number"),
                Value(name="unused", type="number"),
                Value(name="orders", type="integer"),
            ),
        ),
        View(name="profile", keys=(CUSTOMER,), features=(Value(name="town", type="string"),)),
    ),
    model=("activity:spent", "activity:orders", "profile:town"),
)
NOW = 1_700_000_000_000_000
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(30):
            return await work

    return asyncio.run(bounded())


def filled(*customers: str) -> Dynamo:
    dynamo = Dynamo(tables={"shop.activity": {}, "shop.profile": {}})
    for number, customer in enumerate(customers):
        key = {"customer_id": customer}
        dynamo.put(PLAN, "shop", "activity", key, NOW, spent=number / 4, unused=9.0, orders=number)
        dynamo.put(PLAN, "shop", "profile", key, NOW, town=f"town of {customer}")
    return dynamo


def place(view: int, customer: str) -> Place:
    return view, EntityIds([CUSTOMER]).of([customer])


async def read(reader: Reader, *customers: str, view: int = 0, seconds: float = 20.0) -> list[Row | None]:
    places = [place(view, customer) for customer in customers]
    found = await reader.read(list(dict.fromkeys(places)), seconds)
    return [found[each] for each in places]


def test_rows_are_found_and_what_is_not_there_is_none() -> None:
    dynamo = filled("C1", "C2")
    rows = run(read(reader_of(dynamo, PLAN), "C2", "nobody", "C1"))
    assert rows == [Row([0.25, 1], NOW), None, Row([0.0, 0], NOW)]


def test_exactly_what_the_model_needs_is_asked_for() -> None:
    dynamo = filled("C1")
    run(read(reader_of(dynamo, PLAN), "C1"))
    (request,) = dynamo.requests
    (part,) = request.document["RequestItems"].values()
    assert part["ProjectionExpression"] == "entity_id, event_ts, #v.#0, #v.#1"
    assert part["ExpressionAttributeNames"] == {"#v": "values", "#0": "spent", "#1": "orders"}
    assert "ConsistentRead" not in part


def test_of_more_features_than_an_expression_holds_the_whole_item_is_read() -> None:
    features = tuple(Value(name=f"f{number}", type="integer") for number in range(1000))
    view = View(name="wide", keys=(CUSTOMER,), features=features)
    plan = FeaturePlan(timestamp=None, views=(view,), model=tuple(f"wide:f{n}" for n in range(1000)))
    dynamo = Dynamo()
    dynamo.put(plan, "shop", "wide", {"customer_id": "C1"}, NOW, **{f"f{n}": n for n in range(1000)})

    async def scenario() -> list[Row | None]:
        return await read(reader_of(dynamo, plan), "C1")

    # The fake's projection of one name is all that is under it, as DynamoDB's.
    assert run(scenario()) == [Row(list(range(1000)), NOW)]
    (part,) = dynamo.requests[0].document["RequestItems"].values()
    assert len(part["ProjectionExpression"]) < 4096


def test_a_feature_that_an_item_does_not_have_is_told_from_null() -> None:
    dynamo = Dynamo()
    dynamo.put(PLAN, "shop", "activity", {"customer_id": "C1"}, NOW, spent=None)
    assert run(read(reader_of(dynamo, PLAN), "C1")) == [Row([None, None], NOW, absent=("orders",))]


def test_a_hundred_keys_go_into_a_batch_and_no_more() -> None:
    names = [f"C{number}" for number in range(250)]
    dynamo, counted = filled(*names), Counted()
    rows = run(read(reader_of(dynamo, PLAN, counting=counted), *names))
    assert [row and row.values[1] for row in rows] == list(range(250))
    assert sum(counted.reads) == 250
    assert max(counted.reads) == 100


def test_several_views_are_read_at_once() -> None:
    dynamo = filled("C1")

    async def scenario() -> dict[Place, Row | None]:
        return await reader_of(dynamo, PLAN).read([place(0, "C1"), place(1, "C1")], 20)

    found = run(scenario())
    assert found == {place(0, "C1"): Row([0.0, 0], NOW), place(1, "C1"): Row(["town of C1"], NOW)}
    assert len(dynamo.requests) == 1


def test_what_concurrent_clients_want_goes_together_and_a_key_once() -> None:
    dynamo = filled("C1", "C2")

    async def scenario() -> list[list[Row | None]]:
        reader = reader_of(dynamo, PLAN)
        return await asyncio.gather(*(read(reader, name) for name in ("C1", "C2", "C1", "nobody", "C1")))

    rows = run(scenario())
    assert [each[0] and each[0].values[1] for each in rows] == [0, 1, 0, None, 0]
    assert [request.keys for request in dynamo.requests] == [3]


def test_a_batch_collects_while_as_many_as_may_are_under_way() -> None:
    names = [f"C{number}" for number in range(40)]
    dynamo = filled(*names)
    links: list[Any] = []
    dynamo.steps = [lambda link, right: links.append((link, right))] * 2

    async def scenario() -> None:
        reader = reader_of(dynamo, PLAN, most_batches=2)
        waiting = []
        for name in names:
            waiting.append(asyncio.create_task(read(reader, name)))
            for _ in range(10):
                await asyncio.sleep(0)
        assert [request.keys for request in dynamo.requests] == [1, 1]
        for link, right in links:
            link.deliver(right)
        rows = await asyncio.gather(*waiting)
        assert [row and row.values[1] for (row,) in rows] == list(range(40))

    run(scenario())
    assert [request.keys for request in dynamo.requests] == [1, 1, 38]


def test_what_was_asked_after_a_batch_was_sent_is_read_anew() -> None:
    dynamo = filled("C1")
    links: list[Any] = []
    dynamo.steps = [lambda link, right: links.append((link, right))]

    async def scenario() -> tuple[Any, Any]:
        reader = reader_of(dynamo, PLAN)
        early = asyncio.create_task(read(reader, "C1"))
        while not links:
            await asyncio.sleep(0)
        dynamo.put(PLAN, "shop", "activity", {"customer_id": "C1"}, NOW + 1, spent=7.0, orders=7)
        late = await read(reader, "C1")
        links[0][0].deliver(links[0][1])
        return await early, late

    early, late = run(scenario())
    assert (early[0].values, late[0].values) == ([0.0, 0], [7.0, 7])


def test_a_large_request_leaves_others_their_turn() -> None:
    names = [f"C{number}" for number in range(2000)]
    dynamo = filled(*names)

    async def scenario() -> int:
        reader = reader_of(dynamo, PLAN, most_batches=1)
        large = asyncio.create_task(read(reader, *names))
        while not dynamo.requests:
            await asyncio.sleep(0)
        await read(reader, "C1999")
        sent = len(dynamo.requests)
        await large
        return sent

    assert run(scenario()) <= 4  # of 20


@pytest.mark.parametrize(
    "fault",
    [
        fake.half_and_close,
        fake.close,
        fake.wrong_crc,
        fake.cut_short,
        fake.say(b"SSH-2.0-OpenSSH_9.2\r\n"),
        fake.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        fake.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"),
        fake.say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        fake.say(fake.error("ProvisionedThroughputExceededException")),
        fake.say(fake.error("ThrottlingException")),
        fake.say(fake.error("RequestLimitExceeded")),
        fake.say(fake.error("InternalServerError", status=500)),
    ],
)
def test_a_reading_that_fails_is_done_again(fault: fake.Step) -> None:
    dynamo, counted = filled("C1"), Counted()
    dynamo.steps = [fault, fault]
    rows = run(read(reader_of(dynamo, PLAN, counting=counted), "C1", "nobody"))
    assert rows == [Row([0.0, 0], NOW), None]
    assert counted.retries == 2
    assert len(dynamo.requests) == 3


def test_an_interim_reply_is_not_the_reply() -> None:
    dynamo = filled("C1")
    dynamo.steps = [lambda link, right: link.deliver(b"HTTP/1.1 100 Continue\r\n\r\n" + right)]
    assert run(read(reader_of(dynamo, PLAN), "C1")) == [Row([0.0, 0], NOW)]


def test_a_store_that_does_not_answer_is_asked_on_another_connection() -> None:
    dynamo = filled("C1")
    dynamo.steps = [fake.nothing]
    assert run(read(reader_of(dynamo, PLAN, attempt_seconds=0.02), "C1")) == [Row([0.0, 0], NOW)]
    assert dynamo.connections == 2


def test_connections_are_kept() -> None:
    dynamo = filled("C1")

    async def scenario() -> None:
        reader = reader_of(dynamo, PLAN)
        for _ in range(5):
            await read(reader, "C1")

    run(scenario())
    assert (dynamo.connections, len(dynamo.requests)) == (1, 5)


def test_a_kept_connection_that_ended_meanwhile_costs_no_failure() -> None:
    dynamo = filled("C1")
    links: list[Any] = []

    def keep(link: Any, right: bytes) -> None:
        links.append(link)
        link.deliver(right)

    dynamo.steps = [keep]

    async def scenario() -> None:
        reader = reader_of(dynamo, PLAN)
        await read(reader, "C1")
        links[0].close()
        assert await read(reader, "C1") == [Row([0.0, 0], NOW)]

    run(scenario())
    assert dynamo.connections == 2


@pytest.mark.parametrize(
    ("always", "why"),
    [
        (fake.say(fake.error("ProvisionedThroughputExceededException", "too much")), "too much"),
        (fake.nothing, "no reply after"),
        (fake.close, "the connection was lost"),
        (fake.wrong_crc, "CRC-32"),
    ],
)
def test_what_could_not_be_read_is_an_error_and_never_not_found(always: fake.Step, why: str) -> None:
    dynamo = filled("C1")
    dynamo.always = always
    reader = reader_of(dynamo, PLAN, attempt_seconds=0.02)
    with pytest.raises(FeatureStoreUnavailable) as failure:
        run(read(reader, "C1", "nobody", seconds=0.2))
    assert "in time" in failure.value.what
    # The request's own time may be over a little before the last attempt's.
    assert why in failure.value.why or not failure.value.why
    assert len(dynamo.requests) > 1


def test_keys_that_stay_unprocessed_are_an_error_and_the_others_are_read() -> None:
    dynamo = filled("C1", "C2", "C3")
    dynamo.unprocessed = 1
    found: dict[Place, Any] = {}
    places = [place(0, name) for name in ("C1", "C2", "C3")]

    async def scenario() -> None:
        until = asyncio.get_running_loop().time() + 0.2
        await store_of(dynamo, PLAN).read(places, until, found.__setitem__)

    # One of them is given back for ever.
    with pytest.raises(FeatureStoreUnavailable, match="1 of 3 rows") as failure:
        run(scenario())
    assert "UnprocessedKeys" in failure.value.why
    assert len(found) == 2
    assert None not in found.values()


def test_keys_that_are_given_back_are_read_with_the_next_request() -> None:
    names = [f"C{number}" for number in range(100)]
    dynamo = filled(*names)
    dynamo.unprocessed = 60

    async def scenario() -> list[Row | None]:
        reading = asyncio.create_task(read(reader_of(dynamo, PLAN), *names))
        while len(dynamo.requests) < 2:
            await asyncio.sleep(0)
        dynamo.unprocessed = 0
        return await reading

    assert [row and row.values[1] for row in run(scenario())] == list(range(100))
    assert [request.keys for request in dynamo.requests][:2] == [100, 60]


def test_a_missing_table_is_told_at_once_and_read_again_when_it_is_back() -> None:
    dynamo = filled("C1")
    table = dynamo.tables.pop("shop.activity")

    async def scenario() -> None:
        reader = reader_of(dynamo, PLAN)
        with pytest.raises(FeatureStoreUnavailable) as failure:
            await read(reader, "C1")
        assert failure.value.where == "table shop.activity"
        assert "ResourceNotFoundException" in failure.value.why
        assert len(dynamo.requests) == 1
        dynamo.tables["shop.activity"] = table
        assert await read(reader, "C1") == [Row([0.0, 0], NOW)]

    run(scenario())


def test_a_store_that_nobody_listens_at_is_an_error_and_read_when_somebody_does() -> None:
    dynamo = filled("C1")
    dynamo.refuses_connections = True

    async def scenario() -> None:
        reader = reader_of(dynamo, PLAN)
        with pytest.raises(FeatureStoreUnavailable):
            await read(reader, "C1", seconds=0.1)
        dynamo.refuses_connections = False
        assert await read(reader, "C1") == [Row([0.0, 0], NOW)]

    run(scenario())


def test_an_item_that_is_none_of_feasts_is_an_error_for_those_who_asked_for_it() -> None:
    dynamo = filled("C1", "C2")
    broken = dynamo.tables["shop.activity"][place(0, "C1")[1]]
    broken["values"]["M"]["spent"]["B"] = base64.b64encode(b"\x29\x00").decode()

    async def scenario() -> tuple[Any, Any]:
        reader = reader_of(dynamo, PLAN)
        return tuple(
            await asyncio.gather(read(reader, "C1"), read(reader, "C2"), return_exceptions=True)  # type: ignore[return-value]
        )

    failure, rows = run(scenario())
    assert isinstance(failure, UnreadableFeatures)
    assert "'spent'" in failure.what
    assert "shop.activity" in failure.where
    assert rows == [Row([0.25, 1], NOW)]


def test_too_many_waiting_keys_are_refused() -> None:
    dynamo = filled("C1")
    dynamo.always = fake.nothing

    async def scenario() -> None:
        reader = Reader(store_of(dynamo, PLAN), most_batches=1, most_waiting=3)
        first = asyncio.create_task(read(reader, "C1", seconds=0.2))
        while not dynamo.requests:
            await asyncio.sleep(0)
        waiting = asyncio.create_task(read(reader, "C2", "C3", "C4", seconds=0.2))
        await asyncio.sleep(0)
        with pytest.raises(FeatureStoreUnavailable, match="wait to be read"):
            await read(reader, "C5")
        for task in (first, waiting):
            with pytest.raises(FeatureStoreUnavailable):
                await task

    run(scenario())


def test_a_client_that_gives_up_leaves_the_others_their_answers() -> None:
    dynamo = filled("C1")
    links: list[Any] = []
    dynamo.steps = [lambda link, right: links.append((link, right))]

    async def scenario() -> None:
        reader = reader_of(dynamo, PLAN)
        gone, stays = (asyncio.create_task(read(reader, "C1")) for _ in range(2))
        while not links:
            await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        links[0][0].deliver(links[0][1])
        assert await stays == [Row([0.0, 0], NOW)]

    run(scenario())


class Renewing:
    """Credentials that are good until the store says otherwise."""

    def __init__(self, *more: Credentials) -> None:
        self._now, *self._more = more
        self.asked = 0

    async def current(self) -> Credentials:
        return self._now

    async def renewed(self, refused: Credentials) -> Credentials | None:
        assert refused is self._now
        self.asked += 1
        if not self._more:
            return None
        self._now = self._more.pop(0)
        return self._now


def test_expired_credentials_are_renewed_once() -> None:
    dynamo = filled("C1")
    dynamo.steps = [fake.say(fake.error("ExpiredTokenException", "the token is expired"))]
    source = Renewing(Credentials("OLD", "s"), Credentials("NEW", "s", token="T"))
    assert run(read(reader_of(dynamo, PLAN, source=source), "C1")) == [Row([0.0, 0], NOW)]
    assert source.asked == 1
    assert ["Credential=OLD/" in request.head for request in dynamo.requests] == [True, False]
    assert "x-amz-security-token:T\r\n" in dynamo.requests[1].head


def test_credentials_that_stay_refused_are_an_error_that_says_so() -> None:
    dynamo = filled("C1")
    dynamo.always = fake.say(fake.error("UnrecognizedClientException", "the token is invalid"))
    with pytest.raises(FeatureStoreUnavailable, match="refuses to be read") as failure:
        run(read(reader_of(dynamo, PLAN), "C1"))
    assert "the token is invalid" in failure.value.why
    assert len(dynamo.requests) == 1


def test_a_signature_is_that_of_botocore() -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as Theirs

    for token in ("", "a/token+of=several=="):
        ours = Signer("localhost:8000", "eu-west-3").request(
            "DynamoDB_20120810.BatchGetItem", b'{"a":"\xc3\xbc"}', Credentials("AKID", "s3cret", token), 0.0
        )
        request = AWSRequest(
            "POST",
            "http://localhost:8000/",
            data=b'{"a":"\xc3\xbc"}',
            headers={
                "content-type": "application/x-amz-json-1.0",
                "x-amz-target": "DynamoDB_20120810.BatchGetItem",
            },
        )
        request.context["timestamp"] = "19700101T000000Z"
        auth = SigV4Auth(Theirs("AKID", "s3cret", token or None), "dynamodb", "eu-west-3")
        request.headers["X-Amz-Date"] = "19700101T000000Z"
        if token:
            request.headers["X-Amz-Security-Token"] = token
        canonical = auth.canonical_request(request)
        signature = auth.signature(auth.string_to_sign(request, canonical), request)
        assert f"Signature={signature}\r\n".encode() in ours
        assert f"SignedHeaders={auth.signed_headers(auth.headers_to_sign(request))}, ".encode() in ours


def test_views_that_the_model_does_not_need_are_not_read() -> None:
    plan = PLAN.model_copy(update={"model": ("profile:town",)})
    views = stored_views(plan, "shop")
    assert [(view.table, view.features) for view in views] == [("shop.profile", ("town",))]
    assert isinstance(views[0], StoredView)
