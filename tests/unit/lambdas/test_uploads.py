from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from lambdas.adapters import uploads
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.uploads import Upload
from sluice.errors import ObjectNotFound, StorageUnavailable, UploadMisplaced
from sluice.keys import INCOMING_EVENTS
from tests.support.s3 import FakeS3

KEY = "incoming/training/a.csv"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> FakeS3:
    fake = FakeS3({(KEY, "v1"): b"first", (KEY, "v2"): b"second version"})
    monkeypatch.setattr(Upload, "_s3", fake)
    return fake


@pytest.mark.usefixtures("s3")
def test_the_version_that_was_asked_for_is_read() -> None:
    upload = Upload("uploads", KEY, "v1")
    assert upload.open().read() == b"first"
    assert (upload.where, upload.suffix) == ("s3://uploads/incoming/training/a.csv", ".csv")


def test_the_newest_version_is_pinned_when_none_is_asked_for(s3: FakeS3) -> None:
    upload = Upload("uploads", KEY, None)
    stream = upload.open()
    s3.versions[KEY, "v3"] = b"a later one"
    assert (upload.version_id, upload.etag) == ("v2", "v2-tag")
    assert stream.read() == b"second version"
    assert upload.open().read() == b"second version"


@given(body=st.binary(max_size=100), part=st.integers(1, 40), chunk=st.integers(1, 50))
def test_parts_add_up_to_the_object(body: bytes, part: int, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Upload, "_s3", FakeS3({(KEY, "v1"): body}))
        patch.setattr(uploads, "_PART_BYTES", part)
        stream = Upload("uploads", KEY, "v1").open()
        assert b"".join(iter(lambda: stream.read(chunk), b"")) == body


def test_a_connection_that_breaks_off_is_made_anew(s3: FakeS3) -> None:
    upload = Upload("uploads", KEY, "v1")
    s3.broken_reads = 2
    assert upload.open().read() == b"first"
    assert len(s3.reads) == 3


def test_a_connection_that_always_breaks_is_an_error(s3: FakeS3) -> None:
    upload = Upload("uploads", KEY, "v1")
    s3.broken_reads = 100
    with pytest.raises(StorageUnavailable, match="S3 does not answer"):
        upload.open().read()
    assert len(s3.reads) == 5


@pytest.mark.usefixtures("s3")
def test_an_object_that_is_not_there_is_named() -> None:
    with pytest.raises(ObjectNotFound) as caught:
        Upload("uploads", KEY, "v9").open()
    assert "v9" in str(caught.value)
    assert "s3://uploads/incoming/training/a.csv" in str(caught.value)
    assert "upload the file again" in str(caught.value)


def test_an_object_deleted_while_it_is_read_is_named(s3: FakeS3) -> None:
    stream = Upload("uploads", KEY, "v1").open()
    del s3.versions[KEY, "v1"]
    with pytest.raises(ObjectNotFound, match="deleted"):
        stream.read()


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("a.csv", "does not begin with incoming/training/"),
        ("incoming/a.csv", "does not begin with incoming/training/"),
        ("incoming/training/a.xlsx", ".xlsx"),
        ("incoming/training/a", "no ending"),
        ("incoming/training/a.csv/", "no ending"),
        ("incoming/training/", "no ending"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_a_misplaced_upload_is_told_where_it_belongs(key: str, text: str) -> None:
    with pytest.raises(UploadMisplaced) as caught:
        Upload("uploads", key, "v1").open()
    assert text in str(caught.value)
    assert "incoming/training/<name>{.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("incoming/training/a.csv", "does not begin with incoming/events/"),
        ("a.csv", "does not begin with incoming/events/"),
        ("incoming/events", "does not begin with incoming/events/"),
        ("incoming/events/a.xlsx", ".xlsx"),
    ],
)
@pytest.mark.usefixtures("s3")
def test_what_is_to_be_appended_lies_among_the_events(key: str, text: str) -> None:
    with pytest.raises(UploadMisplaced) as caught:
        Upload("uploads", key, "v1", INCOMING_EVENTS).open()
    assert text in str(caught.value)
    assert "incoming/events/<name>{.csv" in caught.value.fix


@pytest.mark.usefixtures("s3")
def test_events_are_no_table() -> None:
    with pytest.raises(UploadMisplaced) as caught:
        Upload("uploads", "incoming/events/a.csv", "v1").open()
    assert "does not begin with incoming/training/" in caught.value.why
    assert "under incoming/events/ to append it" in caught.value.fix


def test_nothing_is_asked_of_s3_before_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Upload, "_s3")

    upload = Upload("uploads", KEY, "v1")

    assert (upload.version_id, upload.etag) == ("v1", None)


class TestOnS3:
    """What only S3 itself can answer."""

    @pytest.fixture(autouse=True)
    def _bucket(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setattr(uploads, "_PART_BYTES", 4)
        with mock_aws():
            boto3.client("s3").create_bucket(Bucket="uploads")
            yield

    def put(self, body: bytes) -> None:
        boto3.client("s3").put_object(Bucket="uploads", Key=KEY, Body=body)

    def test_an_object_replaced_while_it_is_read_is_no_mixture(self) -> None:
        """A bucket without versions: only the ETag tells."""
        self.put(b"old-old-")
        stream = Upload("uploads", KEY, None).open()
        assert stream.read(4) == b"old-"

        self.put(b"new-new-")

        with pytest.raises(ObjectNotFound):
            stream.read()

    def test_a_manifest_is_written_once(self) -> None:
        artifacts = S3Artifacts("uploads")
        assert artifacts.create("m.json", b"first", "application/json")
        assert not artifacts.create("m.json", b"second", "application/json")
        assert artifacts.read("m.json") == b"first"
        assert artifacts.read("other.json") is None
        assert (artifacts.exists("m.json"), artifacts.exists("other.json")) == (True, False)
