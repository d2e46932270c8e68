"""The model card, Markdown: what a model is for, its data and figures, its limits, and how it is built again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sluice import keys, naming
from sluice.outcomes import Outcome
from sluice.payloads.documents import Evaluation, TrainingSetSummary
from sluice.payloads.evaluation import Bounds, Figure, GroupEvaluation, SliceEvaluation
from sluice.payloads.training import Rule
from sluice.problems import SMALLER_IS_BETTER
from sluice.project import Project
from sluice.reporting.findings import Findings

_TEMPLATES = Path(__file__).parent / "templates"
_NOTHING = "–"
_MARKDOWN = re.compile(r"([\\`*_\[\]|#])")
_OUTCOMES = {
    Outcome.DEPLOYED: "It was deployed.",
    Outcome.GATE_REJECTED: "It was not deployed.",
    Outcome.ROLLED_BACK: "It was deployed and taken back.",
    Outcome.FAILED: "It was not deployed: the execution failed.",
}

Row = list[str]


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from.

    Attributes:
        execution: the name of the one that trained the model.
        stack: of the pipeline; None where it is not known.
        rules: the gate's, with what came of them; empty where nothing was decided yet.
        rows, rejected_rows: of the upload; None where the model was trained on a version that was there.
        outcome: how the execution ended; None as long as it has not.
    """

    project: Project
    model_uri: str
    execution: str
    stack: str | None
    dataset_version: str | None
    evaluation: Evaluation
    training_set: TrainingSetSummary | None = None
    rules: Sequence[Rule] = ()
    rows: int | None = None
    rejected_rows: int | None = None
    outcome: Outcome | None = None

    @classmethod
    def of(cls, findings: Findings) -> CardFacts | None:
        """Take the facts of an execution that ends; None where it came to no model that was judged."""
        summary = findings.summary
        if findings.evaluation is None or summary.model_uri is None:
            return None
        gate = findings.told.gate
        return cls(
            project=findings.project,
            model_uri=summary.model_uri,
            execution=findings.told.execution,
            stack=findings.told.endpoint_name,
            dataset_version=summary.dataset_version,
            evaluation=findings.evaluation,
            training_set=findings.training_set,
            rules=[] if gate is None else gate.rules,
            rows=summary.rows,
            rejected_rows=summary.rejected_rows,
            outcome=summary.outcome,
        )

    @property
    def model_name(self) -> str:
        return keys.model_name(naming.split_uri(self.model_uri)[1])

    @property
    def rebuild(self) -> str:
        """The command that builds the model again."""
        return self._command("reproduce")

    @property
    def lineage(self) -> str:
        """The command that says where it came from."""
        return self._command("lineage")

    def _command(self, name: str) -> str:
        return f"sluice {name} {self.model_name}" + (f" --stack {self.stack}" if self.stack else "")


def card(facts: CardFacts) -> str:
    """Write the card of a model. It holds no cell of the data but the values that [gates] parts the rows by."""
    evaluation = facts.evaluation
    importance = evaluation.importance
    calibration = evaluation.challenger.calibration
    return (
        _environment()
        .get_template("card.md.j2")
        .render(
            facts=facts,
            verdict=_verdict(facts),
            rules=facts.rules,
            data=list(_data(facts)),
            features=[
                [each.name, each.kind, each.type]
                for each in (facts.training_set.features if facts.training_set else ())
            ],
            figures_told=_figures_told(evaluation),
            metrics=list(_metrics(evaluation)),
            calibration=None
            if calibration is None
            else f"the expected error of a probability is {calibration.error:.4f}, its bias {calibration.bias:+.4f}.",
            costs=_costs(evaluation),
            slices=list(_slices(evaluation)),
            groups=list(_groups(evaluation)),
            gaps=list(_gaps(evaluation)),
            importance=[
                [each.feature, f"{each.loss:.4f}", f"{each.error:.4f}"]
                for each in (importance.features if importance else ())
            ],
            limits=list(_limits(facts)),
        )
    )


@cache
def _environment() -> Environment:
    # Markdown and no HTML: what could be taken for either is escaped by the filter `cell`.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    return environment


