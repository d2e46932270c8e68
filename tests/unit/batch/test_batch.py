"""A file from its rows to its result, with a model that answers here: each row once, in order, as it was given."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.batch.given import GivenFile
from sluice.batch.joining import join
from sluice.batch.preparing import prepare
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.datasets.reading import LocalFile
from sluice.errors import BatchFailed, DataError, EmptyFile, NoRows, SchemaMismatch, SluiceError
from sluice.payloads.batch import PreparedBatch
from sluice.spelling import Spelling
from tests.support.bucket import Bucket

BINARY = TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes")
CLASSES = TargetContract(name="y", problem="multiclass", classes=("a", "b", "c"))
NUMBER = TargetContract(name="y", problem="regression")
AGE = Feature(name="age", kind="number", type="integer", nullable=False)
BALANCE = Feature(name="balance", kind="number", type="number", nullable=True)
JOB = Feature(name="job", kind="category", type="string", nullable=True)
MEMBER = Feature(name="member", kind="category", type="boolean", nullable=False)
GOOD = "id,age,balance,job\nc1,30,1.5,clerk\nc2,40,,nurse\n"


def contract(
    *features: Feature,
    target: TargetContract = BINARY,
    own_image: bool = False,
    nulls: tuple[str, ...] = ("",),
) -> ModelContract:
    versions = {} if own_image else {"python": "3.13"}
    return ModelContract(
        features=features or (AGE, BALANCE, JOB), target=target, null_values=nulls, versions=versions
    )


def as_json(line: str) -> str:
    """Answer as Sluice's container does: a probability of a hundredth of the first feature."""
    values = json.loads(line)
    probability = (values[0] or 0) / 100
    return json.dumps({"label": "yes" if probability > 0.5 else "no", "probability": probability})


