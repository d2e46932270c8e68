from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from sluice.monitoring.labels import Joined, Label, join

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def label(name: str, value: str | float, days: float = 1) -> Label:
    return Label(inference_id=name, value=value, known_at=START + days * DAY)


def joined(*labels: Label) -> Joined:
    return join(dict.fromkeys("abc", START), labels, expected=7 * DAY)


def values(found: Joined) -> dict[str, str | float]:
    return {name: truth.value for name, truth in found.truths.items()}


def test_a_label_is_the_truth_of_its_prediction() -> None:
    found = joined(label("a", "yes"))
    assert (values(found), found.fates["accepted"], found.late) == ({"a": "yes"}, 1, 0)


def test_a_label_that_comes_again_counts_once() -> None:
    found = joined(label("a", 1.0), label("a", 1.0))
    assert values(found) == {"a": 1.0}
    assert (found.fates["accepted"], found.fates["repeated"]) == (1, 1)


def test_what_was_known_later_corrects_though_it_arrives_first() -> None:
    found = joined(label("a", "no", 3), label("a", "yes", 2))
    assert values(found) == {"a": "no"}
    assert (found.fates["accepted"], found.fates["corrected"]) == (1, 1)


def test_of_two_values_of_one_moment_neither_is_believed() -> None:
    found = joined(label("a", "no"), label("a", "yes"))
    assert (values(found), found.fates["contradictory"]) == ({}, 2)


def test_a_later_label_settles_a_contradiction() -> None:
    found = joined(label("a", "no"), label("a", "yes"), label("a", "no", 2))
    assert values(found) == {"a": "no"}
    assert (found.fates["accepted"], found.fates["corrected"]) == (1, 2)


def test_a_label_of_no_prediction_is_an_orphan_each_time() -> None:
    found = joined(label("x", "no"), label("x", "no"))
    assert (found.truths, found.fates["orphan"]) == ({}, 2)


def test_a_late_label_holds_and_is_counted() -> None:
    found = joined(label("a", "no", 7), label("b", "no", 7.01))
    assert (len(found.truths), found.late) == (2, 1)


LABELS = st.lists(
    st.builds(label, st.sampled_from("abcx"), st.sampled_from(["yes", "no"]), st.integers(0, 9)), max_size=20
)


@given(LABELS, st.randoms())
def test_the_order_of_arrival_changes_nothing_and_every_label_has_one_fate(
    labels: list[Label], chance: Random
) -> None:
    first = joined(*labels)
    chance.shuffle(labels)
    assert joined(*labels) == first
    assert sum(first.fates.values()) == len(labels)
    assert first.fates.get("accepted", 0) == len(first.truths)
