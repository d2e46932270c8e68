from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.drafting import Draft, draft_project
from sluice.errors import (
    EmptyFile,
    NoRows,
    ObjectNotFound,
    OneClassTarget,
    ProjectError,
    SchemaMismatch,
    UnreadableFile,
)
from sluice.profiling import ColumnProfile, profile
from sluice.roles import ColumnDraft
from sluice.sampling import read_sample

ROWS = 400


def write(
    folder: Path, columns: dict[str, list[object]], *, delimiter: str = ",", name: str = "data.csv"
) -> Path:
    path = folder / name
    lines = [delimiter.join(columns)]
    lines += [delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def cycle(*values: object, rows: int = ROWS) -> list[object]:
    return [values[row % len(values)] for row in range(rows)]


def numbers(seed: int = 1, rows: int = ROWS) -> list[object]:
    dice = random.Random(seed)
    return [f"{dice.uniform(-50, 50):.3f}" for _ in range(rows)]


def labels(seed: int = 2, rows: int = ROWS) -> list[object]:
    dice = random.Random(seed)
    return [dice.choice(["yes", "no"]) for _ in range(rows)]


def one(folder: Path, values: list[object], **options: str) -> ColumnProfile:
    """Profile a single column, beside another one so that there is a delimiter."""
    path = write(folder, {"column": values, "other": list(range(len(values)))}, **options)
    return profile(read_sample(path))[0]


def drafted(folder: Path, columns: dict[str, list[object]], target: str = "y", **options: str) -> Draft:
    columns = {"anchor": numbers(99, len(next(iter(columns.values())))), **columns}
    return draft_project(read_sample(write(folder, columns)), target=target, **options)


def column(draft: Draft, name: str) -> ColumnDraft:
    return next(column for column in draft.columns if column.name == name)


class TestReading:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_the_delimiter_is_the_one_that_gives_every_row_the_headers_fields(
        self, tmp_path: Path, delimiter: str
    ) -> None:
        path = write(tmp_path, {"a": cycle(1, 2), "b c": cycle("x", "y")}, delimiter=delimiter)
        sample = read_sample(path)
        assert (sample.delimiter, sample.table.column_names, sample.rows) == (delimiter, ["a", "b c"], ROWS)

    def test_commas_within_the_fields_do_not_hide_a_semicolon(self, tmp_path: Path) -> None:
        path = write(tmp_path, {"a": cycle("1,5", "2,25"), "b": cycle("x,y", "z")}, delimiter=";")
        assert read_sample(path).delimiter == ";"

    def test_a_bom_and_quoted_headers_are_no_part_of_the_names(self, tmp_path: Path) -> None:
        path = tmp_path / "bom.csv"
        path.write_bytes('﻿"age";"job, title"\r\n"1";"a"\r\n2;"b;c"\r\n'.encode())
        assert read_sample(path).table.to_pydict() == {"age": ["1", "2"], "job, title": ["a", "b;c"]}

    def test_a_quoted_line_break_is_part_of_its_field(self, tmp_path: Path) -> None:
        path = tmp_path / "data.csv"
        path.write_text('a,b\n1,"two\nlines"\n2,x\n')
        assert read_sample(path).table["b"].to_pylist() == ["two\nlines", "x"]

    def test_rows_with_other_numbers_of_fields_are_counted_and_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "data.csv"
        path.write_text("a,b\n1,2\n3\n4,5,6\n7,8\n")
        sample = read_sample(path)
        assert (sample.rows, sample.malformed_rows) == (2, 2)

    def test_a_large_file_is_sampled_and_says_so(self, tmp_path: Path) -> None:
        sample = read_sample(write(tmp_path, {"a": cycle(1), "b": cycle(2)}), max_rows=100)
        assert (sample.rows, sample.complete) == (100, False)

    def test_a_file_of_exactly_the_limit_is_complete(self, tmp_path: Path) -> None:
        sample = read_sample(write(tmp_path, {"a": cycle(1), "b": cycle(2)}), max_rows=ROWS)
        assert (sample.rows, sample.complete) == (ROWS, True)

    def test_parquet_keeps_its_types(self, tmp_path: Path) -> None:
        path = tmp_path / "data.parquet"
        pq.write_table(
            pa.table(
                {
                    "i": pa.array([1, None, 3]),
                    "f": [1.5, float("nan"), 2.5],
                    "s": ["a", "b", None],
                    "b": [True, False, None],
                    "t": pa.array([0, 1, 2], pa.timestamp("us")),
                    "d": pa.array(["x", "y", "x"]).dictionary_encode(),
                }
            ),
            path,
        )
        found = profile(read_sample(path))
        assert [(p.type, p.nulls) for p in found] == [
            ("integer", 1), ("number", 1), ("string", 1), ("boolean", 1), ("timestamp", 0), ("string", 0),
        ]  # fmt: skip

    def test_parquet_of_lists_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "data.parquet"
        pq.write_table(pa.table({"deep": [[1, 2], [3]]}), path)
        with pytest.raises(ProjectError, match="deep"):
            profile(read_sample(path))

    @pytest.mark.parametrize(
        ("content", "error", "says"),
        [
            (b"", EmptyFile, "is empty"),
            (b" \n\n", EmptyFile, "is empty"),
            (b"a,b\n", NoRows, "a header and nothing below"),
            (b"a,b\n1\n2\n", NoRows, "as many fields"),
            (b"a,b,a\n1,2,3\n", SchemaMismatch, "'a' more than once"),
            (b"a,,b\n1,2,3\n", SchemaMismatch, "column 2"),
            (b",a\n0,2\n", SchemaMismatch, "pandas"),
            (b"name,b\nJos\xe9,1\n", UnreadableFile, "iconv -f WINDOWS-1252"),
            ("a,b\n1,2\n".encode("utf-16"), UnreadableFile, "iconv -f UTF-16"),
            (b"\x1f\x8b\x08\x00abc", UnreadableFile, "gunzip"),
            (b"PK\x03\x04abc", UnreadableFile, "Excel"),
            (b"PAR1abc", UnreadableFile, "not a Parquet file"),
        ],
    )
    def test_what_cannot_be_read_says_why(
        self, tmp_path: Path, content: bytes, error: type[Exception], says: str
    ) -> None:
        path = tmp_path / "bad.csv"
        path.write_bytes(content)
        with pytest.raises(error) as caught:
            read_sample(path)
        assert says in str(caught.value)

    def test_bytes_that_are_not_utf8_are_found_far_into_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "late.csv"
        path.write_bytes(b"a,b\n" + b"1,2\n" * 200_000 + b"3,\xe9\n")
        with pytest.raises(UnreadableFile, match="not UTF-8"):
            read_sample(path)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ObjectNotFound, match="no such file"):
            read_sample(tmp_path / "none.csv")