@dataclass
class Batch:
    """One file, from its upload to its result."""

    folder: Path
    contract: ModelContract = field(default_factory=contract)
    answer: Callable[[str], str] = as_json
    bucket: Bucket = field(default_factory=Bucket)
    delimiter: str = ","
    by_id: bool = False
    instance_mb: int = 64
    max_instances: int = 4

    def file(self, content: str | bytes | pa.Table, name: str = "") -> GivenFile:
        path = self.folder / (name or ("rows.parquet" if isinstance(content, pa.Table) else "rows.csv"))
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return GivenFile(LocalFile(path), self.contract, self.delimiter, by_id=self.by_id)

    def prepare(self, file: GivenFile) -> PreparedBatch:
        return prepare(
            file,
            self.contract,
            self.bucket,
            self._scratch(),
            execution="run",
            instance_mb=self.instance_mb,
            max_instances=self.max_instances,
        )

    @property
    def sent(self) -> list[bytes]:
        """The parts, in order."""
        return [
            body
            for key, body in sorted(self.bucket.objects.items())
            if key.startswith("batch-jobs/run/rows/")
        ]

    def transform(self) -> None:
        """Answer to each part as a transform job does, with the lines' ends that containers and jobs add."""
        for key, body in list(self.bucket.objects.items()):
            if key.startswith("batch-jobs/run/rows/"):
                lines = [self.answer(line) for line in body.decode().split("\n")[:-1]]
                place = key.replace("/rows/", "/answers/") + ".out"
                self.bucket.objects[place] = ("\n".join(lines) + "\n\n").encode()

    def join(self, file: GivenFile, prepared: PreparedBatch) -> bytes:
        key = join(file, self.contract, prepared, self.bucket, self._scratch(), execution="run")
        assert key == f"batch/run/predictions{file.suffix}"
        return self.bucket.objects[key]

    def through(self, content: str | bytes | pa.Table, name: str = "") -> bytes:
        file = self.file(content, name)
        prepared = self.prepare(file)
        self.transform()
        return self.join(file, prepared)

    def table(self, content: str | bytes) -> list[list[str]]:
        return list(
            csv.reader(io.StringIO(self.through(content).decode(), newline=""), delimiter=self.delimiter)
        )

    def refused(self, content: str | bytes | pa.Table, name: str = "") -> SluiceError:
        with pytest.raises(SluiceError) as caught:
            self.prepare(self.file(content, name))
        return caught.value

    def _scratch(self) -> Path:
        folder = self.folder / "work"
        folder.mkdir(exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        return folder


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


def test_each_row_comes_back_with_its_columns_and_its_prediction(batch: Batch) -> None:
    assert batch.through(GOOD).decode() == (
        "id,age,balance,job,prediction,probability,problem\nc1,30,1.5,clerk,no,0.3,\nc2,40,,nurse,no,0.4,\n"
    )
    assert batch.sent == [b'[30,1.5,"clerk"]\n[40,null,"nurse"]\n']


def test_columns_keep_their_texts_and_their_order_whatever_the_model_takes_of_them(tmp_path: Path) -> None:
    spelled = Feature(
        name="balance",
        kind="number",
        type="number",
        nullable=True,
        spelling=Spelling(decimal=",", grouping=".", after="€"),
    )
    batch = Batch(tmp_path, contract(spelled, AGE, nulls=("", "n/a")), delimiter=";")
    assert batch.table('note;age;balance\n"two\nlines";007; 1.234,50 € \n"say ""so""";1;n/a\n') == [
        ["note", "age", "balance", "prediction", "probability", "problem"],
        ["two\nlines", "007", " 1.234,50 € ", "yes", "12.345", ""],
        ['say "so"', "1", "n/a", "no", "0.0", ""],
    ]
    assert batch.sent == [b"[1234.5,7]\n[null,1]\n"]


def test_rows_that_break_the_contract_are_set_aside_each_with_all_its_reasons(batch: Batch) -> None:
    content = "id,age,balance,job\nc1,30,x,clerk\nc2,40,2,nurse\nc3,,inf,\nc4,1.5,1,a\nc5,60,1,a\n"
    rows = batch.table(content)
    assert [row[-1] for row in rows[1:]] == [
        "column 'balance': not a number: 'x'",
        "",
        "column 'age': empty, and the column is not nullable; column 'balance': not a number: 'inf'",
        "column 'age': not an integer: '1.5'",
        "",
    ]
    assert [row[4:6] for row in rows[1:]] == [["", ""], ["no", "0.4"], ["", ""], ["", ""], ["yes", "0.6"]]
    assert [row[:4] for row in rows[1:]] == [line.split(",") for line in content.splitlines()[1:]]


def test_why_rows_are_set_aside_is_counted_without_what_stands_in_them(batch: Batch) -> None:
    lines = "".join(f"{number},secret\n" for number in range(8))
    prepared = batch.prepare(batch.file("age,balance,job\nx,1,a\ny,1,b\n", "a.csv"))
    assert [each.model_dump() for each in prepared.reasons] == [
        {"reason": "column 'age': not an integer", "rows": 2, "first": (1, 2)}
    ]
    prepared = batch.prepare(batch.file("age,balance,job\n" + lines, "b.csv"))
    (reason,) = prepared.reasons
    assert (reason.rows, reason.first) == (8, (1, 2, 3, 4, 5))
    assert "secret" not in prepared.model_dump_json()


def test_ragged_rows_keep_their_place_and_what_they_have(batch: Batch) -> None:
    content = 'id,age,balance,job\nfirst\nc1,30,1,a\nc2,31,1,a,more,"and\nmore"\n\nc3,32\nc4,60,1,a\nlast,1\n'
    assert batch.table(content)[1:] == [
        ["first", "", "", "", "", "", "it has 1 field, the header 4"],
        ["c1", "30", "1", "a", "no", "0.3", ""],
        ["c2", "31", "1", "a", "", "", "it has 6 fields, the header 4"],
        ["c3", "32", "", "", "", "", "it has 2 fields, the header 4"],
        ["c4", "60", "1", "a", "yes", "0.6", ""],
        ["last", "1", "", "", "", "", "it has 2 fields, the header 4"],
    ]


def test_of_a_file_with_no_good_row_nothing_is_sent_and_each_row_has_its_reason(batch: Batch) -> None:
    for content in ("age,balance,job\nx,1,a\ny,1,b\n", "age,balance,job\n1\n2\n"):
        file = batch.file(content)
        prepared = batch.prepare(file)
        assert (prepared.rows, prepared.sent, prepared.part_rows, prepared.instances) == (2, 0, (), 0)
        rows = list(csv.reader(io.StringIO(batch.join(file, prepared).decode())))
        assert len(rows) == 3
        assert all(row[-1] for row in rows)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["1", " 22 ", "", "x", "9" * 30, "3.0"]),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
        | st.sampled_from(["a\nb", 'q"', "a,b"]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=40,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=ROWS)
