"""The artifacts bucket as the domain sees it: keys in, bytes out. lambdas/adapters has the one on S3."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class Tagged(NamedTuple):
    """An object's bytes, and the tag that tells whether it is still the same."""

    body: bytes
    tag: str


class Artifacts(Protocol):
    """A bucket. Keys are relative to it, and made by `sluice.keys`."""

    def uri(self, key: str) -> str: ...
    def exists(self, key: str) -> bool: ...
    def read(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""

    def open(self, key: str) -> BinaryIO:
        """Open an object that is there; what is read of it alone is fetched."""

    def read_tagged(self, key: str) -> Tagged | None:
        """Read an object and its tag; None where there is none."""

    def listed(self, prefix: str) -> list[tuple[str, datetime]]:
        """Give the keys that begin so, and when each object was last written."""

    def sizes(self, prefix: str) -> dict[str, int]:
        """Give the keys that begin so, in order, and how many bytes each object has."""

    def upload(self, file: Path, key: str) -> None: ...
    def write(self, key: str, body: bytes, media_type: str) -> None: ...
    def create(self, key: str, body: bytes, media_type: str) -> bool:
        """Write an object that must not be there yet; False where it is."""

    def replace(self, key: str, body: bytes, media_type: str, tag: str) -> bool:
        """Write an object anew that has this tag still; False where it has another, or is gone."""
