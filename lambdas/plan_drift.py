"""PlanDrift: which captured traffic is looked at: what no window has looked at, or what a run has left behind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.settings import drift_settings, settings
from lambdas.adapters.wire import on_the_wire
from sluice import keys, naming
from sluice.artifacts import Artifacts
from sluice.monitoring.windows import DriftWindow, no_reference, read_ledger, resumed, split_up, write_ledger
from sluice.payloads.drift import DriftPlan, PartToCount, PlanDriftInput


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.drift.DriftPlan`."""
    asked = PlanDriftInput.model_validate(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    ledger, tag = read_ledger(artifacts)
    window = resumed(ledger, artifacts)
    again = window is not None
    if window is None:
        there = artifacts.sizes(f"{keys.captures(drift_settings().endpoint_name)}/")
        ledger = ledger.opened(asked.execution, there)
        window = _opened(asked, there, ledger.consumed, artifacts)
        if window is None:
            nothing = DriftPlan(window=None, resumed=False, objects=0, left=0, parts=())
            return nothing.model_dump(mode="json")
        # The window first: a ledger never names one that is not there.
        artifacts.write(keys.drift_window(window.name), window.body(), "application/json")
        write_ledger(ledger, tag, artifacts)
    plan = DriftPlan(
        window=window.name,
        # A call whose answer was lost finds its own window.
        resumed=again and window.name != asked.execution,
        objects=len(window.objects),
        left=window.left,
        parts=tuple(PartToCount(window=window.name, part=part) for part in range(len(window.parts))),
    )
    decided("drift window", execution=asked.execution, **plan.model_dump(exclude={"parts"}))
    return plan.model_dump(mode="json")


def _opened(
    asked: PlanDriftInput, there: dict[str, int], consumed: tuple[str, ...], artifacts: Artifacts
) -> DriftWindow | None:
    """Give the window of all that was not looked at; None where nothing was released.

    Raises:
        NoReference: the model has nothing that its traffic could be held against.
    """
    if asked.model_name is None or asked.model_uri is None or asked.released_at is None:
        return None
    reference = keys.reference(naming.split_uri(asked.model_uri)[1])
    if not artifacts.exists(reference):
        raise no_reference(artifacts.uri(reference))
    parts, left = split_up(there, consumed)
    return DriftWindow(
        name=asked.execution,
        opened=datetime.now(UTC),
        model_name=asked.model_name,
        model_uri=asked.model_uri,
        since=asked.released_at,
        parts=parts,
        left=left,
    )
