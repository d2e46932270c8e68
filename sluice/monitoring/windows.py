"""Windows of captured traffic: which objects each looks at, so that none is read for two verdicts or for none.

A window is opened by naming its objects, and closed by having them among the consumed ones; one document, the ledger,
says both, and moves by conditional writes. Between the two a window may be counted as often as it takes: its objects
do not change, nor do its counts. What arrives later, of whichever hour, is not among the consumed: the next window's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Self

from pydantic import Field

from sluice import keys
from sluice.artifacts import Artifacts, Tagged
from sluice.errors import NoReference, StorageUnavailable, WindowLost
from sluice.payloads.base import Document

PART_BYTES = 64 * 1024 * 1024
"""Captured bytes that one call counts: some hundred thousand requests, in ten seconds or so of a core."""
PART_OBJECTS = 500
MOST_PARTS = 500
"""In a window: what a state machine lists in a payload and keeps in its history. The rest is the next window's."""

_JSON = "application/json"


class DriftWindow(Document):
    """window.json: what a window looks at.

    Attributes:
        name: of the execution that opened it.
        since: when the model was released; what was answered before is another's.
        parts: keys of capture objects.
        left: objects that did not fit, and are the next window's.
    """

    name: str
    opened: datetime
    model_name: str
    model_uri: str
    since: datetime
    parts: tuple[tuple[str, ...], ...]
    left: int = 0

    @property
    def objects(self) -> tuple[str, ...]:
        return tuple(key for part in self.parts for key in part)


class DriftLedger(Document):
    """ledger.json.

    Attributes:
        open: the window under way, or left behind by a run that ended half-way.
        closed: how many windows were.
        last: the window of the last verdict.
        consumed: objects of closed windows, as long as they are there.
    """

    open: str | None = None
    closed: int = 0
    last: str | None = None
    consumed: tuple[str, ...] = Field(default=())

    def opened(self, window: str, there: Collection[str]) -> Self:
        """Begin a window; what has expired meanwhile needs to be remembered no longer."""
        known = frozenset(there)
        consumed = tuple(key for key in self.consumed if key in known)
        return self.model_copy(update={"open": window, "consumed": consumed})

    def closed_by(self, window: str, consumed: Collection[str]) -> Self:
        return self.model_copy(
            update={
                "open": None,
                "closed": self.closed + 1,
                "last": window,
                "consumed": tuple(sorted({*self.consumed, *consumed})),
            }
        )


def split_up(
    objects: Mapping[str, int], consumed: Collection[str]
) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Give the parts of what is to be counted, the oldest first, and how many objects are left for the next window.

    Args:
        objects: sizes in bytes by key, in the order of the keys, which is that of the hours.
        consumed: keys that were looked at before.
    """
    known = frozenset(consumed)
    parts: list[list[str]] = []
    size, left = 0, 0
    for key, bytes_ in objects.items():
        if key in known:
            continue
        if not parts or len(parts[-1]) >= PART_OBJECTS or (size and size + bytes_ > PART_BYTES):
            if len(parts) == MOST_PARTS:
                left += 1
                continue
            parts.append([])
            size = 0
        parts[-1].append(key)
        size += bytes_
    return tuple(map(tuple, parts)), left


def read_ledger(artifacts: Artifacts) -> tuple[DriftLedger, str | None]:
    """Give the ledger and its tag; an empty one without a tag where none was written yet."""
    found: Tagged | None = artifacts.read_tagged(keys.drift_ledger())
    if found is None:
        return DriftLedger(), None
    return DriftLedger.model_validate_json(found.body), found.tag


def write_ledger(ledger: DriftLedger, tag: str | None, artifacts: Artifacts) -> None:
    """Move the ledger on from where it was read.

    Raises:
        StorageUnavailable: another run has moved it; this call is tried again, and finds what that one wrote.
    """
    key, body = keys.drift_ledger(), ledger.body()
    moved = artifacts.create(key, body, _JSON) if tag is None else artifacts.replace(key, body, _JSON, tag)
    # A write whose answer was lost is repeated, and refused: it is there all the same.
    if not moved and artifacts.read(key) != body:
        raise StorageUnavailable(
            "another run moves the ledger of captured traffic",
            where=artifacts.uri(key),
            fix="nothing: it is tried again, and then finds what the other one wrote",
        )


def resumed(ledger: DriftLedger, artifacts: Artifacts) -> DriftWindow | None:
    """Give the window that a run has left open."""
    return None if ledger.open is None else read_window(ledger.open, artifacts)


def read_window(name: str, artifacts: Artifacts) -> DriftWindow:
    """Read a window.

    Raises:
        WindowLost: it was deleted.
    """
    key = keys.drift_window(name)
    body = artifacts.read(key)
    if body is None:
        raise WindowLost(
            f"the window {name} is not there any more",
            where=artifacts.uri(key),
            why="somebody deleted it after it was opened, and its captured traffic was not judged",
            fix="put it back from the bucket's versions, or delete the ledger: all is looked at anew",
        )
    return DriftWindow.model_validate_json(body)


def close(name: str, consumed: Collection[str], artifacts: Artifacts) -> bool:
    """Have a window's objects consumed; False where it is closed already, by this call's own first attempt.

    Raises:
        WindowLost: another window is open.
        StorageUnavailable: another run moves the ledger.
    """
    ledger, tag = read_ledger(artifacts)
    if ledger.open is None and ledger.last == name:
        return False
    if ledger.open != name:
        raise WindowLost(
            f"the window {name} is not the one that is open",
            where=artifacts.uri(keys.drift_ledger()),
            why=f"the open one is {ledger.open}"
            if ledger.open
            else f"none is, and the last one was {ledger.last}",
            fix="nothing: another run has gone on with it; see its verdict",
        )
    write_ledger(ledger.closed_by(name, consumed), tag, artifacts)
    return True


def no_reference(where: str) -> NoReference:
    """Say that a model has nothing to be held against; `where` it would be."""
    return NoReference(
        "the traffic of the model cannot be held against anything",
        where=where,
        why="it was evaluated before references were written, or somebody deleted its own",
        fix="train again, or put a deleted one back: the bucket keeps old versions for 30 days",
    )
