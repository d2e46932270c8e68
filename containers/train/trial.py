"""A trial of a search: the project's model with some hyperparameters, judged on part after part of the training rows.

It sees the train channel alone: what is held out to judge models on plays no part in choosing them.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from containers.answers import answers_of
from containers.frames import features_of, read_training_set, target_of
from containers.hooks import unpack_project
from containers.model import Model
from containers.paths import MlPaths
from containers.train import fitting
from containers.train.hyperparameters import load_hyperparameters
from sluice import objective
from sluice.arrow import Table
from sluice.contract import ModelContract
from sluice.errors import ProjectError, SluiceError, TrainingFailed
from sluice.project import Project
from sluice.splits import KEY_COLUMN, folds_of

VARIABLE = "SEARCH_TRIAL"
"""The environment variable by which a training job knows that it is a trial."""
# `<tuning job>-001-1a2b3c4d`
_NAME = re.compile(r"(?P<search>.+)-(?P<number>[0-9]{3,})-[0-9a-f]{8}")


@dataclass(frozen=True)
class Trial:
    """Which trial of which search this is.

    Attributes:
        search: the name of the tuning job; None where the job's name says none.
        number: from 1.
        metric: what is to become best.
        hyperparameters: those of this trial, the fixed ones among them.
    """

    search: str | None
    number: int | None
    metric: str
    hyperparameters: Mapping[str, Any]


@dataclass(frozen=True)
class Fold:
    """What a trial came to on one part of the rows: its own figure, and the mean of the ones so far."""

    number: int
    of: int
    figure: float
    mean: float


Watcher = Callable[[Trial, Fold], None]
"""Whoever wants to hear of each fold, such as a tracker of experiments."""


def run_trial(
    paths: MlPaths, environment: Mapping[str, str], scratch: Path, watchers: Sequence[Watcher] = ()
) -> None:
    """Fit and judge once for each fold, and tell the log and the watchers; no model is left behind.

    Raises:
        TrainingFailed: a hook raises, a fold is empty or of one class, or its figure is none.
        ProjectError: the job was not given what it needs.
    """
    hyperparameters = load_hyperparameters(paths.hyperparameters)
    project = unpack_project(paths.channel("code"), scratch / "code")
    settings = Project.load(project)
    search = settings.search
    if search is None:
        raise ProjectError(
            "a trial of a search, and no search", where="project.toml", fix="add [search], or deploy again"
        )
    table, contract = read_training_set(paths.channel("train"))
    trial = trial_of(environment.get("TRAINING_JOB_NAME", ""), search.metric, hyperparameters)
    print(f"trial {trial.number} of {trial.search}: {hyperparameters}", flush=True)
    parts = np.array(folds_of(table[KEY_COLUMN].to_pylist(), salt=settings.split.salt, folds=search.folds))
    figures: list[float] = []
    for number in range(search.folds):
        judged = parts == number
        figure = _figure(project, trial, contract, table, judged, f"fold {number + 1} of {search.folds}")
        figures.append(figure)
        fold = Fold(number + 1, search.folds, figure, math.fsum(figures) / len(figures))
        print(objective.line(fold.mean, fold=fold.number, folds=fold.of), flush=True)
        for tell in watchers:
            tell(trial, fold)


def trial_of(job_name: str, metric: str, hyperparameters: Mapping[str, Any]) -> Trial:
    """Know a trial by the name that SageMaker gives its job."""
    named = _NAME.fullmatch(job_name)
    return Trial(
        search=named["search"] if named else None,
        number=int(named["number"]) if named else None,
        metric=metric,
        hyperparameters=hyperparameters,
    )


def _figure(
    project: Path, trial: Trial, contract: ModelContract, table: Table, judged: Any, where: str
) -> float:
    fitted_on, judged_on = table.filter(~judged), table.filter(judged)
    _check(fitted_on, judged_on, contract, where)
    # As in training: what takes numpy's own state is the same in each fold.
    random.seed(0)
    np.random.seed(0)
    model = fitting.build(project, dict(trial.hyperparameters))
    model = fitting.fit(project, model, features_of(fitted_on, contract), target_of(fitted_on, contract))
    fitting.check_answers(model, contract)
    own = fitting.with_classes_of(model, contract)
    try:
        predictions = Model(model, own, project).predict(features_of(judged_on, contract))
        answers = answers_of(predictions, own, judged_on)
        lacking = answers.lacking(trial.metric)
        figure = math.nan if lacking else answers.figures([trial.metric])[trial.metric]
    except SluiceError as error:
        raise TrainingFailed(error.what, where=where, why=error.why, fix=error.fix) from error
    if not math.isfinite(figure):
        raise TrainingFailed(
            f"{trial.metric} cannot be computed from {judged_on.num_rows:,} rows",
            where=where,
            why=lacking or "it is no finite figure",
            fix="search with fewer folds, by another metric, or with more rows",
        )
    return figure


def _check(fitted_on: Table, judged_on: Table, contract: ModelContract, where: str) -> None:
    for table, purpose in ((fitted_on, "to fit on"), (judged_on, "to judge on")):
        if not table.num_rows:
            raise TrainingFailed(
                f"no rows are left {purpose}",
                where=where,
                why="the folds are parted by a hash of the key, and there are few keys",
                fix="lower search.folds, or upload more entities",
            )
    classes = contract.target.classes
    if classes and len(set(target_of(fitted_on, contract).tolist())) < 2:
        raise TrainingFailed(
            "all rows to fit on are of one class",
            where=where,
            why=f"without that fold {fitted_on.num_rows:,} rows are left, all of the same class",
            fix="search with more folds, or with more rows of the other classes",
        )
