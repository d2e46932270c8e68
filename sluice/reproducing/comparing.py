"""A model as it was recorded beside the same one built again: what is identical, and what exactly differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field

from sluice.payloads.base import Payload
from sluice.payloads.training_record import TrainingRecord
from sluice.reproducing.builds import Build

Kind = Literal["ingredient", "result", "circumstance"]
State = Literal["identical", "differs", "unknown"]
_Side = TypeVar("_Side")

TRAINING_ROWS = "training rows"
HELD_OUT_ROWS = "held-out rows"
_COMPILED = "compiled.sluice"
_FITTED = "model.joblib"


class Difference(Payload):
    """What differs: as it was recorded, and as it is when it is built again. None: there is none."""

    what: str
    recorded: str | None
    again: str | None


class Finding(Payload):
    """One thing that was compared.

    Attributes:
        kind: what a model is made of and what came out decide; circumstances explain.
        state: `unknown` where one of both sides has nothing recorded of it.
        decides: whether a difference in it makes another model.
    """

    kind: Kind
    name: str
    state: State
    decides: bool = True
    differences: tuple[Difference, ...] = ()


class Compared(Payload):
    """What came of comparing two builds."""

    findings: tuple[Finding, ...] = Field(min_length=1)

    @property
    def identical(self) -> bool:
        """Whether nothing differs that makes another model."""
        return not any(each.decides and each.state == "differs" for each in self.findings)

    def named(self, name: str) -> Finding:
        return next(each for each in self.findings if each.name == name)


def compare(
    recorded: Build,
    again: Build,
    rows: Mapping[str, tuple[Difference, ...]] | None = None,
    rescored_sha256: str | None = None,
) -> Compared:
    """Compare two builds of a model.

    Args:
        recorded: as it was recorded at training.
        again: as it was built now.
        rows: of files of rows whose bytes differ, in what the rows do, by TRAINING_ROWS or HELD_OUT_ROWS; empty where
            the same rows were only written otherwise.
        rescored_sha256: of what the recorded model predicts now, for the rows as they were built now.
    """
    return Compared(
        findings=(
            *_ingredients(recorded, again),
            *_results(recorded, again, rows or {}),
            *_circumstances(recorded.archive.record, again.archive.record),
            _rescored(recorded, rescored_sha256),
        )
    )


def _ingredients(recorded: Build, again: Build) -> Iterator[Finding]:
    yield _finding("ingredient", "dataset version", recorded.dataset_version, again.dataset_version)
    yield _in_order(_finding("ingredient", "parts", recorded.parts, again.parts), recorded, again)
    yield _finding("ingredient", "project code", recorded.code_sha256, again.code_sha256)
    yield _finding("ingredient", "hyperparameters", recorded.given, again.given)
    yield _finding("ingredient", "images", recorded.images, again.images)
    records = (recorded.archive.record, again.archive.record)
    # As the container was given them; of a search or a template they may be others than the job's description says.
    yield _finding("ingredient", "given to build_model", *_both(records, lambda it: it.hyperparameters))
    yield _finding("ingredient", "feature plan", *_both(records, lambda it: it.plan_sha256 or "none"))
    yield _finding("ingredient", "seed", *_both(records, lambda it: it.seed))
    yield _finding(
        "ingredient",
        "split",
        *_both(records, lambda it: {**it.split.model_dump(), "entity.key": it.entity_key}),
    )


def _in_order(found: Finding, recorded: Build, again: Build) -> Finding:
    """Of two rows with the same key and time the one in the later part counts: so does the order."""
    if found.state == "differs" or list(recorded.parts) == list(again.parts):
        return found
    order = Difference(what="order", recorded=" ".join(recorded.parts), again=" ".join(again.parts))
    return found.model_copy(update={"state": "differs", "differences": (order,)})


def _results(recorded: Build, again: Build, rows: Mapping[str, tuple[Difference, ...]]) -> Iterator[Finding]:
    for name, before, after in (
        (TRAINING_ROWS, recorded.train_sha256, again.train_sha256),
        (HELD_OUT_ROWS, recorded.held_out_sha256, again.held_out_sha256),
    ):
        found = _finding("result", name, before, after)
        if found.state == "differs" and name in rows:
            # Another release of a library may write the same rows otherwise.
            told = rows[name] or found.differences
            found = found.model_copy(update={"differences": told, "decides": bool(rows[name])})
        yield found
    members, others = recorded.archive.members, again.archive.members
    if recorded.own_image:
        yield _finding("result", "archive", members, others)
        return
    figures = (recorded.evaluation, again.evaluation)
    yield _finding("result", "metrics", *_both(figures, lambda it: it.metrics or None))
    yield _finding("result", "predictions", *_both(figures, lambda it: it.predictions_sha256))
    yield _finding("result", "compiled model", members.get(_COMPILED, "none"), others.get(_COMPILED, "none"))
    yield _finding("result", "contract.json", members.get("contract.json"), others.get("contract.json"))
    # The verdict says on how many rows the compiled model was checked, which is as many as there was time for.
    scoring = _finding("result", "scoring.json", members.get("scoring.json"), others.get("scoring.json"))
    yield scoring.model_copy(update={"decides": False})
    yield _finding("result", "code in the archive", recorded.archive.code, again.archive.code)
    # A pickle holds what is no part of the model, such as how many threads fitted it.
    fitted = _finding("result", "pickle of the fitted model", members.get(_FITTED), others.get(_FITTED))
    yield fitted.model_copy(update={"decides": False})


def _circumstances(before: TrainingRecord | None, after: TrainingRecord | None) -> Iterator[Finding]:
    told: dict[str, Callable[[TrainingRecord], Any]] = {
        "Python": lambda it: it.python,
        "libraries": lambda it: it.libraries,
        "machine": lambda it: it.machine,
        "instance type": lambda it: it.instance_type or None,
        "processor": lambda it: it.processor,
        "cores": lambda it: it.cores,
        "threads": lambda it: {**it.threads, **it.thread_settings},
    }
    for name, of in told.items():
        found = _finding("circumstance", name, *_both((before, after), of))
        yield found.model_copy(update={"decides": False})


def _rescored(recorded: Build, sha256: str | None) -> Finding:
    """Tell a model that has changed from a machine that computes otherwise: here the model is the recorded one."""
    before = None if recorded.evaluation is None else recorded.evaluation.predictions_sha256
    found = _finding("circumstance", "the recorded model's predictions, made now", before, sha256)
    return found.model_copy(update={"decides": False})


def _both(sides: tuple[_Side | None, _Side | None], told: Callable[[_Side], Any]) -> tuple[Any, Any]:
    before, after = sides
    return (None if before is None else told(before)), (None if after is None else told(after))


def _finding(kind: Kind, name: str, before: Any, after: Any) -> Finding:
    if before is None or after is None:
        return Finding(kind=kind, name=name, state="unknown")
    if not isinstance(before, dict):
        before, after = {name: before}, {name: after}
    differences = tuple(
        Difference(what=each, recorded=_text(before, each), again=_text(after, each))
        for each in dict.fromkeys((*before, *after))
        if _text(before, each) != _text(after, each)
    )
    state: State = "differs" if differences else "identical"
    return Finding(kind=kind, name=name, state=state, differences=differences)


def _text(values: Mapping[str, Any], name: str) -> str | None:
    """Write a value so that two are the same if and only if their texts are: a float's `repr` has all its bits."""
    if name not in values:
        return None
    return values[name] if isinstance(values[name], str) else repr(values[name])
