"""Predictions as files: a line for each row, whole or not there at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli import answers
from cli.prediction import Answer
from cli.progress import counted
from sluice.contract import TargetContract
from sluice.errors import SluiceError

BINARY = TargetContract(name="y", problem="binary", classes=(False, True), positive=True)
CLASSES = TargetContract(name="y", problem="multiclass", classes=("a", "label", "b,c"))
VALUE = TargetContract(name="y", problem="regression")
GIVEN: dict[str, tuple[TargetContract, list[dict[str, Any] | None]]] = {
    "binary": (BINARY, [{"label": True, "probability": 0.75}, None, {"label": False, "probability": 1e-17}]),
    "multiclass": (
        CLASSES,
        [{"label": "label", "probabilities": {"b,c": 0.25, "a": 0.25, "label": 0.5}}, None],
    ),
    "regression": (VALUE, [None, {"value": 0.1}, {"value": -3.0}]),
}
CSV = {
    "binary": "label,probability\ntrue,0.75\n,\nfalse,1e-17\n",
    "multiclass": 'label,a,probability of label,"b,c"\nlabel,0.25,0.5,0.25\n,,,\n',
    "regression": 'value\n""\n0.1\n-3.0\n',
}
LINES: dict[str, list[Any]] = {
    "binary": [{"label": True, "probability": 0.75}, {"label": None, "probability": None}],
    "multiclass": [GIVEN["multiclass"][1][0], {"label": None, "probabilities": None}],
    "regression": [{"value": None}, {"value": 0.1}, {"value": -3.0}],
}


def given(problem: str) -> tuple[list[Answer], TargetContract]:
    target, predictions = GIVEN[problem]
    return [Answer(number, each) for number, each in enumerate(predictions, start=1)], target


@pytest.mark.parametrize("problem", GIVEN)
def test_the_name_says_the_format(tmp_path: Path, problem: str) -> None:
    made, target = given(problem)
    for name in ("out.csv", "out.TSV", "out.jsonl", "out.parquet"):
        answers.write(iter(made), target, tmp_path / name, as_json=False)

    assert (tmp_path / "out.csv").read_text() == CSV[problem]
    assert len((tmp_path / "out.TSV").read_text().splitlines()[0].split("\t")) == len(answers.columns(target))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines[: len(LINES[problem])] == LINES[problem]
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.num_rows == len(made)
    assert table.column_names == answers.columns(target)
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", "out.TSV", "out.jsonl", "out.parquet"}


def test_parquet_has_the_types_of_the_contract_also_where_nothing_was_predicted(tmp_path: Path) -> None:
    answers.write(iter([Answer(1, None)]), BINARY, tmp_path / "out.parquet", as_json=False)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.types == [pa.bool_(), pa.float64()]
    assert table.to_pylist() == [{"label": None, "probability": None}]


@pytest.mark.parametrize("as_json", [False, True])
def test_without_a_file_it_is_stdout(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    made, target = given("binary")
    answers.write(iter(made), target, None, as_json=as_json)
    told = capsys.readouterr().out
    if as_json:
        assert [json.loads(line) for line in told.splitlines()][:2] == LINES["binary"]
    else:
        assert told == CSV["binary"]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_a_file_that_was_there_stays_where_it_fails(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("before")

    def failing() -> Iterator[Answer]:
        yield Answer(1, {"value": 1.0})
        raise SluiceError("the model failed")

    with pytest.raises(SluiceError):
        answers.write(failing(), VALUE, tmp_path / name, as_json=False)

    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "before")]


def test_progress_of_a_long_file_is_told_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = iter(range(0, 1_000, 4))

    assert list(counted(range(8), "rows predicted", clock=lambda: float(next(seconds)))) == list(range(8))

    # Looked at after each row, four seconds apart.
    assert capsys.readouterr().err.splitlines() == [
        "  … 3 rows predicted, 12 s",
        "  … 6 rows predicted, 24 s",
    ]
    assert list(counted(range(8), "rows", quiet=True)) == list(range(8))
    assert capsys.readouterr().err == ""
