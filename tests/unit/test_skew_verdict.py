"""What the online store says to a decision: one more reason, met or not, by features and counts, without values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.judging.skew import also_judged, verdict
from sluice.payloads.materialization import FoundDifference, MeasuredSkew, ViewSkew
from sluice.payloads.training import GateDecision, Rule


def view(
    sampled: int,
    *,
    missing: int = 0,
    differing: int = 0,
    moved_on: int = 0,
    features: dict[str, int] | None = None,
) -> ViewSkew:
    return ViewSkew(
        view="activity",
        sampled=sampled,
        moved_on=moved_on,
        missing=missing,
        missing_shown=["customer_id=C9"][:missing],
        differing=differing,
        features=features or {},
        shown=[FoundDifference(entity="customer_id=C1", feature="spent", stored="7.5", recomputed="8.5")][
            :differing
        ],
    )


def measured(*views: ViewSkew) -> MeasuredSkew:
    return MeasuredSkew(dataset_version="0123456789abcdef", rate=0.0, views=list(views))


def test_a_store_that_agrees_is_a_reason_that_is_met() -> None:
    assert verdict(measured(view(2000)), 0.01) == (
        True,
        "The online store agrees with the training data for all 2,000 sampled entities.",
    )


def test_a_store_that_differs_too_much_refuses_and_names_the_features() -> None:
    skew = measured(view(2000, differing=37, features={"lifetime_value": 37}))
    assert verdict(skew, 0.01) == (
        False,
        "The online store differs from the training data for 37 of 2,000 sampled entities (1.85 %, at most 1 % is"
        " allowed): lifetime_value 37. `sluice skew` shows both values.",
    )


def test_as_much_as_is_allowed_passes_and_is_told() -> None:
    skew = measured(view(2000, missing=19, differing=1, features={"spent": 1}))
    assert verdict(skew, 0.01) == (
        True,
        "The online store differs from the training data for 20 of 2,000 sampled entities (1 %, at most 1 % is"
        " allowed): 19 missing, spent 1.",
    )


@pytest.mark.parametrize(
    ("sampled", "wrong", "most", "said"),
    [
        (100_000, 1_001, 0.01, "(1.001 %, at most 1 % is allowed)"),
        (10, 10, 0.5, "(100 %, at most 50 % is allowed)"),
        (3, 1, 0.0, "(33.3 %, at most 0 % is allowed)"),
        (2_000, 1, 0.0, "(0.05 %, at most 0 % is allowed)"),
    ],
)
def test_shares_are_written_so_that_they_can_be_told_apart(
    sampled: int, wrong: int, most: float, said: str
) -> None:
    met, reason = verdict(measured(view(sampled, missing=wrong)), most)
    assert not met
    assert said in reason


def test_all_views_count_and_the_worst_features_come_first() -> None:
    features = {"a": 2, "b": 9, "c": 3, "d": 1}
    skew = measured(
        view(100, differing=9, features=features), view(300, missing=1, features={"e": 2, "f": 5, "g": 1})
    )
    met, reason = verdict(skew, 0.1)
    assert met
    assert "for 10 of 400 sampled entities (2.5 %" in reason
    assert reason.endswith(": 1 missing, b 9, f 5, c 3, a 2, e 2, and 2 more features.")


def test_nothing_to_compare_is_said_and_is_no_difference() -> None:
    assert verdict(measured(view(0)), 0.0) == (
        True,
        "The dataset has no entity to compare the online store with.",
    )


def test_what_could_not_be_compared_is_not_taken_for_good() -> None:
    met, reason = verdict(measured(view(0, moved_on=2000)), 1.0)
    assert not met
    assert "could not be told" in reason
    assert "Start the execution again" in reason
    assert verdict(measured(view(5, moved_on=1995)), 0.0)[0]


def test_where_all_may_differ_nothing_is_refused_for_it() -> None:
    assert verdict(measured(view(3, missing=3)), 1.0)[0]


@given(st.integers(1, 100_000), st.data())
def test_a_share_is_met_up_to_its_end_and_no_further(sampled: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, sampled))
    most = data.draw(st.integers(0, sampled))
    assert verdict(measured(view(sampled, missing=wrong)), most / sampled)[0] == (wrong <= most)


def test_no_value_and_no_entity_is_named() -> None:
    _, reason = verdict(measured(view(2, missing=1, differing=1, features={"spent": 1})), 0.0)
    for word in ("C1", "C9", "7.5", "8.5"):
        assert word not in reason


BETTER = Rule(name="improvement", figure=0.1, limit=0.0, passed=True, sentence="as good")
DECISION = GateDecision(promote=True, rules=[BETTER], metrics={"roc_auc": 0.9}, champion_metrics=None)


def test_a_project_without_a_store_is_decided_as_before() -> None:
    assert also_judged(DECISION, None, 0.0) == DECISION


@pytest.mark.parametrize("promote", [True, False])
@pytest.mark.parametrize("missing", [0, 1])
def test_the_store_can_refuse_and_never_promotes(promote: bool, missing: int) -> None:
    before = DECISION.model_copy(update={"promote": promote})
    after = also_judged(before, measured(view(10, missing=missing)), 0.05)
    assert after.promote is (promote and not missing)
    first, added = after.rules
    assert first == BETTER
    assert (added.name, added.figure, added.limit, added.passed) == (
        "max_skew",
        missing / 10,
        0.05,
        not missing,
    )
    assert (after.metrics, after.champion_metrics) == (before.metrics, None)
