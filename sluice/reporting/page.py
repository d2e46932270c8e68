"""The words for people: report.html, one self-contained page, and the text of the message."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from sluice.outcomes import Outcome
from sluice.payloads.batch import PredictedBatch
from sluice.payloads.evaluation import Importances
from sluice.reporting import figures, searched
from sluice.reporting.findings import Findings
from sluice.reporting.plots import Bar, Series, bars, confusion_matrix, scatter, unit_curves

_TEMPLATES = Path(__file__).parent / "templates"
_SHOWN_REASONS = 20
_SHOWN_FEATURES = 15


def render(findings: Findings, card_uri: str | None = None) -> str:
    """Write the page, from the verdict down to where things lie; `card_uri` is of the model card, if there is one."""
    tone, verdict, line = _verdict(findings)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            findings=findings,
            summary=findings.summary,
            card_uri=card_uri,
            css=css(),
            tone=tone,
            verdict=verdict,
            line=line,
            rules=[] if findings.told.gate is None else findings.told.gate.rules,
            metrics=figures.metrics(findings),
            confidence=figures.confidence(findings),
            slices=figures.slices(findings),
            groups=figures.groups(findings),
            gaps=figures.gaps(findings),
            costs=figures.costs(findings),
            search=_search(findings),
            plots=[Markup(drawn) for drawn in _plots(findings)],  # noqa: S704 - plots.py escapes what it draws
            shown_reasons=_SHOWN_REASONS,
        )
    )


def message(findings: Findings) -> str:
    """Write the message, plain text."""
    template = environment().get_template("message.txt.j2")
    return template.render(
        findings=findings,
        summary=findings.summary,
        search=None if findings.told.search is None else searched.sentence(findings.told.search),
        rollback=_rollback(findings),
        waiting=findings.waiting,
        serving=None if findings.failure is None else _serving(findings),
    )


def css() -> Markup:
    """Give the style of every page."""
    return Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file


@cache
def environment() -> Environment:
    """Give what templates are rendered by."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(disabled_extensions=("txt.j2",), default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["figure"] = _figure
    return made


