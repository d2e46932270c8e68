"""The registry that Feast's own tools read, put into the artifacts bucket as it was deployed."""

from __future__ import annotations

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.errors import StorageUnavailable

_MEDIA_TYPE = "application/octet-stream"


def publish(registry: bytes, artifacts: Artifacts) -> bool:
    """Have the bucket hold this registry; say whether it held another one, or none.

    It is a function of the deployed code and written whole, so there is no update that could be lost; one that comes
    late, from before a redeploy, is put right by the next call. What somebody else has written there goes.

    Raises:
        StorageUnavailable: another one was written meanwhile; this call is tried again.
    """
    key = keys.registry()
    seen = artifacts.read_tagged(key)
    if seen is not None and seen.body == registry:
        return False
    if seen is None:
        written = artifacts.create(key, registry, _MEDIA_TYPE)
    else:
        written = artifacts.replace(key, registry, _MEDIA_TYPE, seen.tag)
    # A write whose answer was lost is repeated, and then refused for what it wrote itself.
    if not written and artifacts.read(key) != registry:
        raise StorageUnavailable(
            "another registry was written at the same time",
            where=artifacts.uri(key),
            fix="nothing: it is tried again",
        )
    return True