def cell(text: str) -> str:
    """Write a text so that Markdown shows it as it is, in one line."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\1", plain)


def _verdict(facts: CardFacts) -> str:
    if not facts.rules:
        decided = "The gate has not decided."
    elif all(rule.passed for rule in facts.rules):
        decided = "It passed its gate."
    else:
        failed = sum(not rule.passed for rule in facts.rules)
        decided = f"It did not pass its gate: {failed} of {len(facts.rules)} rules failed."
    return f"{decided} {_OUTCOMES.get(facts.outcome, '') if facts.outcome else ''}".strip()


def _data(facts: CardFacts) -> Iterator[Row]:
    yield ["dataset version", facts.dataset_version or _NOTHING]
    if facts.rows is not None:
        yield ["uploaded", f"{facts.rows:,} rows accepted, {facts.rejected_rows or 0:,} rejected"]
    made = facts.training_set
    if made is not None:
        share = f"{made.split.held_out_share:.0%} of {made.keys:,} keys, by hash"
        yield ["trained on", f"{made.train_rows:,} rows"]
        yield ["judged on", f"{made.held_out_rows:,} rows that were held out ({share})"]
    yield ["execution", facts.execution]


def _figures_told(evaluation: Evaluation) -> str:
    if evaluation.confidence is None:
        return f"On {evaluation.held_out_rows:,} held-out rows."
    return (
        f"On {evaluation.held_out_rows:,} held-out rows. In brackets, how low and how high the truth may be, each "
        f"bound with {100 * evaluation.confidence:g} % confidence."
    )


def _metrics(evaluation: Evaluation) -> Iterator[Row]:
    champion = evaluation.champion
    for name, value in evaluation.challenger.metrics.items():
        comparison = evaluation.comparisons.get(name)
        other = None if champion is None else champion.metrics.get(name)
        yield [
            name + (" (smaller is better)" if name in SMALLER_IS_BETTER else ""),
            _with(value, evaluation.challenger.intervals.get(name)),
            _with(other, None if champion is None else champion.intervals.get(name)),
            _NOTHING if comparison is None else _with(comparison.difference, comparison.bounds, "+.4f"),
        ]


def _costs(evaluation: Evaluation) -> str:
    said = []
    challenger = evaluation.challenger
    if challenger.latency is not None:
        said.append(
            f"The fitted pipeline took {challenger.latency.row_ms:.3g} ms for a row that comes alone."
        )
    if challenger.archive_bytes is not None:
        said.append(f"Its archive has {challenger.archive_bytes / 1e6:.2g} MB.")
    if challenger.scoring is not None:
        said.append(f"Scoring: {challenger.scoring}.")
    return " ".join(map(cell, said))


def _slices(evaluation: Evaluation) -> Iterator[Row]:
    for part in evaluation.slices:
        for name, figure in part.challenger.items():
            champion = part.champion.get(name)
            yield [
                f"{part.column}: {part.value}",
                f"{part.rows:,}",
                name,
                _figure(figure),
                _NOTHING if champion is None else _figure(champion),
            ]


def _groups(evaluation: Evaluation) -> Iterator[Row]:
    for each in evaluation.groups:
        if each.unjudged is None:
            shares = (each.selected, each.found, each.bias)
            yield [f"{each.column}: {each.value}", f"{each.rows:,}", *map(_figure, shares)]


def _gaps(evaluation: Evaluation) -> Iterator[Row]:
    for each in evaluation.gaps:
        yield [
            each.column,
            each.name.replace("_", " "),
            _NOTHING if each.between is None else " over ".join(each.between),
            _with(each.value, each.bounds),
        ]


def _limits(facts: CardFacts) -> Iterator[str]:
    evaluation = facts.evaluation
    challenger, champion = evaluation.challenger, evaluation.champion
    yield "The figures are of rows like those that were uploaded; of others nothing is known."
    for rule in facts.rules:
        if not rule.passed:
            yield f"Failed: {rule.sentence}"
    unbounded = [name for name in challenger.metrics if name not in challenger.intervals]
    if unbounded:
        yield f"The rows are too few to say how far {', '.join(unbounded)} may be from the truth."
    parts: list[SliceEvaluation | GroupEvaluation] = [*evaluation.slices, *evaluation.groups]
    for part in parts:
        if part.unjudged is not None:
            yield f"Of {part.column}: {part.value} ({part.rows:,} rows) nothing is said: {part.unjudged}."
    if not evaluation.slices:
        yield "Parts of the rows were not looked at (gates.slices)."
    if not evaluation.groups:
        yield "Groups of people were not looked at (gates.fairness)."
    if champion is None:
        yield "There was no champion to hold it against."
    elif champion.error is not None:
        # What a user's code says of its failure may quote a row.
        yield "The champion could not be judged: evaluation.json says why."
    if evaluation.importance is None or evaluation.importance.unmeasured is not None:
        yield "What each feature is worth was not measured."
    if evaluation.problem == "binary" and challenger.calibration is None:
        yield "Whether its probabilities can be taken at their word was not measured."
    if champion is not None and champion.error is None and champion.unseen is None:
        yield "That the champion has learned from none of the held-out rows is not recorded."


def _figure(figure: Figure) -> str:
    return figure.why or _NOTHING if figure.value is None else _with(figure.value, figure.bounds)


def _with(value: float | None, bounds: Bounds | None, form: str = ".4f") -> str:
    if value is None:
        return _NOTHING
    if bounds is None:
        return format(value, form)
    return f"{value:{form}} ({bounds.low:{form}} to {bounds.high:{form}})"
