"""RequestApproval: write down that a model waits for a person's word, and ask for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lambdas.adapters import releases
from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.messages import publish
from lambdas.adapters.settings import approval_settings, project, settings
from lambdas.adapters.wire import on_the_wire
from sluice import keys
from sluice.outcomes import AWAITING_APPROVAL
from sluice.payloads.training import ApprovalRequest
from sluice.release.approvals import Approval
from sluice.reporting.outcome import report_waiting


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer until when there is time; the state goes on when a person answers by the token."""
    asked = ApprovalRequest.model_validate(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    approval = Approval.requested(asked, datetime.now(UTC), artifacts.uri(keys.page(asked.execution)))
    # Before anybody is told: whoever is told first may answer at once.
    releases.ask_for(approval, approval_settings().releases_table)
    reported = report_waiting(asked, approval.expires_at, project(), artifacts)
    publish(approval_settings().topic_arn, reported, AWAITING_APPROVAL)
    until = approval.expires_at.isoformat()
    decided("approval", execution=asked.execution, model=asked.model_name, expires_at=until)
    return {"expires_at": until}
