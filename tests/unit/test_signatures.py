"""Files of another format under the name of a table, as `sluice init` and as an upload's validation meet them."""

from __future__ import annotations

import gzip
import io
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pytest

from sluice.datasets import signatures
from sluice.drafting.sampling import read_sample
from sluice.errors import UnreadableFile
from tests.support.uploads import refuse

TABLE = pa.table({"a": [1, 2], "y": ["b", "c"]})


def made(write: Callable[[io.BytesIO], object]) -> bytes:
    sink = io.BytesIO()
    write(sink)
    return sink.getvalue()


def zipped(*names: str) -> bytes:
    def write(sink: io.BytesIO) -> None:
        with zipfile.ZipFile(sink, "w") as archive:
            for name in names:
                archive.writestr(name, "x")

    return made(write)


def feather() -> bytes:
    return made(lambda sink: pyarrow.feather.write_feather(TABLE, sink, compression="uncompressed"))


def orc() -> bytes:
    return made(lambda sink: pyarrow.orc.write_table(TABLE, sink))


def npy() -> bytes:
    return made(lambda sink: np.save(sink, np.arange(3)))


def sqlite() -> bytes:
    database = sqlite3.connect(":memory:")
    database.execute("create table t (a)")
    return database.serialize()


FORMATS: list[tuple[str, bytes]] = [
    ("a web page", b"<html>\n<head><title>Login</title></head></html>\n"),
    ("a web page", b"\xef\xbb\xbf\n  <!DOCTYPE html>\n<p>404</p>\n"),
    ("a web page", b"<!-- x -->\n<HTML>\n"),
    ("a web page", b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">\n<html/>\n'),
    ("an error message of S3", b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>'),
    ("XML", b'<?xml version="1.0"?>\n<rows><row/></rows>'),
    ("JSON", b'{"a": 1}\n{"a": 2}\n'),
    ("JSON", b'{\n  "message": "rate limit exceeded"\n}\n'),
    ("JSON", b'[\n  {"a": 1}\n]\n'),
    ("JSON", b"[[1, 2], [3, 4]]"),
    ("ARFF", b"% from a lab\n%\n@RELATION iris\n"),
    ("a PDF document", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    ("a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"),
    ("a gzip file", gzip.compress(b"a,y\n1,b\n", mtime=0)),
    ("a zip archive", zipped("a.csv")),
    ("an Excel workbook", zipped("[Content_Types].xml", "xl/workbook.xml")),
    ("a Feather (Arrow) file", feather()),
    ("an ORC file", orc()),
    ("a NumPy array", npy()),
    ("an SQLite database", sqlite()),
    ("an HDF5 file", b"\x89HDF\r\n\x1a\n" + bytes(40)),
    ("an image", b"\x89PNG\r\n\x1a\n" + bytes(40)),
]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(("what", "content"), FORMATS)
def test_another_format_is_called_what_it_is(tmp_path: Path, what: str, content: bytes, ending: str) -> None:
    file = tmp_path / f"in.{ending}"
    file.write_bytes(content)
    with pytest.raises(UnreadableFile) as caught:
        read_sample(file)
    kind = "Parquet" if ending == "parquet" else "CSV"
    assert caught.value.what.startswith(f"{file.name} is {what}")
    assert caught.value.what.endswith(f"not a {kind} file")
    refusal = refuse(tmp_path, content, name=f"in.{ending}")
    assert type(refusal) is UnreadableFile
    assert refusal.what.startswith(f"the file is {what}")
    for error in (caught.value, refusal):
        assert "it begins with" in error.why
        assert error.fix


@pytest.mark.parametrize(
    "header",
    ["ORCID,name", "PARENT,child", "FEA1,b", "BZh,b", "Rar!,b", "<TICKER>,<DATE>", "%,b", "[x],y"],
)
def test_a_header_that_begins_like_another_format_is_one(header: str) -> None:
    assert signatures.recognise(f"{header}\n1,2\n".encode()) is None


def test_text_named_parquet_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "in.parquet"
    file.write_bytes(b"a,y\n1,b\n")
    with pytest.raises(UnreadableFile, match="not a Parquet file") as caught:
        read_sample(file)
    assert "begins with 'a,y" in caught.value.why
    assert "call it .csv" in caught.value.fix
