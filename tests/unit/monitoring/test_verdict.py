from functools import reduce
from itertools import pairwise
from operator import add
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from sluice.errors import NoRows, SchemaMismatch
from sluice.monitoring.counts import Window
from sluice.monitoring.reference import Reference, reference_of
from sluice.monitoring.verdict import Sensitivity, Verdict, verdict

SENSITIVITY = Sensitivity(alarms=0.5, windows=30)


def batch(
    rows: int,
    seed: int,
    *,
    moved: float = 0.0,
    missing: float = 0.02,
    plans: tuple[str, ...] = ("basic", "plus"),
    shares: tuple[float, ...] = (0.7, 0.3),
) -> Any:
    draws = np.random.default_rng(seed)
    age = draws.normal(40 + moved, 10, rows)
    return pa.record_batch(
        {
            "age": pa.array(age, mask=draws.random(rows) < missing),
            "plan": pa.array(draws.choice(plans, rows, p=shares)),
            "active": pa.array(draws.random(rows) < 0.9),
            "since": pa.array(np.arange(rows), pa.timestamp("s")),
        }
    )


def one(values: Any) -> Any:
    return pa.record_batch({"x": pa.array(values)})


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of("v1", lambda: [batch(10_000, seed) for seed in range(2)])


def judged(reference: Reference, rows: Any, importances: dict[str, float] | None = None) -> Verdict:
    return verdict(reference, reference.count(rows), SENSITIVITY, importances)


def drifted(found: Verdict) -> set[str]:
    return {name for name, column in found.columns.items() if column.drifted}


def test_a_window_like_the_training_rows_is_stable(reference: Reference) -> None:
    found = judged(reference, batch(2_000, 7))
    assert (found.outcome, drifted(found)) == ("stable", set())
    assert found.left_out.keys() == {"since"}
    assert found.sentence == "None of 3 columns moved noticeably in 2,000 rows."


@pytest.mark.parametrize(
    ("planted", "column", "question"),
    [
        ({"moved": 4.0}, "age", "values"),
        ({"missing": 0.2}, "age", "missing"),
        ({"moved": 60.0}, "age", "values"),
        ({"shares": (0.5, 0.5)}, "plan", "values"),
        ({"plans": ("basic", "plus", "gold"), "shares": (0.69, 0.3, 0.01)}, "plan", "new"),
    ],
)
def test_what_was_planted_is_found_and_said(
    reference: Reference, planted: dict[str, Any], column: str, question: str
) -> None:
    found = judged(reference, batch(2_000, 7, **planted))
    assert (found.outcome, drifted(found)) == ("drift", {column})
    answers = found.columns[column].answers
    assert min(answers, key=lambda answer: answer.chance).question == question
    assert found.sentence == f"1 of 3 columns moved: {column}."


def test_a_few_numbers_beyond_all_of_training_are_noticed(reference: Reference) -> None:
    rows = batch(2_000, 7)
    ages = rows.column("age").to_numpy(zero_copy_only=False).copy()
    ages[:20] = 1e6
    found = judged(reference, rows.set_column(0, "age", pa.array(ages, from_pandas=True)))
    answer = next(answer for answer in found.columns["age"].answers if answer.question == "range")
    assert answer.chance < 1e-15
    assert found.columns["age"].drifted


def test_a_column_that_became_all_null_is_told_by_its_missing_values(reference: Reference) -> None:
    found = judged(reference, batch(2_000, 7, missing=1.1))
    assert [answer.question for answer in found.columns["age"].answers] == ["missing"]
    assert found.columns["age"].drifted
    assert found.columns["age"].visible is None


def test_a_column_that_became_constant_drifts(reference: Reference) -> None:
    rows = batch(2_000, 7)
    assert drifted(judged(reference, rows.set_column(0, "age", pa.array([40.0] * 2_000)))) == {"age"}


def test_a_sure_difference_that_is_small_is_none(reference: Reference) -> None:
    small = reference.seasonal([reference.count(batch(300_000, 3))])
    found = verdict(small, small.count(batch(300_000, 4, moved=0.3)), SENSITIVITY)
    assert found.outcome == "stable"
    assert found.columns["age"].sentence.startswith("A difference is sure, and too small to matter")


@pytest.mark.parametrize(("rows", "outcome"), [(0, "no_traffic"), (299, "too_few"), (300, "stable")])
def test_too_few_rows_are_not_judged(reference: Reference, rows: int, outcome: str) -> None:
    assert judged(reference, batch(rows, 7)).outcome == outcome