def _figure(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _verdict(findings: Findings) -> tuple[str, str, str]:
    """Give the tone, the word and the line below it; the line says no more than is known."""
    outcome = findings.summary.outcome
    if outcome is Outcome.DEPLOYED:
        return "good", "deployed", "The model passed its gates and serves."
    if outcome is Outcome.GATE_REJECTED:
        return "held", "not deployed", f"The model did not pass its gates. {_serving(findings)}"
    if outcome is Outcome.ROLLED_BACK:
        return "held", "rolled back", _rollback(findings)
    if outcome is Outcome.APPENDED:
        return "good", "appended", _appended(findings)
    if outcome is Outcome.PREDICTED and findings.summary.batch is not None:
        return _predicted(findings.summary.batch)
    if outcome is Outcome.APPROVAL_REJECTED and findings.told.approval is not None:
        said = findings.told.approval.sentence
        return "held", "not approved", f"The model passed its gates. {said} {_serving(findings)}"
    if outcome is Outcome.APPROVAL_EXPIRED:
        said = "The model passed its gates, and nobody approved or rejected it in time."
        return "held", "approval expired", f"{said} {_serving(findings)}"
    if findings.waiting is not None:
        until = f"{findings.waiting.until:%Y-%m-%d %H:%M} UTC"
        return "held", "waits for approval", f"The model passed its gates. It may be approved until {until}."
    return "bad", findings.heading, _serving(findings)


def _appended(findings: Findings) -> str:
    validation = findings.validation
    if validation is not None and validation.appended is not None and validation.appended.unchanged:
        return "The rows are part of the table already. Nothing was changed, and nothing was trained."
    return "The rows are part of the table. Nothing was trained."


def _predicted(batch: PredictedBatch) -> tuple[str, str, str]:
    if not batch.set_aside:
        return "good", "predicted", f"Each of the {batch.rows:,} rows has its prediction."
    line = f"{batch.predicted:,} of {batch.rows:,} rows have their prediction, the others the reason for having none."
    return "held", "predicted" if batch.predicted else "nothing predicted", line


def _serving(findings: Findings) -> str:
    """Say what serves, from having looked, or that nobody could look."""
    seen, before = findings.endpoint, findings.told.released
    if seen is None:
        return "Nobody looked at the endpoint: do, before you rely on it."
    if seen.problem is not None:
        return f"The endpoint {seen.name} could not be looked at ({seen.problem}): do, before you rely on it."
    if seen.status is None:
        return f"There is no endpoint {seen.name}."
    now = "in service" if seen.status == "InService" else seen.status
    line = f"The endpoint {seen.name} was looked at: it is {now} on {seen.config}"
    if before is None or seen.config is None:
        return f"{line}."
    if seen.config == before:
        return f"{line}, as when the execution began."
    return f"{line}; when the execution began it was {before}."


def _rollback(findings: Findings) -> str:
    return (
        f"The model was deployed and taken back; {findings.summary.serving} serves. "
        "See below why, mend that, and upload again."
    )


def _search(findings: Findings) -> dict[str, Any] | None:
    search = findings.told.search
    if search is None:
        return None
    return {
        "sentence": searched.sentence(search),
        "best": searched.values(search),
        "failure": searched.first_failure(search),
        "plot": Markup(searched.plot(search)),  # noqa: S704 - plots.py escapes what it draws
    }


def _plots(findings: Findings) -> Iterator[str]:
    curves = {} if findings.evaluation is None else findings.evaluation.curves
    for key, draw in (
        ("roc", _roc),
        ("precision_recall", _precision_recall),
        ("calibration", _calibration),
        ("predicted_actual", _predicted_actual),
    ):
        series = [
            Series(
                {"challenger": "this model"}.get(role, role), each[key], role, _bounds(findings, role, key)
            )
            for role, each in reversed(curves.items())  # the challenger last, on top
            if each.get(key)
        ]
        if series:
            yield draw(series)
    if findings.evaluation is not None and findings.evaluation.importance is not None:
        yield from _importance(findings.evaluation.importance)
    for role, each in curves.items():
        if "confusion" in each:
            name = {"challenger": "This model"}.get(role, "The champion")
            yield confusion_matrix(name, each["confusion"])


def _bounds(findings: Findings, role: str, key: str) -> list[tuple[float, float]]:
    """Give how low and high the points of a curve may be, of those that have it said."""
    evaluation = findings.evaluation
    if key != "calibration" or evaluation is None:
        return []
    model = evaluation.challenger if role == "challenger" else evaluation.champion
    if model is None or model.calibration is None:
        return []
    return [(each.bounds.low, each.bounds.high) for each in model.calibration.bins]


def _importance(importance: Importances) -> Iterator[str]:
    if importance.unmeasured is not None:
        yield f"<p>What each feature is worth could not be told: {escape(importance.unmeasured)}</p>"
    elif importance.features:
        count = len(importance.features)
        title = "What each feature is worth" + (
            f": {_SHOWN_FEATURES} of {count}" if count > _SHOWN_FEATURES else ""
        )
        yield bars(
            title,
            f"{importance.metric} lost where it is shuffled, on {importance.rows:,} rows",
            [Bar(each.feature, each.loss, each.error) for each in importance.features[:_SHOWN_FEATURES]],
        )


def _roc(series: list[Series]) -> str:
    return unit_curves("ROC", "false positive rate", "true positive rate", series, diagonal=True)


def _precision_recall(series: list[Series]) -> str:
    return unit_curves("Precision and recall", "recall", "precision", series, diagonal=False)


def _calibration(series: list[Series]) -> str:
    return unit_curves(
        "Calibration",
        "predicted probability",
        "share of positives",
        series,
        diagonal=True,
        dots=True,
    )


def _predicted_actual(series: list[Series]) -> str:
    return scatter("Predicted and actual", "actual", "predicted", series)
