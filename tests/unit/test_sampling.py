from __future__ import annotations

from pathlib import Path

import pytest

from sluice.drafting.sampling import Sample, check_column, read_sample, shown
from sluice.errors import (
    EmptyFile,
    NoRows,
    ObjectNotFound,
    ProjectError,
    SchemaMismatch,
    SluiceError,
    UnreadableFile,
)
from tests.support.tables import ROWS, cycle, write


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

    @pytest.mark.parametrize(
        ("text", "delimiter", "names"),
        [
            ("Date;CO;T;RH,,,\n10/03;0,6;3,1;40,9\n11/03;1,6;4,1;41,9\n", ";", ["Date", "CO", "T", "RH"]),
            (
                "Date;CO;T;RH,,,\n10/03;0,6;3,1;40,9;;,\n11/03;1,6;4,1;41,9;;,\n",
                ";",
                ["Date", "CO", "T", "RH"],
            ),
            ("T, C;p, hPa;b\n1,5;2,5;3\n4,5;5,5;6\n", ";", ["T, C", "p, hPa", "b"]),
            ("T, C\tp, hPa\n1,5\t2,5\n4,5\t5,5\n", "\t", ["T, C", "p, hPa"]),
            ("a|b\n1,2,3,4,5,6|x\n6,5,4,3,2,1|y\n", "|", ["a", "b"]),
            ("name, first;name, last\nDoe, J;Roe, A\nPoe, E;Foe, F\n", ";", ["name, first", "name, last"]),
            ("a;b\n1,5;2,5\n3,5;4,5\n", ";", ["a", "b"]),
            ("a b c\n1,5 2,5 3,5\n4,5 5,5 6,5\n", " ", ["a", "b", "c"]),
            ("a,b;c\nx,1;2\ny,3;4\n", ",", ["a", "b;c"]),
            ("id,lat;lon,v\n1,52.1;13.2,3\n2,48.1;11.6,4\n", ",", ["id", "lat;lon", "v"]),
            ("id,p|q,v\n1,5|6,3\n2,7|8,4\n", ",", ["id", "p|q", "v"]),
            ("a, b, c\n1, 2, 3\n4, 5, 6\n", ",", ["a", "b", "c"]),
            ("a,b,c\n1,2,3\n4,5,6\n", ",", ["a", "b", "c"]),
        ],
    )
    def test_commas_that_happen_to_agree_do_not_win(
        self, tmp_path: Path, text: str, delimiter: str, names: list[str]
    ) -> None:
        path = tmp_path / "data.csv"
        path.write_text(text)
        sample = read_sample(path)
        assert (sample.delimiter, sample.table.column_names, sample.rows) == (delimiter, names, 2)

    def test_fields_without_a_name_are_left_out_and_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "data.csv"
        path.write_text("v1,v2,,,\nham,hello,,,\nspam,win,,,\nham,he said, ok,,\n")
        sample = read_sample(path)
        assert sample.table.to_pydict() == {"v1": ["ham", "spam", "ham"], "v2": ["hello", "win", "he said"]}
        assert (sample.malformed_rows, sample.unnamed) == (0, 1)

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

    @pytest.mark.parametrize(
        ("content", "error", "says"),
        [
            (b"", EmptyFile, "is empty"),
            (b" \n\n", EmptyFile, "is empty"),
            (b"a,b\n", NoRows, "a header and nothing below"),
            (b"a,b\n1\n2\n", NoRows, "it has 2 fields; none of the 2 rows has, most have 1"),
            (b"a,b\n1,x,2\n2,y,3\n", NoRows, "R writes row names"),
            (b"From the clinic\n\na,b\n1,2\n3,4\n", SchemaMismatch, "tail -n +3 bad.csv"),
            (b"Study 2020,,,\na,b,c,d\n1,2,3,4\n", SchemaMismatch, "seems to be a title"),
            (b"39,State-gov,13,13\n50,Private,9,9\n", SchemaMismatch, "seems to have no header"),
            (b"a,b,a\n1,2,3\n", SchemaMismatch, "'a' more than once"),
            (b"a,,b,,c,d\n1,2,3,4,5,6\n", SchemaMismatch, "column 2, 4"),
            (b"name,b\nJos\xe9,1\n", UnreadableFile, "iconv -f WINDOWS-1252"),
            ("a,b\n1,2\n".encode("utf-16"), UnreadableFile, "iconv -f UTF-16"),
            ("a,b\n1,2\n".encode("utf-16-le"), UnreadableFile, "iconv -f UTF-16"),
            (b"\x7fELF\x02\x01\x01" + bytes(range(256)), UnreadableFile, "is not text"),
            (b'{"a": 1}\n{"a": 2}\n', UnreadableFile, "is JSON"),
            (b"<!DOCTYPE html>\n<p>404</p>\n", UnreadableFile, "is a web page"),
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

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ObjectNotFound, match="is a folder"):
            read_sample(tmp_path)

    def test_blanks_separate_where_nothing_else_does(self, tmp_path: Path) -> None:
        path = write(tmp_path, {"a": cycle(1, 2), "b": cycle("x", "y")}, delimiter=" ")
        assert read_sample(path).delimiter == " "
        path.write_text("a note,b\nfirst one,2\nnext one,3\n")
        assert read_sample(path).delimiter == ","

    @pytest.mark.parametrize(
        "text",
        [
            "a;b\n1;x\n2;y\n",
            "\n\na;b\n1;x\n2;y\n",
            "sep=;\na;b\n1;x\n2;y\n",
            "a ; b\n1;x\n2;y\n",
            "a;b;\n1;x;\n2;y;\n",
            "a;b\n1;x;;\n2;y;;\n",
            "a;b;\n1;x\n2;y\n",
            "# made by hand, in May\na;b\n1;x\n2;y\n",
            "a;b,,\n1;x\n2;y\n",
            "a;b,,\n1;x;;,\n2;y;;,\n",
        ],
    )
    def test_what_stands_around_the_table_is_no_part_of_it(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "data.csv"
        path.write_text(text)
        sample = read_sample(path)
        assert sample.table.to_pydict() == {"a": ["1", "2"], "b": ["x", "y"]}
        assert (sample.delimiter, sample.malformed_rows) == (";", 0)

    def test_a_quote_that_is_never_closed_is_no_crash(self, tmp_path: Path) -> None:
        path = tmp_path / "data.csv"
        path.write_text('a,b\n1,x\n2,"' + "y" * 200_000)
        assert read_sample(path).table.column_names == ["a", "b"]

    def test_the_index_that_pandas_writes_has_no_name(self, tmp_path: Path) -> None:
        path = tmp_path / "data.csv"
        path.write_text(",a\n0,x\n1,y\n")
        assert read_sample(path).table.column_names == ["", "a"]


class TestOptions:
    def sample(self, folder: Path, text: str) -> Sample:
        path = folder / "data.csv"
        path.write_text(text)
        return read_sample(path)

    @pytest.mark.parametrize(
        ("text", "name", "says"),
        [
            ("Age,Churn\n1,2\n", "chrun", "did you mean 'Churn'"),
            ("Age,Churn\n1,2\n", "price", "one of: Age, Churn"),
            ("39,State-gov\n50,Private\n", "income", "sed '1i NAME1,NAME2,…' data.csv"),
            ("X1,Y\nLIMIT,default\n1,2\n", "default", "the header seems to be the second line"),
        ],
    )
    def test_a_name_that_is_no_column(self, tmp_path: Path, text: str, name: str, says: str) -> None:
        with pytest.raises(SluiceError) as caught:
            check_column(name, self.sample(tmp_path, text), "--target")
        assert says in str(caught.value)

    @pytest.mark.parametrize("written", ["cat\u00e9gorie", "cate\u0301gorie"])
    @pytest.mark.parametrize("asked", ["cat\u00e9gorie", "cate\u0301gorie"])
    def test_letters_that_are_composed_in_another_way_are_the_same(
        self, tmp_path: Path, written: str, asked: str
    ) -> None:
        sample = self.sample(tmp_path, f"n,{written}\n1,a\n2,b\n")
        check_column(asked, sample, "--target")
        assert sample.table.column_names == ["n", "cat\u00e9gorie"]

    def test_years_may_be_names(self, tmp_path: Path) -> None:
        with pytest.raises(ProjectError, match="not a column"):
            check_column("1989", self.sample(tmp_path, "1990,1991,y\n1,2,3\n"), "--target")

    @pytest.mark.parametrize(
        ("name", "written"),
        [("age", "age"), (" age", "' age'"), ("a,b", "'a,b'"), ("", "''"), ("x" * 99, "x" * 59 + "…")],
    )
    def test_names_in_messages(self, name: str, written: str) -> None:
        assert shown(name) == written
