"""What a test of hooks leaves behind is forgotten."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def own_imports() -> Iterator[None]:
    """Forget what the code under test imports from projects and models."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name in {"train", "features"}:
            del sys.modules[name]
