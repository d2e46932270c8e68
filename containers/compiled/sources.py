"""The native extension's sources: where they lie, and the hash that ties a built extension to them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "native"

# Exactness: no contraction to fused multiply-add, and nothing that lets a compiler reorder floating point.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-strict-aliasing", "-Wall", "-Wextra")


@cache
def source_hash() -> str:
    """Give a hash over the sources and the flags, which the extension carries, too."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for file in sorted(SOURCES.glob("*.[ch]")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
