"""Bad input and what it gets: a named error with what to do, a report, one message, and nothing changed."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from cli import executions
from sluice import keys
from tests.support.bank import HEADER, Bank, bank_rows, write_csv
from tests.support.local_aws import wait_until


def _parquet(rows: int = 100) -> bytes:
    text = "\n".join(",".join(row) for row in [HEADER, *bank_rows(rows)])
    sink = io.BytesIO()
    pq.write_table(pa_csv.read_csv(io.BytesIO(text.encode())), sink)
    return sink.getvalue()


def _csv(rows: list[list[str]], header: list[str] = HEADER) -> bytes:
    return "\n".join(",".join(row) for row in [header, *rows]).encode() + b"\n"


def _without(column: int) -> Callable[[list[str]], list[str]]:
    return lambda row: [value for i, value in enumerate(row) if i != column]


BAD: dict[str, tuple[str, bytes, str, str]] = {
    "zero bytes": ("a.csv", b"", "EmptyFile", "0 bytes"),
    "header only": ("a.csv", _csv([]), "NoRows", "header"),
    "missing column": (
        "a.csv",
        _csv([_without(1)(r) for r in bank_rows(50)], _without(1)(HEADER)),
        "SchemaMismatch",
        "age",
    ),
    "extra column": (
        "a.csv",
        _csv([[*r, "1"] for r in bank_rows(50)], [*HEADER, "extra"]),
        "SchemaMismatch",
        "extra",
    ),
    "duplicated column": (
        "a.csv",
        _csv([[*r, "1"] for r in bank_rows(50)], [*HEADER, "age"]),
        "SchemaMismatch",
        "age",
    ),
    "wrong type": ("a.csv", _csv([[r[0], "old", *r[2:]] for r in bank_rows(50)]), "DataRejected", "age"),
    "not UTF-8": (
        "a.csv",
        _csv([[*r[:3], "jos\u00e9", *r[4:]] for r in bank_rows(50)]).decode().encode("latin-1"),
        "UnreadableFile",
        "UTF-8",
    ),
    "truncated Parquet": ("a.parquet", _parquet()[:-200], "UnreadableFile", "Parquet"),
    "no Parquet": ("a.parquet", b"this is no parquet file at all", "UnreadableFile", "Parquet"),
    "gzip named csv": ("a.csv", gzip.compress(_csv(bank_rows(50))), "UnreadableFile", "gzip"),
    "one class only": ("a.csv", _csv([[*r[:5], "no"] for r in bank_rows(50)]), "OneClassTarget", "no"),
    "duplicate entities": (
        "a.csv",
        _csv([["same", *r[1:]] for r in bank_rows(50)]),
        "DataRejected",
        "duplicate",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_named_and_changes_nothing(bank: Bank, tmp_path: Path, case: str) -> None:
    name, body, error, text = BAD[case]
    (tmp_path / name).write_bytes(body)
    _assert_fails(bank, tmp_path / name, error, text)


@pytest.mark.parametrize(
    ("mode", "error", "text"),
    [
        ("raise", "TrainingFailed", "the hook does not like this table"),
        ("exit", "TrainingFailed", "exit"),
        ("nan", "EvaluationFailed", "NaN"),
        ("hang", "TrainingTimedOut", "45"),
    ],
)
def test_a_failing_hook_is_named_and_changes_nothing(
    bank: Bank, tmp_path: Path, mode: str, error: str, text: str
) -> None:
    file = write_csv(tmp_path / f"{mode}.csv", bank_rows(300, seed=3, mode=mode))
    _assert_fails(bank, file, error, text, stores_dataset=True)


def test_a_failure_raises_the_stacks_own_alarm(bank: Bank, tmp_path: Path) -> None:
    sqs, sns = bank.stack.client("sqs"), bank.stack.client("sns")
    url = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=bank.stack.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=arn)
    cloudwatch = bank.stack.client("cloudwatch")
    machine = {"name": "StateMachineArn", "value": bank.stack.outputs["TrainingArn"]}
    for alarm in cloudwatch.describe_alarms()["MetricAlarms"]:  # an earlier test's failure may have raised it
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="a test")
    (tmp_path / "empty.csv").write_bytes(b"")

    bank.train(tmp_path / "empty.csv")

    def told() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            alarm: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
            if alarm["NewStateValue"] == "ALARM" and machine in alarm["Trigger"]["Dimensions"]:
                return alarm
        return None

    assert wait_until(told)["Trigger"]["MetricName"] == "ExecutionsFailed"


def test_reordered_columns_are_accepted(bank: Bank, tmp_path: Path) -> None:
    rows = [row[::-1] for row in bank_rows(400, seed=4)]
    summary = bank.train(write_csv(tmp_path / "reordered.csv", rows, HEADER[::-1]))
    assert summary["rejected_rows"] == 0, summary
    assert summary["outcome"] in {"Deployed", "GateRejected"}


def test_an_upload_elsewhere_is_answered(bank: Bank, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "lost.csv", bank_rows(50))
    _assert_fails(bank, file, "UploadMisplaced", "incoming/training/", key="lost.csv")


def test_a_folder_marker_is_nothing(bank: Bank, tmp_path: Path) -> None:
    """What the S3 console makes of a new folder: no execution, no report. With bytes in it, it is misplaced."""
    s3, bucket = bank.stack.client("s3"), bank.stack.outputs["UploadsBucketName"]
    marker = s3.put_object(Bucket=bucket, Key="incoming/training/2024/", Body=b"")
    file = write_csv(tmp_path / "a.csv", bank_rows(50))
    _assert_fails(bank, file, "UploadMisplaced", "no ending", key="incoming/training/2025/")

    # The other one, which was put later, has come to its end.
    upload = executions.Upload(bucket, "incoming/training/2024/", marker["VersionId"])
    sfn = bank.stack.client("stepfunctions")
    with pytest.raises(sfn.exceptions.ExecutionDoesNotExist):
        sfn.describe_execution(executionArn=executions.execution_arn(bank.stack, upload))


def test_an_object_deleted_before_it_is_read(bank: Bank, tmp_path: Path) -> None:
    sfn = bank.stack.client("stepfunctions")
    missing = {"bucket": bank.stack.outputs["UploadsBucketName"], "key": "incoming/training/gone.csv"}
    started = sfn.start_execution(
        stateMachineArn=bank.stack.outputs["TrainingArn"], input=json.dumps(missing)
    )
    summary = executions.follow(bank.stack, started["executionArn"])
    assert summary["error"] == "ObjectNotFound", summary
    assert "gone.csv" in summary["cause"]


def test_two_uploads_at_once_both_end(bank: Bank, tmp_path: Path) -> None:
    files = [write_csv(tmp_path / f"twin{i}.csv", bank_rows(400, seed=5 + i)) for i in range(2)]
    uploads = [executions.upload(bank.stack, file) for file in files]
    arns = [executions.execution_arn(bank.stack, upload) for upload in uploads]
    summaries = [executions.follow(bank.stack, arn) for arn in arns]
    assert {s["outcome"] for s in summaries} <= {"Deployed", "GateRejected"}, summaries
    assert len({s["dataset_version"] for s in summaries}) == 2


def _assert_fails(
    bank: Bank, file: Path, error: str, text: str, *, key: str | None = None, stores_dataset: bool = False
) -> None:
    datasets, config = bank.keys("datasets/"), bank.endpoint_config()
    summary = bank.train(file, key)
    assert (summary["outcome"], summary["error"]) == ("Failed", error), summary
    assert text in summary["cause"]
    assert "to do" in summary["cause"]
    execution = summary["execution_arn"].rsplit(":", 1)[-1]
    assert {
        keys.page(execution),
        keys.report(execution),
    } <= bank.keys(f"reports/{execution}/")
    assert len(bank.notifications(summary["execution_arn"])) == 1
    if not stores_dataset:
        assert bank.keys("datasets/") == datasets
    assert bank.endpoint_config() == config
