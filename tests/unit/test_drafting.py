from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sluice.drafting.draft import draft_project
from sluice.drafting.sampling import read_sample
from sluice.errors import NoRows, OneClassTarget, ProjectError
from tests.support.tables import ROWS, column, cycle, drafted, labels, numbers, write


class TestTarget:
    @pytest.mark.parametrize(
        ("values", "problem", "positive"),
        [
            (("no", "no", "yes"), "binary", "yes"),
            (("Y", "Y", "N"), "binary", "Y"),
            (("0", "1"), "binary", "1"),
            (("True", "False"), "binary", "true"),
            (("good", "good", "bad"), "binary", "bad"),
            (("kept", "kept", "gone"), "binary", "gone"),
            (("0.0", "0.0", "1.0"), "binary", "1"),
            (("1", "1", "-1"), "binary", "1"),
            (("1", "1", "2"), "binary", "2"),
            (("No.", "Yes.", "Yes."), "binary", "Yes."),
            (("tested_positive", "tested_positive", "tested_negative"), "binary", "tested_positive"),
            (("churned", "churned", "not churned"), "binary", "churned"),
            (("1", "1", "0"), "binary", "1"),
            ((" yes", "yes ", "no"), "binary", "yes"),
            (("1.0", "2.0", "3.0"), "multiclass", None),
            (("a", "b", "c"), "multiclass", None),
            (("3", "4", "5", "6"), "multiclass", None),
        ],
    )
    def test_classes(
        self, tmp_path: Path, values: tuple[str, ...], problem: str, positive: str | None
    ) -> None:
        draft = drafted(tmp_path, {"y": cycle(*values)})
        assert (draft.problem, draft.positive) == (problem, positive)

    @pytest.mark.parametrize("values", [numbers(5), [*range(1000, 1000 + ROWS)], cycle(*range(40))])
    def test_numbers(self, tmp_path: Path, values: list[object]) -> None:
        assert drafted(tmp_path, {"y": values}).problem == "regression"

    def test_the_user_may_name_the_positive_class(self, tmp_path: Path) -> None:
        assert drafted(tmp_path, {"y": labels()}, positive="no").positive == "no"

    def test_a_positive_class_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="no class"):
            drafted(tmp_path, {"y": labels()}, positive="maybe")

    def test_one_class_only(self, tmp_path: Path) -> None:
        with pytest.raises(OneClassTarget, match="one value only"):
            drafted(tmp_path, {"y": cycle("yes")})

    def test_no_value_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(NoRows, match="no row"):
            drafted(tmp_path, {"y": cycle("")})

    def test_free_text_is_no_target(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="neither a number nor"):
            drafted(tmp_path, {"y": [f"text {row}" for row in range(ROWS)]})

    @pytest.mark.parametrize(
        ("classes", "filled", "allowed"),
        [(100, 400, True), (101, 400, False), (50, 100, True), (51, 100, False)],
    )
    def test_classes_are_a_hundred_at_most_and_come_twice(
        self, tmp_path: Path, classes: int, filled: int, allowed: bool
    ) -> None:
        values: list[object] = [f"c{row % classes}" if row < filled else "" for row in range(ROWS)]
        if allowed:
            assert drafted(tmp_path, {"y": values}).problem == "multiclass"
        else:
            with pytest.raises(ProjectError, match=f"{classes} different texts in {filled} rows, as 'c0'"):
                drafted(tmp_path, {"y": values})

    def test_a_name_that_is_nearly_a_column(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="did you mean 'Churn'"):
            drafted(tmp_path, {"Churn": labels()}, target="chrun")

    def test_rows_without_a_target_are_counted_as_rejected(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"y": cycle("yes", "no", "no", "")})
        assert draft.expected_rejects == 0.25
        assert "100 rows without a value" in column(draft, "y").notes[0]

    def test_how_often_something_happened_is_a_number(self, tmp_path: Path) -> None:
        times = [0] * 280 + [1] * 60 + [2] * 30 + [3] * 20 + [4] * 8 + [9] * 2
        assert drafted(tmp_path, {"y": list(times)}).problem == "regression"

    def test_a_target_with_a_decimal_comma_is_a_number(self, tmp_path: Path) -> None:
        path = write(
            tmp_path, {"a": numbers(3), "y": [str(v).replace(".", ",") for v in numbers(4)]}, delimiter=";"
        )
        draft = draft_project(read_sample(path), target="y")
        assert draft.problem == "regression"
        assert column(draft, "y").notes[0].startswith("numbers written with a decimal comma, as ")

    def test_classes_that_differ_in_capitals_only_are_said(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"y": cycle("No", "no", "Yes")})
        assert "'No' and 'no' are different classes" in draft.warnings[0]

    @pytest.mark.parametrize("values", [("True", "False", "true"), ("TRUE", "false", "False", "true")])
    def test_spellings_of_true_and_false_are_one_class(self, tmp_path: Path, values: tuple[str, ...]) -> None:
        draft = drafted(tmp_path, {"y": cycle(*values)})
        assert (draft.problem, draft.positive, draft.warnings) == ("binary", "true", ())

    def test_the_name_of_the_key_is_taken(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="cannot be called '__key'"):
            drafted(tmp_path, {"__key": labels()}, target="__key")


