"""Where an upload has to lie for the pipeline to take it, and how it has to be called."""

from __future__ import annotations

from pathlib import PurePosixPath

from sluice import naming
from sluice.errors import UploadMisplaced
from sluice.keys import INCOMING_BATCH, INCOMING_EVENTS, INCOMING_TRAINING, TRAINING_SUFFIXES

_EXPECTED = {
    INCOMING_TRAINING: "training data is",
    INCOMING_EVENTS: "events are",
    INCOMING_BATCH: "rows to be predicted are",
}


def suffix(key: str) -> str:
    """The ending that says how the object is read, in lower case; of a key that ends in a slash there is none."""
    if key.endswith("/"):
        return ""
    return PurePosixPath(key).suffix.lower()


def check_place(bucket: str, key: str, place: str = INCOMING_TRAINING) -> None:
    """Check that the pipeline takes an object of this key for what lies at `place`, one of `keys.INCOMING_…`.

    Raises:
        UploadMisplaced: it does not; the text says where it should lie. So nobody makes a day's events the table, or
            appends a table to itself, by starting the one machine with what is meant for the other.
    """
    where = naming.uri(bucket, key)
    expected = f"{place}<name>{{{','.join(TRAINING_SUFFIXES)}}}"
    if not key.startswith(place):
        other = (
            f", or under {INCOMING_EVENTS} to append it to the table" if place == INCOMING_TRAINING else ""
        )
        raise UploadMisplaced(
            f"the upload is not where {_EXPECTED[place]} expected",
            where=where,
            why=f"its key does not begin with {place}",
            fix=f"upload it as {expected}{other}",
        )
    if suffix(key) not in TRAINING_SUFFIXES:
        raise UploadMisplaced(
            f"the upload is of no format that can be read: {suffix(key) or 'no ending'}",
            where=where,
            why=f"its ending says what it is; known: {', '.join(TRAINING_SUFFIXES)}",
            fix=f"upload it as {expected}",
        )
