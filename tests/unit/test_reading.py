"""An uploaded file as rows, whatever way it is written; and what a person is told where it cannot be read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.datasets.reading import LocalFile
from sluice.errors import DataError, EmptyFile, NoRows, SchemaMismatch, UnreadableFile
from tests.support.uploads import Columns, Row, a_project, accept, refuse, refused

GOOD = "id,y\n1,a\n2,b\n"
ROWS: list[Row] = [(1, "a"), (2, "b")]
MB = 1024**2


def zipped(content: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("upload.csv", content)
    return buffer.getvalue()


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


class TestCsv:
    @pytest.mark.parametrize(
        "content",
        [
            GOOD,
            GOOD.rstrip("\n"),
            GOOD.replace("\n", "\r\n"),
            GOOD.replace("\n", "\r"),
            "\ufeff" + GOOD,
            '\ufeff"id","y"\n"1","a"\n"2","b"\n',
            "\n\nid,y\n\n1,a\n\n\n2,b\n\n",
            "y,id\na,1\nb,2\n",
            'id, "y" \n1, a\n2,b \n',
            "id,y,\n1,a,\n2,b,\n",
            "sep=,\nid,y\n1,a\n2,b\n",
            "# made by hand, in May\n# twice\nid,y\n1,a\n2,b\n",
            "id,y,,\n1,a,,\n2,b,x,\n",
        ],
        ids=[
            *("plain", "no end", "crlf", "cr", "bom", "bom and quotes", "blank lines", "other order"),
            *("blanks", "empty last fields", "Excel's sep", "comments", "fields without a name"),
        ],
    )
    def test_the_same_rows_are_read_however_they_are_written(self, tmp_path: Path, content: str) -> None:
        assert accept(tmp_path, content).rows == ROWS

    @pytest.mark.parametrize("written", ["\u00e9t\u00e9", "e\u0301te\u0301"])
    @pytest.mark.parametrize("known", ["\u00e9t\u00e9", "e\u0301te\u0301"])
    def test_a_name_may_be_composed_in_another_way(self, tmp_path: Path, known: str, written: str) -> None:
        project = a_project({"id": {"type": "integer"}, known: {"type": "string"}}, target=known)
        table = pa.table({"id": [1, 2], written: ["a", "b"]})
        for upload in (f"id,{written}\n1,a\n2,b\n", table):
            accepted = accept(tmp_path, upload, project)
            assert (accepted.rows, accepted.schema.names) == (ROWS, ["id", "\u00e9t\u00e9"])

    def test_a_name_in_two_ways_is_there_twice(self, tmp_path: Path) -> None:
        project = a_project({"id": {"type": "integer"}, "\u00e9": {"type": "string"}}, target="\u00e9")
        assert (
            "there more than once: '\u00e9'" in refuse(tmp_path, "id,\u00e9,e\u0301\n1,a,b\n", project).what
        )

    @pytest.mark.parametrize("delimiter", [";", "\t", "|"])
    def test_the_projects_delimiter_separates(self, tmp_path: Path, delimiter: str) -> None:
        project = a_project(delimiter=delimiter)
        content = GOOD.replace(",", delimiter).replace("a", '"a,;|\tz"')
        assert accept(tmp_path, content, project).rows == [(1, "a,;|\tz"), (2, "b")]

    def test_quotes_keep_delimiters_line_breaks_and_quotes(self, tmp_path: Path) -> None:
        content = 'id,y\n"1","a, ""b""\r\n\nc"\n2,5" disk\n'
        assert accept(tmp_path, content).rows == [(1, 'a, "b"\r\n\nc'), (2, '5" disk')]

    def test_null_values_are_nulls_quoted_or_not_and_only_as_whole_cells(self, tmp_path: Path) -> None:
        columns: Columns = {
            "id": {"type": "integer"},
            "y": {"type": "string", "nullable": True},
            "z": {"type": "string"},
        }
        project = a_project(columns, target="z", null_values=["NA", "?"])
        content = 'id,y,z\n1,NA,z\n2,"?",z\n3,,z\n4,NAN,z\n5, NA ,z\n'
        rows = accept(tmp_path, content, project).rows
        assert [row[1] for row in rows] == [None, None, "", "NAN", None]

    def test_a_header_may_be_longer_than_most(self, tmp_path: Path) -> None:
        columns = {f"a column with quite a long name, number {i}": {"type": "integer"} for i in range(2_500)}
        project = a_project(columns, target=next(iter(columns)))
        header = ",".join(f'"{name}"' for name in columns)
        assert 64 * 1024 < len(header) < MB
        assert accept(tmp_path, f"{header}\n{','.join('7' * 2_500)}\n", project).rows == [(7,) * 2_500]

    def test_a_character_may_lie_on_any_border(self, tmp_path: Path) -> None:
        # Two bytes each, from an odd offset on: whatever the sizes of head and blocks, one is cut in two.
        long = "é" * 100_000
        content = "id,y\n" + "".join(f"{i},{long}\n" for i in range(10, 60))
        assert {row[1] for row in accept(tmp_path, content).rows} == {long}


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "content", "error", "said"),
        [
            ("a.csv", b"", EmptyFile, ["holds 0 bytes", "where  a.csv", "cut off", "try again"]),
            ("a.parquet", b"", EmptyFile, ["holds 0 bytes", "where  a.parquet"]),
            ("a.csv", b" \r\n\t \n", EmptyFile, ["holds nothing but white space", "try again"]),
            ("a.csv", b"\xef\xbb\xbf\n", EmptyFile, ["holds nothing but white space"]),
            (
                "a.csv",
                b"id,y\n",
                NoRows,
                ["a header and no row below it", "where  a.csv", "ends after its header", "to do  check"],
            ),
            ("a.csv", b"id,y", NoRows, ["a header and no row below it"]),
            ("a.csv", b"\nid,y\r\n\r\n", NoRows, ["a header and no row below it"]),
            (
                "a.csv",
                gzip.compress(GOOD.encode(), mtime=0),
                UnreadableFile,
                ["is a gzip file, not CSV", "gunzip"],
            ),
            ("a.csv", zipped(GOOD), UnreadableFile, ["zip archive or an Excel workbook", "50 4b 03 04"]),
            ("a.csv", bz2.compress(GOOD.encode()), UnreadableFile, ["is a bzip2 file", "bunzip2"]),
            ("a.csv", lzma.compress(GOOD.encode()), UnreadableFile, ["is an xz file", "unxz"]),
            ("a.csv", pa.compress(GOOD.encode(), "zstd", asbytes=True), UnreadableFile, ["zstd -d"]),
            ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", UnreadableFile, ["old Excel workbook", "as CSV"]),
            (
                "a.csv",
                parquet(pa.table({"id": [1], "y": ["a"]})),
                UnreadableFile,
                ["is a Parquet file, not CSV", "name it .parquet, and try again"],
            ),
            ("a.csv", GOOD.encode("utf-16"), UnreadableFile, ["is UTF-16 text", "save it as UTF-8"]),
            (
                "a.csv",
                GOOD.encode("utf-16-le"),
                UnreadableFile,
                ["binary or UTF-16", "where  a.csv, byte 1", "zero bytes", "in UTF-8"],
            ),
            (
                "a.csv",
                "id,y\n1,café\n".encode("latin-1"),
                UnreadableFile,
                ["not UTF-8", "where  a.csv, byte 10", "0xe9", "Windows-1252", "iconv"],
            ),
            ("a.csv", "id,é\n1,a\n".encode("latin-1"), UnreadableFile, ["where  a.csv, byte 3"]),
            ("a.csv", b"id,y\n1,\xc3", UnreadableFile, ["where  a.csv, byte 7", "0xc3"]),
            ("a.csv", b"id,y\n1\n2,\xff\n", UnreadableFile, ["where  a.csv, byte 9", "0xff"]),
            ("a.csv", b"id,y\n1,a\n2\xff\n", UnreadableFile, ["where  a.csv, byte 10", "0xff"]),
            (
                "a.csv",
                b'id,y\n1,"a\nb"\n2,"c\n3,d\n',
                UnreadableFile,
                ["cannot be parsed", "where  a.csv, line 4", "opened there and never closed", "twice"],
            ),
            ("a.csv", b'id,y\n1\n"2,c\n3,d\n', UnreadableFile, ["where  a.csv, line 3"]),
            ("a.csv", b'id,y\n1,a\n2,"', UnreadableFile, ["where  a.csv, line 3"]),
            (
                "a.csv",
                b'id,"y\n1,a\n2,b\n',
                SchemaMismatch,
                ["missing: 'y'", "quotation mark in the header that is never closed"],
            ),
            (
                "a.csv",
                b'id,"y' + b"x" * MB,
                UnreadableFile,
                ["the first line is no header", "where  a.csv, line 1", "1,048,576 bytes", "line breaks"],
            ),
            ("a.csv", b"id,y," * MB, UnreadableFile, ["the first line is no header"]),
            ("a.csv", b"\n" * 2 * MB, UnreadableFile, ["the first line is no header"]),
            (
                "a.parquet",
                GOOD.encode(),
                UnreadableFile,
                [
                    "no readable Parquet file",
                    "where  a.parquet",
                    "(13 bytes)",
                    "another format under this name",
                ],
            ),
            (
                "a.parquet",
                parquet(pa.table({"id": [1], "y": ["a"]}))[:-20],
                UnreadableFile,
                ["no readable Parquet file", "it may be cut off"],
            ),
            ("a.parquet", b"PAR1", UnreadableFile, ["no readable Parquet file", "(4 bytes)"]),
            (
                "a.parquet",
                parquet(pa.table({"id": pa.array([], pa.int64()), "y": pa.array([], pa.string())})),
                NoRows,
                ["a header and no row below it"],
            ),
        ],
    )
    def test_a_file_that_cannot_be_read_says_what_where_why_and_what_to_do(
        self, tmp_path: Path, name: str, content: bytes, error: type[DataError], said: list[str]
    ) -> None:
        refusal = refuse(tmp_path, content, name=name)
        assert type(refusal) is error
        for text in said:
            assert text in str(refusal)
        assert refusal.where.startswith(name)
        assert refusal.why
        assert refusal.fix
        assert len(str(refusal)) < 1_000
        assert not (tmp_path / "work/upload.parquet").exists()

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("id\n1\n", ["missing: 'y'"]),
            ("id,y,z\n1,a,b\n", ["not in project.toml: 'z'", "describe them under [columns]"]),
            ("id,y,id\n1,a,1\n", ["there more than once: 'id'"]),
            ("ID,y\n1,a\n", ["missing: 'id'; not in project.toml: 'ID'"]),
            ("idx,y\n1,a\n", ["'id' (is it 'idx'?)", "'idx' (is it 'id'?)"]),
            ("1,a\n2,b\n", ["found '1', 'a'; expected 'id', 'y'"]),
            ("id;y\n1;a\n", ["the whole header is one column: set data.delimiter = ';'"]),
            ("id\ty\n1\ta\n", ["set data.delimiter = '\\t'"]),
            (",".join(f"c{i}" for i in range(40)) + "\n", ["'c11' and 28 more"]),
            (f"id,{'y' * 100_000}\n", ["y…'"]),
        ],
    )
    def test_a_header_that_is_not_the_projects_says_how_it_differs(
        self, tmp_path: Path, content: str, said: list[str]
    ) -> None:
        refusal = refuse(tmp_path, content)
        assert type(refusal) is SchemaMismatch
        assert refusal.where == "upload.csv, header"
        for text in said:
            assert text in str(refusal)
        assert len(str(refusal)) < 1_500

    @pytest.mark.parametrize("ragged", ["", "1\n"], ids=["even", "ragged"])
    def test_a_byte_deep_in_the_file_is_found(self, tmp_path: Path, ragged: str) -> None:
        good = f"id,y\n{ragged}" + "1,é\n" * 2 * MB
        refusal = refuse(tmp_path, good.encode() + b"2,\xff\n")
        assert refusal.where == f"upload.csv, byte {len(good.encode()) + 2:,}"

    def test_a_quote_deep_in_the_file_is_found(self, tmp_path: Path) -> None:
        rows = "1,abcd\n" * MB
        refusal = refuse(tmp_path, f'id,y\n{rows}2,"abcd\n{rows}')
        assert refusal.where == f"upload.csv, line {MB + 2:,}"
        assert refusal.why == "a quotation mark is opened there and never closed"

    def test_a_row_longer_than_a_block_is_no_crash(self, tmp_path: Path) -> None:
        refusal = refuse(tmp_path, "id,y\n" + "1,a\n" * MB + '2,"' + "a\n" * 4 * MB + '"\n')
        assert type(refusal) is UnreadableFile
        assert refusal.what == "the file cannot be parsed as CSV"
        assert "a row may take up 1,048,576 bytes at most" in refusal.why

    def test_a_row_that_quotes_the_parser_hides_nothing(self, tmp_path: Path) -> None:
        accepted = accept(tmp_path, "id,y\n1,a\nCSV parse error: Empty CSV file\n2,b\n")
        assert (accepted.rows, accepted.rejected) == (ROWS, [2])

    def test_the_report_says_how_far_things_went(self, tmp_path: Path) -> None:
        _, report = refused(tmp_path, b"id,y\nx,a\n" + b"1,a\n" * 4 * MB + b"2,\xff\n")
        assert report.rejected_rows == 1
        assert 0 < report.rows < 4 * MB


class TestParquet:
    def test_typed_columns_become_the_projects_types(self, tmp_path: Path) -> None:
        moment = datetime(2024, 7, 1, 12)
        table = pa.table(
            {
                "y": pa.array(["a", None, "b"]).dictionary_encode(),
                "big": pa.array(["x", "NA", ""], pa.large_string()),
                "view": pa.array(["x", None, "z"], pa.string_view()),
                "whole": pa.array([1.0, float("nan"), None]),
                "small": pa.array([1, None, 3], pa.int8()),
                "number": pa.array([0.5, float("nan"), None], pa.float32()),
                "half": pa.array([0.5, float("nan"), None], pa.float16()),
                "decimal": pa.array([Decimal("0.10"), None, Decimal("2.00")]),
                "flag": pa.array([True, None, False]),
                "day": pa.array([date(2024, 7, 1), None, date(2024, 7, 2)]),
                "moment": pa.array(
                    [moment.replace(tzinfo=UTC), None, None], pa.timestamp("ns", "Asia/Tokyo")
                ),
                "nothing": pa.nulls(3),
            }
        )
        kinds = {
            "y": "string", "big": "string", "view": "string", "whole": "integer", "small": "integer",
            "number": "number", "half": "number", "decimal": "number", "flag": "boolean", "day": "timestamp",
            "moment": "timestamp", "nothing": "number", "id": "integer",
        }  # fmt: skip
        table = table.append_column("id", pa.array([1, 2, 3]))
        project = a_project(
            {name: {"type": kind, "nullable": True} for name, kind in kinds.items()},
            target="id",
            null_values=["NA", ""],
        )
        accepted = accept(tmp_path, table, project)
        assert accepted.quarantine == []
        assert accepted.rows == [
            ("a", "x", "x", 1, 1, 0.5, 0.5, 0.1, True, datetime(2024, 7, 1), moment, None, 1),
            (None, None, None, None, None, None, None, None, None, None, None, None, 2),
            ("b", None, "z", None, 3, None, None, 2.0, False, datetime(2024, 7, 2), None, None, 3),
        ]
        assert accepted.report.columns["number"].nulls == 2
        assert accepted.report.columns["big"].nulls == 2

    def test_columns_may_come_in_any_order_and_with_dots_in_their_names(self, tmp_path: Path) -> None:
        columns: Columns = {name: {"type": "integer"} for name in ("a", "a.b", "a.b.c")}
        table = pa.table({"a.b.c": [3], "a": [1], "a.b": [2]})
        assert accept(tmp_path, table, a_project(columns, target="a")).rows == [(1, 2, 3)]

    def test_a_rejected_cell_is_shown_as_text(self, tmp_path: Path) -> None:
        columns: Columns = {
            "id": {"type": "integer"},
            "y": {"type": "boolean"},
            "n": {"type": "number", "nullable": True, "min": 0},
        }
        table = pa.table(
            {
                "id": [1.5, 2.0, 3.0, 4.0],
                "y": pa.array([1, 2, 0, 1]),
                "n": pa.array([None, None, Decimal("-1.50"), Decimal("1.00")]),
            }
        )
        assert accept(tmp_path, table, a_project(columns)).quarantine == [
            (1, "id", "1.5", "not an integer"),
            (2, "y", "2", "not true or false"),
            (3, "n", "-1.50", "below the minimum 0"),
        ]

    def test_a_rejected_moment_is_shown_to_the_nanosecond(self, tmp_path: Path) -> None:
        table = pa.table({"id": pa.array([1_999, None], pa.timestamp("ns")), "y": ["a", "b"]})
        columns: Columns = {"id": {"type": "number", "nullable": True}, "y": {"type": "string"}}
        found = accept(tmp_path, table, a_project(columns)).quarantine
        assert found == [(1, "id", "1970-01-01 00:00:00.000001999", "not a number")]

    def test_nested_and_binary_columns_are_refused_by_name(self, tmp_path: Path) -> None:
        table = pa.table({"id": [1], "y": ["a"], "tags": [["b"]], "raw": [b"\xff"]})
        columns: Columns = {name: {"type": "string"} for name in table.column_names}
        refusal = refuse(tmp_path, table, a_project(columns))
        assert type(refusal) is SchemaMismatch
        assert "'tags' (list<element: string>), 'raw' (binary)" in refusal.what
        assert refusal.where == "upload.parquet, schema"
        assert "flatten them" in refusal.fix

    @pytest.mark.parametrize(
        ("table", "said"),
        [
            (pa.table({"id": [1]}), "missing: 'y'"),
            (pa.table({"id": [1], "y": ["a"], "z": [1]}), "not in project.toml: 'z'"),
            (
                pa.table([pa.array([1]), pa.array(["a"]), pa.array(["b"])], names=["id", "y", "y"]),
                "there more than once: 'y'",
            ),
        ],
    )
    def test_columns_that_are_not_the_projects_are_named(
        self, tmp_path: Path, table: pa.Table, said: str
    ) -> None:
        refusal = refuse(tmp_path, table)
        assert type(refusal) is SchemaMismatch
        assert said in str(refusal)

    def test_text_that_is_not_utf8_is_refused(self, tmp_path: Path) -> None:
        bad = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
        refusal = refuse(tmp_path, pa.table({"id": [1], "y": bad}))
        assert type(refusal) is UnreadableFile
        assert "UTF8" in refusal.why

    def test_damaged_pages_are_refused(self, tmp_path: Path) -> None:
        content = bytearray(parquet(pa.table({"id": range(10_000), "y": ["a"] * 10_000})))
        content[100:2_000] = b"\xff" * 1_900
        refusal = refuse(tmp_path, bytes(content), name="a.parquet")
        assert type(refusal) is UnreadableFile
        assert "it may be cut off" in refusal.fix


def test_a_local_files_suffix_is_lower_case() -> None:
    assert LocalFile(Path("UPLOAD.CSV")).suffix == ".csv"
