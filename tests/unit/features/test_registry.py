"""The registry in the bucket is the deployed one, whoever wrote what before or meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sluice.errors import StorageUnavailable
from sluice.features.registry import publish
from tests.support.bucket import Bucket

KEY = "feast/registry.db"


class Meanwhile(Bucket):
    """Somebody else writes between this call's look and its write, or the write's answer is lost."""

    def __init__(self, happens: Callable[[dict[str, bytes]], None], **given: Any) -> None:
        super().__init__(**given)
        self._happens = happens

    def create(self, key: str, body: bytes, media_type: str) -> bool:
        self._happens(self.objects)
        return super().create(key, body, media_type)

    def replace(self, key: str, body: bytes, media_type: str, tag: str) -> bool:
        self._happens(self.objects)
        return super().replace(key, body, media_type, tag)


@pytest.mark.parametrize("before", [None, b"older", b"of feast apply"])
def test_what_was_there_gives_way_and_is_written_once(before: bytes | None) -> None:
    bucket = Bucket(objects={} if before is None else {KEY: before})
    assert publish(b"new", bucket)
    assert not publish(b"new", bucket)
    assert bucket.objects == {KEY: b"new"}
    assert bucket.writes == [KEY]


@pytest.mark.parametrize("before", [None, b"older"])
def test_of_two_at_once_with_the_same_registry_both_have_done_it(before: bytes | None) -> None:
    bucket = Meanwhile(
        lambda objects: objects.update({KEY: b"new"}), objects={} if before is None else {KEY: before}
    )
    assert publish(b"new", bucket)
    assert bucket.objects == {KEY: b"new"}
    assert not bucket.writes


@pytest.mark.parametrize("before", [None, b"older"])
def test_another_one_that_came_between_is_not_overwritten_unseen_but_by_the_next_try(
    before: bytes | None,
) -> None:
    bucket = Meanwhile(
        lambda objects: objects.update({KEY: b"another"}), objects={} if before is None else {KEY: before}
    )
    with pytest.raises(StorageUnavailable, match="another registry was written at the same time") as told:
        publish(b"new", bucket)
    assert "s3://artifacts/feast/registry.db" in str(told.value)
    assert bucket.objects == {KEY: b"another"}
    again = Bucket(objects=bucket.objects)
    assert publish(b"new", again)
    assert again.objects == {KEY: b"new"}


def test_one_that_was_deleted_between_is_made_by_the_next_try() -> None:
    bucket = Meanwhile(lambda objects: objects.clear(), objects={KEY: b"older"})
    with pytest.raises(StorageUnavailable):
        publish(b"new", bucket)
    assert publish(b"new", Bucket(objects=bucket.objects))
