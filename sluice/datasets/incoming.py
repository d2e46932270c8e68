"""Where an upload has to lie for the pipeline to take it, and how it has to be called."""

from __future__ import annotations

from pathlib import PurePosixPath

from sluice import naming
from sluice.errors import UploadMisplaced
from sluice.keys import INCOMING_EVENTS, INCOMING_TRAINING, TRAINING_SUFFIXES

EXPECTED = f"{INCOMING_TRAINING}<name>{{{','.join(TRAINING_SUFFIXES)}}}"
_PLACES = (INCOMING_TRAINING, INCOMING_EVENTS)


def suffix(key: str) -> str:
    """The ending that says how the object is read, in lower case; of a key that ends in a slash there is none."""
    if key.endswith("/"):
        return ""
    return PurePosixPath(key).suffix.lower()


def check_place(bucket: str, key: str) -> None:
    """Check that the pipeline takes an object of this key.

    Raises:
        UploadMisplaced: it does not; the text says where it should lie.
    """
    where = naming.uri(bucket, key)
    if not key.startswith(_PLACES):
        raise UploadMisplaced(
            "the upload is not where data is expected",
            where=where,
            why=f"its key does not begin with {INCOMING_TRAINING} or {INCOMING_EVENTS}",
            fix=f"upload it as {EXPECTED}, or under {INCOMING_EVENTS} to append it to the table",
        )
    if suffix(key) not in TRAINING_SUFFIXES:
        raise UploadMisplaced(
            f"the upload is of no format that can be read: {suffix(key) or 'no ending'}",
            where=where,
            why=f"its ending says what it is; known: {', '.join(TRAINING_SUFFIXES)}",
            fix=f"upload it as {EXPECTED.replace(INCOMING_TRAINING, _place(key))}",
        )


def _place(key: str) -> str:
    return next(place for place in _PLACES if key.startswith(place))
