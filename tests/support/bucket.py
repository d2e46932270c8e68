"""An artifacts bucket in memory, as `sluice.artifacts` wants it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from sluice.artifacts import Tagged


@dataclass
class Bucket:
    """Keeps objects by key and the order they were written in.

    `fails_on` breaks the writing of keys that end so; keys in `hidden` are there, but not seen by `exists`.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    fails_on: str | None = None
    opened: list[str] = field(default_factory=list)
    modified: dict[str, datetime] = field(default_factory=dict)

    def uri(self, key: str) -> str:
        return f"s3://artifacts/{key}"

    def exists(self, key: str) -> bool:
        return key in self.objects and key not in self.hidden

    def upload(self, file: Path, key: str) -> None:
        self._put(key, file.read_bytes())

    def write(self, key: str, body: bytes, media_type: str) -> None:
        self._put(key, body)

    def create(self, key: str, body: bytes, media_type: str) -> bool:
        if key in self.objects:
            return False
        self._put(key, body)
        return True

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def listed(self, prefix: str) -> list[tuple[str, datetime]]:
        return [(key, self.modified[key]) for key in sorted(self.objects) if key.startswith(prefix)]

    def sizes(self, prefix: str) -> dict[str, int]:
        return {key: len(self.objects[key]) for key in sorted(self.objects) if key.startswith(prefix)}

    def now(self) -> datetime:
        return datetime.now(UTC)

    def open(self, key: str) -> BinaryIO:
        self.opened.append(key)
        return io.BytesIO(self.objects[key])

    def read_tagged(self, key: str) -> Tagged | None:
        body = self.read(key)
        return None if body is None else Tagged(body, _tag(body))

    def replace(self, key: str, body: bytes, media_type: str, tag: str) -> bool:
        if key not in self.objects or _tag(self.objects[key]) != tag:
            return False
        self._put(key, body)
        return True

    def _put(self, key: str, body: bytes) -> None:
        if self.fails_on is not None and key.endswith(self.fails_on):
            raise ConnectionError(key)
        self.objects[key] = body
        self.modified[key] = self.now()
        self.writes.append(key)


def _tag(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()
