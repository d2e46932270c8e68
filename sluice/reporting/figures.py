"""The figures of an evaluation as rows of tables: each with how far it may be from the truth."""

from __future__ import annotations

from sluice.gate_tables import Gates
from sluice.payloads.evaluation import Bounds, Comparison, Figure
from sluice.problems import SMALLER_IS_BETTER
from sluice.reporting.findings import Findings

NOTHING = "–"

Row = list[str]


def confidence(findings: Findings) -> str:
    """Say what bounds mean; empty where there are none."""
    evaluation = findings.evaluation
    if evaluation is None or evaluation.confidence is None:
        return ""
    return f"{100 * evaluation.confidence:g} %"


def metrics(findings: Findings) -> list[Row]:
    """Give metric, this model, champion, difference, and what is asked for."""
    summary, evaluation, gates = findings.summary, findings.evaluation, findings.project.gates
    return [
        [
            name + (" (smaller is better)" if name in SMALLER_IS_BETTER else ""),
            _with(value, None if evaluation is None else evaluation.challenger.intervals.get(name)),
            _champion(name, findings),
            NOTHING if evaluation is None else _difference(evaluation.comparisons.get(name)),
            _asked(name, gates),
        ]
        for name, value in (summary.metrics or {}).items()
    ]


def slices(findings: Findings) -> list[Row]:
    """Give part, rows, metric, this model, champion, difference; of a part that is not judged, why."""
    evaluation, compared = findings.evaluation, findings.project.gates.compare
    rows: list[Row] = []
    for part in () if evaluation is None else evaluation.slices:
        head = [f"{part.column}: {part.value}", f"{part.rows:,}"]
        if part.unjudged is not None:
            rows.append([*head, f"not judged: {part.unjudged}", "", "", ""])
        for name, figure in part.challenger.items():
            difference = _difference(part.comparison) if name == compared else ""
            rows.append([*head, name, _figure(figure), _figure(part.champion.get(name)), difference])
            head = ["", ""]
    return rows


def groups(findings: Findings) -> list[Row]:
    """Give group, rows, and its shares and errors."""
    evaluation = findings.evaluation
    return [
        [
            f"{each.column}: {each.value}" + (" (not judged)" if each.unjudged else ""),
            f"{each.rows:,}",
            f"{each.positives / each.rows:.1%}" if each.rows else NOTHING,
            _figure(each.selected),
            _figure(each.found),
            _figure(each.bias),
        ]
        for each in (() if evaluation is None else evaluation.groups)
    ]


def gaps(findings: Findings) -> list[Row]:
    """Give column, gap, between which groups, and what is allowed."""
    evaluation, gate = findings.evaluation, findings.project.gates.fairness
    limits = {} if gate is None else gate.limits
    rows: list[Row] = []
    for each in () if evaluation is None else evaluation.gaps:
        limit = limits.get(each.name)
        rows.append(
            [
                each.column,
                each.name.replace("_", " "),
                NOTHING if each.between is None else " over ".join(each.between),
                NOTHING if each.value is None else _with(each.value, each.bounds),
                "" if limit is None else f"at most {limit:g}",
            ]
        )
    return rows


def costs(findings: Findings) -> str:
    """Say what the model takes, of time and of space."""
    challenger = None if findings.evaluation is None else findings.evaluation.challenger
    said = []
    if challenger is not None and challenger.latency is not None:
        said.append(
            f"In the evaluation the fitted pipeline took {challenger.latency.row_ms:.3g} ms for a row that comes "
            f"alone, and {challenger.latency.batch_row_us:.3g} µs for each of many."
        )
    if challenger is not None and challenger.archive_bytes is not None:
        said.append(f"Its archive has {challenger.archive_bytes / 1e6:.2g} MB.")
    return " ".join(said)


def _champion(name: str, findings: Findings) -> str:
    value = (findings.summary.champion_metrics or {}).get(name)
    champion = None if findings.evaluation is None else findings.evaluation.champion
    if value is None:
        return NOTHING
    return _with(value, None if champion is None else champion.intervals.get(name))


def _asked(name: str, gates: Gates) -> str:
    asked = []
    if name in gates.minimum:
        asked.append(f"{'at most' if name in SMALLER_IS_BETTER else 'at least'} {gates.minimum[name]:g}")
    if name == gates.compare:
        asked.append(
            "better than the champion"
            if gates.margin is None
            else f"worse than the champion by less than {gates.margin:g}"
        )
    return ", ".join(asked)


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return NOTHING
    if figure.value is None:
        return figure.why or NOTHING
    return _with(figure.value, figure.bounds)


def _difference(comparison: Comparison | None) -> str:
    if comparison is None:
        return NOTHING
    if comparison.bounds is None:
        return f"{comparison.difference:+.4f} (too few rows to tell)"
    return f"{comparison.difference:+.4f} ({comparison.bounds.low:+.4f} to {comparison.bounds.high:+.4f})"


def _with(value: float, bounds: Bounds | None) -> str:
    return f"{value:.4f}" if bounds is None else f"{value:.4f} ({bounds.low:.4f} to {bounds.high:.4f})"
