"""The fixtures of the local AWS's tests: one server a session, servers of a test's own, SageMaker in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import in_process
from tests.support.local_aws import LocalAws
from tests.support.machines import Machines
from tests.support.stacks import Deploy, Stacks


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    server = LocalAws(tmp_path_factory.mktemp("local-aws"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def start_local_aws(tmp_path: Path) -> Iterator[Callable[[], LocalAws]]:
    """Start servers of the test's own."""
    servers: list[LocalAws] = []

    def start() -> LocalAws:
        servers.append(LocalAws(tmp_path / f"server-{len(servers)}"))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.close()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[in_process.InProcessContext]:
    with in_process.running(tmp_path_factory.mktemp("state")) as context:
        yield context


@pytest.fixture
def deploy(local_aws: LocalAws) -> Iterator[Deploy]:
    """Deploys resources as a stack of the test's own: tests.support.stacks."""
    stacks = Stacks(local_aws)
    yield stacks
    stacks.close()


@pytest.fixture
def machines(local_aws: LocalAws) -> Machines:
    return Machines(local_aws)
