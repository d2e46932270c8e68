"""The target: its values and classes, checked against the declared problem and on both sides of the split."""

from __future__ import annotations

from typing import Any

import pandas as pd

from containers.training_set import casting
from sluice.contract import ClassLabel, TargetContract
from sluice.errors import OneClassTarget, TrainingSetFailed
from sluice.project import Target

_FEW_CLASSES = 8


def read(column: pd.Series, declared: Target) -> tuple[Any, list[ClassLabel]]:
    """Give the target's value of every row, and the classes among them, sorted (none of a regression).

    Raises:
        TrainingSetFailed: there are nulls, or values that the declared problem cannot have.
        OneClassTarget: a classification holds a single class.
    """
    nulls = int(column.isna().sum())
    if nulls:
        raise TrainingSetFailed(
            f"the target {column.name!r} is null in {nulls:,} of {len(column):,} rows",
            where="project.toml: target.column",
            why="a model can neither learn from nor be judged by such rows",
            fix="drop them in features.py, or reject them with nullable = false",
        )
    if declared.problem == "regression":
        return casting.values_of(column), []
    labels = casting.classes_of(column)
    classes = sorted(set(labels), key=lambda label: (str(type(label)), label))
    if len(classes) < 2:
        raise _one_class("the target", classes, column.name)
    if declared.problem == "binary" and len(classes) > 2:
        # Of many, each may be somebody's text rather than a class.
        shown = f": {', '.join(map(repr, classes))}" if len(classes) <= _FEW_CLASSES else ""
        raise TrainingSetFailed(
            f"the target {column.name!r} holds {len(classes)} classes",
            where="project.toml: target.problem",
            why=f'problem = "binary" takes two{shown}',
            fix='set problem = "multiclass", or make two classes of them in features.py',
        )
    return labels, classes


def contract_of(values: Any, classes: list[ClassLabel], held_out: Any, declared: Target) -> TargetContract:
    """Describe the target to a model: its classes are those that the training side holds.

    Raises:
        OneClassTarget: a side of the split holds a single class.
        TrainingSetFailed: the declared positive class is none of them.
    """
    positive = None
    if classes:
        train = sorted({y for y, out in zip(values, held_out, strict=True) if not out}, key=classes.index)
        if len(train) < 2:
            raise _one_class("the training side of the split", train, declared.column)
        judged = {y for y, out in zip(values, held_out, strict=True) if out}
        if declared.problem == "binary" and len(judged) < 2:
            raise _one_class("the held-out side of the split", list(judged), declared.column)
        classes = train
    if declared.positive is not None:
        positive = casting.find_class(declared.positive, classes)
        if positive is None:
            raise TrainingSetFailed(
                f"the target {declared.column!r} never is {declared.positive!r}",
                where="project.toml: target.positive",
                why=f"its classes are {', '.join(map(repr, classes))}"
                if len(classes) <= _FEW_CLASSES
                else f"it has {len(classes):,} classes",
                fix="name one of them as `positive`",
            )
    return TargetContract(
        name=declared.column, problem=declared.problem, classes=tuple(classes), positive=positive
    )


def _one_class(where: str, classes: list[ClassLabel], target: Any) -> OneClassTarget:
    return OneClassTarget(
        f"{where} holds only the class {classes[0]!r}",
        where=f"column {target!r}",
        why="a model has nothing to tell apart, and could not be judged",
        fix="upload data with examples of every class; with few rows, raise split.held_out_share",
    )
