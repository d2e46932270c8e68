"""What Lambda tells CloudWatch of its invocations: their number, errors, throttles, duration and concurrency."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from local import metrics
from local.lambda_runtime.function import Function


@dataclass(frozen=True)
class Target:
    """What was invoked: a version of a function, and the alias (or nothing, or the version) it was called by."""

    function: Function
    qualifier: str | None = None

    @property
    def dimensions(self) -> list[dict[str, str]]:
        """All sets of dimensions that an invocation counts under; the empty one is the whole region.

        https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html
        """
        name = {"FunctionName": self.function.name}
        asked = self.qualifier
        resource = self.function.name if asked is None else f"{self.function.name}:{asked}"
        sets = [{}, name, {**name, "Resource": resource}]
        if asked not in (None, self.function.version):  # an alias
            sets.append({**sets[-1], "ExecutedVersion": self.function.version})
        return sets


class InvocationMetrics:
    """Counts what runs and puts each invocation's values. Thread-safe."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._running: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    @contextmanager
    def running(self, target: Target) -> Iterator[None]:
        """While this is open, one more runs."""
        keys = [(target.function.region, tuple(sorted(each.items()))) for each in target.dimensions]
        with self._lock:
            self._running.update(keys)
            counts = [self._running[key] for key in keys]
        for (region, dimensions), count in zip(keys, counts, strict=True):
            values = {"ConcurrentExecutions": (float(count), "Count")}
            metrics.put(self._account, region, "AWS/Lambda", values, dict(dimensions))
        try:
            yield
        finally:
            with self._lock:
                self._running.subtract(keys)

    def ended(self, target: Target, duration_ms: float, *, is_error: bool) -> None:
        values = {
            "Invocations": (1.0, "Count"),
            "Errors": (float(is_error), "Count"),
            "Throttles": (0.0, "Count"),
            "Duration": (duration_ms, "Milliseconds"),
        }
        self._put(target, values)

    def throttled(self, target: Target) -> None:
        """A throttled request is no invocation."""
        self._put(target, {"Throttles": (1.0, "Count")})

    def asynchronous(self, target: Target, *, dropped: bool) -> None:
        """An event was taken into the queue of asynchronous invocations, or given up."""
        name = "AsyncEventsDropped" if dropped else "AsyncEventsReceived"
        self._put(target, {name: (1.0, "Count")})

    def _put(self, target: Target, values: Mapping[str, tuple[float, str]]) -> None:
        metrics.put(self._account, target.function.region, "AWS/Lambda", values, *target.dimensions)
