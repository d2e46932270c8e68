"""PlanMaterialization: which dataset version is written to the online store, as of when, and in how many shares.

It also publishes the registry that tells Feast's own tools of the store: what they are told changes when what is
written does, and all that ever writes the one or the other begins here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import feature_plan, feature_registry, project, settings
from lambdas.adapters.wire import on_the_wire
from sluice import keys
from sluice.datasets import current
from sluice.errors import NoDataset
from sluice.features.materialization import shares_of
from sluice.features.moments import as_of, microseconds, moved, utc
from sluice.features.registry import publish
from sluice.payloads.materialization import MaterializationPlan, PlanMaterializationInput, ShareToWrite


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.materialization.MaterializationPlan`."""
    asked = PlanMaterializationInput.model_validate(event)
    looked_up = datetime.now(UTC)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    if publish(feature_registry(), artifacts):
        decided("registry", execution=asked.execution, written=keys.registry())
    try:
        manifest = current.find(asked.dataset, artifacts)
    except NoDataset:
        if asked.dataset is not None:
            raise
        # The schedule comes before the first upload: there is nothing to write, and nothing wrong.
        nothing = MaterializationPlan(
            dataset_version=None, moment=looked_up, as_of=microseconds(looked_up), shares=()
        )
        return nothing.model_dump(mode="json")
    moment = utc(asked.moment) if asked.moment else as_of(manifest, project().online, looked_up)
    plan = MaterializationPlan(
        dataset_version=manifest.dataset_version,
        moment=moment,
        as_of=microseconds(looked_up),
        shares=tuple(
            ShareToWrite(
                execution=asked.execution,
                dataset_version=manifest.dataset_version,
                view=view.name,
                number=share.number,
                count=share.count,
                moment=microseconds(moment),
                as_of=microseconds(looked_up),
                moved=moved(project().online, view.ttl_microseconds, microseconds(moment)),
            )
            for view in feature_plan().views
            for share in shares_of(manifest.rows, len(view.features))
        ),
    )
    decided(
        "materialization",
        execution=asked.execution,
        dataset_version=plan.dataset_version,
        moment=moment.isoformat(),
        shares=len(plan.shares),
    )
    return plan.model_dump(mode="json")
