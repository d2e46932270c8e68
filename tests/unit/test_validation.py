"""Validation as a whole: which rows are kept, which are set aside and under which number, and what is reported."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.datasets import dataset_file, reading
from sluice.errors import DataRejected, OneClassTarget
from tests.support.uploads import Columns, Row, a_project, accept, quarantine, refuse, refused

NOT_INTEGER = "not an integer"
KEYED: Columns = {"id": {"type": "string"}, "n": {"type": "integer"}, "y": {"type": "string"}}
TIMED: Columns = {"id": {"type": "string"}, "at": {"type": "timestamp"}, "y": {"type": "string"}}
NUMBERED: Columns = {"id": {"type": "integer"}, "y": {"type": "string"}, "n": {"type": "integer"}}
BLOCK = 1024**2


class TestQuarantine:
    @pytest.mark.parametrize(
        "content",
        [
            "id,y\nx,a\n2,b\nz,c\n",
            "\ufeffid,y\r\nx,a\r\n2,b\r\nz,c\r\n",
            "\n\nid,y\n\nx,a\n\n\n2,b\nz,c\n\n",
            '"id","y"\n"x","a"\n"2","b"\n"z","c"',
        ],
        ids=["plain", "bom and crlf", "blank lines", "quotes"],
    )
    def test_row_1_is_the_first_row_below_the_header(self, tmp_path: Path, content: str) -> None:
        accepted = accept(tmp_path, content)
        assert accepted.rows == [(2, "b")]
        assert accepted.quarantine == [(1, "id", "x", NOT_INTEGER), (3, "id", "z", NOT_INTEGER)]

    def test_line_breaks_within_a_field_count_as_no_row(self, tmp_path: Path) -> None:
        accepted = accept(tmp_path, 'id,y\n1,"a\n\nb\nc"\nx,d\n2,e\n')
        assert accepted.quarantine == [(2, "id", "x", NOT_INTEGER)]

    def test_ragged_rows_are_set_aside_as_they_are_and_counted(self, tmp_path: Path) -> None:
        accepted = accept(tmp_path, 'id,y\n1,a\n2\n\n3,"b\nc"\n4,d,e\nx,f\n"5",g,"h\ni"\n6,j\n   \n')
        assert accepted.rows == [(1, "a"), (3, "b\nc"), (6, "j")]
        assert accepted.quarantine == [
            (2, "", "2", "1 fields, 2 expected"),
            (4, "", "4,d,e", "3 fields, 2 expected"),
            (6, "", '"5",g,"h\ni"', "3 fields, 2 expected"),
            (8, "", "   ", "1 fields, 2 expected"),
            (5, "id", "x", NOT_INTEGER),
        ]
        assert (accepted.report.rows, accepted.report.rejected_rows) == (3, 5)
        assert accepted.report.reasons == {"wrong number of fields": 4, f"id: {NOT_INTEGER}": 1}

    def test_every_reason_of_a_row_is_written_and_the_row_counted_once(self, tmp_path: Path) -> None:
        columns: Columns = {
            "id": {"type": "integer", "min": 0, "categories": [1, 2]},
            "y": {"type": "string"},
        }
        accepted = accept(tmp_path, "id,y\n1,a\n-5,\n2,b\n", a_project(columns))
        assert accepted.quarantine == [
            (2, "id", "-5", "below the minimum 0"),
            (2, "id", "-5", "not one of 1, 2"),
            (2, "y", "", "empty, and the column is not nullable"),
        ]
        assert accepted.report.rejected_rows == 1
        assert accepted.report.columns["id"].rejected == 1
        assert sum(accepted.report.reasons.values()) == 3

    def test_a_null_beside_a_rejected_cell_is_none_itself(self, tmp_path: Path) -> None:
        """Arrow compares null with a bound as null, which is no breach."""
        columns: Columns = {"n": {"type": "number", "nullable": True, "min": 0}, "y": {"type": "string"}}
        accepted = accept(tmp_path, "n,y\n-1,a\n,b\n2,c\n", a_project(columns))
        assert accepted.rows == [(None, "b"), (2.0, "c")]
        assert accepted.rejected == [1]

    @pytest.mark.parametrize("cell", ['x, "y"\nz', "\r", "a\rb", "\n", '"'])
    def test_a_cell_is_quoted_so_that_it_can_be_read_back(self, tmp_path: Path, cell: str) -> None:
        quoted = cell.replace('"', '""')
        accepted = accept(tmp_path, f'id,y,n\n1,a,1\n2,b,"x{quoted}"\n', a_project(NUMBERED))
        assert accepted.quarantine == [(2, "n", f"x{cell}", NOT_INTEGER)]

    def test_ragged_rows_of_many_blocks_are_each_set_aside_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "_BLOCK_BYTES", 1_000)
        lines = [f"{i},a" if i % 7 else f"{i},a,b" for i in range(1, 2_001)]
        accepted = accept(tmp_path, "id,y\n" + "\n".join(lines))
        ragged = [(i, "", f"{i},a,b", "3 fields, 2 expected") for i in range(7, 2_001, 7)]
        assert accepted.quarantine == ragged
        assert accepted.rows == [(i, "a") for i in range(1, 2_001) if i % 7]
        assert (accepted.report.rows, accepted.report.rejected_rows) == (2_000 - len(ragged), len(ragged))

    def test_numbers_hold_over_many_blocks(self, tmp_path: Path) -> None:
        long = "x" * 1_000
        lines = ["bad," + long if i % 97 == 0 else f"{i},{long}" for i in range(1, 5_001)]
        content = "\n".join(["id,y", *lines])
        assert len(content) > 4 * BLOCK
        bad = list(range(97, 5_001, 97))
        assert accept(tmp_path, content).rejected == bad
        lines[3_000:3_000] = ["ragged"]  # now row 3,001
        expected = [n if n <= 3_000 else n + 1 for n in bad]
        assert accept(tmp_path, "\n".join(["id,y", *lines])).rejected == sorted([*expected, 3_001])


class TestDuplicates:
    def test_the_first_row_of_a_key_is_kept(self, tmp_path: Path) -> None:
        project = a_project(KEYED, entity={"key": "id"})
        accepted = accept(tmp_path, "id,n,y\na,1,p\nb,2,q\na,3,r\nc,4,s\na,5,t\n", project)
        assert accepted.rows == [("a", 1, "p"), ("b", 2, "q"), ("c", 4, "s")]
        assert accepted.quarantine == [
            (3, "id", "", "duplicate of row 1"),
            (5, "id", "", "duplicate of row 1"),
        ]
        assert accepted.report.reasons == {"id: duplicate key": 2}
        assert (accepted.report.rows, accepted.report.rejected_rows) == (3, 2)
        assert accepted.report.columns["id"].rejected == 2

    def test_duplicates_are_numbered_past_rejected_and_ragged_rows(self, tmp_path: Path) -> None:
        project = a_project(KEYED, entity={"key": "id"})
        content = 'id,n,y\nz,x,p\nragged\na,1,"p\nq"\nb,x,q\n\nc,2,r\nragged\na,x,s\na,3,t\n'
        accepted = accept(tmp_path, content, project)
        assert accepted.rows == [("a", 1, "p\nq"), ("c", 2, "r")]
        assert (8, "id", "", "duplicate of row 3") in accepted.quarantine
        assert accepted.rejected == [1, 2, 4, 6, 7, 8]

    def test_a_rejected_row_is_no_ones_original(self, tmp_path: Path) -> None:
        project = a_project(KEYED, entity={"key": "id"})
        accepted = accept(tmp_path, "id,n,y\na,x,p\na,1,q\n", project)
        assert accepted.rows == [("a", 1, "q")]

    def test_with_a_timestamp_a_key_may_come_once_a_moment(self, tmp_path: Path) -> None:
        project = a_project(TIMED, entity={"key": "id", "timestamp": "at"})
        content = "id,at,y\na,2024-01-01,p\na,2024-01-02,q\nb,2024-01-01,r\na,2024-01-02T00:00:00Z,s\n"
        accepted = accept(tmp_path, content, project)
        assert [row[2] for row in accepted.rows] == ["p", "q", "r"]
        assert accepted.quarantine == [(4, "id", "", "duplicate of row 2")]

    def test_without_a_key_equal_rows_are_kept(self, tmp_path: Path) -> None:
        accepted = accept(tmp_path, "id,y\n1,a\n1,a\n")
        assert accepted.rows == [(1, "a"), (1, "a")]

    def test_keys_are_compared_as_values(self, tmp_path: Path) -> None:
        project = a_project(entity={"key": "id"})
        assert accept(tmp_path, "id,y\n1,a\n01,b\n 1.0,c\n-1,d\n-2,e\n", project).rejected == [2, 3]

    def test_what_is_reported_is_what_is_left(self, tmp_path: Path) -> None:
        columns: Columns = {"id": {"type": "integer"}, "n": {"type": "integer"}, "y": {"type": "string"}}
        project = a_project(columns, problem="multiclass", entity={"key": "id"})
        accepted = accept(tmp_path, "id,n,y\n1,5,a\n2,6,b\n1,999,c\n2,-999,b\n", project)
        assert (accepted.report.columns["n"].min, accepted.report.columns["n"].max) == (5, 6)
        assert accepted.report.classes == {"a": 1, "b": 1}

    def test_duplicates_far_apart_are_found(self, tmp_path: Path) -> None:
        project = a_project(KEYED, entity={"key": "id"})
        lines = [f"customer {i},{i},{'x' * 300}" for i in range(10_000)] + ["customer 7,0,late"]
        accepted = accept(tmp_path, "\n".join(["id,n,y", *lines]), project)
        assert accepted.quarantine == [(10_001, "id", "", "duplicate of row 8")]
        assert len(accepted.rows) == 10_000


@pytest.mark.parametrize("column", ["id", "at", "y"])
def test_key_timestamp_and_target_may_not_be_empty_though_nullable(tmp_path: Path, column: str) -> None:
    columns = {name: {**rules, "nullable": True} for name, rules in TIMED.items()}
    row = {"id": "b", "at": "2024-01-02", "y": "q", column: ""}
    content = f"id,at,y\na,2024-01-01,p\n{','.join(row.values())}\n"
    accepted = accept(tmp_path, content, a_project(columns, entity={"key": "id", "timestamp": "at"}))
    reason = "empty, and neither the target nor the key or timestamp may be"
    assert accepted.quarantine == [(2, column, "", reason)]


class TestShare:
    def test_as_many_rows_as_allowed_may_be_rejected(self, tmp_path: Path) -> None:
        content = "id,y\n" + "1,a\n" * 19 + "x,a\n"
        assert len(accept(tmp_path, content, a_project(max_rejected_share=0.05)).rows) == 19

    def test_more_than_allowed_is_refused_with_the_reasons(self, tmp_path: Path) -> None:
        content = "id,y\n" + "1,a\n" * 17 + "x,a\nthree,b\n2,\n"
        refusal, report = refused(tmp_path, content, a_project(max_rejected_share=0.05))
        assert str(refusal) == (
            "3 of 20 rows were rejected (15.0%; 5.0% are allowed)\n"
            "  where  upload.csv\n"
            f"  why    id: {NOT_INTEGER} (2 ×, rows 18, 19); "
            "y: empty, and the column is not nullable (1 ×, row 20)\n"
            "  to do  correct the rows listed in quarantine (or the contract in project.toml) and upload again"
        )
        assert type(refusal) is DataRejected
        assert (report.rows, report.rejected_rows, report.rejected_share) == (17, 3, 0.15)
        assert [row for row, *_ in quarantine(tmp_path / "work/rejected.csv")] == [18, 19, 20]

    def test_duplicates_count_towards_the_share(self, tmp_path: Path) -> None:
        project = a_project(entity={"key": "id"}, max_rejected_share=0.3)
        assert "1 of 3 rows were rejected" in refuse(tmp_path, "id,y\n1,a\n1,b\n2,c\n", project).what

    def test_no_row_left_is_refused_whatever_is_allowed(self, tmp_path: Path) -> None:
        refusal = refuse(tmp_path, "id,y\nx,a\nz,b\n", a_project(max_rejected_share=1.0))
        assert type(refusal) is DataRejected
        assert "2 of 2 rows were rejected (100.0%" in refusal.what

    def test_only_ragged_rows_are_no_empty_file(self, tmp_path: Path) -> None:
        refusal = refuse(tmp_path, "id,y\n1\n2,a,b\n", a_project(max_rejected_share=1.0))
        assert type(refusal) is DataRejected
        assert "wrong number of fields (2 ×, rows 1, 2)" in refusal.why

    def test_a_long_cell_is_cut_in_the_text_but_not_in_quarantine(self, tmp_path: Path) -> None:
        refusal = refuse(tmp_path, f"id,y\n{'9' * 100_000},a\n", a_project())
        assert len(str(refusal)) < 500
        assert "99" not in str(refusal)
        assert quarantine(tmp_path / "work/rejected.csv")[0][2] == "9" * 100_000

    def test_of_many_reasons_the_most_frequent_are_told(self, tmp_path: Path) -> None:
        columns: dict[str, dict[str, Any]] = {f"c{i}": {"type": "integer"} for i in range(9)}
        rows = [",".join("x" if i <= row else "1" for i in range(9)) for row in range(9)]
        content = "\n".join([",".join(columns), *rows])
        refusal = refuse(tmp_path, content, a_project(columns, target="c0"))
        assert refusal.why.count("×") == 5
        assert refusal.why.startswith(f"c0: {NOT_INTEGER} (9 ×, rows 1, 2, 3, 4, 5 and 4 more); c1:")

    @pytest.mark.parametrize(
        "content",
        [
            "id,y\nsecret,a\n",
            "id,y\n1,a\nsecret,a,b\n",
            'id,y\n1,a\n"secret""1",a\n',
            "id,y\n1,secret\n1,secret\n",
            "id,y\nsecret\n",
        ],
    )
    def test_no_rejected_value_is_in_the_error(self, tmp_path: Path, content: str) -> None:
        project = a_project(entity={"key": "id"}, max_rejected_share=0.0)
        refusal, report = refused(tmp_path, content, project)
        assert type(refusal) is DataRejected
        assert "secret" not in str(refusal)
        assert "row" in refusal.why
        assert not any("secret" in reason for reason in report.reasons)

    @pytest.mark.parametrize(
        ("cell", "written"),
        [
            ("=1+2", "'=1+2"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+SUM(A1)", "'+SUM(A1)"),
            ("-2+3+cmd", "'-2+3+cmd"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-", "'-"),
            ("+x", "'+x"),
            ("--1", "'--1"),
            ("-1-1", "'-1-1"),
            ("-5.5.5x", "'-5.5.5x"),
            ("-5.5", "-5.5"),
            ("+5,5", "+5,5"),
            ("-1.234,50", "-1.234,50"),
            ("-.5e-3", "-.5e-3"),
            ("-5 %", "-5 %"),
            ("5=5", "5=5"),
            ("a@b.c", "a@b.c"),
            ("'=1", "'=1"),
        ],
    )
    def test_a_formula_is_a_text_in_quarantine(self, tmp_path: Path, cell: str, written: str) -> None:
        quoted = '"' + cell.replace('"', '""') + '"'
        refuse(tmp_path, f"id,y\n{quoted},a\n", a_project(max_rejected_share=0.0))
        assert quarantine(tmp_path / "work/rejected.csv")[0][2] == written

    def test_names_of_columns_and_whole_rows_are_no_formulas_either(self, tmp_path: Path) -> None:
        columns: Columns = {"=id": {"type": "integer"}, "y": {"type": "string"}}
        refuse(tmp_path, "=id,y\nx,a\n=1,a,b\n", a_project(columns, max_rejected_share=0.0))
        found = {(column, value) for _, column, value, _ in quarantine(tmp_path / "work/rejected.csv")}
        assert found == {("'=id", "x"), ("", "'=1,a,b")}


class TestTarget:
    @pytest.mark.parametrize(
        ("problem", "kind", "cell", "shown"),
        [
            ("binary", "string", "yes", "'yes'"),
            ("multiclass", "integer", "3", "'3'"),
            ("multiclass", "boolean", "T", "'true'"),
        ],
    )
    def test_one_class_is_refused(
        self, tmp_path: Path, problem: str, kind: str, cell: str, shown: str
    ) -> None:
        columns: Columns = {"id": {"type": "integer"}, "y": {"type": kind}}
        project = a_project(columns, problem=problem)
        refusal = refuse(tmp_path, f"id,y\n1,{cell}\n2,{cell}\nx,other\n", project)
        assert type(refusal) is OneClassTarget
        assert refusal.what == f"every row has the same target: y = {shown}"
        assert refusal.where == "upload.csv, column 'y'"
        assert refusal.why == f"a {problem} model needs at least two classes"
        assert "upload rows of every class" in refusal.fix
        assert (tmp_path / "work/rejected.csv").exists()

    def test_one_class_left_after_duplicates_is_refused(self, tmp_path: Path) -> None:
        project = a_project(problem="binary", entity={"key": "id"})
        refusal = refuse(tmp_path, "id,y\n1,yes\n1,no\n2,yes\n", project)
        assert type(refusal) is OneClassTarget

    def test_a_regression_target_may_be_one_value(self, tmp_path: Path) -> None:
        assert len(accept(tmp_path, "id,y\n1,a\n2,a\n").rows) == 2

    def test_a_target_that_features_make_is_not_judged(self, tmp_path: Path) -> None:
        project = a_project({"id": {"type": "integer"}}, target="made", problem="binary")
        assert accept(tmp_path, "id\n1\n2\n", project).rows == [(1,), (2,)]


class TestReport:
    def test_it_counts_what_was_seen(self, tmp_path: Path) -> None:
        columns: Columns = {
            "n": {"type": "integer", "nullable": True},
            "x": {"type": "number", "nullable": True},
            "t": {"type": "timestamp", "nullable": True},
            "y": {"type": "boolean"},
        }
        project = a_project(columns, problem="multiclass", null_values=["", "NA"])
        content = (
            "n,x,t,y\n"
            "5,1.5,2024-01-02,true\n"
            ",NA, NA ,no\n"
            "-7,2,2024-01-01 12:00,yes\n"
            "bad,999,2020-01-01,no\n"
            "bad,,,no\n"
        )
        report = accept(tmp_path, content, project).report
        assert json.loads(json.dumps(report.as_dict())) == {
            "rows": 3,
            "rejected_rows": 2,
            "rejected_share": 0.4,
            "reasons": {f"n: {NOT_INTEGER}": 2},
            "examples": {"n: not an integer": "bad"},
            "classes": {"true": 2, "false": 1},
            "columns": {
                "n": {"type": "integer", "nulls": 1, "rejected": 2, "min": -7, "max": 5},
                "x": {"type": "number", "nulls": 2, "rejected": 0, "min": 1.5, "max": 2.0},
                "t": {
                    "type": "timestamp",
                    "nulls": 2,
                    "rejected": 0,
                    "min": "2024-01-01 12:00:00",
                    "max": "2024-01-02 00:00:00",
                },
                "y": {"type": "boolean", "nulls": 0, "rejected": 0, "min": None, "max": None},
            },
        }

    def test_a_second_reading_for_ragged_rows_counts_nothing_twice(self, tmp_path: Path) -> None:
        rows = "1,yes\nx,no\n2,no\n"
        even = accept(tmp_path, f"id,y\n{rows}", a_project(problem="binary")).report
        ragged = accept(tmp_path, f"id,y\n{rows}3\n", a_project(problem="binary")).report
        assert (ragged.rows, ragged.rejected_rows) == (even.rows, even.rejected_rows + 1)
        assert (ragged.classes, ragged.columns) == (even.classes, even.columns)


class TestDataset:
    CONTENT = "id,n,y\n" + "".join(
        f"customer {i % 9_000},{i if i % 50 else 'x'},{i % 7}\n" for i in range(10_000)
    )

    def test_it_holds_the_projects_columns_in_its_order_and_types(self, tmp_path: Path) -> None:
        accepted = accept(tmp_path, "y,at,id\np,2024-01-01,a\n", a_project(TIMED))
        assert accepted.rows == [("a", datetime(2024, 1, 1), "p")]
        types = [(field.name, field.type) for field in accepted.schema]
        assert types == [("id", pa.string()), ("at", pa.timestamp("us")), ("y", pa.string())]

    def test_no_row_is_lost(self, tmp_path: Path) -> None:
        accepted = accept(tmp_path, self.CONTENT, a_project(KEYED, entity={"key": "id"}))
        bad = [i + 1 for i in range(10_000) if i % 50 == 0 or (i >= 9_000 and (i - 9_000) % 50)]
        assert accepted.rejected == bad
        kept = [i for i in range(10_000) if i + 1 not in set(bad)]
        assert accepted.rows == [(f"customer {i % 9_000}", i, str(i % 7)) for i in kept]
        assert (accepted.report.rows, accepted.report.rejected_rows) == (len(kept), len(bad))

    @pytest.mark.parametrize("block", [4_000, 10_000, 99_991])
    @pytest.mark.parametrize("group", [dataset_file.ROW_GROUP_ROWS, 1_000])
    def test_its_hash_does_not_depend_on_blocks(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, group: int
    ) -> None:
        monkeypatch.setattr(dataset_file, "ROW_GROUP_ROWS", group)
        project = a_project(KEYED, entity={"key": "id"})
        whole = accept(tmp_path, self.CONTENT, project)
        monkeypatch.setattr(reading, "_BLOCK_BYTES", block)
        parts = accept(tmp_path, self.CONTENT, project)
        assert parts.sha256 == whole.sha256
        assert parts.quarantine == whole.quarantine

    def test_its_hash_depends_on_the_accepted_rows_alone(self, tmp_path: Path) -> None:
        project = a_project(KEYED)
        clean = accept(tmp_path, "id,n,y\na,1,p\nb,2,q\n", project).sha256
        written_otherwise = '\ufeff"y","n","id"\r\n"p"," +1","a"\r\nragged\r\nr,x,c\r\n\r\nq,2.0,b'
        assert accept(tmp_path, written_otherwise, project).sha256 == clean
        table = pa.table({"n": [1.0, 2.0, 2.5], "y": ["p", "q", "r"], "id": ["a", "b", "c"]})
        assert accept(tmp_path, table, project).sha256 == clean
        assert accept(tmp_path, "id,n,y\na,1,p\nb,3,q\n", project).sha256 != clean
        assert accept(tmp_path, "id,n,y\nb,2,q\na,1,p\n", project).sha256 != clean

    def test_these_rows_of_every_type_are_these_bytes(self, tmp_path: Path) -> None:
        """Pinned with the pyarrow of uv.lock: what changes it gives every dataset another version.

        Where pyarrow's writer is what changed, say so in the changelog and pin the new one.
        """
        types = ("string", "integer", "number", "boolean", "timestamp")
        columns: Columns = {name: {"type": name, "nullable": True} for name in types}
        rows = ["a,1,0.5,yes,2024-01-02", ",,,,", "ä,-2,1e300,0,2024-01-02T03:04:05.678Z"]
        content = "\n".join([",".join(types), *rows])
        accepted = accept(tmp_path, content, a_project(columns, target="made"))
        assert accepted.rows == [
            ("a", 1, 0.5, True, datetime(2024, 1, 2)),
            (None, None, None, None, None),
            ("ä", -2, 1e300, False, datetime(2024, 1, 2, 3, 4, 5, 678_000)),
        ]
        assert accepted.sha256 == "10a049e4660d4fedd757615059de3546ae9b40820b4ef39381ac6821a86994f8"

    def test_a_row_group_holds_131072_rows(self, tmp_path: Path) -> None:
        """Pinned: groups of another size are other bytes, and so another version of every larger dataset."""
        table = pa.table({"id": pa.array(range(262_145)), "y": pa.repeat("a", 262_145)})
        accept(tmp_path, table)
        with pq.ParquetFile(tmp_path / "work/data.parquet") as file:
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert groups == [131_072, 131_072, 1]

    def test_its_row_groups_are_of_one_size(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dataset_file, "ROW_GROUP_ROWS", 1_000)
        accept(tmp_path, "id,y\n" + "1,a\n" * 2_500)
        with pq.ParquetFile(tmp_path / "work/data.parquet") as file:
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert groups == [1_000, 1_000, 500]

    def test_parquet_is_numbered_over_its_batches(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading, "_BATCH_ROWS", 10)
        rows: list[Row] = [(i, "a") for i in range(100)]
        table = pa.table({"id": [float(i) if i % 9 else 0.5 for i, _ in rows], "y": ["a"] * 100})
        accepted = accept(tmp_path, table)
        assert accepted.rows == [row for row in rows if row[0] % 9]
        assert accepted.rejected == [i + 1 for i, _ in rows if i % 9 == 0]
