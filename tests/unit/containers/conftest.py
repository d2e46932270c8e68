"""A trained model for each kind of problem, made once a session."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.support.jobs import BINARY, MULTICLASS, REGRESSION, Trained, through


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return through(tmp_path_factory.mktemp("binary"), BINARY, "binary", {"C": 0.5, "max_iter": 300})


@pytest.fixture(scope="session")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return through(tmp_path_factory.mktemp("multi"), MULTICLASS, "multiclass", {"max_iter": 300})


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return through(tmp_path_factory.mktemp("line"), REGRESSION, "regression", {"kind": "line"})


@pytest.fixture
def own_imports() -> Iterator[None]:
    """Forget what the code under test imports from projects and models."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name in {"train", "features"}:
            del sys.modules[name]
