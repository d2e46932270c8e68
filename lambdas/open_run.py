"""OpenRun: the run that everything about an execution's training is kept in, the project's own calls included."""

from __future__ import annotations

from typing import Any

from lambdas.adapters.log import decided
from lambdas.adapters.settings import tracking_settings
from lambdas.adapters.tracking import tracker
from lambdas.adapters.wire import on_the_wire
from sluice.payloads.tracking import OpenRunInput
from sluice.tracking.runs import open_run


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.tracking.OpenedRun`: called again, the same run."""
    asked = OpenRunInput.model_validate(event)
    opened = open_run(asked, tracking_settings().experiment, tracker())
    decided("run", execution=asked.execution, run_id=opened.run_id)
    return opened.model_dump(mode="json")
