"""`sluice predict --batch`: what is brought from where, what is followed, and what a person gets to see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import executions, main
from cli import stack as stacks
from sluice import naming
from tests.support import deployed
from tests.support.deployed import ARTIFACTS, UPLOADS, Deployed

RESULT = b"id,age,prediction,probability,problem\na,30,yes,0.75,\n"
BATCH: dict[str, Any] = {
    "predictions_uri": f"s3://{ARTIFACTS}/batch/run/predictions.csv",
    "rows": 2,
    "predicted": 2,
    "set_aside": 0,
    "reasons": [],
    "model_name": "shop-dev-0",
    "model_uri": "s3://artifacts/models/m",
    "instances": 1,
}


class S3(deployed.S3):
    """Buckets from which files are fetched, too."""

    def download_file(self, bucket: str, key: str, path: str) -> None:
        Path(path).write_bytes(self.buckets[bucket][key])


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3:
    made = S3()
    made.buckets[ARTIFACTS]["batch/run/predictions.csv"] = RESULT
    made.buckets["warehouse"] = {"exports/rows.csv": b"id,age\na,30\n", "exports/raw": b"PAR1x"}
    monkeypatch.setattr(stacks, "current", lambda _name: Deployed.of(made))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_bytes(b"id,age\na,30\n")
    return made


def ends(monkeypatch: pytest.MonkeyPatch, **batch: Any) -> list[str]:
    """Let executions end as Predicted; give the ARNs of those that were followed."""
    followed: list[str] = []

    def follow(_stack: Any, arn: str) -> dict[str, Any]:
        followed.append(arn)
        return {"outcome": "Predicted", "execution_arn": arn, "batch": {**BATCH, **batch}}

    monkeypatch.setattr(executions, "follow", follow)
    return followed


def test_a_file_is_put_where_rows_are_predicted_and_where_the_result_will_be_is_said(
    s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["predict", "--batch", "rows.csv"]) == 0

    assert s3.buckets[UPLOADS] == {"incoming/batch/rows.csv": b"id,age\na,30\n"}
    name = naming.execution_name(UPLOADS, "incoming/batch/rows.csv", "v1")
    told = capsys.readouterr().err
    assert f":execution:batch:{name}\n" in told
    assert f"the result will be s3://artifacts/batch/{name}/predictions.csv" in told


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("exports/rows.csv", "incoming/batch/rows.csv"),
        # Its name does not say how it is read: how it begins does.
        ("exports/raw", "incoming/batch/raw.parquet"),
    ],
)
def test_an_object_is_copied_within_s3(s3: S3, key: str, target: str) -> None:
    body = s3.buckets["warehouse"][key]
    assert main.main(["predict", "--batch", f"s3://warehouse/{key}"]) == 0
    assert s3.buckets[UPLOADS] == {target: body}
    assert s3.moved == [f"copied {len(body)}"]


def test_an_object_that_lies_there_already_is_predicted_once_more(s3: S3) -> None:
    s3.buckets[UPLOADS]["incoming/batch/rows.csv"] = b"id,age\na,30\n"
    assert main.main(["predict", "--batch", f"s3://{UPLOADS}/incoming/batch/rows.csv"]) == 0
    assert s3.moved == ["copied 12"], "a new version, and so an execution of its own"


@pytest.mark.usefixtures("s3")
def test_with_wait_the_result_is_told_and_fetched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    followed = ends(monkeypatch)
    assert main.main(["predict", "--batch", "rows.csv", "--wait"]) == 0
    assert [":execution:batch:" in arn for arn in followed] == [True]
    told = capsys.readouterr().err
    assert "Predicted\n" in told
    assert "  result            s3://artifacts/batch/run/predictions.csv\n" in told

    assert main.main(["predict", "--batch", "rows.csv", "--wait", "--output", "out.csv", "--json"]) == 0
    assert (tmp_path / "out.csv").read_bytes() == RESULT
    assert json.loads(capsys.readouterr().out)["batch"] == BATCH
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "rows.csv"]


@pytest.mark.usefixtures("s3")
def test_rows_set_aside_are_told_with_their_reasons_and_by_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = [{"reason": "column 'age': not an integer", "rows": 6, "first": [1, 2, 3, 4, 5]}]
    ends(monkeypatch, rows=8, predicted=2, set_aside=6, reasons=reasons)
    assert main.main(["predict", "--batch", "rows.csv", "--wait"]) == 1
    told = capsys.readouterr().err
    assert "  rows predicted    2\n  rows set aside    6\n" in told
    assert "    column 'age': not an integer (6 ×, row 1, 2, 3, 4, 5, …)\n" in told


@pytest.mark.usefixtures("s3")
def test_a_failure_has_its_status_and_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failed = {
        "outcome": "Failed",
        "execution_arn": "arn",
        "error": "NothingReleased",
        "cause": "there is no model",
    }
    monkeypatch.setattr(executions, "follow", lambda *_: dict(failed))
    assert main.main(["predict", "--batch", "rows.csv", "--wait", "--output", "out.csv"]) == 1
    assert "NothingReleased: there is no model" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (
            ["--batch", "nowhere.csv"],
            ["there is no such file", "nowhere.csv", "name a CSV, TSV or Parquet file, or an object"],
        ),
        (["--batch", "."], [". is a folder", "--batch"]),
        (["--batch", "s3://warehouse"], ["the URI names no object", "--batch s3://warehouse"]),
        (["--batch", "s3://warehouse/exports/"], ["the URI names no object"]),
        (["--batch", "s3:/warehouse/rows.csv"], ["s3:/warehouse/rows.csv", "s3://BUCKET/KEY"]),
        (
            ["--batch", "s3://warehouse/gone.csv"],
            ["there is no such object", "--batch s3://warehouse/gone.csv"],
        ),
        (["--batch", "rows.csv", "--output", "out.csv"], ["there is no result to write yet", "add --wait"]),
        (["--batch", "rows.csv", "--with", "a=1"], ["--with goes with --id"]),
        (
            ["--batch", "rows.csv", "--wait", "--output", "out.parquet"],
            ["the result of this file is .csv", "name it out.csv"],
        ),
        (
            ["--batch", "rows.csv", "--wait", "--output", "rows.csv"],
            ["would replace the file they are made from"],
        ),
        (
            ["--batch", "rows.csv", "--wait", "--output", "no/out.csv"],
            ["there is no such folder", "mkdir -p no"],
        ),
        (["--file", "rows.csv", "--wait"], ["--wait goes with --batch"]),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_started(
    s3: S3, capsys: pytest.CaptureFixture[str], arguments: list[str], texts: list[str]
) -> None:
    assert main.main(["predict", *arguments]) == 1
    told = capsys.readouterr().err
    for text in texts:
        assert text in told
    assert s3.buckets[UPLOADS] == {}


def test_of_an_object_its_result_says_in_the_end_what_it_is(
    s3: S3, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ends(monkeypatch)
    arguments = ["predict", "--batch", "s3://warehouse/exports/rows.csv", "--wait", "--output", "out.parquet"]
    assert main.main(arguments) == 1
    told = capsys.readouterr().err
    assert "the result is .csv, and is not written as .parquet" in told
    assert "aws s3 cp s3://artifacts/batch/run/predictions.csv ." in told
    assert not (tmp_path / "out.parquet").exists()


def test_the_help_shows_how(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["predict", "--help"])
    told = capsys.readouterr().out
    assert "sluice predict --batch customers.csv --wait --output predictions.csv" in told
    assert "sluice predict --batch s3://warehouse/exports/customers.parquet --wait" in told


def test_rows_are_given_in_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["predict", "--batch", "a.csv", "--file", "b.csv"])
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err
