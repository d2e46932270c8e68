"""report.html: one self-contained page on an execution, from the verdict down to where things lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice.project import SMALLER_IS_BETTER
from sluice.reporting.plots import Series, confusion_matrix, scatter, unit_curves

if TYPE_CHECKING:
    from sluice.reporting.outcome import Findings

_CSS = Path(__file__).parent / "templates" / "report.css"
_SHOWN_REASONS = 20
_VERDICTS = {
    "Deployed": ("good", "deployed", "The model passed its gates and serves."),
    "GateRejected": (
        "held",
        "not deployed",
        "The model did not pass its gates; what served before still does.",
    ),
}
_UNCHANGED = "Nothing that was in service has been touched."


def render(findings: Findings) -> str:
    """Write the page."""
    sections = [
        _header(findings),
        _failure(findings),
        _decision(findings),
        _plots(findings),
        _data(findings),
        _split(findings),
        _places(findings),
    ]
    title = escape(f"{findings.project.name}: {findings.heading}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_CSS.read_text(encoding='utf-8')}</style></head><body>"
        f"{''.join(filter(None, sections))}</body></html>\n"
    )


def _header(findings: Findings) -> str:
    tone, verdict, line = _VERDICTS.get(findings.heading, ("bad", findings.heading, _UNCHANGED))
    project = findings.project
    return (
        f'<header class="{tone}"><h1>{escape(project.name)}: <span class="verdict">{escape(verdict)}</span></h1>'
        f"<p>{escape(line)}</p><p>{escape(project.project.description)}</p></header>"
    )


def _failure(findings: Findings) -> str:
    failure = findings.failure
    if failure is None or findings.told.failure is None:
        return ""
    return (
        f"<h2>What went wrong, in {escape(findings.told.failure.state)}</h2>"
        f"<pre><strong>{escape(failure.name)}</strong>\n{escape(failure.text)}</pre>"
    )


def _decision(findings: Findings) -> str:
    metrics = findings.metrics
    if not metrics:
        return ""
    champion = findings.champion_metrics or {}
    rows = [
        [
            name + (" (smaller is better)" if name in SMALLER_IS_BETTER else ""),
            f"{value:.4f}",
            f"{champion[name]:.4f}" if name in champion else "–",
            _asked(findings, name),
        ]
        for name, value in metrics.items()
    ]
    table = _table(["on the held-out rows", "this model", "champion", "asked for"], rows, numeric={1, 2})
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in findings.reasons)
    scoring = f"<p>Scoring: {escape(findings.scoring)}.</p>" if findings.scoring else ""
    return f"<h2>The model</h2>{table}<ul>{reasons}</ul>{scoring}"


def _asked(findings: Findings, name: str) -> str:
    gates = findings.project.gates
    asked = []
    if name in gates.minimum:
        asked.append(f"{'at most' if name in SMALLER_IS_BETTER else 'at least'} {gates.minimum[name]:g}")
    if name == gates.compare:
        asked.append("no worse than the champion")
    return ", ".join(asked)


def _plots(findings: Findings) -> str:
    if findings.evaluation is None or not findings.evaluation.curves:
        return ""
    curves = findings.evaluation.curves
    drawn = []
    for key, draw in (
        ("roc", _roc),
        ("precision_recall", _precision_recall),
        ("calibration", _calibration),
        ("predicted_actual", _predicted_actual),
    ):
        series = [
            Series({"challenger": "this model"}.get(role, role), each[key], role)
            for role, each in reversed(curves.items())  # the challenger last, on top
            if each.get(key)
        ]
        if series:
            drawn.append(draw(series))
    for role, each in curves.items():
        if "confusion" in each:
            name = {"challenger": "This model"}.get(role, "The champion")
            drawn.append(confusion_matrix(name, each["confusion"]))
    return f'<h2>How it predicts the held-out rows</h2><div class="plots">{"".join(drawn)}</div>'


def _roc(series: Sequence[Series]) -> str:
    return unit_curves("ROC", "false positive rate", "true positive rate", series, diagonal=True)


def _precision_recall(series: Sequence[Series]) -> str:
    return unit_curves("Precision and recall", "recall", "precision", series, diagonal=False)


def _calibration(series: Sequence[Series]) -> str:
    return unit_curves(
        "Calibration", "predicted probability", "share of positives", series, diagonal=True, dots=True
    )


def _predicted_actual(series: Sequence[Series]) -> str:
    return scatter("Predicted and actual", "actual", "predicted", series)


def _data(findings: Findings) -> str:
    found = findings.validation
    if found is None or not found["rows"] + found["rejected_rows"]:
        return ""
    share = 1 - found["rejected_share"]
    text = f"{found['rows']:,} rows accepted, {found['rejected_rows']:,} rejected ({found['rejected_share']:.2%})."
    parts = [
        f'<h2>The data</h2><p>{text}</p><div class="bar"><span style="width:{100 * share:.2f}%"></span></div>'
    ]
    if found["reasons"]:
        reasons = list(found["reasons"].items())
        parts.append(
            _table(
                ["why cells were rejected", "cells"],
                [[reason, f"{count:,}"] for reason, count in reasons[:_SHOWN_REASONS]],
                numeric={1},
            )
        )
        if len(reasons) > _SHOWN_REASONS:
            parts.append(f"<p>and {len(reasons) - _SHOWN_REASONS} more reasons, see validation.json</p>")
    if found["classes"]:
        classes = list(found["classes"].items())[:_SHOWN_REASONS]
        parts.append(
            _table(
                [findings.project.target.column, "rows"],
                [[name, f"{count:,}"] for name, count in classes],
                numeric={1},
            )
        )
    columns = [
        [
            name,
            each["type"],
            f"{each['nulls']:,}",
            f"{each['rejected']:,}",
            _shown(each["min"]),
            _shown(each["max"]),
        ]
        for name, each in found["columns"].items()
    ]
    parts.append(
        _table(["column", "type", "nulls", "rejected", "least", "most"], columns, numeric={2, 3, 4, 5})
    )
    return "".join(parts)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _split(findings: Findings) -> str:
    found = findings.training_set
    if found is None:
        return ""
    split = found["split"]
    text = (
        f"{found['train_rows']:,} rows to train on, {found['held_out_rows']:,} held out to judge on"
        f" ({split['held_out_share']:.0%} of {found['keys']:,} keys, by hash)."
    )
    return f"<h2>The split</h2><p>{escape(text)}</p>"


def _places(findings: Findings) -> str:
    told = findings.told
    places: Mapping[str, Any] = {
        "upload": findings.source_uri,
        "object version": told.source.get("version_id"),
        "dataset version": findings.dataset_version,
        "dataset": told.dataset.dataset_uri if told.dataset else None,
        "rejected rows": findings.quarantine_uri,
        "model": told.model_uri,
        "evaluation": told.evaluation_uri,
        "endpoint": told.endpoint_name if told.outcome == "Deployed" else None,
        "this report as JSON": findings.report_uri,
        "execution": told.execution_arn,
    }
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in places.items() if value
    )
    return f"<h2>Where things lie</h2><dl>{items}</dl>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: set[int]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in numeric else ''}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return f'<div class="scroll"><table><tr>{row(head, "th")}</tr>{body}</table></div>'
