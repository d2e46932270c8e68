"""Work on a stream side by side: the next items are made, and the last ones used, while one is looked at.

Arrow's kernels and files leave the interpreter free, so that a thread a stage is enough. Each stage keeps the order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")

# Enough to even out items that take longer, as the one of a dozen that fills a row group; each one waiting is memory.
DEPTH = 16


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items, of which the next ones are made meanwhile; an error comes in its turn."""
    end = object()
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = deque(thread.submit(next, items, end) for _ in range(DEPTH))
        while (item := coming.popleft().result()) is not end:
            coming.append(thread.submit(next, items, end))
            yield item  # type: ignore[misc]  # not the end, which is the one that is no Item


class Behind(Generic[Item]):
    """Uses items in a thread of its own, in order: `with Behind(use) as behind: behind.put(item)`.

    An error of `use` is raised by a later `put`, or at the end; after one no item is used any more.
    """

    def __init__(self, use: Callable[[Item], None]) -> None:
        self._use = use
        self._thread = ThreadPoolExecutor(1, "behind")
        self._waiting: deque[Future[None]] = deque()
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def put(self, item: Item) -> None:
        while len(self._waiting) >= DEPTH:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._guarded, item))

    def _guarded(self, item: Item) -> None:
        if self._failed:
            return
        try:
            self._use(item)
        except BaseException:
            self._failed = True
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        # Where something else went wrong that is what there is to say.
        for each in self._waiting if error is None else ():
            each.result()
