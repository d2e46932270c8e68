"""MeasureSkew: sampled entities of the live online store against the dataset, and the rate as a metric."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.metrics import put_metric
from lambdas.adapters.online_store import OnlineTable
from lambdas.adapters.parts import fetched
from lambdas.adapters.settings import feature_plan, materialization_settings, project, settings
from lambdas.adapters.wire import on_the_wire
from sluice import naming
from sluice.artifacts import Artifacts
from sluice.datasets import current
from sluice.errors import NoDataset
from sluice.features.moments import as_of, microseconds, utc
from sluice.features.online_keys import EntityIds, KeyValue
from sluice.features.plan import View
from sluice.features.skew import Item, Skew, Written, compare, sample
from sluice.payloads.documents import Manifest
from sluice.payloads.materialization import FoundDifference, MeasuredSkew, MeasureSkewInput, ViewSkew

METRIC = "SkewRate"


@dataclass(frozen=True)
class _Version:
    """A dataset version on this machine, and as of when the store was written from it, in microseconds."""

    files: list[Path]
    moment: int


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.materialization.MeasuredSkew`."""
    asked = MeasureSkewInput.model_validate(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    now = datetime.now(UTC)
    try:
        manifest = current.find(asked.dataset, artifacts)
    except NoDataset:
        if asked.dataset is not None:
            raise
        # The schedule comes before the first upload.
        return MeasuredSkew(dataset_version=None, rate=0.0, views=[]).model_dump(mode="json")
    seed = time.time_ns() if asked.seed is None else asked.seed
    with tempfile.TemporaryDirectory() as folder:
        measured = _Measurement.of(manifest, asked, artifacts, now, Path(folder))
        found = [measured.of_view(view, asked.sample, seed) for view in feature_plan().views]
    sampled = sum(each.sampled for each in found)
    wrong = sum(len(each.missing) + each.differing for each in found)
    answer = MeasuredSkew(
        dataset_version=manifest.dataset_version,
        rate=wrong / sampled if sampled else 0.0,
        views=[_told(each, asked.shown) for each in found],
    )
    store = materialization_settings().online_store
    put_metric("Sluice/Features", METRIC, answer.rate, {"OnlineStore": store})
    decided(
        "skew",
        execution=store,
        dataset_version=answer.dataset_version,
        rate=answer.rate,
        sampled=sampled,
        features={view.view: view.features for view in answer.views if view.features},
    )
    return answer.model_dump(mode="json")


@dataclass(frozen=True)
class _Measurement:
    """What the store is held against: a version; of a materialization also what became of the table since."""

    version: _Version
    latest: _Version
    written: Written | None
    now: int
    scratch: Path

    @classmethod
    def of(
        cls, manifest: Manifest, asked: MeasureSkewInput, artifacts: Artifacts, now: datetime, scratch: Path
    ) -> _Measurement:
        """Fetch what is needed; the current version beside another one only where the table has moved since."""
        moment = as_of(manifest, project().online, now) if asked.moment is None else utc(asked.moment)
        version = _Version(fetched(manifest, artifacts, scratch), microseconds(moment))
        if asked.as_of is None:
            return cls(version, version, None, microseconds(now), scratch)
        latest, moved = current.latest(artifacts)
        files = version.files
        if latest.dataset_version != manifest.dataset_version:
            folder = scratch / "latest"
            folder.mkdir()
            files = fetched(latest, artifacts, folder)
        written = Written(
            as_of=asked.as_of,
            moved=0 if moved is None else microseconds(moved),
            kept={part.sha256 for part in manifest.parts} <= {part.sha256 for part in latest.parts},
        )
        moment = as_of(latest, project().online, now)
        return cls(version, _Version(files, microseconds(moment)), written, microseconds(now), scratch)

    def of_view(self, view: View, size: int, seed: int) -> Skew:
        chosen = sample(
            view,
            self.version.files,
            size,
            seed,
            timestamp=project().entity.timestamp,
            moment=self.version.moment,
            now=self.now,
        )
        table = OnlineTable(
            naming.online_table(materialization_settings().online_store, view.name),
            as_of=self.version.moment,
            ttl_microseconds=view.ttl_microseconds,
        )
        ids = EntityIds(view.keys)
        named = {ids.of(key): key for key in chosen}
        items = table.read(list(named))
        if self.written is None:
            return self._compared(view, self.version, chosen, items)
        ours, later = self.written.apart(named, items)
        found = self._compared(view, self.version, [named[id_] for id_ in named if id_ in ours], items)
        if later:
            others = [named[id_] for id_ in named if id_ in later]
            found = found.joined(self._compared(view, self.latest, others, items))
        return replace(found, moved_on=len(chosen) - found.sampled)

    def _compared(
        self, view: View, version: _Version, entities: list[tuple[KeyValue, ...]], items: dict[str, Item]
    ) -> Skew:
        return compare(
            view,
            version.files,
            project().entity.timestamp,
            entities,
            items,
            moment=version.moment,
            scratch=self.scratch,
        )


def _told(skew: Skew, shown: int) -> ViewSkew:
    return ViewSkew(
        view=skew.view,
        sampled=skew.sampled,
        moved_on=skew.moved_on,
        missing=len(skew.missing),
        missing_shown=skew.missing[:shown],
        differing=skew.differing,
        features=skew.features,
        shown=[
            FoundDifference(
                entity=each.entity,
                feature=each.feature,
                stored=repr(each.stored),
                recomputed=repr(each.recomputed),
            )
            for each in skew.shown[:shown]
        ],
    )
