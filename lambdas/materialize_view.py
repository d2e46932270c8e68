"""MaterializeView: a share of a view's entities, from the dataset's parts into the online store's table."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.online_store import OnlineTable
from lambdas.adapters.parts import fetched
from lambdas.adapters.settings import feature_plan, materialization_settings, project, settings
from lambdas.adapters.wire import on_the_wire
from sluice import keys, naming
from sluice.artifacts import Artifacts
from sluice.datasets import current
from sluice.errors import StorageUnavailable
from sluice.features.materialization import (
    Changes,
    Ledger,
    Recorded,
    changes,
    doubted,
    entities,
    read_ledger,
    write_ledger,
)
from sluice.features.moments import microseconds
from sluice.features.partitions import Share
from sluice.features.plan import View
from sluice.payloads.materialization import MaterializedShare, ShareToWrite


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.materialization.MaterializedShare`.

    What is about to be written is struck from the ledger first, and the ledger is completed when all is written: a
    call that ends half-way leaves nothing in it that the store does not hold. Of two calls at once one finds the
    other's ledger, and is tried again.
    """
    share = ShareToWrite.model_validate(event)
    view = next(each for each in feature_plan().views if each.name == share.view)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    key = keys.materialized(view.name, share.number, share.count)
    seen = artifacts.read_tagged(key)
    table = OnlineTable(
        naming.online_table(materialization_settings().online_store, view.name),
        as_of=share.as_of,
        ttl_microseconds=view.ttl_microseconds,
    )
    table_id = table.id()
    own = read_ledger(None if seen is None else seen.body, table_id)
    found = _changes(share, view, artifacts, _ledger(share, own, table_id, artifacts))
    superseded = 0
    if found.written or found.gone or found.gone_before:
        tag = None if seen is None else seen.tag
        tag = _write(artifacts, key, write_ledger(found.before, table_id, share.as_of, uuid.uuid4().hex), tag)
        left = [*table.insert(found.added), *found.changed]
        superseded = len(left) - table.put(left)
        superseded += len(found.gone) - table.delete(found.gone, share.moment)
        late = len(found.gone_before) - table.delete(found.gone_before, share.moment)
        # What a later writer has written is not known here, and is written again by the next call that has to.
        after = found.before if superseded or late else found.after
        _write(artifacts, key, write_ledger(after, table_id, share.as_of, uuid.uuid4().hex), tag)
    answer = MaterializedShare(
        view=view.name,
        written=len(found.written),
        removed=len(found.gone),
        held=found.held,
        superseded=superseded,
    )
    decided(
        "materialized",
        execution=share.execution,
        dataset_version=share.dataset_version,
        **answer.model_dump(),
    )
    return answer.model_dump(mode="json")


def _ledger(share: ShareToWrite, own: Recorded, table_id: str, artifacts: Artifacts) -> Ledger:
    """Give what the store holds of a share: nothing is sure where a run may have gone by another number of them."""
    others = [
        other
        for other, modified in artifacts.listed(keys.folder(keys.materialized(share.view, 0, 1)) + "/")
        if keys.shares(other) != share.count and not own.is_past(microseconds(modified))
    ]
    if not others:
        return own.ledger
    read = (read_ledger(artifacts.read(other), table_id).ledger for other in others)
    return doubted(own.ledger, read, Share(share.number, share.count))


def _changes(share: ShareToWrite, view: View, artifacts: Artifacts, ledger: Ledger) -> Changes:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        files = fetched(current.find(share.dataset_version, artifacts), artifacts, scratch)
        timestamp, part = project().entity.timestamp, Share(share.number, share.count)
        found = entities(view, files, timestamp, share.moment, part, scratch, moved=share.moved)
        # Others are of the time of their row.
        are_windows = bool(view.aggregations) or timestamp is None
        return changes(found, ledger, view.ttl_microseconds, share.as_of, are_windows=are_windows)


def _write(artifacts: Artifacts, key: str, body: bytes, tag: str | None) -> str:
    """Write the ledger where nobody has since it was read; give the tag of what is written now.

    Raises:
        StorageUnavailable: somebody has; this call is tried again.
    """
    kind = "application/vnd.apache.parquet"
    if tag is None:
        artifacts.create(key, body, kind)
    else:
        artifacts.replace(key, body, kind, tag)
    now = artifacts.read_tagged(key)
    # What those answer does not tell: an answer may be lost, and the write repeated.
    if now is None or now.body != body:
        raise StorageUnavailable(
            "another materialization writes the same entities",
            where=artifacts.uri(key),
            fix="nothing: it is tried again, and then finds what the other one wrote",
        )
    return now.tag
