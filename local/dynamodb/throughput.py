"""Provisioned throughput: what a table may still be read and written, and what was.

A table on demand is never throttled. One with provisioned throughput keeps what it did not use for 300 seconds; a
new one has a second's worth. A request is let through while there is some left, and may take more than there is.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/burst-adaptive-capacity.html
"""

from __future__ import annotations

import time
import weakref
from typing import Any, Literal, TypeAlias

BURST_SECONDS = 300.0

Kind: TypeAlias = Literal["Read", "Write"]


class Throughput:
    """The capacity left of every provisioned table. Called with the lock of `tables` held."""

    def __init__(self) -> None:
        self._buckets: weakref.WeakKeyDictionary[Any, dict[Kind, _Bucket]] = weakref.WeakKeyDictionary()

    def allows(self, table: Any, kind: Kind) -> bool:
        """Whether a request may go on."""
        bucket = self._bucket(table, kind)
        return bucket is None or bucket.left() > 0

    def take(self, table: Any, kind: Kind, units: float) -> None:
        """Count what a request has used, in capacity units."""
        bucket = self._bucket(table, kind)
        if bucket is not None:
            bucket.take(units)

    def _bucket(self, table: Any, kind: Kind) -> _Bucket | None:
        if table.billing_mode != "PROVISIONED":
            # What it owed or had saved is not there when it is provisioned again.
            self._buckets.pop(table, None)
            return None
        rate = float(table.throughput.get(f"{kind}CapacityUnits", 0))
        if rate <= 0:
            return None
        of_table = self._buckets.setdefault(table, {})
        if kind not in of_table:
            of_table[kind] = _Bucket(rate)
        of_table[kind].rate = rate
        return of_table[kind]


class _Bucket:
    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._left = rate
        self._filled = time.monotonic()

    def left(self) -> float:
        now = time.monotonic()
        self._left = min(self._left + (now - self._filled) * self.rate, BURST_SECONDS * self.rate)
        self._filled = now
        return self._left

    def take(self, units: float) -> None:
        self._left = self.left() - units
