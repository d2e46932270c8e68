"""Parts of the rows: each row is in one, and what cannot be parted is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import EvaluationFailed
from sluice.judging import slices


@given(st.lists(st.sampled_from(["a", "b", "", None]), min_size=1, max_size=40))
def test_every_row_is_in_the_part_of_its_value_and_in_no_other(values: list[str | None]) -> None:
    parts = list(slices.by_value("c", np.array(values, dtype=object)))
    assert (np.sum([part.rows for part in parts], axis=0) == 1).all()
    for part in parts:
        expected = [("(null)" if value is None else value) == part.value for value in values]
        assert part.rows.tolist() == expected
    sizes = [int(part.rows.sum()) for part in parts]
    assert sizes == sorted(sizes, reverse=True)


def test_a_column_with_many_values_is_refused_with_what_to_do() -> None:
    values = np.array([f"v{number}" for number in range(51)], dtype=object)
    with pytest.raises(EvaluationFailed) as caught:
        list(slices.by_value("city", values))
    assert caught.value.what == "the held-out rows cannot be parted by 'city': it has 51 values"
    assert "`values` or, of numbers, `cuts`" in caught.value.fix
    assert len(list(slices.by_value("city", values[:50]))) == 50


def test_named_values_are_parts_though_no_row_has_them() -> None:
    values = np.array(["a", None, "b", "a"], dtype=object)
    parts = list(slices.of_values("c", values, ["a", "gone"]))
    assert [(part.value, part.rows.tolist()) for part in parts] == [
        ("a", [True, False, False, True]),
        ("gone", [False] * 4),
    ]


def test_numbers_are_parted_from_a_bound_up_to_the_next() -> None:
    numbers = np.array([-5.0, 11.9, 12.0, 35.9, 36.0, np.nan, 100.0])
    parts = {
        part.value: np.flatnonzero(part.rows).tolist() for part in slices.between("n", numbers, [12, 36])
    }
    assert parts == {"below 12": [0, 1], "12 to below 36": [2, 3], "36 and above": [4, 6], "(null)": [5]}
    assert [part.value for part in slices.between("n", numbers[:5], [12.5])] == [
        "below 12.5",
        "12.5 and above",
    ]
