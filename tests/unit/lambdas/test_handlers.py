"""The handlers as Lambda calls them: raw events in, payloads or errors out."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cli import executions
from lambdas import decide_gate, report_outcome, validate_dataset
from lambdas.adapters import endpoints, settings, trials
from lambdas.adapters.mlflow import MlflowTracker
from lambdas.adapters.uploads import Upload
from sluice.errors import PipelineFailed, SluiceError, StorageUnavailable, TrackingUnavailable
from sluice.payloads.training import EndpointSeen, GateDecision, ReportedOutcome, ValidatedDataset
from tests.support.bucket import Bucket
from tests.support.mlflow import Mlflow
from tests.support.s3 import FakeS3

KEY = "incoming/training/a.csv"
GOOD = b"age,y\n1,yes\n2,no\n3,yes\n"
EVENT = {"execution": "run", "bucket": "uploads", "key": KEY, "version_id": "v1"}
PROJECT_TOML = """\
[project]
name = "bank"
[data]
max_rejected_share = 0.3
[target]
column = "y"
problem = "binary"
positive = "yes"
[columns.age]
type = "integer"
[columns.y]
type = "string"
[features]
numeric = ["age"]
[gates]
minimum = { roc_auc = 0.8 }
"""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    """The artifacts bucket of a function that was deployed with a small project."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "project.toml").write_text(PROJECT_TOML)
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("PROJECT_FILE", "project/project.toml")
    monkeypatch.setenv("ARTIFACTS_BUCKET", "artifacts")
    settings.settings.cache_clear()
    settings.project.cache_clear()
    made = Bucket()
    for module in (validate_dataset, decide_gate, report_outcome):
        monkeypatch.setattr(module, "S3Artifacts", lambda _name: made)
    monkeypatch.setattr(
        endpoints, "look", lambda name: EndpointSeen(name=name, status="InService", config="c")
    )
    return made


