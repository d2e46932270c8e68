"""One connection without a socket: what is written is sent, in order and in few calls, whatever ends it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containers.serve.protocol import Corked
from tests.support.connection import CHUNKED, RECORD, Served, Transport, run


def corked() -> tuple[Corked, Transport]:
    transport = Transport()
    return Corked(transport), transport


def test_an_answer_is_one_call() -> None:
    cork, transport = corked()

    cork.write(b"HTTP/1.1 200 OK\r\n\r\n")
    cork.writelines([b"bo", b"dy"])
    assert transport.done == []
    assert cork.get_write_buffer_size() == 23
    cork.flush()

    assert transport.done == [("write", b"HTTP/1.1 200 OK\r\n\r\nbody")]


def test_a_client_that_asks_whether_to_go_on_is_told_at_once() -> None:
    cork, transport = corked()

    cork.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    assert transport.done == [("write", b"HTTP/1.1 100 Continue\r\n\r\n")]


@pytest.mark.parametrize("ending", ["close", "write_eof", "set_protocol"])
def test_nothing_overtakes_what_was_written(ending: str) -> None:
    cork, transport = corked()

    cork.write(b"answer")
    getattr(cork, ending)(*([None] if ending == "set_protocol" else []))

    assert transport.done == [("write", b"answer"), (ending, b"")]


STEPS = st.lists(
    st.one_of(
        st.binary(max_size=5).map(lambda data: ("write", data)),
        st.lists(st.binary(max_size=3), max_size=3).map(lambda data: ("writelines", data)),
        st.sampled_from([("flush", None), ("write_eof", None)]),
    ),
    max_size=12,
)


@given(STEPS)
def test_whatever_is_done_all_is_sent_in_order_before_the_end(steps: list[tuple[str, Any]]) -> None:
    cork, transport = corked()
    written = b""
    for step, data in steps:
        if data is None:
            getattr(cork, step)()
        else:
            getattr(cork, step)(data)
            written += data if isinstance(data, bytes) else b"".join(data)
    cork.close()

    assert transport.sent == written
    assert transport.done[-1] == ("close", b"")


def test_a_connection_that_is_lost_takes_its_answer_with_it_and_nothing_else_breaks() -> None:
    cork, transport = corked()

    cork.write(b"answer")
    transport.abort()
    cork.flush()
    cork.close()

    assert transport.sent == b""


def answered(transport: Transport) -> bool:
    return transport.sent.startswith(b"HTTP/1.1 200 OK") and transport.sent.endswith(b"\r\n\r\nok")


def test_a_client_that_stops_sending_before_it_is_answered_is_waited_for() -> None:
    async def scenario() -> None:
        served = Served()
        served.protocol.data_received(RECORD)
        assert served.protocol.eof_received(), "the event loop would close the transport itself"
        assert not served.is_closed
        served.may_answer.set()
        await served.until(served.transport.is_closing)
        assert answered(served.transport)

    run(scenario)


def test_a_client_that_stops_sending_after_its_answer_gets_it() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(RECORD)
        await served.until(lambda: served.protocol.cycle.response_complete)

        assert served.protocol.eof_received()

        assert answered(served.transport)
        assert served.transport.done[-1] == ("close", b"")

    run(scenario)


@pytest.mark.parametrize("said", [b"", b"POST /invocations HT", RECORD[:-1]])
def test_a_client_that_stops_within_a_request_is_let_go(said: bytes) -> None:
    async def scenario() -> None:
        served = Served()
        if said:
            served.protocol.data_received(said)
        assert served.protocol.eof_received()
        assert served.transport.done == [("close", b"")]

    run(scenario)


@pytest.mark.parametrize("rest", [b"POST /invocations HT", RECORD[:-1]])
def test_a_client_that_stops_within_a_request_is_answered_those_before_it(rest: bytes) -> None:
    async def scenario() -> None:
        served = Served()
        served.protocol.data_received(RECORD + rest)
        await served.turns()
        assert served.protocol.eof_received()
        assert served.transport.done == []

        served.may_answer.set()
        await served.until(served.transport.is_closing)

        assert answered(served.transport)
        assert served.asked == [b"[]"]

    run(scenario)


def test_a_server_that_stops_sends_what_it_has_answered() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(RECORD)
        await served.until(lambda: served.protocol.cycle.response_complete)

        served.protocol.shutdown()

        assert answered(served.transport)
        assert served.transport.done[-1] == ("close", b"")

    run(scenario)


LARGE_HEAD = b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n"

REFUSED = {
    "no HTTP": (b"this is no HTTP\r\n\r\n", 400),
    "no HTTP in a body": (CHUNKED + b"ZZ\r\n", 400),
    "an upgrade with a body": (RECORD.replace(b"Host: x", b"Connection: Upgrade\r\nUpgrade: h2c"), 400),
    "no path": (b"CONNECT x:1 HTTP/1.1\r\n\r\n", 400),
    "a large head": (LARGE_HEAD, 431),
    "a head without end": (LARGE_HEAD[:-4] + b"a" * 50_000, 431),
    "trailers without end": (CHUNKED + b"0\r\nA: " + b"a" * 120_000, 431),
}


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize(("said", "status"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("ending", ["alone", "shutdown", "end of file", "more"])
def test_a_refusal_waits_for_the_answers_that_are_owed(
    said: bytes, status: int, before: int, ending: str
) -> None:
    """RFC 9112, 9.3.2: answers go out in the order of their requests."""

    async def scenario() -> None:
        served = Served()
        served.protocol.data_received(RECORD * before + said)
        await served.turns()
        if before:
            assert served.transport.done == []
            if ending == "shutdown":
                served.protocol.shutdown()
            elif ending == "end of file":
                served.protocol.eof_received()
            elif ending == "more":
                served.protocol.data_received(RECORD)
        assert served.is_closed == (not before)

        served.may_answer.set()
        await served.turns()

        # A long head behind a queue is not looked at before its turn, which does not come any more.
        is_unread = ending == "shutdown" and before == 2 and LARGE_HEAD[:60_000] in said
        assert served.statuses == [200] * before + [status] * (not is_unread)
        assert served.is_closed
        assert served.asked == [b"[]"] * before

    run(scenario)


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("said", [RECORD[:20], RECORD[:-2]])
def test_who_is_late_is_told_so_after_the_answer_that_is_owed(said: bytes, before: int) -> None:
    async def scenario() -> None:
        served = Served()
        served.protocol.data_received(RECORD * before)
        await served.turns()
        served.protocol.data_received(said)
        served.clock.forward(19)
        assert served.transport.done == []
        served.clock.forward(21)
        assert served.statuses == ([] if before else [408])

        served.may_answer.set()
        await served.turns()
        served.clock.forward(21)
        await served.turns()

        assert served.statuses == [200] * before + [408]
        assert served.is_closed

    run(scenario)


@pytest.mark.parametrize("begun", [30, len(RECORD) - 2, len(RECORD) - 1])
def test_who_is_not_read_is_not_late(begun: int) -> None:
    """A second request in the queue stops the reading; the beginning of a third may lie there as long as it likes."""

    async def scenario() -> None:
        served = Served()
        served.protocol.data_received(RECORD + RECORD + RECORD[:begun])
        served.clock.forward(1000)
        assert served.transport.done == []

        served.may_answer.set()
        await served.turns()
        assert served.statuses == [200, 200]
        served.protocol.data_received(RECORD[begun:])
        await served.turns()
        assert served.statuses == [200, 200, 200]

    run(scenario)


def test_a_head_is_counted_from_where_the_body_before_it_ended() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        large = b" " * 250_000
        request = RECORD.replace(b"Length: 2", b"Length: %d" % len(large))[:-2] + large
        served.protocol.data_received(request + RECORD[:30])
        await served.turns()
        assert served.statuses == [200]
        served.protocol.data_received(RECORD[30:])
        await served.turns()
        assert served.statuses == [200, 200]
        assert served.asked == [large, b"[]"]

    run(scenario)


@pytest.mark.parametrize("piece", [997, 16_384, 30_000, 65_535, 300_000])
@pytest.mark.parametrize("before", [0, 1, 200, 100_000])
@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 431)])
def test_a_head_may_hold_64_kib_however_it_arrives(piece: int, before: int, size: int, status: int) -> None:
    head = b"GET /ping HTTP/1.1\r\nA: %s\r\nB: b\r\n\r\n"
    head %= b"a" * (size - len(head) + 2)
    assert len(head) == size
    first = RECORD.replace(b"Length: 2", b"Length: %d" % before)[:-2] + b" " * before

    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        said = (first if before else b"") + head
        for start in range(0, len(said), piece):
            served.protocol.data_received(said[start : start + piece])
            await served.turns()
        assert served.statuses == [200] * bool(before) + [status]

    run(scenario)


def test_a_connection_is_kept_for_its_time_and_no_longer() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        for _ in range(5):
            served.protocol.data_received(RECORD)
            await served.turns()
            served.clock.forward(4)
        assert served.statuses == [200] * 5
        assert not served.is_closed
        served.clock.forward(1.1)
        assert served.is_closed

    run(scenario)


@pytest.mark.parametrize("asked", [0, 1])
def test_line_ends_alone_keep_no_connection(asked: int) -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(RECORD * asked)
        await served.turns()
        for _ in range(25):
            served.protocol.data_received(b"\r\n")
            served.clock.forward(1)
        assert served.is_closed
        assert served.statuses == [200] * asked

    run(scenario)
