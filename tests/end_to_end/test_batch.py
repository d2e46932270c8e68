"""Batch prediction on the local AWS: a file goes up, each of its rows comes back, by the model that serves."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from cli import executions, main
from cli.serving import Served
from sluice import keys, naming
from tests.support.bank import HEADER, Bank, bank_rows, write_csv, write_project
from tests.support.local_aws import wait_until

_BATCH = "\n[batch]\ninstance_mb = 1\nmax_instances = 2\n"


@pytest.fixture(scope="module")
def counter(bank: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """A project beside the bank whose batches are shared by two instances from a megabyte on; nothing is released."""
    folder = tmp_path_factory.mktemp("counter")
    write_project(folder / "project", "counter")
    file = folder / "project" / "project.toml"
    file.write_text(file.read_text() + _BATCH)
    return bank.beside(folder / "project", folder)


@pytest.fixture(scope="module")
def serving(counter: Bank, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """The same, with a model in service."""
    rows = tmp_path_factory.mktemp("rows")
    early = counter.train(
        write_csv(rows / "early.csv", bank_rows(5), HEADER), f"{keys.INCOMING_BATCH}early.csv"
    )
    assert (early["outcome"], early["error"]) == ("Failed", "NothingReleased"), early
    assert "no model of this project was released so far" in early["cause"]
    assert len(counter.notifications(early["execution_arn"])) == 1
    trained = counter.train(write_csv(rows / "train.csv", bank_rows(600)))
    assert trained["outcome"] == "Deployed", trained
    return counter


def predict(bank: Bank, file: Path) -> dict[str, Any]:
    return bank.train(file, f"{keys.INCOMING_BATCH}{file.name}")


def body_of(bank: Bank, uri: str) -> bytes:
    bucket, key = naming.split_uri(uri)
    found: bytes = bank.stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return found


def result_of(bank: Bank, ended: dict[str, Any]) -> list[dict[str, str]]:
    text = body_of(bank, ended["batch"]["predictions_uri"]).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def asked_of_the_endpoint(bank: Bank, rows: list[list[str]]) -> list[float]:
    """What InvokeEndpoint answers to the same rows."""
    lines = [
        json.dumps({"age": int(age), "balance": float(balance), "job": job, "mode": mode})
        for _, age, balance, job, mode, _ in rows
    ]
    served = Served.by(bank.stack)
    answer = served.runtime.invoke_endpoint(
        EndpointName=served.endpoint,
        ContentType="application/jsonlines",
        Accept="application/json",
        Body="\n".join(lines).encode(),
    )
    return [each["probability"] for each in json.loads(answer["Body"].read())["predictions"]]


def test_each_row_is_predicted_as_the_endpoint_does_in_its_order_with_its_columns(
    serving: Bank, tmp_path: Path
) -> None:
    rows = bank_rows(200, seed=7)
    ended = predict(serving, write_csv(tmp_path / "good.csv", rows))

    assert ended["outcome"] == "Predicted", ended
    assert (ended["batch"]["rows"], ended["batch"]["predicted"], ended["batch"]["instances"]) == (200, 200, 1)
    assert ended["batch"]["model_name"] == serving.endpoint_config()
    result = result_of(serving, ended)
    assert list(result[0]) == [*HEADER, "prediction", "probability", "problem"]
    assert [[row[name] for name in HEADER] for row in result] == rows
    assert [float(row["probability"]) for row in result] == asked_of_the_endpoint(serving, rows)
    assert [row["prediction"] for row in result] == [
        "yes" if float(row["probability"]) > 0.5 else "no" for row in result
    ]
    assert {row["problem"] for row in result} == {""}
    (told,) = serving.notifications(ended["execution_arn"])
    assert told["Subject"] == "Sluice counter: Predicted, 200 of 200 rows"
    assert told["MessageAttributes"]["outcome"]["Value"] == "Predicted"
    assert ended["batch"]["predictions_uri"] in told["Message"]
    report = json.loads(body_of(serving, ended["report_uri"]))
    assert report["batch"] == ended["batch"]
    assert (
        "200 rows predicted, 0 set aside."
        in body_of(serving, ended["report_uri"].replace(".json", ".html")).decode()
    )


def test_rows_that_break_the_contract_keep_their_place_with_their_reason(
    serving: Bank, tmp_path: Path
) -> None:
    rows = bank_rows(20, seed=8)
    rows[3][1] = "old"
    rows[11][3] = ""
    file = write_csv(tmp_path / "some-bad.csv", rows)
    file.write_text(file.read_text() + "c8-20,44\n")
    ended = predict(serving, file)

    assert ended["outcome"] == "Predicted", ended
    assert (ended["batch"]["rows"], ended["batch"]["predicted"], ended["batch"]["set_aside"]) == (21, 18, 3)
    result = result_of(serving, ended)
    assert {number: row["problem"] for number, row in enumerate(result) if row["problem"]} == {
        3: "column 'age': not an integer: 'old'",
        11: "column 'job': empty, and the column is not nullable",
        20: "it has 2 fields, the header 6",
    }
    good = [number for number in range(20) if number not in (3, 11)]
    expected = asked_of_the_endpoint(serving, [rows[number] for number in good])
    assert [float(result[number]["probability"]) for number in good] == expected
    assert all(result[number]["prediction"] == "" for number in (3, 11, 20))
    assert [row["id"] for row in result] == [*(row[0] for row in rows), "c8-20"]
    metrics = serving.stack.client("cloudwatch").list_metrics(Namespace="Sluice/Batch")["Metrics"]
    assert {each["MetricName"] for each in metrics} == {"RowsPredicted", "RowsSetAside"}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", "EmptyFile"),
        (",".join(HEADER) + "\n", "NoRows"),
        ("id,age\nc1,30\n", "SchemaMismatch"),
    ],
)
def test_a_file_that_holds_nothing_to_predict_is_told_and_leaves_nothing(
    serving: Bank, tmp_path: Path, content: str, error: str
) -> None:
    file = tmp_path / f"{error}.csv"
    file.write_text(content)
    ended = predict(serving, file)

    assert (ended["outcome"], ended["error"]) == ("Failed", error), ended
    assert len(serving.notifications(ended["execution_arn"])) == 1
    execution = ended["execution_arn"].rsplit(":", 1)[1]
    assert serving.keys(f"{keys.BATCH}/{execution}/") == set()


def test_of_a_file_with_no_good_row_each_row_has_its_reason_and_no_job_ran(
    serving: Bank, tmp_path: Path
) -> None:
    rows = [[row[0], "x", *row[2:]] for row in bank_rows(4, seed=9)]
    ended = predict(serving, write_csv(tmp_path / "none-good.csv", rows))

    assert ended["outcome"] == "Predicted", ended
    assert (ended["batch"]["predicted"], ended["batch"]["set_aside"], ended["batch"]["instances"]) == (
        0,
        4,
        0,
    )
    assert [row["problem"] for row in result_of(serving, ended)] == ["column 'age': not an integer: 'x'"] * 4
    assert "PredictBatch" not in ended["seconds"]


def test_a_large_parquet_file_is_shared_by_instances_and_comes_back_as_parquet(
    serving: Bank, tmp_path: Path
) -> None:
    rows = bank_rows(60_000, seed=10)
    rows[777][2] = "rich"
    table = pyarrow.csv.read_csv(write_csv(tmp_path / "large.csv", rows))
    pq.write_table(table, tmp_path / "large.parquet")
    ended = predict(serving, tmp_path / "large.parquet")

    assert ended["outcome"] == "Predicted", ended
    assert (ended["batch"]["predicted"], ended["batch"]["instances"]) == (59_999, 2)
    assert ended["batch"]["predictions_uri"].endswith("/predictions.parquet")
    (tmp_path / "result.parquet").write_bytes(body_of(serving, ended["batch"]["predictions_uri"]))
    result = pq.read_table(tmp_path / "result.parquet")
    assert result.select(HEADER).equals(table)
    assert result["problem"][777].as_py() == "column 'balance': not a number: 'rich'"
    assert result["prediction"].null_count == result["probability"].null_count == 1
    at = [0, 776, 778, 30_000, 59_999]
    assert [result["probability"][each].as_py() for each in at] == asked_of_the_endpoint(
        serving, [rows[each] for each in at]
    )
    job = serving.stack.client("sagemaker").describe_transform_job(
        TransformJobName=f"{naming.job('counter', 'local', ended['execution_arn'])}-batch"
    )
    assert job["TransformResources"]["InstanceCount"] == 2
    assert job["ModelName"] == serving.endpoint_config()


def test_the_command_line_brings_a_file_follows_it_and_fetches_the_result(
    serving: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.stack.current", lambda _name: serving.stack)
    file = write_csv(tmp_path / "typed.csv", bank_rows(10, seed=11))
    output = tmp_path / "predictions.csv"
    assert main.main(["predict", "--batch", str(file), "--wait", "--output", str(output)]) == 0
    assert len(output.read_text().splitlines()) == 11
    told = capsys.readouterr().err
    assert "✓ PrepareBatch" in told
    assert "10 rows to predict, 0 set aside" in told

    uploads = serving.stack.output("UploadsBucketName")
    uri = naming.uri(uploads, f"{keys.INCOMING_BATCH}typed.csv")
    assert main.main(["predict", "--batch", uri, "--wait", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert body_of(serving, again["batch"]["predictions_uri"]) == output.read_bytes()


def test_an_execution_that_is_stopped_is_told_of(serving: Bank, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "stopped.csv", bank_rows(30_000, seed=12))
    upload = executions.upload(serving.stack, file, None, keys.INCOMING_BATCH)
    arn = executions.execution_arn(serving.stack, upload)
    sfn = serving.stack.client("stepfunctions")

    def running() -> bool:
        try:
            return bool(sfn.describe_execution(executionArn=arn)["status"] == "RUNNING")
        except sfn.exceptions.ExecutionDoesNotExist:
            return False

    wait_until(running, 60)
    sfn.stop_execution(executionArn=arn, error="Ada", cause="the wrong file")
    ended = executions.follow(serving.stack, arn)
    assert ended["outcome"] == "Failed"
    (told,) = wait_until(lambda: serving.notifications(arn), 60)
    assert "ExecutionAborted" in told["Subject"]
    assert "the wrong file" in told["Message"]
