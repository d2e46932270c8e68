"""Conditional writes of S3 on the local AWS, by clients that write at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from moto.s3.responses import S3Response

from local import conditional_writes
from tests.support.local_aws import LocalAws

WRITERS = 8


@pytest.fixture
def s3(local_aws: LocalAws) -> Any:
    client = local_aws.client("s3")
    client.create_bucket(Bucket="conditional")
    yield client
    client.delete_object(Bucket="conditional", Key="k")
    client.delete_bucket(Bucket="conditional")


def write_at_once(s3: Any, **condition: str) -> list[str]:
    """Let as many clients write as there are; give what became of each."""
    ready = threading.Barrier(WRITERS)

    def write(number: int) -> str:
        ready.wait()
        try:
            s3.put_object(Bucket="conditional", Key="k", Body=b"%d" % number, **condition)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "written"

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(write, range(WRITERS)))


def test_of_those_that_create_at_once_one_does(s3: Any) -> None:
    for _ in range(5):
        ends = write_at_once(s3, IfNoneMatch="*")
        assert sorted(ends) == ["PreconditionFailed"] * (WRITERS - 1) + ["written"]
        s3.delete_object(Bucket="conditional", Key="k")


def test_of_those_that_replace_at_once_one_does(s3: Any) -> None:
    for turn in range(5):
        seen = s3.put_object(Bucket="conditional", Key="k", Body=b"turn %d" % turn)["ETag"]
        ends = write_at_once(s3, IfMatch=seen)
        assert sorted(ends) == ["PreconditionFailed"] * (WRITERS - 1) + ["written"]


@pytest.mark.parametrize(
    ("headers", "together"),
    [({"If-Match": "x"}, False), ({"If-None-Match": "*"}, False), ({}, True)],
    ids=["If-Match", "If-None-Match", "unconditional"],
)
def test_no_conditional_write_looks_while_another_one_writes(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], together: bool
) -> None:
    meeting = threading.Barrier(2)

    def put_object(_self: Any) -> bool:
        try:
            # Who is alone waits in vain.
            meeting.wait(timeout=60 if together else 0.5)
        except threading.BrokenBarrierError:
            return False
        return True

    monkeypatch.setattr(S3Response, "put_object", put_object)
    conditional_writes.install(cast("Any", None))
    request = SimpleNamespace(headers=headers)
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(S3Response.put_object, [cast("Any", request)] * 2))
    assert ends == [together] * 2


def test_what_is_not_there_cannot_be_replaced(s3: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.put_object(Bucket="conditional", Key="k", Body=b"x", IfMatch='"0123"')
