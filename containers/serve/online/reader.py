"""Gathers what concurrent requests want to read into batches: one collects while others are under way."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence

from containers.serve.online.failures import FeatureStoreUnavailable, UnreadableFeatures
from containers.serve.online.store import MOST_KEYS, Place, Store
from containers.serve.online.views import Row

_AT_ONCE = 2 * MOST_KEYS
"""Of a request that wants more, the others' keys have their turns between two such portions."""


class _Read:
    """What one request waits for."""

    __slots__ = ("done", "left", "rows", "until")

    def __init__(self, places: Sequence[Place], until: float) -> None:
        self.rows: dict[Place, Row | None] = {}
        self.left = len(places)
        self.until = until
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, place: Place, row: Row | UnreadableFeatures | None) -> None:
        if isinstance(row, UnreadableFeatures):
            self.fail(row)
            return
        self.rows[place] = row
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Reader:
    """Reads through a store.

    A key that several requests want is read once, where none of them came after its batch was sent: what was written
    before a request is never missed because another one was a little earlier.

    Args:
        most_batches: so many are under way at once.
        most_waiting: so many keys may wait for theirs.
    """

    def __init__(self, store: Store, most_batches: int = 4, most_waiting: int = 100_000) -> None:
        self._store = store
        self._most_batches = most_batches
        self._most_waiting = most_waiting
        self._waiting: OrderedDict[Place, list[_Read]] = OrderedDict()
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_due = False
        # One alarm for all, of the first that is over: one for each would cost more than its place in a batch.
        self._reads: set[_Read] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf

    async def read(self, places: Sequence[Place], seconds: float) -> dict[Place, Row | None]:
        """Give the row of each place; None: the store has none.

        Args:
            places: each once.
            seconds: all of it may take so long.

        Raises:
            FeatureStoreUnavailable: some could not be read, for which there is no row to say anything about.
            UnreadableFeatures: one holds what is no value.
        """
        until = asyncio.get_running_loop().time() + seconds
        if len(places) <= _AT_ONCE:
            return await self._read(places, until)
        rows: dict[Place, Row | None] = {}
        for first in range(0, len(places), _AT_ONCE):
            rows |= await self._read(places[first : first + _AT_ONCE], until)
        return rows

    async def _read(self, places: Sequence[Place], until: float) -> dict[Place, Row | None]:
        waiting = self._waiting
        if len(waiting) + len(places) > self._most_waiting:
            raise FeatureStoreUnavailable(
                f"{len(waiting):,} rows of features wait to be read, as many as may",
                fix="come back in a second",
            )
        loop = asyncio.get_running_loop()
        read = _Read(places, until)
        for place in places:
            readers = waiting.get(place)
            if readers is None:
                waiting[place] = [read]
            else:
                readers.append(read)
        if not self._is_due and len(self._under_way) < self._most_batches:
            # Not at once: all that came with the same turn of the loop go together.
            self._is_due = True
            loop.call_soon(self._send)
        self._reads.add(read)
        if until < self._alarm_at:
            self._set_alarm(until)
        try:
            await read.done
        finally:
            self._reads.discard(read)
        return read.rows

    def _set_alarm(self, until: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(until, self._look)
        self._alarm_at = until

    def _look(self) -> None:
        """Tell those whose time is over."""
        # Not the loop's clock, which may be a little before what was asked of it.
        now, self._alarm, self._alarm_at = self._alarm_at, None, math.inf
        for read in self._reads:
            if read.until <= now:
                what = f"{read.left} rows of features were not read in time"
                read.fail(FeatureStoreUnavailable(what, fix="come back in a second"))
        later = [read.until for read in self._reads if read.until > now]
        if later:
            self._set_alarm(min(later))

    def _send(self) -> None:
        self._is_due = False
        while self._waiting and len(self._under_way) < self._most_batches:
            batch: dict[Place, list[_Read]] = {}
            until = 0.0
            while self._waiting and len(batch) < MOST_KEYS:
                place, readers = self._waiting.popitem(last=False)
                # Nobody may wait any more for what was asked long ago.
                readers = [read for read in readers if not read.done.done()]
                if readers:
                    batch[place] = readers
                    until = max(until, *(read.until for read in readers))
            if batch:
                task = asyncio.get_running_loop().create_task(self._read_batch(batch, until))
                self._under_way.add(task)
                task.add_done_callback(self._ended)

    async def _read_batch(self, batch: dict[Place, list[_Read]], until: float) -> None:
        def found(place: Place, row: Row | UnreadableFeatures | None) -> None:
            for read in batch.pop(place):
                read.take(place, row)

        try:
            await self._store.read(list(batch), until, found)
        except asyncio.CancelledError:
            self._fail(batch, FeatureStoreUnavailable("the endpoint is being stopped"))
            raise
        except Exception as error:
            self._fail(batch, error)

    @staticmethod
    def _fail(batch: dict[Place, list[_Read]], error: Exception) -> None:
        for readers in batch.values():
            for read in readers:
                read.fail(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._send()
