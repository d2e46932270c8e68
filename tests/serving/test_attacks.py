"""A good client beside bad ones, one way to be bad each: it is answered right, and the worker stays small."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import attacks
from benchmarks.serving.attackers import ATTACKS, CONTENT
from benchmarks.serving.model import Shape, example
from benchmarks.serving.servers import OURS, running, servers
from local.processes import Children

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="memory is read in /proc")

REQUESTS = 100
MOST_GROWTH_MB = 320.0
MOST_BODY_BYTES = 6 * 1024 * 1024


@dataclass(frozen=True)
class Place:
    port: int
    worker: int
    work: tuple[list[bytes], list[bytes]]

    def connections(self) -> int:
        return len(list(Path(f"/proc/{self.worker}/fd").iterdir()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    children = Children()
    (ours,) = (server for server in servers() if server.name == OURS)
    found = example(Shape())
    try:
        with running(ours, found, children, tmp_path_factory.mktemp("attacked")) as at:
            worker = attacks.worker_of(at.pid)
            yield Place(at.port, worker, attacks.work_of(found, at.port))
            assert attacks.worker_of(at.pid) == worker, "the worker died, and was started again"
    finally:
        children.close()


@pytest.mark.parametrize("name", [name for name, attack in ATTACKS.items() if attack.part != CONTENT])
def test_a_good_client_is_answered_while_others_are_bad(server: Place, name: str) -> None:
    before, most = server.connections(), 0.0
    memory = attacks.resident_mb(server.worker)
    good = closing(attacks.GoodClient(server.port, *server.work))
    with good as client, attacks.attacked(name, server.port) as attackers:
        for _ in range(REQUESTS):
            client.ask()
            most = max(most, attacks.resident_mb(server.worker))
        if ATTACKS[name].is_cut_short:
            assert attackers.stdout is not None
            assert "ended\n" in iter(attackers.stdout.readline, ""), "no attacker was sent away"

    assert client.wrong == []
    assert most - memory < MOST_GROWTH_MB
    deadline = time.monotonic() + 30
    while server.connections() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.connections() <= before, "connections of attackers that are gone are still held"


@pytest.mark.parametrize("size", [MOST_BODY_BYTES + 1, 40 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_plain_client_reads_that_its_body_is_too_large(server: Place, size: int, chunked: bool) -> None:
    """http.client sends all of a body before it looks for an answer."""
    pieces = (b" " * 65_536 for _ in range(size // 65_536 + 1))
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        body = pieces if chunked else b" " * size
        connection.request(
            "POST", "/invocations", body, {"Content-Type": "application/json"}, encode_chunked=chunked
        )
        answer = connection.getresponse()
        assert answer.status == 413
        assert b"6,291,456 bytes" in answer.read()
        connection.close()
        pieces = (b" " * 65_536 for _ in range(size // 65_536 + 1))


def test_what_becomes_of_connections_is_counted(server: Place) -> None:
    def counted() -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        start = "sluice_refused_connections_total{what="
        return {line.split('"')[1]: int(line.split()[-1]) for line in lines if line.startswith(start)}

    before = counted()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/ping", headers={"A": "a" * 70_000})
    assert connection.getresponse().status == 431
    connection.close()
    assert counted() == {**before, "431": before["431"] + 1}
