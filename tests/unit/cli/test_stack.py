"""Which stack a command means: the one that runs in this folder, one of several that do, or one on AWS."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import stack
from cli.stack import NoStack, Stack


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address that answers, as the local AWS of a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLUICE_STATE", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def left(endpoint: str, name: str) -> Stack:
    """What `sluice up` leaves of a project."""
    made = Stack({"EndpointName": name}, {"AWS_ENDPOINT_URL": endpoint}, name, ".sluice/local", name)
    made.save()
    return made


def test_the_only_stack_is_meant(endpoint: str) -> None:
    bank = left(endpoint, "sluice-bank-local")
    assert stack.current(None) == bank
    assert stack.current("sluice-bank-local") == bank


def test_of_several_one_has_to_be_named(endpoint: str) -> None:
    bank, shop = left(endpoint, "sluice-bank-local"), left(endpoint, "sluice-shop-local")
    with pytest.raises(NoStack) as caught:
        stack.current(None)
    assert "2 stacks run here: sluice-bank-local, sluice-shop-local" in str(caught.value)
    assert "--stack sluice-shop-local" in str(caught.value)
    assert stack.current("sluice-bank-local") == bank
    assert stack.current("sluice-shop-local") == shop


def test_a_project_that_is_deployed_again_is_one(endpoint: str) -> None:
    left(endpoint, "sluice-bank-local")
    again = left(endpoint, "sluice-bank-local")
    assert stack.saved() == [again]


def test_what_an_earlier_server_held_is_no_stack(endpoint: str) -> None:
    left("http://127.0.0.1:1", "sluice-bank-local")
    shop = left(endpoint, "sluice-shop-local")
    assert stack.current(None) == shop


def test_what_cannot_be_read_is_named_and_not_in_the_way(endpoint: str) -> None:
    file = Path(".sluice/local.json")
    file.parent.mkdir()
    file.write_text('{"outputs": {}}')
    with pytest.raises(NoStack, match="cannot be read"):
        stack.current(None)
    shop = left(endpoint, "sluice-shop-local")
    assert stack.current(None) == shop


def test_a_name_that_is_not_here_is_looked_for_on_aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    left(endpoint, "sluice-bank-local")
    there = Stack({}, {}, name="sluice-bank-prod")
    monkeypatch.setattr(stack, "_on_aws", lambda name: there if name == "sluice-bank-prod" else None)
    assert stack.current("sluice-bank-prod") == there
