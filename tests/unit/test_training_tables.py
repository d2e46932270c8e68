"""[search] and [training]: what may be asked for, and what a person is told who asks for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import ProjectError
from sluice.project import Project

GOOD = """\
[project]
name = "bank"
[target]
column = "y"
problem = "binary"
positive = "yes"
[columns.age]
type = "integer"
[columns.y]
type = "string"
[features]
numeric = ["age"]
"""
NUMBER = '[search.ranges.rate]\ntype = "number"\nmin = 0.1\nmax = 1\n'
CHOICE = '[search.ranges.loss]\ntype = "categorical"\nvalues = ["a", "b", "c"]\n'


def load(folder: Path, tables: str) -> Project:
    (folder / "project.toml").write_text(GOOD + tables)
    (folder / "train.py").write_text("")
    return Project.load(folder)


def test_without_a_search_there_is_none(tmp_path: Path) -> None:
    project = load(tmp_path, "")
    assert project.search is None
    assert not project.training.spot_in("prod")
    assert project.max_wait_seconds == 7200


def test_a_search_needs_ranges_alone(tmp_path: Path) -> None:
    search = load(tmp_path, NUMBER).search
    assert search is not None
    assert (search.strategy, search.trials, search.parallel, search.folds) == ("bayesian", 20, 2, 3)
    assert search.early_stopping
    assert search.rounds == 10


@pytest.mark.parametrize(
    ("tables", "metric"),
    [
        (NUMBER, "roc_auc"),
        (f'[gates]\ncompare = "log_loss"\n{NUMBER}', "log_loss"),
        (f'[search]\nmetric = "brier"\n{NUMBER}', "brier"),
    ],
)
def test_what_is_to_become_best_is_what_models_are_compared_by(
    tmp_path: Path, tables: str, metric: str
) -> None:
    search = load(tmp_path, tables).search
    assert search is not None
    assert search.metric == metric


def test_a_grid_has_as_many_trials_as_combinations(tmp_path: Path) -> None:
    search = load(tmp_path, f'[search]\nstrategy = "grid"\n{CHOICE}{CHOICE.replace("loss", "kind")}').search
    assert search is not None
    assert search.trials == 9


def ranges(count: int) -> str:
    return "".join(NUMBER.replace("rate", f"r{i}") for i in range(count))


def values(count: int) -> str:
    return f'[search.ranges.n]\ntype = "categorical"\nvalues = {list(range(count))}\n'


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (f'[search]\nmetric = "rmse"\n{NUMBER}', "search.metric: 'rmse' is no binary metric"),
        (f'[search]\nmetric = "roc_acu"\n{NUMBER}', "(did you mean 'roc_auc'?)"),
        ("[search]\ntrials = 3\n", "search.ranges: missing"),
        ("[search]\nranges = {}\n", "search.ranges: found {}"),
        (f"[search]\ntrails = 3\n{NUMBER}", "search.trails: unknown key (did you mean 'trials'?)"),
        (NUMBER + "low = 1\n", "search.ranges.rate.low: unknown key; allowed: max, min, scale, type, values"),
        (NUMBER.replace("max = 1", "max = 0.1"), "the range is empty: `min` (0.1) is not below `max` (0.1)"),
        (NUMBER.replace("max = 1", ""), "`min` and `max` are needed for number"),
        (NUMBER.replace("max = 1", "max = inf"), "search.ranges.rate.max: found inf"),
        (NUMBER.replace('"number"', '"float"'), "search.ranges.rate.type: found 'float'"),
        (NUMBER.replace('"number"', '"integer"'), "have to be whole"),
        (
            NUMBER.replace("0.1", "0") + 'scale = "log"\n',
            'scale = "log" is for values above 0, and `min` is 0',
        ),
        (NUMBER + "values = [1]\n", '`values` are for type = "categorical", not for number'),
        (CHOICE + "min = 1\n", "a categorical has `values`"),
        (CHOICE.replace('["a", "b", "c"]', "[]"), "the range is empty: list its `values`"),
        (CHOICE.replace('"b"', '"a"'), "'a' is there twice"),
        (CHOICE.replace('"b"', '"${b}"'), "mean something in a state machine"),
        (CHOICE.replace('"b"', f'"{"b" * 257}"'), "a value is 257 characters long; SageMaker takes 256"),
        (f'[search]\nstrategy = "grid"\n{NUMBER}', "takes categorical ranges alone, and rate is none"),
        (f'[search]\nstrategy = "grid"\ntrials = 3\n{CHOICE}', "`trials` is not for strategy"),
        (
            '[search]\nstrategy = "grid"\n' + values(30) + values(30).replace(".n]", ".m]"),
            "the grid has 900 combinations; SageMaker tries 750",
        ),
        (f"[search]\ntrials = 2\nparallel = 3\n{NUMBER}", "`parallel` (3) is above `trials` (2)"),
        (
            f"[model]\nhyperparameters = {{ rate = 1 }}\n{NUMBER}",
            "search.ranges.rate: it has a value under model",
        ),
        (f'[model]\nimage = "x"\n{NUMBER}', "with model.image there is none"),
        (
            "[model.hyperparameters]\n" + "".join(f"a{i} = 1\n" for i in range(100)) + NUMBER,
            "101 hyperparameters with those of [model]; SageMaker takes 100",
        ),
        ("[training]\nspots = true\n", "training.spots: unknown key (did you mean 'spot'?)"),
        ("[training]\nmax_wait_seconds = 3599\n", "3599 is below model.max_runtime_seconds (3600)"),
        ("[training.environments]\nstaging = true\n", "training.environments.staging"),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(tmp_path: Path, tables: str, said: str) -> None:
    with pytest.raises(ProjectError) as caught:
        load(tmp_path, tables)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("last_allowed", "first_refused", "key"),
    [
        (f"[search]\ntrials = 750\n{NUMBER}", f"[search]\ntrials = 751\n{NUMBER}", "search.trials"),
        (
            f"[search]\ntrials = 200\nparallel = 100\n{NUMBER}",
            f"[search]\ntrials = 200\nparallel = 101\n{NUMBER}",
            "search.parallel",
        ),
        (f"[search]\nfolds = 2\n{NUMBER}", f"[search]\nfolds = 1\n{NUMBER}", "search.folds"),
        (f"[search]\nfolds = 20\n{NUMBER}", f"[search]\nfolds = 21\n{NUMBER}", "search.folds"),
        (ranges(30), ranges(31), "search.ranges"),
        (values(30), values(31), "31 values; SageMaker takes 30"),
        ("[training]\nmax_wait_seconds = 3600\n", "[training]\nmax_wait_seconds = 2419201\n", "max_wait"),
    ],
)
def test_what_is_allowed_ends_where_sagemaker_ends(
    tmp_path: Path, last_allowed: str, first_refused: str, key: str
) -> None:
    load(tmp_path, last_allowed)
    with pytest.raises(ProjectError) as caught:
        load(tmp_path, first_refused)
    assert key in str(caught.value)