def uploaded(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr(Upload, "_s3", FakeS3({(KEY, "v1"): body}))


def test_a_good_file_becomes_a_dataset_version(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded(monkeypatch, GOOD)
    answer = ValidatedDataset.model_validate(validate_dataset.handler(EVENT, None))
    assert (answer.rows, answer.rejected_rows) == (3, 0)
    assert f"datasets/{answer.dataset_version}/manifest.json" in bucket.objects
    json.dumps(answer.model_dump())


class Said(FakeS3):
    """Objects that say something of themselves."""

    def __init__(self, body: bytes, metadata: dict[str, str]) -> None:
        super().__init__({(KEY, "v1"): body})
        self._metadata = metadata

    def head_object(self, **request: Any) -> dict[str, Any]:
        taken = datetime(2026, 3, 1, 12, tzinfo=UTC)
        return {**super().head_object(**request), "Metadata": self._metadata, "LastModified": taken}


def test_what_an_object_says_of_its_upload_is_in_the_lineage(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"by": "arn:aws:iam::1:user/ada", "tracked_as": "däta/100 %.dvc", "tracked_md5": "0" * 32}
    metadata = executions.metadata(said)
    assert all(text.isascii() for pair in metadata.items() for text in pair), "S3 takes nothing else"
    monkeypatch.setattr(Upload, "_s3", Said(GOOD, {**metadata, "another-tools": "word"}))
    made = validate_dataset.handler(EVENT, None)
    lineage = json.loads(bucket.objects[f"datasets/{made['dataset_version']}/lineage.json"])
    assert lineage["uploaded"] == {**said, "at": "2026-03-01T12:00:00Z"}


def test_a_refused_file_leaves_its_report_and_quarantine_and_no_dataset(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(monkeypatch, GOOD + b"old,no\nolder,no\n")
    with pytest.raises(Exception, match="rows were rejected") as caught:
        validate_dataset.handler(EVENT, None)
    assert type(caught.value).__name__ == "DataRejected"
    assert sorted(bucket.objects) == ["quarantine/run/rejected.csv", "reports/run/validation.json"]
    report = json.loads(bucket.objects["reports/run/validation.json"])
    assert report["error"]["name"] == "DataRejected"
    assert report["rejected_rows"] == 2
    assert report["source"]["version_id"] == "v1"


def with_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the project tell rows apart by key and time."""
    text = PROJECT_TOML.replace("[target]", '[entity]\nkey = "id"\ntimestamp = "at"\n[target]', 1)
    text += '[columns.id]\ntype = "string"\n[columns.at]\ntype = "timestamp"\n'
    (tmp_path / "project" / "project.toml").write_text(text)
    settings.project.cache_clear()


TABLE = b"id,at,age,y\na,2026-01-01,1,yes\nb,2026-01-01,2,no\n"
EVENTS = b"id,at,age,y\na,2026-01-02,1,yes\n"


def test_events_are_appended_and_found_without_an_upload(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_times(monkeypatch, tmp_path)
    uploaded(monkeypatch, TABLE)
    table = validate_dataset.handler(EVENT, None)
    monkeypatch.setattr(Upload, "_s3", FakeS3({("incoming/events/b.csv", "v1"): EVENTS}))
    event = {**EVENT, "key": "incoming/events/b.csv", "execution": "second", "mode": "append"}
    appended = validate_dataset.handler(event, None)
    assert appended["dataset_version"] != table["dataset_version"]
    assert json.loads(bucket.objects["reports/second/validation.json"])["appended"]["parts"] == 2

    asked = {"execution": "third", "bucket": None, "key": None, "version_id": None, "dataset": None}
    for dataset in (None, "current", appended["dataset_version"]):
        found = validate_dataset.handler({**asked, "dataset": dataset}, None)
        assert (found["dataset_version"], found["rows"]) == (appended["dataset_version"], 3)
        assert found["parts_uri"] == appended["parts_uri"]
    older = validate_dataset.handler({**asked, "dataset": table["dataset_version"]}, None)
    assert (older["dataset_version"], older["rows"]) == (table["dataset_version"], 2)
    assert not [key for key in bucket.objects if key.startswith("reports/third/")]


@pytest.mark.parametrize(
    ("dataset", "words"), [(None, "no dataset to train on yet"), ("0123", "no dataset version '0123'")]
)
@pytest.mark.usefixtures("bucket")
def test_where_there_is_no_dataset_an_execution_without_an_upload_says_so(
    dataset: str | None, words: str
) -> None:
    with pytest.raises(Exception, match=words) as caught:
        validate_dataset.handler({"execution": "run", "dataset": dataset}, None)
    assert type(caught.value).__name__ == "NoDataset"


@pytest.mark.usefixtures("bucket")
def test_events_without_an_object_are_told_where_they_go() -> None:
    event = {"execution": "run", "bucket": None, "key": None, "version_id": None, "mode": "append"}
    with pytest.raises(Exception, match="names no object") as caught:
        validate_dataset.handler(event, None)
    assert "incoming/events/FILE.csv" in json.loads(str(caught.value))["fix"]


@pytest.mark.parametrize(
    "given",
    [
        {"bucket": "uploads"},
        {"key": KEY},
        {"bucket": "uploads", "key": 3},
        {"bucket": "uploads", "key": KEY, "dataset": "current"},
        {"dataset": 3},
    ],
)
@pytest.mark.usefixtures("bucket")
def test_an_execution_started_without_an_object_is_told_what_to_give(given: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="names no object") as caught:
        validate_dataset.handler({"execution": "run", "version_id": None, **given}, None)
    assert type(caught.value).__name__ == "UploadMisplaced"
    wire = json.loads(str(caught.value))
    assert wire["error"] == "UploadMisplaced"
    assert '{"bucket": "…", "key": "incoming/training/FILE.csv"}' in wire["fix"]


def test_the_gate_decides_by_the_projects_gates(bucket: Bucket) -> None:
    def decision(roc_auc: float) -> GateDecision:
        evaluation = {
            "problem": "binary",
            "held_out_rows": 100,
            "challenger": {"metrics": {"roc_auc": roc_auc}, "model_uri": "s3://a/m"},
            "champion": None,
        }
        bucket.write("reports/run/evaluation/evaluation.json", json.dumps(evaluation).encode(), "")
        event = {
            "execution": "run",
            "evaluation_uri": "s3://artifacts/reports/run/evaluation/evaluation.json",
        }
        return GateDecision.model_validate(decide_gate.handler(event, None))

    assert decision(0.9).promote
    assert not decision(0.7).promote


@pytest.mark.parametrize(("max_skew", "promoted"), [("", False), ("max_skew = 0.5", True)])
def test_the_gate_takes_the_online_store_into_account(
    bucket: Bucket, tmp_path: Path, max_skew: str, promoted: bool
) -> None:
    (tmp_path / "project" / "project.toml").write_text(PROJECT_TOML + max_skew)
    challenger = {"metrics": {"roc_auc": 0.9}, "model_uri": "s3://a/m"}
    evaluation = {"problem": "binary", "held_out_rows": 100, "challenger": challenger, "champion": None}
    bucket.write("reports/run/evaluation/evaluation.json", json.dumps(evaluation).encode(), "")
    view = {"view": "v", "sampled": 4, "missing": 2, "missing_shown": [], "differing": 0}
    skew = {"dataset_version": "d", "rate": 0.5, "views": [{**view, "features": {}, "shown": []}]}
    uri = "s3://artifacts/reports/run/evaluation/evaluation.json"

    answer = decide_gate.handler({"execution": "run", "evaluation_uri": uri, "skew": skew}, None)

    decision = GateDecision.model_validate(answer)
    assert decision.promote is promoted
    assert "The online store differs from the training data for 2 of 4 sampled" in decision.reasons[-1]


@pytest.mark.usefixtures("bucket")
def test_without_an_evaluation_there_is_no_decision() -> None:
    with pytest.raises(Exception, match="no evaluation") as caught:
        decide_gate.handler(
            {"execution": "run", "evaluation_uri": "s3://artifacts/reports/run/evaluation.json"}, None
        )
    assert type(caught.value).__name__ == "GateFailed"


def test_an_outcome_is_reported(bucket: Bucket) -> None:
    event = {
        "execution": "run",
        "execution_arn": "arn",
        "outcome": "Failed",
        "source": {"bucket": "uploads", "key": KEY, "version_id": None},
        "failure": {"state": "TrainModel", "error": "States.TaskFailed", "cause": "{}"},
    }
    answer = ReportedOutcome.model_validate(report_outcome.handler(event, None))
    assert answer.error == "PipelineFailed"
    assert {"reports/run/report.json", "reports/run/report.html"} <= bucket.objects.keys()


FAILED = {
    "execution": "run",
    "execution_arn": "arn",
    "outcome": "Failed",
    "source": {"bucket": "uploads", "key": KEY, "version_id": None},
    "endpoint_name": "e",
    "failure": {"state": "TrainModel", "error": "States.TaskFailed", "cause": "the first cause"},
}


class Busy(Bucket):
    """A bucket that is not to be had."""

    def __init__(self, error: SluiceError) -> None:
        super().__init__()
        self._error = error

    def read(self, key: str) -> bytes | None:
        raise self._error


@pytest.mark.usefixtures("bucket")
def test_a_report_that_cannot_be_written_now_is_tried_again_and_then_told_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = Busy(StorageUnavailable("S3 does not answer", why="SlowDown"))
    monkeypatch.setattr(report_outcome, "S3Artifacts", lambda _name: busy)
    for retries in range(6):
        with pytest.raises(Exception, match="SlowDown") as caught:
            report_outcome.handler({**FAILED, "retries": retries}, None)
        assert type(caught.value).__name__ == "StorageUnavailable"

    answer = ReportedOutcome.model_validate(report_outcome.handler({**FAILED, "retries": 6}, None))
    assert (answer.report_uri, answer.error) == (None, "PipelineFailed")
    for text in (answer.message, str(answer.cause)):
        assert "the first cause" in text
    assert "SlowDown" in answer.message


@pytest.mark.usefixtures("bucket")
def test_a_report_that_is_refused_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Busy(PipelineFailed("S3 refuses", why="AccessDenied"))
    monkeypatch.setattr(report_outcome, "S3Artifacts", lambda _name: refused)
    answer = ReportedOutcome.model_validate(report_outcome.handler(FAILED, None))
    assert "AccessDenied" in answer.message
    assert "the first cause" in answer.message


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    server = Mlflow()
    tracker = MlflowTracker(server, server.where)
    monkeypatch.setattr(report_outcome, "tracker", lambda: tracker)
    told = settings.TrackingSettings(
        uri=server.where, experiment="bank-dev", artifacts=None, environment="dev", secret=None
    )
    monkeypatch.setattr(report_outcome, "tracking_settings", lambda: told)
    return server


def test_a_run_ends_with_its_execution_and_holds_the_report(bucket: Bucket, mlflow: Mlflow) -> None:
    run = MlflowTracker(mlflow, mlflow.where).begin("bank-dev", "bank-dev-1")

    report_outcome.handler({**FAILED, "run_id": run}, None)

    assert mlflow.runs[run]["info"]["status"] == "FAILED"
    [kept] = mlflow.files.values()
    assert kept == bucket.objects["reports/run/report.html"]
    assert mlflow.runs[run]["tags"]["sluice.report"] == "s3://artifacts/reports/run/report.html"


SEARCH = {
    "metric": "roc_auc",
    "trials": [{"name": "bank-1-0123456789abcdef-001-0123abcd", "status": "Completed", "objective": 0.8}],
}


@pytest.mark.usefixtures("bucket")
def test_the_trials_of_a_search_are_told_as_runs_below_its_run(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = MlflowTracker(mlflow, mlflow.where).begin("bank-dev", "bank-dev-1")
    given = {"bank-1-0123456789abcdef": {"bank-1-0123456789abcdef-001-0123abcd": {"depth": "3"}}}
    monkeypatch.setattr(trials, "hyperparameters", given.__getitem__)

    report_outcome.handler({**FAILED, "run_id": run, "search": SEARCH}, None)

    [trial] = [each for each in mlflow.runs.values() if each["tags"].get("mlflow.parentRunId") == run]
    assert (trial["name"], trial["params"]) == ("trial-001", {"hyperparameter.depth": "3"})
    assert mlflow.runs[run]["info"]["status"] == "FAILED"


@pytest.mark.usefixtures("bucket")
def test_trials_that_cannot_be_listed_are_told_with_the_report(
    mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = MlflowTracker(mlflow, mlflow.where).begin("bank-dev", "bank-dev-1")

    def refused(_job: str) -> dict[str, dict[str, str]]:
        raise TrackingUnavailable("the trials of the search cannot be listed", why="AccessDenied")

    monkeypatch.setattr(trials, "hyperparameters", refused)
    asked = {**FAILED, "run_id": run, "search": SEARCH}
    with pytest.raises(Exception, match="AccessDenied"):
        report_outcome.handler({**asked, "retries": 2}, None)
    told = ReportedOutcome.model_validate(report_outcome.handler({**asked, "retries": 3}, None))
    assert "the trials of the search cannot be listed" in told.message


def test_what_each_trial_was_given_is_read_from_all_pages() -> None:
    api = boto3.client("sagemaker", region_name="eu-central-1")
    job = "bank-1-0123456789abcdef"
    with Stubber(api) as stub, pytest.MonkeyPatch.context() as patched:
        patched.setattr(boto3, "client", lambda _service: api)
        for number, token in ((1, {"NextToken": "n"}), (2, {})):
            summary = {
                "TrainingJobName": f"{job}-00{number}-0123abcd",
                "TrainingJobArn": "arn:aws:sagemaker:eu-central-1:123456789012:training-job/t",
                "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
                "TrainingJobStatus": "Completed",
                "TunedHyperParameters": {"depth": str(number)},
            }
            asked = {"HyperParameterTuningJobName": job, **({"NextToken": "n"} if number == 2 else {})}
            stub.add_response(
                "list_training_jobs_for_hyper_parameter_tuning_job",
                {"TrainingJobSummaries": [summary], **token},
                asked,
            )
        assert trials.hyperparameters(job) == {
            f"{job}-001-0123abcd": {"depth": "1"},
            f"{job}-002-0123abcd": {"depth": "2"},
        }
        stub.add_client_error("list_training_jobs_for_hyper_parameter_tuning_job", "AccessDeniedException")
        with pytest.raises(TrackingUnavailable, match="cannot be listed"):
            trials.hyperparameters(job)


@pytest.mark.usefixtures("bucket")
def test_the_registry_hears_which_alarm_took_a_model_back(mlflow: Mlflow) -> None:
    tracker = MlflowTracker(mlflow, mlflow.where)
    run = tracker.begin("bank-dev", "bank-dev-1")
    version = tracker.register("bank-dev", run, "s3://a/m", "", {"stage": "staging"})
    tracker.point("bank-dev", "challenger", version)
    alarm = {"name": "e-bank-dev-1-errors", "at": "2026-01-01T00:00:00Z", "reason": "Threshold Crossed"}
    registered = {"name": "bank-dev", "version": version, "verdict": "promoted", "stage": "staging"}
    deployment = {
        "outcome": "RolledBack",
        "endpoint_name": "e",
        "endpoint_config_name": "bank-dev-0",
        "reason": "an alarm",
        "alarm": alarm,
    }
    told = {**FAILED, "outcome": "RolledBack", "failure": None, "run_id": run}

    report_outcome.handler({**told, "registered": registered, "deployment": deployment}, None)

    assert tracker.pointed("bank-dev", "challenger") is None
    assert mlflow.version("bank-dev", version)["tags"]["taken_back"] == "e-bank-dev-1-errors"
    assert mlflow.runs[run]["info"]["status"] == "FINISHED"


@pytest.mark.usefixtures("bucket")
def test_an_execution_without_a_run_asks_the_tracking_server_nothing(mlflow: Mlflow) -> None:
    report_outcome.handler(FAILED, None)

    assert mlflow.calls == []


@pytest.mark.usefixtures("bucket")
def test_a_run_that_cannot_be_ended_is_tried_again_and_then_told(mlflow: Mlflow) -> None:
    mlflow.fails = TrackingUnavailable("it is down")
    for retries in range(3):
        with pytest.raises(Exception, match="it is down") as caught:
            report_outcome.handler({**FAILED, "run_id": "r1", "retries": retries}, None)
        assert type(caught.value).__name__ == "TrackingUnavailable"

    answer = ReportedOutcome.model_validate(
        report_outcome.handler({**FAILED, "run_id": "r1", "retries": 3}, None)
    )

    assert answer.summary["notes"] == [
        "The run r1 could not be ended, and may look as if it were running: it is down."
    ]
    assert answer.report_uri is not None


def logged(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The message of the one record that was logged, and its extra fields."""
    (record,) = [each for each in caplog.records if each.name == "sluice"]
    assert record.levelname == "INFO"
    plain = vars(logging.makeLogRecord({})).keys() | {"message", "taskName"}
    return {
        "message": record.message,
        **{name: value for name, value in vars(record).items() if name not in plain},
    }


@pytest.mark.usefixtures("bucket")
def test_a_validation_is_one_line_with_version_and_counts(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(monkeypatch, GOOD + b"old,no\n")
    answer = validate_dataset.handler(EVENT, None)
    assert logged(caplog) == {
        "message": "validation",
        "execution": "run",
        "dataset_version": answer["dataset_version"],
        "error": None,
        "rows": 3,
        "rejected_rows": 1,
    }


@pytest.mark.usefixtures("bucket")
def test_a_refused_file_is_one_line_without_values_of_its_rows(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(monkeypatch, GOOD + b"secret,no\nsecret,no\n")
    with pytest.raises(Exception, match="rows were rejected") as caught:
        validate_dataset.handler(EVENT, None)
    assert "rows 4, 5" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert logged(caplog) == {
        "message": "validation",
        "execution": "run",
        "dataset_version": None,
        "error": "DataRejected",
        "rows": 3,
        "rejected_rows": 2,
    }


def test_a_decision_is_one_line_without_what_a_models_failure_quotes(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    evaluation = {
        "problem": "binary",
        "held_out_rows": 100,
        "challenger": {"metrics": {"roc_auc": 0.9}, "model_uri": "s3://a/m"},
        "champion": {"error": "champion: it cannot predict\n  why 'secret'", "model_uri": "s3://a/n"},
    }
    bucket.write("reports/run/evaluation/evaluation.json", json.dumps(evaluation).encode(), "")
    uri = "s3://artifacts/reports/run/evaluation/evaluation.json"
    answer = decide_gate.handler({"execution": "run", "evaluation_uri": uri}, None)
    assert "secret" in answer["rules"][-1]["sentence"]
    line = logged(caplog)
    assert (line["message"], line["execution"], line["promote"]) == ("gate", "run", False)
    assert len(line["reasons"]) == len(answer["rules"])
    assert line["reasons"][-1].endswith("Why it could not: see evaluation.json")


@pytest.mark.usefixtures("bucket")
def test_an_outcome_is_one_line_with_where_the_report_lies(caplog: pytest.LogCaptureFixture) -> None:
    event = {
        "execution": "run",
        "execution_arn": "arn",
        "outcome": "GateRejected",
        "source": {"bucket": "uploads", "key": KEY, "version_id": None},
    }
    report_outcome.handler(event, None)
    assert logged(caplog) == {
        "message": "outcome",
        "execution": "run",
        "outcome": "GateRejected",
        "error": None,
        "report_uri": "s3://artifacts/reports/run/report.json",
    }


@pytest.mark.parametrize("module", ["decide_gate", "report_outcome"])
def test_a_handler_that_reads_no_table_loads_no_table_library(module: str) -> None:
    program = (
        f"import sys, lambdas.{module};"
        "print([name for name in ('pyarrow', 'pandas', 'numpy', 'boto3') if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    printed = subprocess.check_output([sys.executable, "-c", program], cwd=root, text=True)
    assert printed.strip() == "[]"
