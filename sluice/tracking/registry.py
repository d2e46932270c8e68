"""A model's version in the registry: registered once, told of each judgement, and followed by the aliases."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Literal

from sluice.contract import ModelContract
from sluice.payloads.documents import Evaluation
from sluice.payloads.registry import RegisteredModel, Stage
from sluice.payloads.tracking import MovedAlias, RegisterModelInput
from sluice.tracking.tracker import Metric, Tracker

CHALLENGER = "challenger"
CHAMPION = "champion"
_JSON = "application/json"
# As MLflow's signatures call the types of columns.
_TYPES = {"string": "string", "integer": "long", "number": "double", "boolean": "boolean"}


def register(
    asked: RegisterModelInput,
    name: str,
    evaluation: Evaluation,
    contract: ModelContract,
    example: bytes | None,
    tracker: Tracker,
) -> RegisteredModel:
    """Log how a model was judged, and register its archive under `name`.

    The archive is registered by its URI, as it is: nothing is pickled anew. The alias comes last, when the version
    says all that is to be said of it. Judged again, the same version says what came of that.

    Args:
        asked: the model, and what the gate decided.
        name: of the registered model.
        evaluation: the model's figures.
        contract: what it takes and answers.
        tracker: where the run and the versions are kept.
        example: rows as a request holds them, JSON; None of a model that nobody made any for.
    """
    run, gate = asked.run_id, asked.gate
    tracker.log(run, metrics=list(_metrics(evaluation)), tags={"sluice.verdict": _verdict(gate.promote)})
    tracker.keep(run, "evaluation.json", evaluation.body(), _JSON)
    tracker.keep(run, "gate.json", gate.model_dump_json(indent=2).encode(), _JSON)
    tracker.keep(run, "model/contract.json", contract.model_dump_json(indent=2).encode(), _JSON)
    tracker.keep(run, "model/signature.json", json.dumps(signature(contract), indent=2).encode(), _JSON)
    if example is not None:
        tracker.keep(run, "model/input_example.json", example, _JSON)
    verdict, stage = _verdict(gate.promote), _stage(gate.promote)
    tags = {
        "model_name": asked.model_name,
        "verdict": verdict,
        "stage": stage,
        "scoring": evaluation.challenger.scoring or "an image of the user's own",
        "dataset_version": asked.dataset_version,
    }
    version = tracker.register(name, run, asked.model_uri, description(asked, evaluation), tags)
    if gate.promote:
        tracker.point(name, CHALLENGER, version)
    elif tracker.pointed(name, CHALLENGER) == version:
        tracker.point(name, CHALLENGER, None)
    return RegisteredModel(name=name, version=version, verdict=verdict, stage=stage)


def move_alias(name: str, version: str, tracker: Tracker) -> MovedAlias:
    """Make `version` the champion. What it replaces is told first: asked again, nobody would know any more."""
    before = tracker.pointed(name, CHAMPION)
    replaced = before if before != version else None
    if replaced is not None:
        tracker.tag(name, replaced, {"stage": "retired"})
    tracker.point(name, CHAMPION, version)
    if tracker.pointed(name, CHALLENGER) == version:
        tracker.point(name, CHALLENGER, None)
    tracker.tag(name, version, {"stage": "production"})
    return MovedAlias(version=version, replaced=replaced)


def take_back(name: str, version: str, why: str, tracker: Tracker) -> None:
    """Say of a version that it was deployed and taken back: it is no challenger any more. `why` is kept with it."""
    if tracker.pointed(name, CHALLENGER) == version:
        tracker.point(name, CHALLENGER, None)
    tracker.tag(name, version, {"stage": "experimental", "taken_back": why})


def description(asked: RegisterModelInput, evaluation: Evaluation) -> str:
    """Say in Markdown what a version is: the place of its model card."""
    figures = [
        f"| {name} | {value:.4f} |"
        for name, value in evaluation.challenger.metrics.items()
        if math.isfinite(value)
    ]
    rules = [f"- {'✓' if rule.passed else '✗'} {rule.sentence}" for rule in asked.gate.rules]
    lines = [
        f"**{_verdict(asked.gate.promote).capitalize()}** on {evaluation.held_out_rows:,} held-out rows.",
        "",
        *rules,
        "",
        "| metric | this model |",
        "| --- | --- |",
        *figures,
        "",
        f"Trained on the dataset version `{asked.dataset_version}`; its archive is `{asked.model_uri}`.",
    ]
    return "\n".join(lines)


def signature(contract: ModelContract) -> dict[str, Any]:
    """Say what a model takes and answers in the form of MLflow's signatures.

    https://mlflow.org/docs/latest/ml/model/signatures/. The lists are JSON in a text, as MLmodel files have them.
    """
    inputs = [
        {"type": _TYPES[each.type], "name": each.name, "required": not each.nullable}
        for each in contract.features
    ]
    if contract.target.problem == "regression":
        outputs = [{"type": "double", "name": "value", "required": True}]
    else:
        outputs = [{"type": "string", "name": "label", "required": True}]
        outputs += [
            {"type": "double", "name": f"probability of {each}", "required": True}
            for each in contract.target.classes
        ]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}


def _verdict(promote: bool) -> Literal["promoted", "rejected"]:
    return "promoted" if promote else "rejected"


def _stage(promote: bool) -> Stage:
    return "staging" if promote else "experimental"


def _metrics(evaluation: Evaluation) -> Iterator[Metric]:
    """Every figure of the evaluation; those of the champion beside those of the model, and what a slice has."""
    for role, model in (("", evaluation.challenger), ("champion/", evaluation.champion)):
        if model is not None:
            for name, value in model.metrics.items():
                yield Metric(f"{role}{name}", value)
    for name, values in evaluation.history.items():
        for step, value in enumerate(values, start=1):
            yield Metric(f"iteration/{name}", value, step)