def test_whatever_the_rows_hold_there_is_one_result_for_each_in_order(
    tmp_path: Path, rows: list[Any]
) -> None:
    batch = Batch(tmp_path, contract(AGE, JOB))
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["job", "age", "n"])
    for number, (age, job, ragged) in enumerate(rows):
        writer.writerow([job, age, f"row {number}"][: 1 if ragged == 0 else 3])
    blank = [job == "" and ragged == 0 for _, job, ragged in rows]
    if all(blank):
        return
    table = batch.table(sink.getvalue())[1:]
    # A line of one empty field is written in quotation marks, and so is a row.
    assert [row[0] for row in table] == [job for _, job, _ in rows]
    for row, (age, _, ragged) in zip(table, rows, strict=True):
        is_good = ragged != 0 and age.strip() in ("1", "22", "3.0")
        assert (row[3] != "", row[5] == "") == (is_good, is_good)
        if is_good:
            assert float(row[4]) == float(age) / 100


def test_parquet_comes_back_as_parquet_of_the_same_types(batch: Batch) -> None:
    given = pa.table(
        {
            "id": pa.array([7, 8, 9], pa.int32()),
            "age": pa.array([30, None, 60], pa.int64()),
            "balance": pa.array([1.5, float("nan"), None]),
            "job": pa.array(["clerk", None, "a\nb"]),
            "at": pa.array([0, 1, 2], pa.timestamp("ms")),
        }
    )
    table = pq.read_table(pa.BufferReader(batch.through(given)))
    assert table.schema.names == [*given.schema.names, "prediction", "probability", "problem"]
    assert [table.schema.field(name).type for name in given.schema.names] == [
        each.type for each in given.schema
    ]
    assert table["id"].to_pylist() == [7, 8, 9]
    assert table["prediction"].to_pylist() == ["no", None, "yes"]
    assert table["probability"].to_pylist() == [0.3, None, 0.6]
    assert table["problem"].to_pylist() == [None, "column 'age': empty, and the column is not nullable", None]
    assert batch.sent == [b'[30,1.5,"clerk"]\n[60,null,"a\\nb"]\n']


def test_rows_are_parted_by_size_and_shared_by_instances(batch: Batch) -> None:
    batch.instance_mb = 1
    wide = "a" * 900
    content = "id,age,balance,job\n" + "".join(f"c{n},{n % 100},1,{wide}\n" for n in range(3000))
    rows = batch.table(content)
    assert [row[0] for row in rows[1:]] == [f"c{n}" for n in range(3000)]
    assert [float(row[5]) for row in rows[1:]] == [n % 100 / 100 for n in range(3000)]
    assert [len(part) <= 1_000_000 for part in batch.sent] == [True] * 3
    prepared = batch.prepare(batch.file(content))
    assert sum(prepared.part_rows) == 3000
    assert prepared.instances == 3

    batch.max_instances = 2
    assert batch.prepare(batch.file(content)).instances == 2

    batch.instance_mb, batch.max_instances = 2, 4
    assert batch.prepare(batch.file(content)).instances == 2


