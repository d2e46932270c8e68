from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.drafting.profiling import profile
from sluice.drafting.sampling import read_sample
from sluice.errors import ProjectError
from tests.support.tables import cycle, one, write


class TestParquet:
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

    def test_floats_without_fractions_are_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "data.parquet"
        pq.write_table(pa.table({"a": [1.0, 2.0, None], "b": [1.5, 2.0, None]}), path)
        assert [found.whole for found in profile(read_sample(path))] == [True, False]


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
            ([f"{hour:02}{minute:02}" for hour in range(24) for minute in (0, 15, 40)], "integer"),
            (["a", "1", "2"], "string"),
        ],
    )
    def test_types(self, tmp_path: Path, values: list[object], expected: str) -> None:
        assert one(tmp_path, values).type == expected

    @pytest.mark.parametrize("token", ["", " ", "NULL", "NA", "N/A", "nan", "?", "-", "#DIV/0!", "\\N", " ?"])
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
        ("values", "pattern", "other"),
        [
            (["31/01/2024", "01/02/2024"], "%d/%m/%Y", None),
            (["01/31/2024", "02/01/2024"], "%m/%d/%Y", None),
            (["01/02/2024", "03/04/2024"], "%d/%m/%Y", "%m/%d/%Y"),
            (["31.01.2024 10:15", "01.02.2024 23:59"], "%d.%m.%Y %H:%M", None),
            (["2024/01/31", "2024/02/01"], "%Y/%m/%d", None),
            (["2024-01-31 10:15:00", "2024-02-01 00:00:00"], None, None),
            (["2024-01-31 10:15:00 UTC", "2024-02-01 00:00:00 UTC"], "%Y-%m-%d %H:%M:%S UTC", None),
            (["Dec-2015", "Jan-2016"], "%b-%Y", None),
            (["2015-12", "2016-01"], "%Y-%m", None),
            (["Jan 1 2000", "Dec 31 2001"], "%b %d %Y", None),
        ],
    )
    def test_dates(
        self, tmp_path: Path, values: list[object], pattern: str | None, other: str | None
    ) -> None:
        found = one(tmp_path, values).dates
        assert found is not None
        assert (found.format, found.other) == (pattern, other)

    def test_blanks_around_a_value_are_no_part_of_it(self, tmp_path: Path) -> None:
        found = one(tmp_path, cycle(" yes", "yes ", "no", "yes"))
        assert (found.distinct, found.counts) == (2, (("yes", 300), ("no", 100)))

    def test_whole_numbers_with_gaps_are_no_fractions(self, tmp_path: Path) -> None:
        assert one(tmp_path, ["1.0", "2.0", ""]).whole
        assert not one(tmp_path, ["1.0", "2.5", ""]).whole

    @pytest.mark.parametrize(
        ("values", "numbers"),
        [
            (["1,5", "12,25", "3"], [1.5, 12.25, 3]),
            (["1.234,50", "-12,25", "3"], [1234.5, -12.25, 3]),
            (["1,234", "12,000", "3"], [1234, 12000, 3]),
            (["12%", "7.5 %", "1%"], [12, 7.5, 1]),
            (["$1,200.00", "$7", "$1"], [1200, 7, 1]),
            (["1.200,00 €", "7 €", "1 €"], [1200, 7, 1]),
        ],
    )
    def test_spelled_numbers_are_read(
        self, tmp_path: Path, values: list[object], numbers: list[float]
    ) -> None:
        assert one(tmp_path, values, delimiter=";").values.to_pylist() == numbers

    def test_a_comma_means_the_same_in_the_whole_file(self, tmp_path: Path) -> None:
        path = write(tmp_path, {"a": ["1,5", "2,25", "3"], "b": ["1,234", "2,500", "3,125"]}, delimiter=";")
        assert profile(read_sample(path))[1].values.to_pylist() == [1.234, 2.5, 3.125]
