"""JudgeDrift: the counts of a window added up, held against the model's reference, told, and the window closed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lambdas.adapters.artifacts import S3Artifacts
from lambdas.adapters.log import decided
from lambdas.adapters.metrics import put_metrics
from lambdas.adapters.settings import drift_settings, project, settings
from lambdas.adapters.wire import on_the_wire
from sluice import keys
from sluice.monitoring.drift import consumed, figures, judge, sensitivity_of
from sluice.monitoring.model_reference import ModelReference
from sluice.monitoring.parts import add_up
from sluice.monitoring.windows import close, read_window
from sluice.payloads.drift import JudgedDrift, JudgeDriftInput
from sluice.reporting.drift_page import render_drift

NAMESPACE = "Sluice/Drift"


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.drift.JudgedDrift`.

    The window is closed last: what ends before is done again, and comes to the same. A metric may be told twice then,
    which changes neither a maximum nor an alarm on it.
    """
    asked = JudgeDriftInput.model_validate(event)
    artifacts = S3Artifacts(settings().artifacts_bucket)
    window = read_window(asked.window, artifacts)
    model = ModelReference.find(window.model_uri, artifacts)
    counted = add_up(window, model.reference, artifacts)
    found = judge(window, counted, model, sensitivity_of(project().drift), datetime.now(UTC))
    verdict, page = keys.drift_verdict(window.name), keys.drift_page(window.name)
    artifacts.write(verdict, found.body(), "application/json")
    html = render_drift(found, model.reference, counted.window, project=project().name)
    artifacts.write(page, html.encode(), "text/html; charset=utf-8")
    told = figures(found)
    put_metrics(NAMESPACE, told, {"EndpointName": drift_settings().endpoint_name})
    close(window.name, consumed(found, window, counted), artifacts)
    answer = JudgedDrift(
        outcome=found.outcome,
        window=window.name,
        rows=found.verdict.rows,
        drifted=found.drifted,
        sentence=found.sentence,
        verdict_uri=artifacts.uri(verdict),
        report_uri=artifacts.uri(page),
    )
    decided("drift", execution=asked.execution, **answer.model_dump(mode="json"), figures=told)
    return answer.model_dump(mode="json")
