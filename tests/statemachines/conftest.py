"""The harness as a fixture."""

from __future__ import annotations

import pytest

from tests.statemachines.harness import Harness


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Harness:
    return Harness(monkeypatch)
