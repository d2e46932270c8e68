"""What the first bytes of a file give away: a format that is no CSV, and how to make one of it."""

from __future__ import annotations

from dataclasses import dataclass

PARQUET = b"PAR1"


@dataclass(frozen=True)
class Signature:
    """A format: what it is called, and the program that unpacks it, if that is all it takes."""

    what: str
    unpacker: str | None = None
    advice: str = ""

    @property
    def fix(self) -> str:
        """What to do with the file."""
        return f"unpack it ({self.unpacker})" if self.unpacker else self.advice

    def command(self, name: str) -> str:
        """What to do with the file `name` on this machine."""
        return f"{self.unpacker} -c {name} > plain.csv" if self.unpacker else self.advice


SIGNATURES = {
    b"\x1f\x8b": Signature("a gzip file", "gunzip"),
    b"BZh": Signature("a bzip2 file", "bunzip2"),
    b"\xfd7zXZ": Signature("an xz file", "unxz"),
    b"\x28\xb5\x2f\xfd": Signature("a zstd file", "zstd -d"),
    b"PK\x03\x04": Signature(
        "a zip archive or an Excel workbook", advice="unpack it, or save the sheet as CSV (UTF-8)"
    ),
    b"\xd0\xcf\x11\xe0": Signature("an old Excel workbook", advice="save the sheet as CSV (UTF-8)"),
}


def recognise(head: bytes) -> Signature | None:
    """Find the format that a file's first bytes are of."""
    return next((found for magic, found in SIGNATURES.items() if head.startswith(magic)), None)


def is_parquet(head: bytes) -> bool:
    return head.startswith(PARQUET)