class TestTypes:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (["1", "-2", "0"], "integer"),
            (["1", "2.5", "1e3"], "number"),
            (["01234", "99999", "12345"], "string"),
            (["+491511234", "+491519876", "+491517777"], "string"),
            (["12345678901234567890", "1", "2"], "string"),
            (["true", "False", "TRUE"], "boolean"),
            (["yes", "no", "yes"], "string"),
            (["2024-01-31", "2024-02-01", ""], "timestamp"),
            (["2024-01-31T10:00:00Z", "2024-02-01T11:00:00Z", ""], "timestamp"),
            (["20240131", "20240201", "20231224"], "timestamp"),
            (["a", "1", "2"], "string"),
        ],
    )
    def test_types(self, tmp_path: Path, values: list[object], expected: str) -> None:
        assert one(tmp_path, values).type == expected

    @pytest.mark.parametrize("token", ["", " ", "NULL", "NA", "N/A", "nan", "?", "-"])
    def test_a_null_token_among_numbers(self, tmp_path: Path, token: str) -> None:
        found = one(tmp_path, ["1.5", token, "2.5", token])
        assert (found.type, found.nulls, found.low, found.high) == ("number", 2, 1.5, 2.5)
        assert token in found.null_tokens

    def test_a_dash_or_none_among_words_is_a_category(self, tmp_path: Path) -> None:
        found = one(tmp_path, cycle("None", "-", "garage"))
        assert (found.type, found.nulls, found.distinct) == ("string", 0, 3)

    def test_a_question_mark_among_words_is_no_value(self, tmp_path: Path) -> None:
        assert one(tmp_path, cycle("?", "Private", "State")).nulls > 0

    def test_na_is_a_country_among_countries_only(self, tmp_path: Path) -> None:
        assert one(tmp_path, cycle("NA", "DE", "FR")).nulls == 0
        assert one(tmp_path, cycle("NA", "north", "south")).nulls > 0

    def test_a_token_learned_from_numbers_holds_in_every_column(self, tmp_path: Path) -> None:
        path = write(tmp_path, {"n": cycle(1, 2, "-"), "s": cycle("a", "-", "b")})
        assert [found.nulls for found in profile(read_sample(path))] == [133, 133]

    def test_a_few_values_that_break_the_type_do_not_change_it(self, tmp_path: Path) -> None:
        found = one(tmp_path, [*range(500), "oops"])
        assert (found.type, found.breaking, found.breaking_rows) == ("integer", ("oops",), 1)

    @pytest.mark.parametrize(
        ("values", "spelling"),
        [
            (["1,5", "12,25", "3"], "a decimal comma"),
            (["1.234,50", "12,25", "3"], "a decimal comma"),
            (["1,234", "12,000", "3"], "a comma between thousands"),
            (["12%", "7.5 %"], "a percent sign"),
            (["$1,200.00", "$7"], "a currency sign"),
        ],
    )
    def test_numbers_as_people_write_them(self, tmp_path: Path, values: list[object], spelling: str) -> None:
        found = one(tmp_path, values, delimiter=";")
        assert (found.type, found.spelling) == ("string", spelling)

    @pytest.mark.parametrize(
        ("values", "pattern", "other"),
        [
            (["31/01/2024", "01/02/2024"], "%d/%m/%Y", None),
            (["01/31/2024", "02/01/2024"], "%m/%d/%Y", None),
            (["01/02/2024", "03/04/2024"], "%d/%m/%Y", "%m/%d/%Y"),
            (["31.01.2024 10:15", "01.02.2024 23:59"], "%d.%m.%Y %H:%M", None),
            (["2024/01/31", "2024/02/01"], "%Y/%m/%d", None),
            (["2024-01-31 10:15:00", "2024-02-01 00:00:00"], None, None),
        ],
    )
    def test_dates(
        self, tmp_path: Path, values: list[object], pattern: str | None, other: str | None
    ) -> None:
        found = one(tmp_path, values).dates
        assert found is not None
        assert (found.format, found.other) == (pattern, other)


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

    def test_a_name_that_is_nearly_a_column(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="did you mean 'Churn'"):
            drafted(tmp_path, {"Churn": labels()}, target="chrun")

    def test_rows_without_a_target_are_counted_as_rejected(self, tmp_path: Path) -> None:
        draft = drafted(tmp_path, {"y": cycle("yes", "no", "no", "")})
        assert draft.expected_rejects == 0.25
        assert "100 rows without a value" in column(draft, "y").notes[0]


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
            ("income", list(range(20_000, 20_000 + 37 * ROWS, 37)), "numeric"),
        ],
    )
    def test_parts(self, tmp_path: Path, name: str, values: list[object], role: str) -> None:
        found = column(drafted(tmp_path, {name: values, "y": labels()}), name)
        assert found.role == role
        assert bool(found.reason) == (role == "left out")

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
        assert (column(draft, "kind").categories, column(draft, "kind").rare) == (["a", "b", "odd"], True)

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
        assert drafted(tmp_path, columns, entity="client", timestamp="at").warnings == []

    def test_a_few_repeated_entities_are_said(self, tmp_path: Path) -> None:
        client: list[object] = [f"c{row}" for row in range(ROWS)]
        client[1] = client[0]
        draft = drafted(tmp_path, {"client": client, "y": labels()}, entity="client")
        assert "1 of 400 rows would be rejected" in draft.warnings[0]

    def test_a_timestamp_has_to_hold_timestamps(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="holds no timestamps"):
            drafted(tmp_path, {"y": labels()}, timestamp="anchor")

    def test_nothing_left_to_learn_from(self, tmp_path: Path) -> None:
        path = write(tmp_path, {"constant": cycle("x"), "y": labels()})
        with pytest.raises(ProjectError, match="always 'x'"):
            draft_project(read_sample(path), target="y")


