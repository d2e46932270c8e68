"""In what the rows of two training sets differ: counts and columns, never a value."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from sluice.reproducing.rows import differences

ROWS = pa.table(
    {
        "age": [1.0, 2.0, math.nan],
        "job": ["clerk", None, "nurse"],
        "y": ["no", "yes", "no"],
        "__key": list("abc"),
    }
)


def changed(name: str, values: list[object]) -> pa.Table:
    place = ROWS.column_names.index(name)
    return ROWS.set_column(place, name, pa.array(values, ROWS[name].type))


def test_the_same_rows_do_not_differ() -> None:
    assert differences(ROWS, pa.concat_tables([ROWS.slice(0, 1), ROWS.slice(1)])) == ()


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (ROWS.slice(1), {"rows": ("3", "2")}),
        (ROWS.drop_columns(["job"]), {"columns": ("age, job, y, __key", "age, y, __key")}),
        (changed("age", [1.0, 2.0, 3.0]), {"age": ("1 rows of 3", "other values")}),
        (changed("job", ["clerk", "", "nurse"]), {"job": ("1 rows of 3", "other values")}),
        (ROWS.take([2, 1, 0]), {"order of the rows": ("as recorded", "another")}),
    ],
)
def test_what_differs_is_counted(again: pa.Table, expected: dict[str, tuple[str, str]]) -> None:
    assert {each.what: (each.recorded, each.again) for each in differences(ROWS, again)} == expected


def test_no_value_is_told() -> None:
    told = differences(ROWS, changed("job", ["secret", "secret", "secret"]))
    assert "secret" not in repr(told)
    assert "clerk" not in repr(told)


def test_zeros_of_two_signs_and_types_are_two() -> None:
    zeros = pa.table({"x": [0.0]})
    assert differences(zeros, pa.table({"x": [-0.0]}))
    assert [each.what for each in differences(zeros, pa.table({"x": [0]}))] == ["type of x"]
