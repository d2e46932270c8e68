"""One local AWS with one small project on it, deployed by the CDK CLI and shared by a session's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli import stack
from cli.local_aws import LocalAws
from tests.support.bank import Bank, write_project


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    folder = tmp_path_factory.mktemp("bank")
    project = folder / "project"
    write_project(project)
    local = LocalAws(folder / "local")
    try:
        yield Bank.of(stack.deploy(project, local))
    finally:
        local.stop()
