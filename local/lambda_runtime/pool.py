"""The warm workers of every function: lends one per invocation, replaces them when the function changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from local.lambda_runtime.function import Function
from local.lambda_runtime.worker import Worker

# AWS starts up to a thousand at once; here they share one machine, and the rest waits.
MAX_WORKERS = 10
# AWS keeps one that nobody asks for some minutes. Here a hundred of them, of stacks that rest, would fill the memory.
IDLE_SECONDS = 60.0
_LOOK_SECONDS = 10.0

StartWorker = Callable[[Function, bytes], Worker]


class Throttled(Exception):
    """All of the function's reserved concurrency is in use."""


class Pool:
    """The workers of one function version as it is now."""

    def __init__(self, function: Function, start: StartWorker) -> None:
        self.function = function
        self._start = start
        self._changed = threading.Condition()
        # With the moment since which each is idle, the latest last.
        self._idle: list[tuple[float, Worker]] = []
        self._count = 0
        self._retired = False

    @contextmanager
    def worker(self, code: bytes, reserved_concurrency: int | None) -> Iterator[Worker]:
        """Lend a worker: an idle one, a new one, or the next to come back. Raises Throttled."""
        worker = self._acquire(code, reserved_concurrency)
        try:
            yield worker
        finally:
            self._release(worker)

    def retire(self) -> None:
        """End the idle workers now and the busy ones when they come back."""
        with self._changed:
            self._retired = True
            idle, self._idle = self._idle, []
            self._count -= len(idle)
        for _, worker in idle:
            _close_aside(worker)

    def rest(self, before: float) -> None:
        """End the workers that have been idle since before that moment of the monotonic clock."""
        with self._changed:
            tired = [worker for since, worker in self._idle if since < before]
            self._idle = [each for each in self._idle if each[0] >= before]
            self._count -= len(tired)
            if tired:
                self._changed.notify_all()
        for worker in tired:
            _close_aside(worker)

    def _acquire(self, code: bytes, reserved_concurrency: int | None) -> Worker:
        limit = MAX_WORKERS if reserved_concurrency is None else min(reserved_concurrency, MAX_WORKERS)
        with self._changed:
            while True:
                while self._idle:
                    _, worker = self._idle.pop()
                    if worker.alive:
                        return worker
                    self._count -= 1
                    _close_aside(worker)
                if self._count < limit:
                    self._count += 1
                    break
                if limit == reserved_concurrency:
                    raise Throttled
                self._changed.wait()
        try:
            return self._start(self.function, code)
        except BaseException:
            with self._changed:
                self._count -= 1
                self._changed.notify()
            raise

    def _release(self, worker: Worker) -> None:
        with self._changed:
            if worker.alive and not self._retired:
                self._idle.append((time.monotonic(), worker))
            else:
                self._count -= 1
                _close_aside(worker)
            self._changed.notify()


class Pools:
    """One pool for each function version."""

    def __init__(self, start: StartWorker) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._pools: dict[str, Pool] = {}

    def rest_until(self, stopping: threading.Event, idle_seconds: float = IDLE_SECONDS) -> None:
        """End workers that nobody has asked anything for so long, until the server stops."""
        while not stopping.wait(min(_LOOK_SECONDS, idle_seconds)):
            with self._lock:
                pools = list(self._pools.values())
            for pool in pools:
                pool.rest(time.monotonic() - idle_seconds)

    def of(self, function: Function) -> Pool:
        """The pool of the function as it is; workers of what it was before are retired."""
        with self._lock:
            pool = self._pools.get(function.arn)
            if pool is None or pool.function != function:
                if pool is not None:
                    pool.retire()
                pool = self._pools[function.arn] = Pool(function, self._start)
            return pool

    def keep_only(self, arns: set[str], *, region: str) -> None:
        """Retire the workers of all other functions of the region: they were deleted."""
        with self._lock:
            for arn in self._pools.keys() - arns:
                if self._pools[arn].function.region == region:
                    self._pools.pop(arn).retire()


def _close_aside(worker: Worker) -> None:
    # Ending a process takes a moment that no caller has to wait for.
    threading.Thread(target=worker.close, name=f"close-{worker.function.name}", daemon=True).start()
