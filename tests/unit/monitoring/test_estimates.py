from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sluice.monitoring.estimates import expected_accuracy, expected_auc


@given(st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.9]), min_size=2, max_size=8))
def test_the_expected_auc_is_that_of_all_pairs(probabilities: list[float]) -> None:
    right = pairs = 0.0
    for one, other in permutations(probabilities, 2):
        weight = one * (1 - other)
        pairs += weight
        right += weight * (1.0 if one > other else 0.5 if one == other else 0.0)
    assert expected_auc(np.array(probabilities)) == pytest.approx(right / pairs)


def test_calibrated_probabilities_tell_what_the_labels_say_later() -> None:
    draws = np.random.default_rng(1)
    probabilities = draws.beta(1, 3, 50_000)
    labels = draws.random(50_000) < probabilities
    assert expected_auc(probabilities) == pytest.approx(roc_auc_score(labels, probabilities), abs=0.01)
    right = np.mean((probabilities >= 0.5) == labels)
    assert expected_accuracy(probabilities, 0.5) == pytest.approx(right, abs=0.01)


@pytest.mark.parametrize("probabilities", [[], [0.5], [1.0, 1.0], [0.0, 0.0]])
def test_without_a_pair_there_is_no_auc(probabilities: list[float]) -> None:
    assert expected_auc(np.array(probabilities)) is None


def test_of_no_rows_nothing_is_expected() -> None:
    assert expected_accuracy(np.array([]), 0.5) is None
