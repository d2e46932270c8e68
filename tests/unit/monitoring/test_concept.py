import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice.monitoring.concept import Evidence

ROWS = 500


def rows_until_alarm(error: float, seed: int, most: int, *, quiet: int = 0) -> int | None:
    draws = np.random.default_rng(seed)
    evidence = Evidence(bound=0.1).after((draws.random(quiet) < 0.1).astype(float).tolist())
    for row in range(1, most + 1):
        evidence = evidence.after([float(draws.random() < error)])
        if evidence.is_alarming(ROWS, alarms=1.0):
            return row
    return None


def test_at_the_bound_a_month_of_rows_seldom_alarms() -> None:
    alarms = sum(rows_until_alarm(0.1, seed, ROWS) is not None for seed in range(60))
    assert (
        alarms <= 30
    )  # one a month is the most there may be in the mean; what is bet in vain makes it fewer


def test_a_model_that_errs_twice_as_often_is_found_though_it_was_good_for_long() -> None:
    delays = [rows_until_alarm(0.2, seed, 1_000, quiet=2_000) for seed in range(20)]
    assert all(delay is not None and delay < 500 for delay in delays)


def test_rows_give_the_same_evidence_in_one_part_or_in_many() -> None:
    losses = [0.0, 1.0, 0.25, 1.0]
    assert Evidence(bound=0.1).after(losses[:1]).after(losses[1:]) == Evidence(bound=0.1).after(losses)


def test_a_single_loss_is_bet_on_by_hand() -> None:
    # (0 + 1)(1 + bet / 0.5 * 0.5) = 1 + bet; the mean of four bets is 0.375
    assert Evidence(bound=0.5).after([1.0]).weight == pytest.approx(1.375)


@given(st.lists(st.floats(0, 1), max_size=50))
def test_evidence_is_never_negative(losses: list[float]) -> None:
    assert min(Evidence(bound=0.3).after(losses).wagers) >= 0


@pytest.mark.parametrize("loss", [-0.1, 1.1, float("nan")])
def test_a_loss_that_is_none_is_an_error(loss: float) -> None:
    with pytest.raises(ValueError, match="is not from 0 to 1"):
        Evidence(bound=0.3).after([loss])


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_a_bound_that_bounds_nothing_is_an_error(bound: float) -> None:
    with pytest.raises(ValidationError):
        Evidence(bound=bound)
