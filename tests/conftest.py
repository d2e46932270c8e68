"""How a run ends, and a trained model for each kind of problem, made once a session."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.jobs import Trained


def pytest_configure() -> None:
    """Have SIGTERM end a run as Ctrl-C does, with all that it has started: to a test, SystemExit is a failure."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


# What makes them is imported by those who ask for one: the environment of tests/infra has no pyarrow.


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    from tests.support.jobs import BINARY, through

    return through(tmp_path_factory.mktemp("binary"), BINARY, "binary", {"C": 0.5, "max_iter": 300})


@pytest.fixture(scope="session")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    from tests.support.jobs import MULTICLASS, through

    return through(tmp_path_factory.mktemp("multi"), MULTICLASS, "multiclass", {"max_iter": 300})


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    from tests.support.jobs import REGRESSION, through

    return through(tmp_path_factory.mktemp("line"), REGRESSION, "regression", {"kind": "line"})
