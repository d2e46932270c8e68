"""What the parts of a window held: counted one by one, and added up."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import reduce
from operator import add
from typing import Self

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.errors import WindowLost
from sluice.monitoring.captures import MOST_ASIDE, Aside, CaptureReader, Reason
from sluice.monitoring.counts import Window
from sluice.monitoring.reference import Reference
from sluice.monitoring.windows import DriftWindow
from sluice.payloads.base import Document


class PartCounts(Document):
    """counts/<part>.json: what a part of a window held.

    Attributes:
        bare: objects without a row of the model.
        gone: how many of them were deleted, or had expired, before they were counted.
        records, earlier, unread, aside, first, last: as `captures.CaptureReader` has them.
    """

    window: Window
    records: int
    earlier: int
    unread: dict[Reason, int]
    aside: tuple[Aside, ...]
    bare: tuple[str, ...]
    gone: int
    first: datetime | None
    last: datetime | None

    @classmethod
    def of(cls, window: Window, reader: CaptureReader, bare: Collection[str], gone: int) -> Self:
        return cls(
            window=window,
            records=reader.records,
            earlier=reader.earlier,
            unread=dict(reader.unread),
            aside=tuple(reader.aside),
            bare=tuple(bare),
            gone=gone,
            first=reader.first,
            last=reader.last,
        )

    @classmethod
    def nothing(cls, reference: Reference) -> Self:
        return cls(
            window=reference.empty(),
            records=0,
            earlier=0,
            unread={},
            aside=(),
            bare=(),
            gone=0,
            first=None,
            last=None,
        )

    def __add__(self, other: Self) -> Self:
        reasons = sorted(self.unread.keys() | other.unread.keys())
        firsts = [each for each in (self.first, other.first) if each is not None]
        lasts = [each for each in (self.last, other.last) if each is not None]
        return type(self)(
            window=self.window + other.window,
            records=self.records + other.records,
            earlier=self.earlier + other.earlier,
            unread={each: self.unread.get(each, 0) + other.unread.get(each, 0) for each in reasons},
            aside=(*self.aside, *other.aside)[:MOST_ASIDE],
            bare=(*self.bare, *other.bare),
            gone=self.gone + other.gone,
            first=min(firsts, default=None),
            last=max(lasts, default=None),
        )


def add_up(window: DriftWindow, reference: Reference, artifacts: Artifacts) -> PartCounts:
    """Give what all parts of a window held.

    Raises:
        WindowLost: a part was not counted.
    """
    return reduce(
        add,
        (_counted(window, part, artifacts) for part in range(len(window.parts))),
        PartCounts.nothing(reference),
    )


def _counted(window: DriftWindow, part: int, artifacts: Artifacts) -> PartCounts:
    key = keys.drift_counts(window.name, part)
    body = artifacts.read(key)
    if body is None:
        raise WindowLost(
            f"part {part} of the window {window.name} was not counted",
            where=artifacts.uri(key),
            why="its counts were deleted, or never written",
            fix="start the machine `drift` again: it goes on with the window",
        )
    return PartCounts.model_validate_json(body)