@pytest.mark.parametrize(
    ("target", "answer", "columns", "cells"),
    [
        (NUMBER, '{"value":1.25}', ["prediction"], ["1.25"]),
        (
            CLASSES,
            '{"label":"b","probabilities":{"a":0.25,"b":0.5,"c":0.25}}',
            ["prediction", "probability of a", "probability of b", "probability of c"],
            ["b", "0.25", "0.5", "0.25"],
        ),
        (
            TargetContract(name="y", problem="binary", classes=(False, True), positive=True),
            '{"label":true,"probability":0.75}',
            ["prediction", "probability"],
            ["true", "0.75"],
        ),
        (
            TargetContract(name="y", problem="binary", classes=(0, 1), positive=1),
            '{"label":1,"probability":1.0}',
            ["prediction", "probability"],
            ["1", "1.0"],
        ),
    ],
)
def test_what_is_said_of_a_row_follows_the_problem(
    batch: Batch, target: TargetContract, answer: str, columns: list[str], cells: list[str]
) -> None:
    batch.contract = contract(target=target)
    batch.answer = lambda _line: answer
    header, first, _ = batch.table(GOOD)
    assert header[4:] == [*columns, "problem"]
    assert first[4:] == [*cells, ""]


def test_an_image_of_ones_own_is_sent_csv_and_answers_numbers(tmp_path: Path) -> None:
    batch = Batch(tmp_path, contract(AGE, BALANCE, JOB, MEMBER, own_image=True), answer=lambda _line: "0.5")
    rows = batch.table('age,balance,job,member\n30,,"a,b",yes\n40,2,"a\nb",no\n50,3,,1\n')
    assert batch.sent == [b'30.0,,"a,b",true\n50.0,3.0,,true\n']
    assert [row[4:] for row in rows[1:]] == [
        # Not above a half: as the gate has judged it.
        ["no", "0.5", ""],
        ["", "", "column 'job': a text with a line break, which cannot be sent to an image of your own"],
        ["no", "0.5", ""],
    ]


def test_a_row_too_long_for_a_request_is_set_aside(tmp_path: Path) -> None:
    batch = Batch(tmp_path, contract(JOB), answer=lambda _line: '{"label":"no","probability":0.0}')
    job = "\x01" * 300_000  # six characters each in JSON
    _, long, short = batch.through(f"job\n{job}\nshort\n").decode().splitlines()
    assert long.endswith(',,,"it is longer than the 1,048,576 bytes that a request may have: 1,800,005"')
    assert short == "short,no,0.0,"


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        ("", EmptyFile, "the file holds 0 bytes"),
        ("age,balance,job\n", NoRows, "there is a header and no row below it"),
        ("age,job\n1,a\n", SchemaMismatch, "columns the model takes are missing: 'balance'"),
        ("age,job\n", SchemaMismatch, "columns the model takes are missing: 'balance'"),
        ("age,job\n1\n", SchemaMismatch, "columns the model takes are missing: 'balance'"),
        ("age;balance;job\n1;2;a\n", SchemaMismatch, "write the file with ',' between its columns"),
        (
            "age,balance,job,problem\n1,2,a,b\n",
            SchemaMismatch,
            "called as what is added to each row: 'problem'",
        ),
        ("age,balance,job,age\n1,2,a,b\n", SchemaMismatch, "there more than once: 'age'"),
    ],
)
def test_a_file_that_nothing_can_be_had_from_is_refused_with_what_to_do(
    batch: Batch, content: str, error: type[DataError], text: str
) -> None:
    found = batch.refused(content)
    assert type(found) is error
    assert text in str(found)
    assert found.fix
    assert not batch.sent


def test_a_parquet_file_is_refused_alike(batch: Batch) -> None:
    assert "are missing: 'balance', 'job'" in str(batch.refused(pa.table({"age": [1]})))
    empty = pa.table({name: pa.array([], pa.string()) for name in ("age", "balance", "job")})
    assert type(batch.refused(empty)) is NoRows


