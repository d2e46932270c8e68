"""A model of the user's own image: the rows it is sent, and what its answers have to be."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from containers.frames import features_of, frame_of, read_training_set
from containers.predictions import Predictions
from containers.process import transform
from containers.serve.encoding import encode
from sluice.contract import ModelContract, TargetContract
from sluice.decoding.bodies import decode
from sluice.errors import EvaluationFailed, from_wire
from tests.support.jobs import BINARY, Job, Trained, toy_table

OWN_IMAGE = BINARY + '[model]\nimage = "image"\n'
HELD_OUT = "processing/output/held_out/held_out.csv"


def contract_of(problem: Any, *classes: str, positive: str | None = None) -> ModelContract:
    target = TargetContract(name="y", problem=problem, classes=classes, positive=positive)
    return ModelContract(features=(), target=target)


BINARY_CONTRACT = contract_of("binary", "no", "yes", positive="yes")
MULTICLASS_CONTRACT = contract_of("multiclass", "high", "low", "middle")
REGRESSION_CONTRACT = contract_of("regression")


def read(tmp_path: Path, contract: ModelContract, answers: str | bytes, rows: int = 2) -> Predictions:
    file = tmp_path / transform.ANSWERS
    file.write_bytes(answers if isinstance(answers, bytes) else answers.encode())
    return transform.read_answers(file, contract, rows)


# --- the rows


def test_the_held_out_rows_are_what_a_serving_container_reads(tmp_path: Path) -> None:
    job = Job(tmp_path, OWN_IMAGE, hooks={})
    run = job.build_training_set(toy_table())
    assert run.code == 0, run.output
    table, contract = read_training_set(tmp_path / "processing/output/held_out")
    body = job.read(HELD_OUT)
    assert body.count(b"\n") == table.num_rows
    # Numbers with all their digits, nulls as nulls, in order.
    read_back = frame_of(decode(body, "text/csv", contract), contract)
    assert read_back.equals(features_of(table, contract))


def test_a_project_with_training_code_has_no_use_for_them(binary: Trained) -> None:
    assert not (binary.built.base / HELD_OUT).exists()


def test_a_line_break_would_cut_a_row_in_two(tmp_path: Path) -> None:
    records = toy_table().to_pylist()
    for record in records:
        record["colour"] = "light\ngreen" if record["colour"] == "green" else record["colour"]
    run = Job(tmp_path, OWN_IMAGE, hooks={}).build_training_set(pa.Table.from_pylist(records))
    assert run.code == 1
    told = from_wire(run.reason)
    assert told is not None
    assert "'colour' holds a line break" in told.what
    assert "replace line breaks" in told.fix


def test_a_category_that_is_never_there_is_an_empty_field(tmp_path: Path) -> None:
    table = toy_table()
    nothing = pa.array([None] * table.num_rows, pa.string())
    table = table.set_column(table.column_names.index("colour"), "colour", nothing)
    job = Job(tmp_path, OWN_IMAGE, hooks={})
    assert job.build_training_set(table).code == 0
    assert all(line.split(",")[3] == "" for line in job.read(HELD_OUT).decode().splitlines())


# --- the answers


def test_a_probability_is_that_of_the_positive_class(tmp_path: Path) -> None:
    # A container's own line end, and the job's: blank lines between batches count for nothing.
    given = read(tmp_path, BINARY_CONTRACT, "0.25\n\n 0.75 \n\n")
    assert given.values.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert given.labels is not None
    assert given.labels.tolist() == [0, 1]
    turned = read(tmp_path, contract_of("binary", "no", "yes", positive="no"), "0.25\n0.75\n")
    assert turned.values.tolist() == [[0.25, 0.75], [0.75, 0.25]]
    assert turned.labels is not None
    assert turned.labels.tolist() == [1, 0]


def test_probabilities_of_classes_are_in_the_order_of_the_contract(tmp_path: Path) -> None:
    given = read(tmp_path, MULTICLASS_CONTRACT, "0.1,0.2,0.7\n0.333,0.334,0.332")
    assert given.labels is not None
    assert given.labels.tolist() == [2, 1]
    assert np.allclose(given.values.sum(axis=1), 1, rtol=0, atol=1e-12)


def test_a_regression_answers_values(tmp_path: Path) -> None:
    given = read(tmp_path, REGRESSION_CONTRACT, "-1.5e3\r\n7\r\n")
    assert (given.values.tolist(), given.labels) == ([-1500.0, 7.0], None)


@pytest.mark.parametrize(
    ("contract", "answers", "says"),
    [
        (BINARY_CONTRACT, "", "it answered 0 lines for 2 held-out rows"),
        (BINARY_CONTRACT, "p\n0.1\n0.2\n", "it answered 3 lines for 2 held-out rows"),
        (BINARY_CONTRACT, "0.1\n", "it answered 1 lines"),
        (BINARY_CONTRACT, b"\xff\xfe\n", "its answers are no text"),
        (BINARY_CONTRACT, "0.1\n0.2,0.8\n", "line 2 holds 2 values, expected 1"),
        (BINARY_CONTRACT, "yes\nno\n", "line 1 is not made of numbers"),
        (BINARY_CONTRACT, "0.1\nnan\n", "1 of 2 predictions are not finite, the first in line 2"),
        (BINARY_CONTRACT, "0.1\n1.5\n", "1 of 2 predictions are outside 0 to 1, the first in line 2"),
        (MULTICLASS_CONTRACT, "0.5,0.5\n0.5,0.5\n", "line 1 holds 2 values, expected 3"),
        (MULTICLASS_CONTRACT, "1,0,0\n0.5,0.5,0.5\n", "1 of 2 predictions are not 1 in sum"),
        (MULTICLASS_CONTRACT, "1,0,0\n2,-1,0\n", "outside 0 to 1"),
        (REGRESSION_CONTRACT, "1\ninf\n", "not finite"),
    ],
)
def test_what_is_no_answer(tmp_path: Path, contract: ModelContract, answers: str | bytes, says: str) -> None:
    with pytest.raises(EvaluationFailed) as caught:
        read(tmp_path, contract, answers)
    assert says in caught.value.what
    assert caught.value.where == "held_out.csv.out"
    assert caught.value.why
    assert "docs/project.md" in caught.value.fix


# --- the evaluation


def answers_of(trained: Trained, scratch: Path) -> bytes:
    """What the model's serving container answers to the held-out rows, as CSV."""
    (scratch / "held_out.parquet").write_bytes(trained.held_out_set)
    run = Job(scratch).run("containers.process.score", str(trained.model), str(scratch), str(scratch))
    assert run.code == 0, run.output
    with np.load(scratch / "predictions.npz") as arrays:
        predictions = Predictions(arrays["values"], arrays.get("labels"))
    return encode(predictions, "text/csv", ModelContract.load(trained.model / "contract.json"))


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_answers_are_judged_as_the_model_itself_is(
    request: pytest.FixtureRequest, tmp_path: Path, problem: str
) -> None:
    trained: Trained = request.getfixturevalue(problem)
    itself = Job(tmp_path / "itself", trained.built.project)
    assert itself.evaluate(trained.held_out_set, trained.trained.model_archive()).code == 0
    (tmp_path / "scores").mkdir()
    answers = answers_of(trained, tmp_path / "scores")

    job = Job(tmp_path / "answers", trained.built.project)
    job.put("processing/input/code/project.zip", job.code_zip())
    job.put("processing/input/held_out/held_out.parquet", trained.held_out_set)
    for role in ("challenger", "champion"):
        job.put(f"processing/input/{role}/held_out.csv.out", answers)
    run = job.run(
        "containers.process",
        "evaluate",
        CHALLENGER_MODEL_URI="s3://b/challenger",
        CHAMPION_MODEL_URI="s3://b/champion",
    )

    assert run.code == 0, run.output
    expected = itself.evaluation["challenger"]["metrics"]
    for role in ("challenger", "champion"):
        assert job.evaluation[role]["metrics"] == pytest.approx(expected, rel=1e-9)
        assert set(job.evaluation["curves"][role]) == set(itself.evaluation["curves"]["challenger"])
    # No contract comes with an image: what lands in S3 is the training set's, which no training has completed.
    contract = ModelContract.load(job.base / "processing/output/model/contract.json")
    assert contract.dataset_version == ""
    assert contract.target.name == "y"


