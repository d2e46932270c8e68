"""One local AWS with a small project on it, and one with features, deployed by the CDK CLI, shared by all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli import main, stack
from cli.local_aws import LocalAws
from tests.support.bank import Bank, write_project
from tests.support.house import House
from tests.support.shop import Shop


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


@pytest.fixture(scope="session")
def shop(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(bank, tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def house(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> House:
    return House.beside(bank, tmp_path_factory.mktemp("faults"))


@pytest.fixture
def sluice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command line, as somebody types it where the shop's stack runs."""
    monkeypatch.setattr("cli.stack.current", lambda _name: shop.stack)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main.main(list(arguments))
        told = capsys.readouterr()
        return status, told.out, told.err

    return run