def test_a_file_of_ids_is_told_that_a_batch_takes_full_rows(batch: Batch) -> None:
    batch.by_id = True
    found = batch.refused("customer_id\nC1\nC2\n")
    assert "a batch reads nothing from the online store" in found.fix
    assert "sluice predict --file FILE" in found.fix


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ("", "the model answered 0 lines to 2 rows"),
        ('{"label":"no","probability":0.1}\n', "the model answered 1 lines to 2 rows"),
        ('{"label":"no","probability":0.1}\n' * 3, "the model answered 3 lines to 2 rows"),
        (
            '{"label":"no","probability":0.1}\n{"label":"no"}\n',
            "line 2 of the model's answers is no prediction",
        ),
        ('{"label":"no","probability":NaN}\n' * 2, "is no finite number"),
        ('{"label":"maybe","probability":0.1}\n' * 2, "there is no class 'maybe'"),
        ("0.1\n0.2\n", "line 1 of the model's answers is no prediction"),
    ],
)
def test_where_there_is_not_one_answer_for_each_row_there_is_no_result(
    batch: Batch, answers: str, text: str
) -> None:
    file = batch.file(GOOD)
    prepared = batch.prepare(file)
    batch.transform()
    batch.bucket.objects["batch-jobs/run/answers/part-00000.jsonl.out"] = answers.encode()
    with pytest.raises(BatchFailed) as caught:
        batch.join(file, prepared)
    assert text in str(caught.value)
    assert "batch/run/predictions.csv" not in batch.bucket.objects


@pytest.mark.parametrize(
    ("line", "text"),
    [("x", "could not convert"), ("0.1,0.2", "1 numbers are expected"), ("nan", "no finite number")],
)
def test_an_own_images_answer_that_is_none_is_told(tmp_path: Path, line: str, text: str) -> None:
    batch = Batch(tmp_path, contract(own_image=True), answer=lambda _line: line)
    with pytest.raises(BatchFailed, match=text):
        batch.through(GOOD)


@pytest.mark.parametrize(
    ("lost", "text"),
    [
        ("batch-jobs/run/answers/part-00000.jsonl.out", "left no answers to a part of the rows"),
        ("batch-jobs/run/set_aside.parquet", "what was set aside of the file is not there any more"),
    ],
)
def test_what_was_deleted_meanwhile_is_told(batch: Batch, lost: str, text: str) -> None:
    file = batch.file(GOOD)
    prepared = batch.prepare(file)
    batch.transform()
    del batch.bucket.objects[lost]
    with pytest.raises(BatchFailed, match=text):
        batch.join(file, prepared)


@pytest.mark.parametrize("other", [GOOD + "c3,1,1,a\n", GOOD.rsplit("c2", 1)[0]])
def test_answers_are_never_given_to_the_rows_of_another_file(batch: Batch, other: str) -> None:
    prepared = batch.prepare(batch.file(GOOD))
    batch.transform()
    with pytest.raises(BatchFailed, match="the file is not what it was"):
        batch.join(batch.file(other), prepared)


@pytest.mark.parametrize(
    "aside", ["id,age,balance,job\nc1,30,1,a\nc2,x,1,a\n", "id,age,balance,job\nc1,x,1,a\n" * 2]
)
def test_what_was_set_aside_of_another_file_shifts_no_answers(batch: Batch, aside: str) -> None:
    batch.prepare(batch.file(aside))
    others = batch.bucket.objects["batch-jobs/run/set_aside.parquet"]
    file = batch.file(GOOD)
    prepared = batch.prepare(file)
    batch.transform()
    batch.bucket.objects["batch-jobs/run/set_aside.parquet"] = others
    with pytest.raises(BatchFailed, match="the file is not what it was"):
        batch.join(file, prepared)
