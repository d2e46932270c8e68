"""The contract of one column: what each type takes, as which value, and what is rejected and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from sluice.arrow import Array
from sluice.datasets import schema
from sluice.project import Column

NOT_INTEGER, NOT_NUMBER, NOT_BOOLEAN = "not an integer", "not a number", "not true or false"
NOT_ISO = "not an ISO 8601 timestamp"
EMPTY = "empty, and the column is not nullable"


def check(column: Column, cells: Array | Sequence[str | None], *, required: bool = False) -> schema.Checked:
    if not isinstance(cells, pa.Array):
        cells = pa.array(cells, pa.string())
    return schema.check(column, cells, null_values=("", "NA"), required=required)


def reasons(checked: schema.Checked) -> dict[str, list[int]]:
    """The positions of the rejected cells, by reason."""
    return {
        reason: [i for i, bad in enumerate(mask.to_pylist()) if bad] for reason, mask in checked.rejections
    }


INTEGERS = [
    ("3", 3),
    ("-3", -3),
    ("+5", 5),
    ("007", 7),
    ("-0", 0),
    (" 3", 3),
    ("3\t", 3),
    ("\u00a03 ", 3),
    ("3.0", 3),
    ("-3.000", -3),
    ("+03.0", 3),
    ("0" * 40 + "5", 5),
    ("999999999999999999", 999999999999999999),
    ("1000000000000000000", 10**18),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("+9223372036854775807", 2**63 - 1),
    ("9007199254740991.0", 2**53 - 1),
]
NO_INTEGERS = [
    "9223372036854775808",
    "-9223372036854775809",
    "9" * 5_000,
    "9007199254740992.0",
    "3.5",
    "3.",
    ".0",
    "1e3",
    "0x1F",
    "0XFF",
    "1,000",
    "1_000",
    "1 000",
    "--1",
    "+",
    "nan",
    "three",
    "٣",
    "true",
]
NUMBERS = [
    ("1", 1.0),
    ("-1.5", -1.5),
    ("+1.5", 1.5),
    ("1.", 1.0),
    (".5", 0.5),
    ("1e3", 1000.0),
    ("1E-3", 0.001),
    (" 1.5 ", 1.5),
    ("0.1", 0.1),
    ("1e-400", 0.0),
    ("12345678901234567890", 12345678901234567890.0),
    ("1.7976931348623157e308", 1.7976931348623157e308),
]
NO_NUMBERS = ["1,5", "1e", "e5", ".", "-", "nan", "NaN", "inf", "-Infinity", "1d5", "0x1F", "$5", "5%", "1 2"]
BOOLEANS = [
    (text, True) for text in ("true", "True", "TRUE", "t", "T", "yes", "Yes", "y", "Y", "1", " true ")
]
BOOLEANS += [
    (text, False) for text in ("false", "False", "FALSE", "f", "F", "no", "NO", "n", "N", "0", "no ")
]
NO_BOOLEANS = ["2", "-1", "1.0", "ja", "on", "tru", "yesno"]
TIMESTAMPS = [
    ("2024-02-29", datetime(2024, 2, 29)),
    ("20240229", datetime(2024, 2, 29)),
    ("2024-02-29 10", datetime(2024, 2, 29, 10)),
    ("2024-02-29 10:30", datetime(2024, 2, 29, 10, 30)),
    ("2024-02-29T10:30:15", datetime(2024, 2, 29, 10, 30, 15)),
    ("2024-02-29T10:30:15.25", datetime(2024, 2, 29, 10, 30, 15, 250_000)),
    ("2024-02-29T10:30:15.123456789", datetime(2024, 2, 29, 10, 30, 15, 123_456)),
    ("2024-02-29T10:30:15Z", datetime(2024, 2, 29, 10, 30, 15)),
    ("2024-02-29T10:30:15+02:00", datetime(2024, 2, 29, 8, 30, 15)),
    ("2024-02-29 10:30:15-0530", datetime(2024, 2, 29, 16, 0, 15)),
    (" 2024-02-29 ", datetime(2024, 2, 29)),
    ("0001-01-01", datetime(1, 1, 1)),
    ("9999-12-31T23:59:59", datetime(9999, 12, 31, 23, 59, 59)),
]
NO_TIMESTAMPS = [
    "2023-02-29",
    "29/02/2024",
    "2024-2-9",
    "2024-02-29 25:00",
    "2024-02-29 23:59:60",
    "0000-01-01",
    "0001-01-01T00:00:00+14:00",
    "yesterday",
    "1709200000",
]
GOOD: dict[str, list[tuple[str, Any]]] = {
    "integer": INTEGERS,
    "number": NUMBERS,
    "boolean": BOOLEANS,
    "timestamp": TIMESTAMPS,
}
BAD: dict[str, tuple[list[str], str]] = {
    "integer": (NO_INTEGERS, NOT_INTEGER),
    "number": (NO_NUMBERS, NOT_NUMBER),
    "boolean": (NO_BOOLEANS, NOT_BOOLEAN),
    "timestamp": (NO_TIMESTAMPS, NOT_ISO),
}


class TestText:
    @pytest.mark.parametrize(
        ("kind", "text", "value"), [(kind, *pair) for kind, pairs in GOOD.items() for pair in pairs]
    )
    def test_a_cell_becomes_this_value(self, kind: Any, text: str, value: object) -> None:
        checked = check(Column(type=kind), [text])
        assert checked.values.to_pylist() == [value]
        assert reasons(checked) == {}

    @pytest.mark.parametrize(
        ("kind", "text", "reason"), [(kind, t, why) for kind, (texts, why) in BAD.items() for t in texts]
    )
    def test_a_cell_is_rejected(self, kind: Any, text: str, reason: str) -> None:
        checked = check(Column(type=kind), [text])
        assert checked.values.to_pylist() == [None]
        assert reasons(checked) == {reason: [0]}

    @pytest.mark.parametrize("kind", list(GOOD))
    def test_a_cell_means_the_same_whatever_stands_beside_it(self, kind: Any) -> None:
        texts, reason = BAD[kind]
        checked = check(Column(type=kind), [*(text for text, _ in GOOD[kind]), *texts])
        assert checked.values.to_pylist() == [value for _, value in GOOD[kind]] + [None] * len(texts)
        at = len(GOOD[kind])
        assert reasons(checked) == {reason: list(range(at, at + len(texts)))}

    @pytest.mark.parametrize("beside", ["1", "1.5", " 1"])
    @pytest.mark.parametrize("text", ["1e400", "-1e400"])
    def test_a_number_too_large_is_not_finite(self, text: str, beside: str) -> None:
        checked = check(Column(type="number", min=-1, max=1e9), [beside, text])
        assert reasons(checked)["not a finite number"] == [1]

    def test_text_is_taken_without_the_blanks_around_it(self) -> None:
        checked = check(Column(type="string", nullable=True), [" a b ", "ü\n", "1"])
        assert checked.values.to_pylist() == ["a b", "ü", "1"]
        assert reasons(checked) == {}

    def test_blanks_are_those_of_every_script(self) -> None:
        checked = check(Column(type="string"), ["\u00a0a\u3000", "\u2003b", "ü"])
        assert checked.values.to_pylist() == ["a", "b", "ü"]

    @pytest.mark.parametrize("text", [str(-(2**63)), str(2**63 - 1)])
    def test_bounds_beyond_all_integers_reject_none(self, text: str) -> None:
        checked = check(Column(type="integer", min=-1e300, max=1e300), [text])
        assert checked.values.to_pylist() == [int(text)]
        assert reasons(checked) == {}

    @pytest.mark.parametrize("kind", list(GOOD))
    def test_blanks_around_a_null_value_are_nothing(self, kind: Any) -> None:
        cells = ["  ", " NA ", None, "x"]
        nullable = check(Column(type=kind, nullable=True), cells)
        assert (nullable.nulls, reasons(nullable)) == (3, {BAD[kind][1]: [3]})
        strict = check(Column(type=kind), cells)
        assert reasons(strict) == {BAD[kind][1]: [3], EMPTY: [0, 1, 2]}

    @pytest.mark.parametrize(
        ("layout", "text", "moment"),
        [
            ("%d/%m/%Y", "29/02/2024", datetime(2024, 2, 29)),
            ("%d/%m/%Y", " 1/2/2024 ", datetime(2024, 2, 1)),
            ("%d.%m.%y %H:%M", "29.02.24 10:30", datetime(2024, 2, 29, 10, 30)),
            ("%Y%m%d", "20240229", datetime(2024, 2, 29)),
            ("%Y-%m-%d %H:%M:%S %z", "2024-02-29 01:00:00 +0200", datetime(2024, 2, 28, 23)),
        ],
    )
    def test_a_timestamp_is_read_by_its_format(self, layout: str, text: str, moment: datetime) -> None:
        column = Column(type="timestamp", format=layout, nullable=True)
        checked = check(column, [text, None, "2024-02-29T10", text])
        assert checked.values.to_pylist() == [moment, None, None, moment]
        assert reasons(checked) == {f"not a timestamp of the form {layout}": [2]}

    def test_no_cells_are_no_trouble(self) -> None:
        for kind in ("string", *GOOD):
            checked = check(Column.model_validate({"type": kind, "nullable": True}), [])
            assert (len(checked.values), checked.nulls, reasons(checked)) == (0, 0, {})

    def test_a_column_of_nulls_is_fine_where_it_is_nullable(self) -> None:
        for kind in ("string", *GOOD):
            checked = check(Column.model_validate({"type": kind, "nullable": True}), [None, None])
            assert (checked.values.to_pylist(), checked.nulls, reasons(checked)) == ([None, None], 2, {})


class TestRules:
    def test_a_null_is_rejected_unless_the_column_is_nullable(self) -> None:
        assert reasons(check(Column(type="string"), ["a", None])) == {EMPTY: [1]}
        assert reasons(check(Column(type="string", nullable=True), ["a", None])) == {}

    def test_a_required_column_takes_no_null_and_does_not_blame_nullable(self) -> None:
        checked = check(Column(type="string", nullable=True), ["a", None], required=True)
        assert reasons(checked) == {"empty, and neither the target nor the key or timestamp may be": [1]}

    def test_bounds_are_part_of_the_range(self) -> None:
        column = Column(type="integer", min=0, max=100, nullable=True)
        checked = check(column, ["-1", "0", "100", "101", None, "x"])
        assert reasons(checked) == {
            NOT_INTEGER: [5],
            "below the minimum 0": [0],
            "above the maximum 100": [3],
        }

    def test_bounds_between_two_integers_hold(self) -> None:
        checked = check(Column(type="integer", min=0.5, max=2.5), ["0", "1", "2", "3"])
        assert reasons(checked) == {"below the minimum 0.5": [0], "above the maximum 2.5": [3]}

    def test_bounds_hold_for_integers_no_float_can_tell_apart(self) -> None:
        column = Column(type="integer", min=0, max=2.0**63)
        checked = check(column, ["9007199254740993", "9223372036854775807", "-9007199254740993"])
        assert reasons(checked) == {"below the minimum 0": [2]}

    def test_a_bound_is_shown_as_it_was_written(self) -> None:
        checked = check(Column(type="number", min=-1234567, max=0.1), ["-1e9", "7"])
        assert list(reasons(checked)) == ["below the minimum -1234567", "above the maximum 0.1"]

    def test_number_bounds_are_exact(self) -> None:
        checked = check(Column(type="number", min=0.1, max=0.3), ["0.1", "0.3", "0.09999", "0.30001"])
        assert reasons(checked) == {"below the minimum 0.1": [2], "above the maximum 0.3": [3]}

    def test_a_category_is_a_whole_cell_as_it_is_written(self) -> None:
        column = Column(type="string", categories=("a", "b", 3), nullable=True)
        checked = check(column, ["a", "A", " b", "b", "3", "a b", None])
        assert reasons(checked) == {"not one of a, b, 3": [1, 5]}

    def test_an_integer_category_is_a_number(self) -> None:
        checked = check(Column(type="integer", categories=(1, "2")), ["1", "01", "2.0", "+2", "3", "x"])
        assert reasons(checked) == {NOT_INTEGER: [5], "not one of 1, 2": [4]}

    def test_of_many_categories_the_first_are_named(self) -> None:
        column = Column(type="string", categories=tuple("abcdefghijk"))
        assert list(reasons(check(column, ["z"]))) == ["not one of a, b, c, d, e, f, g, h and 3 more"]


def typed(values: Sequence[Any], kind: pa.DataType | None = None) -> Array:
    return pa.array(values, kind)


class TestTypedCells:
    @pytest.mark.parametrize(
        ("kind", "cells", "values", "rejected"),
        [
            ("integer", typed([1, None], pa.int8()), [1, None], {}),
            ("integer", typed([1, 2**64 - 1], pa.uint64()), [1, None], {NOT_INTEGER: [1]}),
            ("integer", typed([1.0, 2.5, 1e16, -0.0]), [1, None, None, 0], {NOT_INTEGER: [1, 2]}),
            ("integer", typed([1.0, float("inf")], pa.float32()), [1, None], {NOT_INTEGER: [1]}),
            ("integer", typed([Decimal("3.00"), Decimal("3.50")]), [3, None], {NOT_INTEGER: [1]}),
            ("integer", typed([True, False]), [1, 0], {}),
            ("integer", typed([date(2024, 1, 1)]), [None], {NOT_INTEGER: [0]}),
            ("integer", typed([datetime(2024, 1, 1)]), [None], {NOT_INTEGER: [0]}),
            ("integer", typed(["1", " 2.0 ", "x"], pa.string()), [1, 2, None], {NOT_INTEGER: [2]}),
            ("number", typed([1, 2**53 + 1]), [1.0, float(2**53 + 1)], {}),
            ("number", typed([0.5, None], pa.float32()), [0.5, None], {}),
            ("number", typed([0.5], pa.float16()), [0.5], {}),
            ("number", typed([Decimal("0.10"), Decimal("12.30")]), [0.1, 12.3], {}),
            ("number", typed([True]), [1.0], {}),
            ("number", typed([datetime(2024, 1, 1)]), [None], {NOT_NUMBER: [0]}),
            ("boolean", typed([True, None]), [True, None], {}),
            ("boolean", typed([0, 1, 2]), [False, True, None], {NOT_BOOLEAN: [2]}),
            ("string", typed([1, None]), ["1", None], {}),
            ("string", typed([1.0, 1.5]), ["1", "1.5"], {}),
            ("string", typed([True]), ["true"], {}),
            ("string", typed([date(2024, 1, 1)]), ["2024-01-01"], {}),
            ("timestamp", typed([date(2024, 1, 1), None]), [datetime(2024, 1, 1), None], {}),
            ("timestamp", typed([date(2024, 1, 1)], pa.date64()), [datetime(2024, 1, 1)], {}),
            ("timestamp", typed(["2024-01-01"], pa.string()), [datetime(2024, 1, 1)], {}),
            ("timestamp", typed([1.5]), [None], {NOT_ISO: [0]}),
        ],
    )
    def test_a_typed_cell_becomes_this_value(
        self, kind: Any, cells: Array, values: list[object], rejected: dict[str, list[int]]
    ) -> None:
        checked = check(Column(type=kind, nullable=True), cells)
        assert checked.values.type == schema.arrow_type(Column(type=kind))
        assert checked.values.to_pylist() == values
        assert reasons(checked) == rejected

    @pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
    def test_a_moment_is_kept_in_utc(self, unit: Any) -> None:
        noon = datetime(2024, 7, 1, 12, tzinfo=UTC)
        berlin = pa.array([noon], pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, "Europe/Berlin"))
        checked = check(Column(type="timestamp"), berlin)
        assert checked.values.to_pylist() == [datetime(2024, 7, 1, 12)]

    def test_nanoseconds_are_cut_to_microseconds(self) -> None:
        checked = check(Column(type="timestamp"), typed([1_999], pa.timestamp("ns")))
        assert checked.values.to_pylist() == [datetime(1970, 1, 1, 0, 0, 0, 1)]

    @pytest.mark.parametrize(
        "cells",
        [
            typed([0, 2**62], pa.timestamp("us")),
            typed([0, 2**62], pa.timestamp("s")),
            typed([0, 2**62], pa.timestamp("s", "UTC")),
            typed([0, -(10**11)], pa.timestamp("s")),
            typed([0, 2**31 - 1], pa.date32()),
        ],
    )
    def test_a_moment_outside_the_calendar_is_rejected(self, cells: Array) -> None:
        checked = check(Column(type="timestamp"), cells)
        assert checked.values.to_pylist() == [datetime(1970, 1, 1), None]
        assert reasons(checked) == {NOT_ISO: [1]}

    def test_infinity_is_not_a_finite_number(self) -> None:
        checked = check(Column(type="number"), typed([1.0, float("inf"), float("nan")]))
        assert reasons(checked) == {"not a finite number": [1, 2]}