def evaluated(binary: Trained, folder: Path, *, challenger: bytes, **environment: str) -> tuple[Job, Any]:
    job = Job(folder)
    job.put("processing/input/code/project.zip", job.code_zip())
    job.put("processing/input/held_out/held_out.parquet", binary.held_out_set)
    job.put("processing/input/challenger/held_out.csv.out", challenger)
    return job, job.run(
        "containers.process", "evaluate", CHALLENGER_MODEL_URI="s3://b/challenger", **environment
    )


def half(binary: Trained) -> bytes:
    rows = pq.read_table(io.BytesIO(binary.held_out_set)).num_rows
    return b"0.5\n" * rows


def test_a_challenger_that_does_not_answer_every_row_fails(binary: Trained, tmp_path: Path) -> None:
    _, run = evaluated(binary, tmp_path, challenger=half(binary) + b"0.5\n")
    assert run.code == 1
    assert "challenger: it answered" in run.reason
    assert "docs/project.md" in run.reason


def test_a_champion_whose_container_did_not_answer_is_no_failure(binary: Trained, tmp_path: Path) -> None:
    job, run = evaluated(
        binary,
        tmp_path,
        challenger=half(binary),
        CHAMPION_MODEL_URI="s3://b/champion",
        CHAMPION_ERROR="ClientError: it takes 4 columns",
    )
    assert run.code == 0, run.output
    champion = job.evaluation["champion"]
    assert (champion["model_uri"], champion["metrics"]) == ("s3://b/champion", {})
    assert "ClientError: it takes 4 columns" in champion["error"]


def test_a_champion_of_an_image_cannot_be_judged_beside_training_code(
    binary: Trained, tmp_path: Path
) -> None:
    """The project went back from its own image to train.py: the champion's archive is opaque."""
    foreign = Job(tmp_path / "foreign")
    foreign.put("model/weights.bin", b"\0")
    job = Job(tmp_path / "evaluate")
    run = job.evaluate(binary.held_out_set, binary.trained.model_archive(), foreign.model_archive())
    assert run.code == 0, run.output
    assert "the model has no contract" in job.evaluation["champion"]["error"]
