"""MeasureSkew: sampled entities of the live online store against the dataset, and the rate as a metric."""

from __future__ import annotations

import tempfile
import time
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
from sluice.datasets import current
from sluice.errors import NoDataset
from sluice.features.moments import as_of, microseconds
from sluice.features.online_keys import EntityIds
from sluice.features.plan import View
from sluice.features.skew import Skew, compare, sample
from sluice.payloads.materialization import FoundDifference, MeasuredSkew, MeasureSkewInput, ViewSkew

METRIC = "SkewRate"
_MOST_SHOWN = 20


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.materialization.MeasuredSkew`."""
    asked = MeasureSkewInput.model_validate(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    try:
        manifest = current.find(None, artifacts)
    except NoDataset:
        # The schedule comes before the first upload.
        return MeasuredSkew(dataset_version=None, rate=0.0, views=[]).model_dump(mode="json")
    moment = microseconds(as_of(manifest, project().online, datetime.now(UTC)))
    seed = time.time_ns() if asked.seed is None else asked.seed
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        files = fetched(manifest, artifacts, scratch)
        found = [_of(view, files, asked.sample, seed, moment, scratch) for view in feature_plan().views]
    sampled = sum(each.sampled for each in found)
    wrong = sum(len(each.missing) + each.differing for each in found)
    answer = MeasuredSkew(
        dataset_version=manifest.dataset_version,
        rate=wrong / sampled if sampled else 0.0,
        views=[_told(each) for each in found],
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


def _of(view: View, files: list[Path], size: int, seed: int, moment: int, scratch: Path) -> Skew:
    entities = sample(view, files, size, seed)
    table = OnlineTable(
        naming.online_table(materialization_settings().online_store, view.name),
        as_of=moment,
        ttl_microseconds=view.ttl_microseconds,
    )
    ids = EntityIds(view.keys)
    items = table.read([ids.of(key) for key in entities])
    return compare(view, files, project().entity.timestamp, entities, items, moment=moment, scratch=scratch)


def _told(skew: Skew) -> ViewSkew:
    return ViewSkew(
        view=skew.view,
        sampled=skew.sampled,
        missing=len(skew.missing),
        missing_shown=skew.missing[:_MOST_SHOWN],
        differing=skew.differing,
        features=skew.features,
        shown=[
            FoundDifference(
                entity=each.entity,
                feature=each.feature,
                stored=repr(each.stored),
                recomputed=repr(each.recomputed),
            )
            for each in skew.shown
        ],
    )
