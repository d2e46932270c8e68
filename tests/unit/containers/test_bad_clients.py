"""Clients that send without end, too slowly, too much or never read: each is ended, and none costs the others."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from containers.serve.limits import Budget, Limits
from tests.support.connection import CHUNKED, RECORD, Served, run

MIB = 1 << 20
LARGE = RECORD.replace(b"Length: 2", b"Length: 1000000000")[:-2]


@pytest.mark.parametrize(
    "said",
    [
        CHUNKED + b"2\r\n[]\r\n0\r\nA: " + b"a" * 200_000,
        CHUNKED + b"2\r\n[]\r\n0\r\n" + b"A: b\r\n" * 40_000,
        CHUNKED + b"0\r\n" + b"A" * 200_000,
        CHUNKED + b"2;" + b"a=b;" * 50_000,
        CHUNKED + b"2\r\n[]\r\n1;a=" + b"b" * 200_000,
    ],
    ids=["a trailer", "trailers", "a trailer's name", "extensions", "an extension"],
)
@pytest.mark.parametrize("piece", [1000, 300_000])
def test_what_stands_around_chunks_has_an_end(said: bytes, piece: int) -> None:
    async def scenario() -> None:
        served = Served()
        for start in range(0, len(said), piece):
            served.protocol.data_received(said[start : start + piece])
            await served.turns()
        assert served.statuses == [431]
        assert b"65,536 bytes" in served.transport.sent
        assert served.asked == []
        assert served.gone == 1, "the application still waits for the rest"

    run(scenario)


def test_trailers_are_read_and_are_no_headers() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        trailers = b"Content-Type: text/html\r\nA: " + b"a" * 60_000 + b"\r\n"
        served.protocol.data_received(CHUNKED + b"2\r\n[]\r\n0\r\n" + trailers + b"\r\n" + RECORD)
        await served.turns()
        assert served.statuses == [200, 200]
        assert served.asked == [b"[]", b"[]"]
        assert served.headers[0] == [(b"host", b"x"), (b"transfer-encoding", b"chunked")]

    run(scenario)


def test_small_chunks_are_one_body_however_many_there_are() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        body = b"[" + b" " * 60_000 + b"]"
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        served.protocol.data_received(CHUNKED + chunks)
        await served.until(lambda: served.statuses == [200])
        assert served.asked == [body]

    run(scenario)


def test_a_flood_of_requests_is_queued_by_the_few_and_answered_in_full() -> None:
    request = b"GET /%d HTTP/1.1\r\n\r\n"
    flood = b"".join(request % number for number in range(10_000))

    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(flood)
        assert not served.transport.is_read
        most = 0
        while len(served.asked) < 10_000:
            most = max(most, len(served.protocol.pipeline))
            before = len(served.asked)
            await served.turns()
            assert len(served.asked) > before, "it stands still"
        await served.turns()
        assert served.statuses == [200] * 10_000
        assert most < 1_000
        assert served.transport.is_read

    run(scenario)


def test_a_client_that_ends_behind_a_flood_is_answered_all_of_it() -> None:
    async def scenario() -> None:
        served = Served()
        served.protocol.data_received(RECORD * 1_000)
        served.protocol.eof_received()
        served.may_answer.set()
        await served.until(lambda: served.is_closed)
        assert served.statuses == [200] * 1_000

    run(scenario)


def test_a_client_that_never_reads_is_dropped_when_its_time_is_up() -> None:
    async def scenario() -> None:
        dropped: Counter[str] = Counter()
        served = Served(Limits(count=lambda what: dropped.update([what])))
        served.protocol.data_received(RECORD)
        served.protocol.pause_writing()
        served.clock.forward(54)
        assert not served.is_closed
        served.clock.forward(2)
        assert served.transport.done == [("abort", b"")]
        assert dropped == {"dropped": 1}

    run(scenario)


def test_a_client_that_reads_slowly_is_waited_for() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(RECORD)
        for _ in range(3):
            served.protocol.pause_writing()
            served.clock.forward(54)
            served.protocol.resume_writing()
        await served.turns()
        assert served.statuses == [200]

    run(scenario)


def test_a_connection_is_not_kept_for_an_answer_that_nobody_takes() -> None:
    """Closing waits for what is unsent; the system itself would wait for ever."""

    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(RECORD.replace(b"Host: x", b"Connection: close"))
        served.transport.unsent = 100
        await served.turns()
        assert served.transport.done[-1] == ("close", b"")
        served.clock.forward(56)
        assert served.transport.done[-1] == ("abort", b"")

    run(scenario)


def test_who_is_refused_may_finish_sending_and_hear_it() -> None:
    async def scenario() -> None:
        served = Served(early=413)
        served.protocol.data_received(LARGE)
        await served.turns()
        assert served.statuses == [413]
        assert served.transport.done[-1] == ("write_eof", b"")
        for _ in range(60):
            served.protocol.data_received(b" " * MIB)
        served.protocol.data_received(RECORD)
        await served.turns()
        assert not served.transport.is_closing()
        assert served.statuses == [413]
        served.protocol.eof_received()
        assert served.transport.done[-1] == ("close", b"")

    run(scenario)


@pytest.mark.parametrize("way", ["bytes", "time", "shutdown"])
@pytest.mark.parametrize("early", [404, 413])
def test_what_is_thrown_away_has_an_end(early: int, way: str) -> None:
    async def scenario() -> None:
        served = Served(early=early)
        served.protocol.data_received(LARGE)
        await served.turns()
        assert served.statuses == [early]
        if way == "bytes":
            for _ in range(64):
                served.protocol.data_received(b" " * MIB)
                await served.until(lambda: served.transport.is_read)
            assert not served.transport.is_closing()
            served.protocol.data_received(b" " * MIB)
            await served.until(served.transport.is_closing)
        elif way == "time":
            for _ in range(19):
                served.protocol.data_received(b" ")
                served.clock.forward(1)
            assert not served.transport.is_closing()
            served.clock.forward(2)
        else:
            served.protocol.shutdown()
            served.protocol.shutdown()
        assert served.transport.is_closing()
        assert served.statuses == [early]

    run(scenario)


def test_a_body_that_was_not_asked_for_may_come_and_the_connection_is_used_again() -> None:
    async def scenario() -> None:
        served = Served(early=404)
        served.protocol.data_received(RECORD[:-2])
        await served.turns()
        served.protocol.data_received(b"[]")
        served.clock.forward(4)
        served.early = None
        served.may_answer.set()
        served.protocol.data_received(RECORD)
        await served.turns()
        assert served.statuses == [404, 200]
        served.clock.forward(6)
        assert served.is_closed

    run(scenario)


# Limits that connections keep to together.


class Known:
    def __init__(self, waits: tuple[bool, float] | None = None) -> None:
        self.waits = waits
        self.is_dropped = False

    def waits_since(self) -> tuple[bool, float] | None:
        return self.waits

    def start_next(self) -> None: ...
    def read_on(self) -> None: ...

    def parse_on(self) -> bool:
        return False

    def drop(self) -> None:
        self.is_dropped = True


def test_who_has_kept_us_waiting_for_longest_goes_first_and_idle_ones_last() -> None:
    limits = Limits(4)
    works, idle, new, old = Known(None), Known((True, 1.0)), Known((False, 3.0)), Known((False, 2.0))
    for connection in (works, idle, new, old):
        assert limits.admit(connection)

    gone: list[Known] = []
    for _ in range(3):
        assert limits.admit(Known(None))
        (just,) = {one for one in (works, idle, new, old) if one.is_dropped} - set(gone)
        gone.append(just)
        limits.leave(just)

    assert gone == [old, new, idle]
    assert not limits.admit(Known())
    assert not works.is_dropped


def test_over_the_budget_the_oldest_holder_goes() -> None:
    budget = Budget(100)
    first, second, third = Known(), Known(), Known()
    budget.hold(first, 40)
    budget.hold(second, 40)
    budget.hold(first, 60)
    assert not any(one.is_dropped for one in (first, second))
    budget.release(first)
    budget.hold(third, 60)
    assert not any(one.is_dropped for one in (first, second, third))
    budget.hold(third, 61)
    assert [one.is_dropped for one in (first, second, third)] == [False, True, False]
    budget.hold(third, 101)
    assert third.is_dropped


@pytest.mark.parametrize(
    "said",
    [b"", RECORD[:20], RECORD[:-2], RECORD[:-1], CHUNKED + b"2\r\n[]\r\n0\r\n"],
    ids=["nothing", "part of a head", "no body", "part of a body", "no end of a body"],
)
def test_where_all_places_are_taken_a_client_that_keeps_us_waiting_gives_up_its_own(said: bytes) -> None:
    async def scenario() -> None:
        counted: Counter[str] = Counter()
        limits = Limits(3, lambda what: counted.update([what]))
        bad = [Served(limits, now=now) for now in range(3)]
        for one in bad:
            one.protocol.data_received(said)
        good = [Served(limits, now=now) for now in (3, 4)]
        for one in good:
            one.protocol.data_received(RECORD)
            one.may_answer.set()
            await one.turns()
        assert [one.statuses for one in good] == [[200], [200]]
        assert [one.is_closed for one in bad] == [True, True, False]
        assert counted == {"dropped": 2}

    run(scenario)


def test_who_waits_for_an_answer_keeps_its_place_and_one_more_is_refused() -> None:
    async def scenario() -> None:
        limits = Limits(2)
        working = [Served(limits) for _ in range(2)]
        for one in working:
            one.protocol.data_received(RECORD)
            await one.turns()
        late = Served(limits)
        await late.turns()
        assert late.statuses == [503]
        assert late.is_closed
        for one in working:
            one.may_answer.set()
            await one.turns()
        assert [one.statuses for one in working] == [[200], [200]]

    run(scenario)


def test_bodies_that_do_not_end_hold_no_more_than_their_share() -> None:
    async def scenario() -> None:
        limits = Limits(arriving=3 * MIB)
        bad = [Served(limits) for _ in range(5)]
        for one in bad:
            one.protocol.data_received(LARGE + b" " * MIB)
            await one.turns()
        assert [one.is_closed for one in bad] == [True, True, True, False, False]
        good = Served(limits)
        good.may_answer.set()
        body = b" " * MIB
        good.protocol.data_received(RECORD.replace(b"Length: 2", b"Length: %d" % len(body))[:-2] + body)
        await good.until(lambda: good.statuses == [200])
        assert good.asked == [body]

    run(scenario)


def test_large_bodies_are_read_by_a_few_connections_at_a_time() -> None:
    async def scenario() -> None:
        limits = Limits()
        clients = [Served(limits) for _ in range(20)]
        piece = b" " * 256 * 1024
        for client in clients:
            for data in (LARGE + piece, piece, piece):
                assert client.transport.is_read
                client.protocol.data_received(data)
                client.protocol.flow.resume_reading()  # as the application does that takes it
        assert not any(client.transport.is_read for client in clients), (
            "one turn would be copying for all of them"
        )
        came_on = []
        while waiting := [client for client in clients if not client.transport.is_read]:
            await asyncio.sleep(0)
            read = [client for client in waiting if client.transport.is_read]
            assert len(read) <= 4, "in one turn of the loop"
            came_on += read
        assert came_on == clients, "by turns"

    run(scenario)


def test_the_rest_of_a_large_body_is_read_after_its_turn() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        body = b"[" + b" " * 400_000 + b"]"
        said = RECORD.replace(b"Length: 2", b"Length: %d" % len(body))[:-2] + body
        for start in range(0, len(said), 150_000):
            assert served.transport.is_read
            served.protocol.data_received(said[start : start + 150_000])
            await served.turns()
        assert served.asked == [body]
        assert served.statuses == [200]
        assert served.transport.is_read

    run(scenario)


def test_answers_that_nobody_takes_hold_no_more_than_their_share() -> None:
    async def scenario() -> None:
        limits = Limits(unread=3 * MIB)
        bad = [Served(limits) for _ in range(4)]
        for one in bad:
            one.transport.unsent = MIB
            one.protocol.pause_writing()
        assert [one.is_closed for one in bad] == [True, False, False, False]

    run(scenario)
