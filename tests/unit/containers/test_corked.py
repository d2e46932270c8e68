"""What is written is sent, before whatever else happens to the connection, and in as few calls as there are turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.server import ServerState

from containers.serve.protocol import Corked, Protocol

RECORD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]"


class Transport:
    """Takes down, in order, what an event loop's transport is asked."""

    def __init__(self) -> None:
        self.done: list[tuple[str, bytes]] = []
        self._closing = False

    def write(self, data: bytes) -> None:
        assert not self._closing, "a transport that is closing drops what is written to it"
        self.done.append(("write", bytes(data)))

    def write_eof(self) -> None:
        self.done.append(("write_eof", b""))

    def close(self) -> None:
        if not self._closing:
            self.done.append(("close", b""))
        self._closing = True

    def abort(self) -> None:
        self._closing = True
        self.done.append(("abort", b""))

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _name: str) -> None:
        return None

    def set_protocol(self, _protocol: object) -> None:
        self.done.append(("set_protocol", b""))

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    @property
    def sent(self) -> bytes:
        return b"".join(data for _, data in self.done)


class Loop:
    """Runs what is called soon when told that a turn is over."""

    def __init__(self) -> None:
        self._soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def turn(self) -> None:
        soon, self._soon = self._soon, []
        for callback in soon:
            callback()


def corked() -> tuple[Corked, Transport, Loop]:
    transport, loop = Transport(), Loop()
    return Corked(transport, loop), transport, loop  # type: ignore[arg-type]


def test_what_is_written_in_one_turn_is_one_call() -> None:
    cork, transport, loop = corked()

    cork.write(b"head")
    cork.writelines([b"bo", b"dy"])
    assert transport.done == []
    assert cork.get_write_buffer_size() == 8
    loop.turn()
    cork.write(b"next")
    loop.turn()

    assert transport.done == [("write", b"headbody"), ("write", b"next")]


@pytest.mark.parametrize("ending", ["close", "write_eof", "set_protocol"])
def test_nothing_overtakes_what_was_written(ending: str) -> None:
    cork, transport, loop = corked()

    cork.write(b"answer")
    getattr(cork, ending)(*([None] if ending == "set_protocol" else []))
    loop.turn()

    assert transport.done == [("write", b"answer"), (ending, b"")]


STEPS = st.lists(
    st.one_of(
        st.binary(max_size=5).map(lambda data: ("write", data)),
        st.lists(st.binary(max_size=3), max_size=3).map(lambda data: ("writelines", data)),
        st.sampled_from([("turn", None), ("flush", None), ("write_eof", None)]),
    ),
    max_size=12,
)


@given(STEPS)
def test_whatever_is_done_all_is_sent_in_order_before_the_end(steps: list[tuple[str, Any]]) -> None:
    cork, transport, loop = corked()
    written = b""
    for step, data in steps:
        if step == "turn":
            loop.turn()
        elif data is None:
            getattr(cork, step)()
        else:
            getattr(cork, step)(data)
            written += data if isinstance(data, bytes) else b"".join(data)
    cork.close()
    loop.turn()

    assert transport.sent == written
    assert transport.done[-1] == ("close", b"")


def test_a_connection_that_is_lost_takes_its_answer_with_it_and_nothing_else_breaks() -> None:
    cork, transport, loop = corked()

    cork.write(b"answer")
    transport.abort()
    loop.turn()
    cork.close()

    assert transport.sent == b""


class Served:
    """A protocol on a transport that is taken down, with an app that answers when it is told to."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.may_answer = asyncio.Event()
        config = Config(self._app, interface="asgi3", proxy_headers=False, log_config=None)
        config.load()
        self.protocol = Protocol(config=config, server_state=ServerState(), app_state={})
        self.protocol.connection_made(self.transport)

    async def _app(self, _scope: Any, _receive: Any, send: Any) -> None:
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0)


def answered(transport: Transport) -> bool:
    return transport.sent.startswith(b"HTTP/1.1 200 OK") and transport.sent.endswith(b"\r\n\r\nok")


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


def test_a_client_that_stops_sending_the_moment_its_answer_is_written_gets_it() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(RECORD)
        # To the very turn in which the answer is written and not sent yet.
        await served.until(lambda: served.protocol.cycle.response_complete)
        assert served.transport.sent == b"", "the answer was sent already: this no longer tests what it says"

        assert served.protocol.eof_received(), "the event loop would close the transport itself"

        assert answered(served.transport)
        assert served.transport.done[-1] == ("close", b"")

    run(scenario)


def test_a_client_that_stops_sending_before_it_is_answered_is_waited_for() -> None:
    async def scenario() -> None:
        served = Served()
        served.protocol.data_received(RECORD)
        assert served.protocol.eof_received()
        assert not served.transport.is_closing()
        served.may_answer.set()
        await served.until(served.transport.is_closing)
        assert answered(served.transport)

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


def test_a_server_that_stops_sends_what_it_has_answered() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(RECORD)
        await served.until(lambda: served.protocol.cycle.response_complete)
        assert served.transport.sent == b""

        served.protocol.shutdown()

        assert answered(served.transport)
        assert served.transport.done[-1] == ("close", b"")

    run(scenario)


def test_an_answer_is_sent_before_the_refusal_of_what_follows_it() -> None:
    async def scenario() -> None:
        served = Served()
        served.may_answer.set()
        served.protocol.data_received(RECORD)
        await served.until(lambda: served.protocol.cycle.response_complete)

        served.protocol.data_received(b"this is no HTTP\r\n\r\n")

        assert served.transport.sent.startswith(b"HTTP/1.1 200 OK")
        assert b"HTTP/1.1 400" in served.transport.sent
        assert served.transport.done[-1] == ("close", b"")

    run(scenario)
