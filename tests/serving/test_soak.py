"""A minute of load on one worker of the serving container: nothing fails, grows or slows down."""

from pathlib import Path

from benchmarks.serving.bars import missed
from benchmarks.serving.model import Shape, example
from benchmarks.serving.soak import soak, verdicts
from local.processes import Children

SECONDS = 60.0
WINDOWS = 12

# Other tests and builds come and go on the same cores: what must not happen is that it slows down without end.
LATENCY_RATIO = 3.0


def test_a_minute_of_load_leaves_no_trace(tmp_path: Path) -> None:
    children = Children()
    try:
        windows = soak(example(Shape()), SECONDS, WINDOWS, children, tmp_path)
    finally:
        children.close()
    assert missed(verdicts(windows, LATENCY_RATIO)) == []
    assert sum(window.requests for window in windows) > 10_000
