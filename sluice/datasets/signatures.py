"""What the first bytes of a file give away: a format that is neither CSV nor Parquet, and how to make one of it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

PARQUET = b"PAR1"
_SHOWN_BYTES = 4
_SHOWN_CHARACTERS = 24


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


_WEB_PAGE = Signature(
    "a web page", advice="the download may have ended at a login or an error page: look at it"
)
_IMAGE = Signature("an image", advice="give a table")
_TABLE = "write it as a table"
_SHEET = "save the sheet as CSV (UTF-8)"

SIGNATURES = {
    b"\x1f\x8b": Signature("a gzip file", "gunzip"),
    b"BZh": Signature("a bzip2 file", "bunzip2"),
    b"\xfd7zXZ": Signature("an xz file", "unxz"),
    b"\x28\xb5\x2f\xfd": Signature("a zstd file", "zstd -d"),
    b"\x04\x22\x4d\x18": Signature("an lz4 file", "lz4 -d"),
    b"7z\xbc\xaf\x27\x1c": Signature("a 7z archive", advice="unpack it"),
    b"Rar!": Signature("a rar archive", advice="unpack it"),
    b"\xd0\xcf\x11\xe0": Signature("an old Excel workbook", advice=_SHEET),
    b"ARROW1": Signature("a Feather (Arrow) file", advice=f"{_TABLE}: pandas.read_feather(…).to_parquet(…)"),
    b"FEA1": Signature("an old Feather file", advice=f"{_TABLE}: pandas.read_feather(…).to_parquet(…)"),
    b"ORC": Signature("an ORC file", advice=f"{_TABLE}: pandas.read_orc(…).to_parquet(…)"),
    b"Obj\x01": Signature("an Avro file", advice=f"{_TABLE} in CSV or Parquet"),
    b"PARE": Signature("an encrypted Parquet file", advice="write it without encryption"),
    b"\x89HDF": Signature("an HDF5 file", advice=f"{_TABLE}: pandas.read_hdf(…).to_parquet(…)"),
    b"\x93NUMPY": Signature("a NumPy array", advice=f"{_TABLE}, with the columns' names above it"),
    b"SQLite format 3\x00": Signature("an SQLite database", advice="export the table as CSV"),
    b"<stata_dta>": Signature(
        "a Stata file", advice=f"{_TABLE}: pandas.read_stata(…).to_csv(…, index=False)"
    ),
    b"$FL2": Signature("an SPSS file", advice=f"{_TABLE}: pandas.read_spss(…).to_csv(…, index=False)"),
    b"\x89PNG": _IMAGE,
    b"\xff\xd8\xff": _IMAGE,
}
_ZIP = b"PK\x03\x04"
_ZIPPED = {
    rb"\[Content_Types\]\.xml|xl/": Signature("an Excel workbook", advice=_SHEET),
    rb"opendocument\.spreadsheet": Signature("an OpenDocument workbook", advice=_SHEET),
    rb"": Signature(
        "a zip archive or an Excel workbook", advice="unpack it, or save the sheet as CSV (UTF-8)"
    ),
}
# Of text in lower case, without what is blank before it.
_TEXTS = {
    rb'\{\s*("|\}$)': Signature(
        "JSON", advice=f"{_TABLE}, one column a key: pandas.read_json(…, lines=True).to_csv(…, index=False)"
    ),
    rb"\[\s*[\[{]": Signature(
        "JSON", advice=f"{_TABLE}, one column a key: pandas.read_json(…).to_csv(…, index=False)"
    ),
    rb"<!doctype|<!--|<(html|head|body|script|meta|title)\b": _WEB_PAGE,
    rb"<\?xml[^>]*>\s*(<!doctype html|<html)": _WEB_PAGE,
    rb"(<\?xml[^>]*>\s*)?<error>\s*<code>": Signature(
        "an error message of S3", advice="the download failed: look at it, and download the file again"
    ),
    rb"<\?xml": Signature("XML", advice=_TABLE),
    rb"(%[^\n]*\s+)*@relation\b": Signature("ARFF", advice=f"{_TABLE}: scipy.io.arff.loadarff reads it"),
    rb"%pdf-": Signature(
        "a PDF document", advice="get the table itself, as CSV, from where the document is from"
    ),
    rb"version https://git-lfs": Signature(
        "a pointer of Git LFS, not the file itself", advice="fetch the file: git lfs pull"
    ),
}


def recognise(head: bytes) -> Signature | None:
    """Find the format that a file's first bytes are of; None: it may be CSV or Parquet."""
    text = _is_text(head)
    for magic, found in SIGNATURES.items():
        # PARENT or ORCID may be the header of a table.
        if head.startswith(magic) and not (text and magic.isascii()):
            return found
    if head.startswith(_ZIP):
        return next(found for inside, found in _ZIPPED.items() if re.search(inside, head[:4096]))
    start = head[:4096].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    return next((found for form, found in _TEXTS.items() if re.match(form, start)), None)


def _is_text(head: bytes) -> bool:
    try:
        # Incremental: the head may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(head[:4096])
    except UnicodeDecodeError:
        return False
    return b"\0" not in head[:4096]


def beginning(head: bytes) -> str:
    """Say how a file begins: as text, or by the first bytes where they are none."""
    if not _is_text(head):
        return f"it begins with the bytes {head[:_SHOWN_BYTES].hex(' ')}"
    first = head[:4096].decode("utf-8-sig", "ignore").lstrip().partition("\n")[0].rstrip()
    return f"it begins with {first[:_SHOWN_CHARACTERS]!r}"


def is_parquet(head: bytes) -> bool:
    return head.startswith(PARQUET)
