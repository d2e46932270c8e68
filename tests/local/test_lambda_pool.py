"""Which workers stay warm: those that somebody asks something."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from local.lambda_runtime.function import Function
from local.lambda_runtime.pool import Pool, Pools
from tests.support.local_aws import wait_until


class FakeWorker:
    def __init__(self) -> None:
        self.alive = True
        self.closed = threading.Event()
        self.function = cast("Any", type("F", (), {"name": "f"}))

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def started() -> list[FakeWorker]:
    return []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("local.lambda_runtime.pool.time.monotonic", lambda: now[0])
    return now


def pool_of(started: list[FakeWorker]) -> Pool:
    def start(_function: Function, _code: bytes) -> Any:
        started.append(FakeWorker())
        return started[-1]

    return Pool(cast("Function", None), start)


def test_who_is_asked_again_in_time_stays_and_who_is_not_goes(
    started: list[FakeWorker], clock: list[float]
) -> None:
    made = pool_of(started)
    with made.worker(b"", None), made.worker(b"", None):
        pass
    clock[0] += 50
    with made.worker(b"", None) as asked:
        pass
    clock[0] += 30
    made.rest(clock[0] - 60)

    other = next(each for each in started if each is not cast("Any", asked))
    assert other.closed.wait(5)
    assert not cast("Any", asked).closed.is_set()
    with made.worker(b"", None) as again:
        assert again is asked
    assert len(started) == 2


def test_one_that_works_is_let_be_however_long_it_takes(
    started: list[FakeWorker], clock: list[float]
) -> None:
    made = pool_of(started)
    with made.worker(b"", None):
        clock[0] += 1000
        made.rest(clock[0] - 60)
        assert not started[0].closed.is_set()


def test_who_has_gone_makes_room_for_another(started: list[FakeWorker], clock: list[float]) -> None:
    made = pool_of(started)
    with made.worker(b"", 1):
        pass
    clock[0] += 61
    made.rest(clock[0] - 60)
    with made.worker(b"", 1):
        pass
    assert len(started) == 2


def test_all_pools_are_looked_at_until_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()
    pools = Pools(cast("Any", None))
    rested: list[float] = []
    monkeypatch.setattr(Pool, "rest", lambda _self, before: rested.append(before))
    pools._pools = {"a": pool_of([]), "b": pool_of([])}
    looking = threading.Thread(target=pools.rest_until, args=(stopping, 0.01), daemon=True)
    looking.start()
    wait_until(lambda: len(rested) >= 4)
    stopping.set()
    looking.join(5)
    assert not looking.is_alive()
