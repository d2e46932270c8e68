"""An endpoint's answers beside those of the evaluation: the very same bits, or all but the last of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.payloads.golden import GoldenAnswers, Verdict
from sluice.release.golden import refused, verify

PROBABILITY = 0.1234567890123456


def golden(*answers: tuple[float, ...], exact: bool = True) -> GoldenAnswers:
    return GoldenAnswers(instances=tuple({"age": 1} for _ in answers), answers=answers, exact=exact)


def csv(*answers: tuple[float, ...]) -> bytes:
    return "".join(",".join(map(repr, each)) + "\n" for each in answers).encode()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_what_was_recorded_is_the_same_as_itself_after_a_way_through_json(values: list[float]) -> None:
    recorded = golden(*((value,) for value in values))
    found = verify(GoldenAnswers.model_validate_json(recorded.body()), csv(*recorded.answers))
    assert (found.verdict, found.rows, found.difference) == (Verdict.SAME, len(values), None)


def test_one_bit_is_a_difference_where_bits_are_the_same_everywhere() -> None:
    other = math.nextafter(PROBABILITY, 1)
    found = verify(golden((0.5,), (PROBABILITY,)), csv((0.5,), (other,)))
    assert found.verdict is Verdict.DIFFERENT
    assert found.difference == f"row 2 of 2: {other!r} for {PROBABILITY!r}"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [(1e-12, Verdict.SAME), (1e-7, Verdict.DIFFERENT), (-1e-7, Verdict.DIFFERENT)],
)
def test_of_a_fitted_pipeline_the_last_digits_may_differ(change: float, verdict: Verdict) -> None:
    recorded = golden((PROBABILITY, 1 - PROBABILITY), (1e6, -1e6), exact=False)
    answered = [tuple(each * (1 + change) for each in row) for row in recorded.answers]
    assert verify(recorded, csv(*answered)).verdict is verdict


@pytest.mark.parametrize(
    ("answered", "difference"),
    [
        (b"0.5\n", "1 answers to 2 rows"),
        (b"0.5\n0.25\n0.25\n", "3 answers to 2 rows"),
        (b"", "0 answers to 2 rows"),
        (b"0.5\n0.25,0.75\n", "row 2 of 2: 2 numbers for 1"),
        (b'{"predictions":[]}', "the answer is none of numbers"),
        (b"\xff\xfe", "the answer is none of numbers"),
        (b"0.5\nnan\n", "row 2 of 2: nan for 0.25"),
        (b"0.25\n0.5\n", "row 1 of 2: 0.25 for 0.5"),
    ],
)
def test_what_is_another_answer_is_said(answered: bytes, difference: str) -> None:
    for exact in (True, False):
        found = verify(golden((0.5,), (0.25,), exact=exact), answered)
        assert (found.verdict, found.difference) == (Verdict.DIFFERENT, difference)


def test_a_model_that_refuses_the_rows_is_another() -> None:
    found = refused(golden((0.5,)), 400, "unknown feature 'age'" + "x" * 1000)
    assert found.verdict is Verdict.DIFFERENT
    assert found.difference is not None
    assert found.difference.startswith("it refuses the rows with 400: unknown feature 'age'")
    assert len(found.difference) < 260