class TestParts:
    @pytest.mark.parametrize(
        ("name", "values", "role"),
        [
            ("flag", cycle(0, 1), "categorical"),
            ("region", cycle(101, 205, 330), "categorical"),
            ("plan", cycle(1, 2, 3, 4), "categorical"),
            ("children", cycle(0, 1, 2, 3), "numeric"),
            ("area code", cycle(*range(400, 430)), "categorical"),
            ("overall", cycle(*range(1, 11)), "numeric"),
            ("score", cycle(1, 2, 3, 4, 5), "numeric"),
            ("model_year", cycle(2019, 2020, 2021), "numeric"),
            ("visits", cycle(*range(50)), "numeric"),
            ("zip", cycle("01234", "99999", "12345"), "categorical"),
            ("store_id", cycle(*range(12)), "categorical"),
            ("customerID", [f"C-{row}" for row in range(ROWS)], "left out"),
            ("customer_id", cycle(*range(1000, 1100)), "left out"),
            ("rownum", list(range(ROWS)), "left out"),
            ("token", [f"{row:08x}-0000-4000-8000-{row:012x}" for row in range(ROWS)], "left out"),
            ("constant", cycle("x"), "left out"),
            ("empty", cycle(""), "left out"),
            (
                "notes",
                [f"customer number {row} called and was not happy at all" for row in range(ROWS)],
                "left out",
            ),
            ("signup", [f"2024-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(ROWS)], "left out"),
            ("", list(range(ROWS)), "left out"),
            ("__key", cycle(1, 2, 3), "left out"),
            ("EmployeeNumber", [1 + 2 * row + row % 2 for row in range(ROWS)], "left out"),
            ("Year", list(range(1600, 1600 + ROWS)), "numeric"),
            ("PULocationID", cycle(*range(1, 31)), "categorical"),
            ("air_quality_index", cycle(*range(50)), "numeric"),
            ("adults", cycle(1, 2, 3, 5), "numeric"),
            ("status", cycle(1, 2, 3, 5), "categorical"),
            ("Surname", [f"name {row % 150}" for row in range(ROWS)], "left out"),
            ("rate", [f"{row % 90}.{row % 10}%" for row in range(ROWS)], "numeric"),
            ("ca", cycle("0.0", "1.0", "2.0"), "categorical"),
            ("income", list(range(20_000, 20_000 + 37 * ROWS, 37)), "numeric"),
        ],
    )
    def test_parts(self, tmp_path: Path, name: str, values: list[object], role: str) -> None:
        found = column(drafted(tmp_path, {name: values, "y": labels()}), name)
        assert found.role == role
        assert bool(found.reason) == (role == "left out")

    @pytest.mark.parametrize("name", ["x", "Unnamed: 0", "__index_level_0__", "X", "nr", "...1", "rank"])
    @pytest.mark.parametrize("start", [0, 1, 1000])
    def test_row_numbers_in_any_order_are_no_feature(self, tmp_path: Path, name: str, start: int) -> None:
        values: list[object] = list(range(start, start + ROWS))
        random.Random(start).shuffle(values)
        found = column(drafted(tmp_path, {name: values, "y": labels()}), name)
        assert (found.role, found.leak) == ("left out", False)
        assert "400 different" in found.reason

    @pytest.mark.parametrize("start", [0, 1])
    def test_row_numbers_of_a_small_file_are_complete(self, tmp_path: Path, start: int) -> None:
        values: list[object] = list(range(start, start + 40))
        random.Random(1).shuffle(values)
        gaps: list[object] = list(random.Random(1).sample(range(80), 40))
        draft = drafted(tmp_path, {"x": values, "gaps": gaps, "y": labels(rows=40)})
        assert (column(draft, "x").role, column(draft, "gaps").role) == ("left out", "numeric")

    @pytest.mark.parametrize("name", ["x", "Unnamed: 0.1", "level_0"])
    def test_row_numbers_of_which_some_were_left_out(self, tmp_path: Path, name: str) -> None:
        """Rows were dropped, or this is the larger side of a split."""
        values: list[object] = list(random.Random(6).sample(range(600), ROWS))
        assert column(drafted(tmp_path, {name: values, "y": labels()}), name).role == "left out"

    def test_row_numbers_of_files_put_together_start_anew(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"Unnamed: 0": cycle(*range(ROWS // 2)), "y": labels()})
        assert column(draft, "Unnamed: 0").role == "left out"
        assert draft.entity_suggestion is None

    @pytest.mark.parametrize("name", ["Unnamed: 0", "__index_level_0__"])
    def test_a_row_number_is_no_entity(self, tmp_path: Path, name: str) -> None:
        assert drafted(tmp_path, {name: list(range(ROWS)), "y": labels()}).entity_suggestion is None

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("amount", random.Random(7).sample(range(100_000), ROWS)),
            ("visits", [row // 2 for row in range(ROWS)]),
            ("X", cycle(*range(1, 10))),
            ("day", list(range(ROWS))),
        ],
    )
    def test_quantities_are_no_row_numbers(self, tmp_path: Path, name: str, values: list[object]) -> None:
        assert column(drafted(tmp_path, {name: values, "y": labels()}), name).role == "numeric"

    def test_counts_that_thin_out_from_zero_are_quantities(self, tmp_path: Path) -> None:
        values = [0] * 200 + [1] * 100 + [2] * 60 + [3] * 30 + [5] * 10
        random.Random(3).shuffle(values)
        assert column(drafted(tmp_path, {"sib": list(values), "y": labels()}), "sib").role == "numeric"

    def test_a_maximum_is_never_enforced_but_for_flags_and_parts_of_dates(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"tenure": cycle(*range(73)), "flag": cycle(0, 1), "y": labels()})
        assert (column(draft, "tenure").min, column(draft, "tenure").max) == (0, None)
        assert (column(draft, "flag").min, column(draft, "flag").max) == (0, 1)
        assert (column(draft, "anchor").min, column(draft, "anchor").max) == (None, None)

    def test_rare_categories_are_written_down_but_not_enforced(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"kind": [*cycle("a", "b", rows=ROWS - 1), "odd"], "y": labels()})
        assert (column(draft, "kind").categories, column(draft, "kind").rare) == (("a", "b", "odd"), True)

    def test_a_date_split_over_columns(self, tmp_path: Path) -> None:
        parts: dict[str, list[object]] = {
            "year": cycle(2022, 2023, 2024),
            "month": cycle(*range(1, 13)),
            "day": cycle(*range(1, 29)),
        }
        draft = drafted(tmp_path, {**parts, "y": labels()})
        assert {column(draft, name).role for name in parts} == {"numeric"}
        assert (column(draft, "month").min, column(draft, "month").max) == (1, 12)
        assert "split over year, month, day" in column(draft, "day").notes[0]

    def test_an_identifier_is_suggested_as_the_entity(self, tmp_path: Path) -> None:
        columns: dict[str, list[object]] = {"client_id": list(range(5000, 5000 + ROWS)), "y": labels()}
        assert drafted(tmp_path, columns).entity_suggestion == "client_id"
        assert drafted(tmp_path, columns, entity="client_id").entity_suggestion is None

    def test_an_entity_that_repeats_needs_a_timestamp(self, tmp_path: Path) -> None:
        columns: dict[str, list[object]] = {
            "client": cycle(*range(100)),
            "at": [f"2024-01-{1 + row // 100:02}" for row in range(ROWS)],
            "y": labels(),
        }
        with pytest.raises(ProjectError, match="300 of 400 rows would be rejected") as caught:
            drafted(tmp_path, columns, entity="client")
        assert "--timestamp with at" in str(caught.value)
        assert drafted(tmp_path, columns, entity="client", timestamp="at").warnings == ()

    def test_a_few_repeated_entities_are_said(self, tmp_path: Path) -> None:
        client: list[object] = [f"c{row}" for row in range(ROWS)]
        client[1] = client[0]
        draft = drafted(tmp_path, {"client": client, "y": labels()}, entity="client")
        assert "1 of 400 rows would be rejected" in draft.warnings[0]

    def test_a_timestamp_has_to_hold_timestamps(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="holds no timestamps"):
            drafted(tmp_path, {"y": labels()}, timestamp="anchor")

    @pytest.mark.parametrize(
        ("ways", "said"),
        [
            (("%Y-%m-%d", "%d.%m.%Y"), "in 2 ways"),
            (("%d/%m/%Y", "%m/%d/%Y"), "in 2 ways"),
            (("%Y-%m-%d %H:%M:%S", "%d/%m/%Y", "%Y%m%d"), "in 3 ways"),
            (("%b %d %Y", "%Y/%m/%d"), "in 2 ways"),
            (("%Y-%m-%d",) * 19 + ("soon",), "no date: 'soon'"),
        ],
    )
    def test_dates_in_more_than_one_way_are_said(
        self, tmp_path: Path, ways: tuple[str, ...], said: str
    ) -> None:
        days = [datetime(2023, 1, 1) + timedelta(days=row) for row in range(ROWS)]
        dates: list[object] = [day.strftime(ways[row % len(ways)]) for row, day in enumerate(days)]
        draft = drafted(tmp_path, {"day": dates, "y": labels()})
        [note] = draft.warnings
        assert note.startswith("day: dates written ")
        assert said in note
        assert column(draft, "day").role == "left out"
        assert "written in one way, they are dates" in column(draft, "day").notes[0]
        with pytest.raises(ProjectError, match="holds no timestamps") as caught:
            drafted(tmp_path, {"day": dates, "y": labels()}, timestamp="day")
        assert said in caught.value.why

    @pytest.mark.parametrize(
        "values",
        [
            cycle("10-12", "12-14", "14-16"),
            [f"192.168.{row % 9}.{row}" for row in range(ROWS)],
            [f"May {row % 40 + 40}" for row in range(ROWS)],
            [f"1.{row % 30}.{row}" for row in range(ROWS)],
        ],
    )
    def test_what_is_no_date_is_not_called_one(self, tmp_path: Path, values: list[object]) -> None:
        assert drafted(tmp_path, {"v": values, "y": labels()}).warnings == ()

    def test_a_leak_stays_where_nothing_else_is_left(self, tmp_path: Path) -> None:
        y = labels()
        path = write(tmp_path, {"x": [1 if label == "yes" else 0 for label in y], "y": y})
        draft = draft_project(read_sample(path), target="y")
        assert column(draft, "x").role == "categorical"
        assert "alone, this column gives y away" in column(draft, "x").notes[-1]
        assert draft.warnings == ("x alone gives y away, and stays because nothing else is left",)

    def test_what_is_filled_in_only_where_the_target_is_not(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"x": cycle("", "", 1, 2), "y": cycle("yes", "no", "", "")})
        assert column(draft, "x").reason == "never filled in where y is"

    def test_dates_alone_can_be_made_numbers_of(self, tmp_path: Path) -> None:
        path = write(tmp_path, {"day": [f"2024-01-{1 + row % 28:02}" for row in range(ROWS)], "y": labels()})
        with pytest.raises(ProjectError, match="make numbers of the dates"):
            draft_project(read_sample(path), target="y")

    def test_nothing_left_to_learn_from(self, tmp_path: Path) -> None:
        path = write(tmp_path, {"constant": cycle("x"), "y": labels()})
        with pytest.raises(ProjectError, match="always 'x'"):
            draft_project(read_sample(path), target="y")