class TestLeaks:
    def leaks(self, folder: Path, values: list[object], y: list[object]) -> bool:
        return column(drafted(folder, {"suspect": values, "y": y}), "suspect").leak

    def test_a_recoded_target(self, tmp_path: Path) -> None:
        y = labels()
        assert self.leaks(tmp_path, [1 if label == "yes" else 0 for label in y], y)

    def test_several_values_for_one_class(self, tmp_path: Path) -> None:
        y = labels()
        assert self.leaks(tmp_path, ["active" if v == "no" else f"left {i % 3}" for i, v in enumerate(y)], y)

    def test_filled_in_for_one_class_only(self, tmp_path: Path) -> None:
        y = labels()
        dates: list[object] = [f"2024-01-{1 + i % 28:02}" if v == "yes" else "" for i, v in enumerate(y)]
        assert self.leaks(tmp_path, dates, y)

    def test_a_number_with_a_threshold(self, tmp_path: Path) -> None:
        y = labels()
        dice = random.Random(4)
        assert self.leaks(tmp_path, [f"{dice.random() + (v == 'yes'):.5f}" for v in y], y)

    def test_a_number_with_thresholds_between_several_classes(self, tmp_path: Path) -> None:
        y = cycle("a", "b", "c")
        dice = random.Random(4)
        assert self.leaks(tmp_path, [f"{dice.random() + 'abc'.index(str(v)):.5f}" for v in y], y)

    @pytest.mark.parametrize("power", [1, 3])
    def test_a_monotone_copy_of_a_number(self, tmp_path: Path, power: int) -> None:
        y = numbers(8)
        assert self.leaks(tmp_path, [f"{-(float(str(v)) ** power) + 7:.6f}" for v in y], y)

    def test_a_strong_column_is_no_leak(self, tmp_path: Path) -> None:
        y = labels()
        dice = random.Random(4)
        assert not self.leaks(tmp_path, [f"{dice.gauss(0, 1) + 3 * (v == 'yes'):.5f}" for v in y], y)

    def test_an_even_category_is_no_leak(self, tmp_path: Path) -> None:
        assert not self.leaks(tmp_path, cycle("p", "p", "q", "q"), cycle("yes", "no"))

    def test_a_value_for_every_few_rows_is_no_leak(self, tmp_path: Path) -> None:
        y = labels()
        assert not self.leaks(tmp_path, [f"{v}{i // 4}" for i, v in enumerate(y)], y)

    def test_a_tiny_file_is_not_judged(self, tmp_path: Path) -> None:
        y = cycle("yes", "no", rows=30)
        assert not self.leaks(tmp_path, cycle(1, 0, rows=30), y)
