"""The artifacts bucket through boto3: conditional writes, and reading by pieces."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import IncompleteReadError
from moto import mock_aws

from lambdas.adapters.artifacts import S3Artifacts
from sluice.errors import StorageUnavailable

KEY = "datasets/current.json"


@pytest.fixture
def artifacts(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Artifacts]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="artifacts")
        yield S3Artifacts("artifacts")


def test_an_object_is_created_once(artifacts: S3Artifacts) -> None:
    assert artifacts.create(KEY, b"one", "text/plain")
    assert not artifacts.create(KEY, b"two", "text/plain")
    assert artifacts.read(KEY) == b"one"


def test_what_begins_so_is_listed_with_when_it_was_last_written(artifacts: S3Artifacts) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)  # S3 tells whole seconds
    for key in ("features/a/0-of-1.parquet", "features/a/1-of-2.parquet", "features/ab/0-of-1.parquet"):
        artifacts.write(key, b"", "")

    listed = dict(artifacts.listed("features/a/"))

    assert listed.keys() == {"features/a/0-of-1.parquet", "features/a/1-of-2.parquet"}
    assert all(before <= modified <= datetime.now(UTC) for modified in listed.values())
    assert artifacts.listed("features/b/") == []


def test_what_begins_so_is_listed_with_its_size(artifacts: S3Artifacts) -> None:
    artifacts.write("captures/e/b", b"four", "text/plain")
    artifacts.write("captures/e/a", b"", "text/plain")
    artifacts.write("captures/f/a", b"another's", "text/plain")
    assert list(artifacts.sizes("captures/e/").items()) == [("captures/e/a", 0), ("captures/e/b", 4)]
    assert artifacts.sizes("captures/nobody/") == {}


def test_an_object_is_replaced_by_who_has_seen_it_as_it_is(artifacts: S3Artifacts) -> None:
    artifacts.write(KEY, b"one", "text/plain")
    seen = artifacts.read_tagged(KEY)
    assert seen is not None
    assert seen.body == b"one"
    assert artifacts.replace(KEY, b"two", "text/plain", seen.tag)
    assert not artifacts.replace(KEY, b"three", "text/plain", seen.tag)
    assert artifacts.read(KEY) == b"two"


def test_what_is_not_there_has_no_tag_and_is_not_replaced(artifacts: S3Artifacts) -> None:
    assert artifacts.read_tagged(KEY) is None
    assert not artifacts.replace(KEY, b"one", "text/plain", '"0123"')
    assert artifacts.read(KEY) is None


def test_of_an_object_the_pieces_that_are_read_are_fetched(artifacts: S3Artifacts) -> None:
    artifacts.write(KEY, b"0123456789", "text/plain")
    with artifacts.open(KEY) as file:
        assert file.seekable()
        assert file.read(3) == b"012"
        assert file.tell() == 3
        assert file.seek(-2, io.SEEK_END) == 8
        assert file.read(100) == b"89"
        assert file.read(1) == b""
        assert file.seek(2) == 2
        assert file.seek(1, io.SEEK_CUR) == 3
        assert file.read() == b"3456789"


def test_a_parquet_file_is_read_by_its_columns(artifacts: S3Artifacts, tmp_path: Path) -> None:
    table = pa.table({"id": list(range(1000)), "text": [f"row {i}" for i in range(1000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    artifacts.upload(tmp_path / "a.parquet", KEY)
    with artifacts.open(KEY) as file, pq.ParquetFile(file, buffer_size=0, pre_buffer=False) as parquet:
        assert parquet.read_row_group(3, columns=["id"])["id"].to_pylist() == list(range(300, 400))


class Breaking:
    """An S3 whose answers break off the first times they are read."""

    def __init__(self, times: int) -> None:
        self._left = times
        self.asked: list[str] = []

    def get_object(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request["Range"])
        self._left -= 1
        return {"Body": self if self._left >= 0 else io.BytesIO(b"234")}

    def read(self) -> bytes:
        raise IncompleteReadError(actual_bytes=1, expected_bytes=3)


@pytest.mark.parametrize("times", [0, 4, 5])
def test_a_piece_that_breaks_off_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    breaking = Breaking(times)
    artifacts = S3Artifacts("artifacts")
    monkeypatch.setattr(artifacts, "_s3", breaking)
    if times < 5:
        assert artifacts.read_range(KEY, 2, 3) == b"234"
    else:
        with pytest.raises(StorageUnavailable):
            artifacts.read_range(KEY, 2, 3)
    assert breaking.asked == ["bytes=2-4"] * min(times + 1, 5)