def test_what_the_model_hardly_uses_wants_more_evidence(reference: Reference) -> None:
    rows = batch(600, 7, shares=(0.62, 0.38))
    used = judged(reference, rows, {"plan": 1.0}).columns["plan"]
    unused = judged(reference, rows, {"age": 1.0}).columns["plan"]
    assert used.adjusted < unused.adjusted
    assert used.visible is not None
    assert unused.visible is not None
    assert used.visible < unused.visible


def test_another_type_is_an_error_that_names_the_column(reference: Reference) -> None:
    rows = batch(400, 7).set_column(0, "age", pa.array(["x"] * 400))
    with pytest.raises(SchemaMismatch, match=r"(?s)'age'.*holds string, and number is expected"):
        reference.count(rows)


def test_a_missing_column_is_an_error(reference: Reference) -> None:
    with pytest.raises(SchemaMismatch, match=r"(?s)'plan'.*not there"):
        reference.count(batch(400, 7).drop_columns(["plan"]))


def test_numbers_that_are_not_finite_are_counted() -> None:
    held = reference_of("v1", lambda: [pa.record_batch({"x": [0.0, 1.0, 2.0]})])
    counts = held.count(pa.record_batch({"x": [float("nan"), float("inf"), -float("inf"), None]})).columns[
        "x"
    ]
    assert (counts.nulls, counts.below, counts.above, counts.rows) == (2, 1, 1, 4)


def test_every_row_is_in_the_reference_once(reference: Reference) -> None:
    assert reference.rows == 20_000
    assert {column.counts.rows for column in reference.columns.values()} == {20_000}
    assert len(reference.columns["age"].counts.bins) == 1_000


@given(st.lists(st.integers(0, 400), max_size=5), st.randoms())
def test_parts_add_up_to_the_window_in_any_order(
    reference: Reference, cuts: list[int], chance: Random
) -> None:
    rows = batch(400, 9)
    places = sorted({0, *cuts, 400})
    parts = [reference.count(rows.slice(a, b - a)) for a, b in pairwise(places)]
    chance.shuffle(parts)
    assert reduce(add, parts, reference.empty()) == reference.count(rows)


def test_counts_by_two_references_do_not_add(reference: Reference) -> None:
    with pytest.raises(ValueError, match="by v1 and by v2 do not add"):
        reference.empty() + reference.model_copy(update={"name": "v2"}).empty()


def test_counts_by_another_reference_are_not_judged(reference: Reference) -> None:
    with pytest.raises(ValueError, match="by v1 cannot be held against v2"):
        verdict(reference.model_copy(update={"name": "v2"}), reference.empty(), SENSITIVITY)


def test_a_reference_of_no_rows_is_an_error(reference: Reference) -> None:
    with pytest.raises(NoRows, match="'v1' would hold no rows"):
        reference.seasonal([])
    with pytest.raises(NoRows, match="no batch"):
        reference_of("v1", list)


def test_documents_are_read_as_they_were_written(reference: Reference) -> None:
    assert Reference.model_validate_json(reference.body()) == reference
    window = reference.count(batch(400, 7))
    assert Window.model_validate_json(window.body()) == window


def test_a_seasonal_reference_holds_windows_against_windows(reference: Reference) -> None:
    sundays = reference.seasonal([reference.count(batch(2_000, seed, moved=5.0)) for seed in range(20, 24)])
    assert sundays.rows == 8_000
    assert verdict(sundays, sundays.count(batch(2_000, 7, moved=5.0)), SENSITIVITY).outcome == "stable"


def test_what_is_called_visible_is_seen_in_four_cases_of_five() -> None:
    draws = np.random.default_rng(5)
    held = reference_of("v1", lambda: [one(draws.normal(size=20_000))])
    figure = judged(held, one(draws.normal(size=1_000))).columns["x"].visible
    assert figure is not None
    moved = 2 * stats.norm.ppf(0.5 + figure / 2)  # means so far apart have this greatest gap
    seen = [judged(held, one(draws.normal(moved, 1, 1_000))).outcome for _ in range(100)]
    assert seen.count("drift") >= 75


def test_unchanged_windows_raise_no_more_alarms_than_the_budget() -> None:
    draws = np.random.default_rng(6)
    names = [f"x{number}" for number in range(20)]

    def rows(count: int) -> Any:
        return pa.record_batch({name: pa.array(draws.normal(size=count)) for name in names})

    sensitivity = Sensitivity(alarms=3, windows=30, least_effect=0.0)
    alarms = 0
    for _ in range(20):
        held = reference_of("v1", [rows(5_000)].copy)
        alarms += sum(verdict(held, held.count(rows(500)), sensitivity).outcome == "drift" for _ in range(5))
    assert alarms <= 17  # 10 are expected at the most; more than 17 of 100 come once in a hundred times
