"""What a test of hooks leaves behind is forgotten."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.support.by_id import Served


@pytest.fixture
def own_imports() -> Iterator[None]:
    """Forget what the code under test imports from projects and models."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name in {"train", "features"}:
            del sys.modules[name]


@pytest.fixture
def served() -> Iterator[Served]:
    served = Served()
    yield served
    served.application.close()
    served.full.close()
