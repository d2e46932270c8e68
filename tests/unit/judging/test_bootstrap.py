"""The binned bootstrap, against scikit-learn's figures, DeLong, and a bootstrap of every row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from sluice.judging import bootstrap, delong
from sluice.judging.scores import BinaryScores, ClassScores
from tests.unit.judging.rows import binary

scored = st.tuples(st.booleans(), st.sampled_from(np.linspace(0, 1, 7).tolist()), st.booleans())


@given(st.lists(scored, min_size=2, max_size=40).filter(lambda rows: len({row[0] for row in rows}) == 2))
@settings(max_examples=60, deadline=None)
def test_on_the_cells_as_they_are_the_figures_are_scikit_learns(rows: list[tuple[bool, float, bool]]) -> None:
    """To the last digits: up to 256 different scores are told apart, and equal rows are one cell with a weight."""
    actual, chance, says_so = (np.array(column) for column in zip(*rows, strict=True))
    other = BinaryScores(chance[::-1].copy(), ~says_so)
    drawn = bootstrap.binary(actual, [BinaryScores(chance, says_so), other], replicates=3, seed=0)
    for model, (score, label) in enumerate([(chance, says_so), (other.chance, other.says_so)]):
        expected = {
            "roc_auc": metrics.roc_auc_score(actual, score),
            "average_precision": metrics.average_precision_score(actual, score),
            "f1": metrics.f1_score(actual, label, zero_division=0.0),
            "precision": metrics.precision_score(actual, label, zero_division=0.0),
            "recall": metrics.recall_score(actual, label),
        }
        assert {name: each.centre[model] for name, each in drawn.items()} == pytest.approx(expected)


def test_many_scores_are_binned_with_little_loss_for_a_rare_class_too() -> None:
    actual, models = binary(50_000, 0.004, (0.3, 0.6))
    drawn = bootstrap.binary(actual, models, replicates=1, seed=0)
    for model, scores in enumerate(models):
        exact = metrics.roc_auc_score(actual, scores.chance)
        assert drawn["roc_auc"].centre[model] == pytest.approx(exact, abs=1e-3)
        exact = metrics.average_precision_score(actual, scores.chance)
        assert drawn["average_precision"].centre[model] == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize(("rows", "share"), [(600, 0.3), (20_000, 0.02)])
def test_an_areas_difference_spreads_as_delong_has_it(rows: int, share: float) -> None:
    actual, models = binary(rows, share, (0.3, 0.6), seed=5)
    drawn = bootstrap.binary(actual, models, replicates=2_000, seed=1)["roc_auc"]
    single, difference = delong.spreads(actual, [model.chance for model in models], 0.95)
    rarest = int(actual.sum())
    found = drawn.spread_of_difference(0.95, rarest)
    assert found is not None
    assert difference is not None
    assert found.below == pytest.approx(difference.below, rel=0.1)
    alone, expected = drawn.spread(0, 0.95, rarest), single[0]
    assert alone is not None
    assert expected is not None
    assert alone.below + alone.above == pytest.approx(2 * expected.below, rel=0.1)


def test_average_precision_of_a_rare_class_spreads_as_when_every_row_is_drawn() -> None:
    actual, models = binary(4_000, 0.02, (0.3, 0.9), seed=2)
    draw = np.random.default_rng(0)
    exact = []
    for _ in range(400):
        weights = draw.poisson(1, len(actual))
        first, second = (
            metrics.average_precision_score(actual, model.chance, sample_weight=weights) for model in models
        )
        exact.append(first - second)
    drawn = bootstrap.binary(actual, models, replicates=1_000, seed=1)["average_precision"].drawn
    assert (drawn[0] - drawn[1]).std() == pytest.approx(np.std(exact), rel=0.12)


def test_a_model_does_not_differ_from_itself() -> None:
    actual, (model,) = binary(500, 0.3, (0.5,))
    for drawn in bootstrap.binary(actual, [model, model], replicates=50, seed=0).values():
        spread = drawn.spread_of_difference(0.95, 100)
        assert spread is not None
        assert (spread.below, spread.above) == (0.0, 0.0)


def test_of_some_figures_no_more_cells_are_made_than_these_need() -> None:
    actual, models = binary(5_000, 0.3, (0.3, 0.6))
    all_of_them = bootstrap.binary(actual, models, replicates=2_000, seed=1)
    for names in (["f1"], ["roc_auc"], ["recall", "average_precision"]):
        found = bootstrap.binary(actual, models, replicates=2_000, seed=1, metrics=names)
        assert found.keys() == set(names)
        for name in names:
            assert found[name].centre == pytest.approx(all_of_them[name].centre)
            some, every = (each[name].spread_of_difference(0.95, 1_000) for each in (found, all_of_them))
            assert some is not None
            assert every is not None
            assert some.below == pytest.approx(every.below, rel=0.1)


def test_the_same_seed_draws_the_same_and_another_one_others() -> None:
    actual, models = binary(300, 0.3, (0.5, 0.5))
    first, same, other = (
        bootstrap.binary(actual, models, replicates=120, seed=seed)["roc_auc"].drawn for seed in (7, 7, 8)
    )
    assert (first == same).all()
    assert (first != other).any()
    assert first.shape == (2, 120)


@pytest.mark.parametrize("positives", [0, 1, 300, 299])
def test_where_a_class_has_hardly_a_row_nothing_can_be_told(positives: int) -> None:
    _, models = binary(300, 0.3, (0.5, 0.5))
    actual = np.arange(300) < positives
    drawn = bootstrap.binary(actual, models, replicates=100, seed=0)["roc_auc"]
    rarest = min(positives, 300 - positives)
    assert drawn.spread(0, 0.95, rarest) is None
    assert drawn.spread_of_difference(0.95, rarest) is None


def test_resamples_that_lack_a_class_are_left_out_while_they_are_few() -> None:
    _, models = binary(300, 0.3, (0.5, 0.5))
    few = bootstrap.binary(np.arange(300) < 5, models, replicates=1_000, seed=0)["roc_auc"]
    assert 0 < np.isnan(few.drawn).any(axis=0).mean() < 0.03
    assert few.spread_of_difference(0.95, 5) is not None


def test_few_rows_of_a_class_widen_what_is_said() -> None:
    actual, models = binary(300, 0.3, (0.5, 0.7))
    drawn = bootstrap.binary(actual, models, replicates=500, seed=0)["roc_auc"]
    wide, narrow = drawn.spread_of_difference(0.95, 5), drawn.spread_of_difference(0.95, 10**6)
    assert wide is not None
    assert narrow is not None
    # Student's quantile with four degrees is 2.132, the normal's 1.645; the variance is 4/5 of what it should be.
    assert wide.below / narrow.below == pytest.approx(2.132 / 1.645 * (5 / 4) ** 0.5, rel=0.002)


@given(
    st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(4, 6),
)
@settings(max_examples=60, deadline=None)
def test_macro_f1_on_the_cells_as_they_are_is_scikit_learns(
    rows: list[tuple[int, int, int]], classes: int
) -> None:
    actual, first, second = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    known = np.where(actual < 0, classes, actual)
    chances = np.full((len(rows), classes), 1 / classes)
    models = [ClassScores(chances, first), ClassScores(chances, second)]
    drawn = bootstrap.macro_f1(known, models, classes, replicates=2, seed=0)
    expected = [metrics.f1_score(known, each, average="macro", zero_division=0.0) for each in (first, second)]
    assert drawn.centre == pytest.approx(expected)
