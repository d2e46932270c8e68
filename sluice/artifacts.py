"""The artifacts bucket as the domain sees it: keys in, bytes out. lambdas/adapters has the one on S3."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Artifacts(Protocol):
    """A bucket. Keys are relative to it, and made by `sluice.keys`."""

    def uri(self, key: str) -> str: ...
    def exists(self, key: str) -> bool: ...
    def read(self, key: str) -> bytes | None:
        """Read an object; None where there is none."""

    def upload(self, file: Path, key: str) -> None: ...
    def write(self, key: str, body: bytes, media_type: str) -> None: ...
    def create(self, key: str, body: bytes, media_type: str) -> bool:
        """Write an object that must not be there yet; False where it is."""
