"""Windows at the ends of what 64 bits hold, where T - window has no number."""

from __future__ import annotations

import numpy as np
import pytest

from sluice.features.timelines import Timeline

_FIRST, _LAST = -(2**63), 2**63 - 1
_TIMES = [_FIRST, _FIRST + 1, 0, _LAST]
_MOMENTS = [_FIRST, _FIRST + 1, -1, 0, 1, _LAST - 1, _LAST]


@pytest.mark.parametrize(
    "window", [1, 2, 2**62, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1, 2**64, 2**70]
)
def test_a_window_holds_what_its_definition_says_whatever_its_length(window: int) -> None:
    timeline = Timeline.of(np.zeros(4, np.int64), np.array(_TIMES), known=1)
    found = timeline.windows(np.zeros(len(_MOMENTS), np.int64), np.array(_MOMENTS), window)
    held = [_TIMES[a:b] for a, b in zip(found.first.tolist(), found.last.tolist(), strict=True)]
    assert held == [[time for time in _TIMES if moment - window < time <= moment] for moment in _MOMENTS]
