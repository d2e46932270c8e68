from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.errors import StorageUnavailable, TrackingUnavailable, to_wire
from sluice.outcomes import Outcome
from sluice.payloads.approval import Answer
from sluice.payloads.deployment import Archive, DeploymentResult
from sluice.payloads.documents import Report, Summary
from sluice.payloads.materialization import MeasuredSkew, ViewSkew
from sluice.payloads.registry import RegisteredModel
from sluice.payloads.search import Search, SearchTrial
from sluice.payloads.training import (
    ApprovalRequest,
    EndpointSeen,
    GateDecision,
    ReportOutcomeInput,
    Rule,
    Source,
    StateFailure,
    ValidatedDataset,
)
from sluice.project import Project
from sluice.reporting.outcome import outcome_without_report, report_outcome, report_waiting
from tests.support.bucket import Bucket
from tests.support.page import Page

PROJECT = Project.model_validate(
    {
        "project": {"name": "bank", "description": "who says yes & who <does not>"},
        "target": {"column": "y", "problem": "binary", "positive": "yes"},
        "columns": {"age": {"type": "integer"}, "y": {"type": "string"}},
        "features": {"numeric": ["age"]},
        "gates": {"minimum": {"roc_auc": 0.7}},
    }
)
DATASET = ValidatedDataset(
    dataset_version="0123456789abcdef",
    manifest_uri="s3://artifacts/datasets/0123456789abcdef/manifest.json",
    parts_uri="s3://artifacts/datasets/0123456789abcdef/parts.json",
    rows=98,
    rejected_rows=2,
    quarantine_uri="s3://artifacts/quarantine/run/rejected.csv",
    validation_report_uri="s3://artifacts/reports/run/validation.json",
)
VALIDATION = {
    "version": 1,
    "source": {
        "uri": "s3://uploads/incoming/training/a&b.csv",
        "version_id": "v1",
        "etag": "e",
        "execution": "run",
    },
    "dataset_version": "0123456789abcdef",
    "error": None,
    "rows": 98,
    "rejected_rows": 2,
    "rejected_share": 0.02,
    "reasons": {"age: not an integer": 2, "<b>: odd": 1},
    "examples": {"age: not an integer": "<old>"},
    "classes": {"no": 60, "yes": 38},
    "columns": {"age": {"type": "integer", "nulls": 0, "rejected": 2, "min": 18, "max": 90.5}},
    "future_rows": 0,
    "appended": None,
}
TRAINING_SET = {
    "version": 1,
    "dataset_rows": 98,
    "rows": 98,
    "train_rows": 80,
    "held_out_rows": 18,
    "keys": 98,
    "split": {"held_out_share": 0.2, "salt": "bank"},
    "features": [],
    "target": {"name": "y", "problem": "binary", "train": {"no": 50, "yes": 30}, "held_out": {"no": 18}},
}
SEEN = EndpointSeen(name="bank-endpoint", status="InService", config="bank-dev-0")
ROLLED_BACK = {
    "outcome": "RolledBack",
    "deployment": {
        "outcome": "RolledBack",
        "endpoint_name": "bank-endpoint",
        "endpoint_config_name": "bank-dev-0",
        "reason": "the alarm <green-5xx> fired",
    },
}
APPENDED = {"outcome": "Appended", "gate": None, "evaluation_uri": None, "model_uri": None}
PREDICTED: dict[str, Any] = {
    **APPENDED,
    "outcome": "Predicted",
    "dataset": None,
    "batch": {
        "predictions_uri": "s3://artifacts/batch/run/predictions.csv",
        "rows": 1200,
        "predicted": 1193,
        "set_aside": 7,
        "reasons": [{"reason": "column '<age>': not an integer", "rows": 7, "first": [3, 9, 10, 11, 12]}],
        "model_name": "bank-dev-0",
        "model_uri": "s3://artifacts/models/bank-dev-0-train/output/model.tar.gz",
        "instances": 1,
    },
}
CURVES = {
    "roc": [[0, 0], [0.2, 0.9], [1, 1]],
    "precision_recall": [[0, 1], [1, 0.4]],
    "calibration": [[0.1, 0.2, 10], [0.9, 0.8, 8]],
}
GATE = GateDecision(
    promote=True,
    rules=[
        Rule(
            name="minimum.roc_auc",
            figure=0.9,
            limit=0.7,
            passed=True,
            sentence="roc_auc is 0.9, and at least 0.7 was asked for.",
        )
    ],
    metrics={"roc_auc": 0.9, "log_loss": 0.3},
    champion_metrics={"roc_auc": 0.85, "log_loss": 0.35},
)


SCORING = "compiled, equal to the fitted pipeline on 6,000 rows"


def evaluation(curves: dict[str, Any]) -> dict[str, Any]:
    model = {"metrics": GATE.metrics, "model_uri": "s3://artifacts/models/m", "scoring": SCORING}
    return {
        "problem": "binary",
        "held_out_rows": 18,
        "challenger": model,
        "champion": {"metrics": GATE.champion_metrics, "model_uri": "s3://artifacts/models/n"},
        "curves": {"challenger": curves, "champion": curves},
    }


def told(**more: Any) -> ReportOutcomeInput:
    return ReportOutcomeInput.model_validate(
        {
            "execution": "run",
            "execution_arn": "arn:aws:states:execution:run",
            "outcome": "Deployed",
            "source": {"bucket": "uploads", "key": "incoming/training/a&b.csv", "version_id": "v1"},
            "dataset": DATASET,
            "gate": GATE,
            "evaluation_uri": "s3://artifacts/reports/run/evaluation/evaluation.json",
            "model_uri": "s3://artifacts/models/m",
            "endpoint_name": "bank-endpoint",
            **more,
        }
    )


def bucket(curves: dict[str, Any] = CURVES, **more: Any) -> Bucket:
    documents = {
        "reports/run/validation.json": VALIDATION,
        "training-sets/run/summary/training_set.json": TRAINING_SET,
        "reports/run/evaluation/evaluation.json": evaluation(curves),
        **more,
    }
    return Bucket({key: json.dumps(each).encode() for key, each in documents.items()})


FAILED = {
    "outcome": "Failed",
    "gate": None,
    "evaluation_uri": None,
    "model_uri": None,
    "failure": StateFailure(
        state="ValidateDataset",
        error="DataRejected",
        cause=json.dumps(
            {
                "errorType": "DataRejected",
                "errorMessage": json.dumps(
                    {"error": "DataRejected", "what": "<9> of 10 rows", "why": "bad", "fix": "mend"}
                ),
            }
        ),
    ),
}


def page_of(store: Bucket) -> Page:
    return Page(store.objects["reports/run/report.html"].decode())


def test_a_deployed_models_summary_has_what_a_program_asks_for() -> None:
    reported = report_outcome(told(), PROJECT, bucket(), SEEN)
    assert reported.summary == {
        "outcome": "Deployed",
        "execution_arn": "arn:aws:states:execution:run",
        "dataset_version": "0123456789abcdef",
        "rows": 98,
        "rejected_rows": 2,
        "quarantine_uri": "s3://artifacts/quarantine/run/rejected.csv",
        "metrics": GATE.metrics,
        "champion_metrics": GATE.champion_metrics,
        "reasons": GATE.reasons,
        "notes": [],
        "scoring": SCORING,
        "model_uri": "s3://artifacts/models/m",
        "model_version": None,
        "endpoint_name": "bank-endpoint",
        "serving": None,
        "report_uri": "s3://artifacts/reports/run/report.json",
    }
    assert (reported.error, reported.cause) == (None, None)


def test_the_version_in_the_registry_is_told_everywhere() -> None:
    registered = RegisteredModel(name="bank-dev", version="7", verdict="promoted", stage="staging")
    store = bucket()
    reported = report_outcome(told(registered=registered, run_id="r1"), PROJECT, store, SEEN)

    assert reported.summary["model_version"] == "bank-dev 7"
    assert "bank-dev 7" in reported.message
    assert b"<dt>model version</dt><dd>bank-dev 7</dd>" in store.objects["reports/run/report.html"]


def test_what_the_tracking_server_lacks_is_told() -> None:
    why = to_wire(TrackingUnavailable("the tracking server does not answer as it should"), most_bytes=999)
    failed = StateFailure(state="RegisterModel", error="TrackingUnavailable", cause=why)
    deployment = DeploymentResult(
        outcome=Outcome.DEPLOYED,
        endpoint_name="bank-endpoint",
        endpoint_config_name="bank-dev-1",
        alias="MoveAlias failed: TrackingUnavailable",
    )
    ways = told(run_id="r1", untracked=failed, unended="it is down", deployment=deployment)

    assert report_outcome(ways, PROJECT, bucket(), SEEN).summary["notes"] == [
        "The tracking server has no version of this model, for RegisterModel failed: "
        "the tracking server does not answer as it should.",
        "The run r1 could not be ended, and may look as if it were running: it is down.",
        "The registry does not say yet that this model is the champion: MoveAlias failed: TrackingUnavailable.",
    ]
    unopened = told(untracked=failed.model_copy(update={"state": "OpenRun"}))
    [note] = report_outcome(unopened, PROJECT, bucket(), SEEN).summary["notes"]
    assert note.startswith("The tracking server has no run of this execution, for OpenRun failed: ")


def test_the_report_is_the_summary_and_all_that_was_found() -> None:
    store = bucket()
    reported = report_outcome(told(), PROJECT, store, SEEN)
    report = json.loads(store.objects["reports/run/report.json"])
    assert report.items() >= reported.summary.items()
    assert report["validation"] == VALIDATION
    assert report["evaluation"]["held_out_rows"] == 18
    assert report["source"]["uri"] == "s3://uploads/incoming/training/a&b.csv"


def test_the_message_says_how_good_the_model_is_and_where_the_report_lies() -> None:
    reported = report_outcome(told(), PROJECT, bucket(), SEEN)
    assert reported.subject == "Sluice bank: Deployed, roc_auc 0.9000"
    for text in (
        "98 accepted, 2 rejected",
        "roc_auc 0.9000",
        "reports/run/report.html",
        SCORING,
        *GATE.reasons,
    ):
        assert text in reported.message


def test_a_refused_model_is_not_said_to_serve() -> None:
    reported = report_outcome(told(outcome="GateRejected"), PROJECT, bucket(), SEEN)
    assert reported.summary["endpoint_name"] is None
    assert "bank-endpoint" not in reported.message


def test_a_model_that_could_not_be_judged_is_refused_with_the_reason_on_the_page() -> None:
    store = bucket({})
    reason = "The challenger could not score the held-out rows: it predicts <nothing>"
    rule = Rule(name="scores", figure=None, limit=None, passed=False, sentence=reason)
    gate = GateDecision(promote=False, rules=[rule], metrics={}, champion_metrics=None)
    reported = report_outcome(told(outcome="GateRejected", gate=gate), PROJECT, store, SEEN)
    assert f"- {reason}\n" in reported.message
    page = page_of(store).text
    assert reason in page
    assert "did not pass its gates" in page
    assert "on the held-out rows" not in page, "a table without figures"


def test_a_rollback_says_why_and_what_serves() -> None:
    store = bucket()
    reported = report_outcome(told(**ROLLED_BACK), PROJECT, store, SEEN)

    assert (reported.error, reported.cause) == (None, None)
    assert reported.summary["outcome"] == "RolledBack"
    assert reported.summary["endpoint_name"] == "bank-endpoint"
    assert reported.summary["serving"] == "bank-dev-0"
    assert reported.summary["reasons"][-1] == "Rolled back: the alarm <green-5xx> fired."
    assert reported.subject.startswith("Sluice bank: RolledBack")
    assert "the alarm <green-5xx> fired" in reported.message
    assert reported.message.startswith(
        "Sluice bank: RolledBack\n"
        "\n"
        "The model was deployed and taken back; bank-dev-0 serves. See below why, mend that, and upload again.\n"
        "\n"
        "upload     s3://uploads/incoming/training/a&b.csv\n"
    )
    assert "serving    bank-dev-0" in reported.message
    page = page_of(store)
    assert "rolled back" in page.text
    assert "taken back; bank-dev-0 serves. See below why, mend that, and upload again." in page.text
    assert "the alarm <green-5xx> fired" in page.text


@pytest.mark.parametrize("state", ["ValidateDataset", "DecideGate", "DeployModel"])
@pytest.mark.parametrize(
    ("seen", "released", "line"),
    [
        (None, "bank-dev-0", "Nobody looked at the endpoint: do, before you rely on it."),
        (
            {"problem": "AccessDenied"},
            "bank-dev-0",
            "The endpoint bank-endpoint could not be looked at (AccessDenied): do, before you rely on it.",
        ),
        ({}, None, "There is no endpoint bank-endpoint."),
        (
            {"status": "InService", "config": "bank-dev-0"},
            "bank-dev-0",
            "The endpoint bank-endpoint was looked at: it is in service on bank-dev-0, as when the execution began.",
        ),
        (
            {"status": "InService", "config": "bank-dev-1"},
            "bank-dev-0",
            "The endpoint bank-endpoint was looked at: it is in service on bank-dev-1; when the execution began it "
            "was bank-dev-0.",
        ),
        (
            {"status": "Failed", "config": "bank-dev-0"},
            None,
            "The endpoint bank-endpoint was looked at: it is Failed on bank-dev-0.",
        ),
    ],
)
def test_what_serves_is_told_from_having_looked(
    state: str, seen: dict[str, str] | None, released: str | None, line: str
) -> None:
    store = bucket()
    failure = StateFailure(state=state, error="Broken", cause="")
    endpoint = None if seen is None else EndpointSeen.model_validate({"name": "bank-endpoint", **seen})
    reported = report_outcome(
        told(**{**FAILED, "failure": failure, "released": released}), PROJECT, store, endpoint
    )
    assert line in page_of(store).text
    assert line in reported.message
    report_ = json.loads(store.objects["reports/run/report.json"])
    assert (report_["endpoint"] or {}).items() >= (seen or {}).items()

    report_outcome(told(outcome="GateRejected", released=released), PROJECT, store, endpoint)
    assert line in page_of(store).text


@pytest.mark.parametrize("end", ["Deployed", "GateRejected", "RolledBack", "Failed"])
def test_without_storage_people_are_told_all_the_same(end: str) -> None:
    ends: dict[str, dict[str, Any]] = {"RolledBack": ROLLED_BACK, "Failed": FAILED}
    why = StorageUnavailable("S3 does not answer as it should", why="SlowDown", fix="later")
    reported = outcome_without_report(told(**ends.get(end, {"outcome": end})), PROJECT, SEEN, why)

    assert reported.report_uri is None
    assert reported.summary["outcome"] == end
    assert "The report could not be written" in reported.message
    assert "SlowDown" in reported.message
    assert "\nreport " not in reported.message
    assert "\n\n\n" not in reported.message
    assert (reported.error is None) == (end != "Failed")
    if end == "Failed":
        assert str(reported.cause).startswith("<9> of 10 rows\n  why    bad\n  to do  mend")
        assert "report could not be written" in str(reported.cause)
    assert "arn:aws:states:execution:run" in reported.message


def test_every_outcome_has_a_report_a_page_and_a_message() -> None:
    ends: dict[Outcome, dict[str, Any]] = {
        Outcome.DEPLOYED: {},
        Outcome.GATE_REJECTED: {"outcome": "GateRejected"},
        Outcome.ROLLED_BACK: ROLLED_BACK,
        Outcome.APPENDED: APPENDED,
        Outcome.PREDICTED: PREDICTED,
        Outcome.APPROVAL_REJECTED: {"outcome": "ApprovalRejected", "approval": ANSWER},
        Outcome.APPROVAL_EXPIRED: {"outcome": "ApprovalExpired"},
        Outcome.FAILED: FAILED,
    }
    assert ends.keys() == set(Outcome)
    for outcome, end in ends.items():
        store = bucket()
        reported = report_outcome(told(**end), PROJECT, store, SEEN)
        report = Report.model_validate_json(store.objects["reports/run/report.json"])
        assert report.outcome is outcome
        assert Summary.model_validate(reported.summary).outcome is outcome
        assert (reported.error is None) == (outcome is not Outcome.FAILED)
        assert page_of(store).text
        assert reported.message.startswith(f"Sluice bank: {report.error or outcome}\n\n")
        assert reported.message.endswith("\n")
        assert "\n\n\n" not in reported.message


@pytest.mark.parametrize(
    ("appended", "notes", "line"),
    [
        (
            {"parts": 3, "table_rows": 1234, "repeats": 7, "began": False, "unchanged": False},
            [
                "This is part 3 of the table, which now has 1,234 rows that count.",
                "7 of its rows have the key and time of rows that were there, and take their place.",
            ],
            "The rows are part of the table. Nothing was trained.",
        ),
        (
            {"parts": 2, "table_rows": 99, "repeats": 0, "began": False, "unchanged": False},
            ["This is part 2 of the table, which now has 99 rows that count."],
            "The rows are part of the table. Nothing was trained.",
        ),
        (
            {"parts": 1, "table_rows": 98, "repeats": 0, "began": True, "unchanged": False},
            ["There was no table: these rows are all of it."],
            "The rows are part of the table. Nothing was trained.",
        ),
        (
            {"parts": 2, "table_rows": 98, "repeats": 5, "began": False, "unchanged": True},
            ["The table held this part already: the dataset version is as it was."],
            "The rows are part of the table already. Nothing was changed, and nothing was trained.",
        ),
    ],
)
def test_what_became_of_a_part_is_told(appended: dict[str, Any], notes: list[str], line: str) -> None:
    store = bucket(**{"reports/run/validation.json": {**VALIDATION, "appended": appended}})
    reported = report_outcome(told(**APPENDED), PROJECT, store, SEEN)
    assert reported.summary["notes"] == notes
    assert reported.subject == "Sluice bank: Appended"
    assert reported.summary["endpoint_name"] is None
    page = page_of(store).text
    assert line in page
    assert "serves" not in page
    for note in notes:
        assert f"- {note}\n" in reported.message
        assert note in page


def test_what_became_of_a_files_rows_is_told_without_what_stands_in_them() -> None:
    store = Bucket()
    reported = report_outcome(told(**PREDICTED), PROJECT, store, SEEN)

    assert reported.subject == "Sluice bank: Predicted, 1,193 of 1,200 rows"
    assert "\nrows       1,193 predicted, 7 set aside\n" in reported.message
    assert "\nresult     s3://artifacts/batch/run/predictions.csv\n" in reported.message
    assert "\nby         bank-dev-0\n" in reported.message
    assert "- set aside: column '<age>': not an integer (7 ×, row 3, 9, 10, 11, 12, …)\n" in reported.message
    assert reported.summary["batch"] == PREDICTED["batch"]
    assert Report.model_validate_json(store.objects["reports/run/report.json"]).batch is not None
    page = page_of(store).text
    assert "bank:  predicted" in page
    assert "1,193 of 1,200 rows have their prediction, the others the reason for having none." in page
    for text in (
        "column '<age>': not an integer",
        "3, 9, 10, 11, 12",
        "s3://artifacts/batch/run/predictions.csv",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("predicted", "verdict", "line"),
    [
        (1200, "bank:  predicted", "Each of the 1,200 rows has its prediction."),
        (0, "bank:  nothing predicted", "0 of 1,200 rows have their prediction"),
    ],
)
def test_a_page_says_at_once_whether_each_row_was_predicted(predicted: int, verdict: str, line: str) -> None:
    batch = {**PREDICTED["batch"], "predicted": predicted, "set_aside": 1200 - predicted}
    store = Bucket()
    report_outcome(told(**{**PREDICTED, "batch": batch}), PROJECT, store, SEEN)
    assert verdict in page_of(store).text
    assert line in page_of(store).text


def test_an_execution_of_another_machine_says_nothing_of_a_batch() -> None:
    assert "batch" not in report_outcome(told(), PROJECT, bucket(), SEEN).summary


def test_rows_of_the_future_are_noted_and_stop_nothing() -> None:
    store = bucket(**{"reports/run/validation.json": {**VALIDATION, "future_rows": 12}})
    reported = report_outcome(told(), PROJECT, store, SEEN)
    assert reported.summary["notes"] == ["12 rows are dated more than a day ahead of the clock."]
    assert reported.summary["outcome"] == "Deployed"
    assert "12 rows are dated more than a day ahead of the clock." in page_of(store).text


def test_the_messages_text() -> None:
    """Word for word: it is read in mail programs, where a stray line shows."""
    reported = report_outcome(told(), PROJECT, bucket(), SEEN)
    assert reported.message == (
        "Sluice bank: Deployed\n"
        "\n"
        "upload     s3://uploads/incoming/training/a&b.csv\n"
        "rows       98 accepted, 2 rejected\n"
        "rejected   s3://artifacts/quarantine/run/rejected.csv\n"
        "dataset    0123456789abcdef\n"
        "model      roc_auc 0.9000, log_loss 0.3000\n"
        "champion   roc_auc 0.8500, log_loss 0.3500\n"
        "scoring    compiled, equal to the fitted pipeline on 6,000 rows\n"
        "endpoint   bank-endpoint\n"
        "report     s3://artifacts/reports/run/report.html\n"
        "execution  arn:aws:states:execution:run\n"
        "\n"
        "- roc_auc is 0.9, and at least 0.7 was asked for.\n"
    )


def test_a_failure_is_told_in_its_own_words_everywhere() -> None:
    store = bucket()
    reported = report_outcome(told(**FAILED, dataset=None), PROJECT, store, SEEN)
    assert reported.error == "DataRejected"
    assert reported.cause is not None
    assert reported.cause.startswith("<9> of 10 rows\n  why    bad\n  to do  mend")
    assert "report s3://artifacts/reports/run/report.html" in reported.cause
    assert "<9> of 10 rows" in reported.message
    assert reported.subject == "Sluice bank: DataRejected"
    assert reported.summary["error"] == "DataRejected"
    assert (reported.summary["rows"], reported.summary["rejected_rows"]) == (98, 2)
    assert reported.summary["quarantine_uri"] == "s3://artifacts/quarantine/run/rejected.csv"
    assert "<9> of 10 rows" in page_of(store).text


def test_a_failure_before_anything_was_stored_is_told_too() -> None:
    store = Bucket()
    source = {"bucket": None, "key": None, "version_id": None}
    reported = report_outcome(told(**FAILED, dataset=None, source=source), PROJECT, store, SEEN)
    assert reported.summary["rows"] is None
    assert reported.summary["quarantine_uri"] is None
    assert "went wrong, in ValidateDataset" in page_of(store).text


@pytest.mark.parametrize(
    "source",
    [
        {"bucket": 5, "key": "incoming/training/a.csv", "version_id": None},
        {"bucket": "uploads", "key": ["a.csv"], "version_id": {"is": 3}},
    ],
)
def test_what_a_person_typed_wrongly_is_told_as_it_was_typed(source: dict[str, Any]) -> None:
    store = Bucket()
    reported = report_outcome(told(**FAILED, dataset=None, source=source), PROJECT, store, SEEN)
    assert reported.error == "DataRejected"
    report = json.loads(store.objects["reports/run/report.json"])
    assert report["source"] == {**source, "uri": None}
    assert "upload " not in reported.message


def test_subjects_are_ascii_and_short_enough_for_sns() -> None:
    failure = StateFailure(state="X", error="Ä" * 200, cause="")
    reported = report_outcome(told(**{**FAILED, "failure": failure}), PROJECT, Bucket(), SEEN)
    assert reported.subject.isascii()
    assert len(reported.subject) <= 100


def test_a_cause_keeps_within_what_step_functions_takes() -> None:
    message = json.dumps({"error": "DataRejected", "what": "x" * 60_000})
    cause = json.dumps({"errorType": "DataRejected", "errorMessage": message})
    failure = StateFailure(state="ValidateDataset", error="DataRejected", cause=cause)
    reported = report_outcome(told(**{**FAILED, "failure": failure}), PROJECT, Bucket(), SEEN)
    assert reported.cause is not None
    assert len(reported.cause) <= 32_768
    assert "report.html" in reported.cause


def test_the_page_shows_figures_plots_data_and_places() -> None:
    store = bucket()
    report_outcome(told(), PROJECT, store, SEEN)
    page = page_of(store)
    for text in (
        "deployed",
        "0.9000",
        "0.8500",
        "at least 0.7",
        "ROC",
        "Calibration",
        "98 rows accepted",
        SCORING,
    ):
        assert text in page.text
    for text in (
        "age: not an integer",
        "<b>: odd",
        "<old>",
        "who <does not>",
        "90.5",
        "80 rows to train on",
        "a&b.csv",
    ):
        assert text in page.text
    html = store.objects["reports/run/report.html"].decode()
    assert html.count("<polyline") == 6
    assert not re.search(r"(src|href)=", html), "the page has to stand alone"


@pytest.mark.parametrize(
    ("curves", "shown"),
    [
        ({"confusion": {"classes": ["a", "<b>"], "counts": [[5, 1], [0, 4]]}}, "<b>"),
        ({"confusion": {"classes": list(range(30)), "counts": [[0] * 30] * 30}}, "30 classes, too many"),
        ({"predicted_actual": [[1.0, 1.5], [2.0, 2.5]]}, "Predicted and actual"),
        ({"predicted_actual": [[1.0, 1.0]]}, "Predicted and actual"),
    ],
)
def test_other_problems_have_their_own_plots(curves: dict[str, Any], shown: str) -> None:
    store = bucket(curves)
    report_outcome(told(), PROJECT, store, SEEN)
    assert shown in page_of(store).text


def test_the_online_store_is_in_the_report_and_on_the_page() -> None:
    view = ViewSkew(
        view="activity",
        sampled=2_000,
        missing=3,
        missing_shown=[],
        differing=37,
        features={"visits_7d": 2, "<b>": 36},
        shown=[],
    )
    skew = MeasuredSkew(dataset_version="fedcba9876543210", rate=0.02, views=[view])
    artifacts = bucket()

    report_outcome(told(skew=skew), PROJECT, artifacts, SEEN)

    report = Report.model_validate_json(artifacts.objects["reports/run/report.json"])
    assert report.skew == skew
    text = Page(artifacts.objects["reports/run/report.html"].decode()).text
    for words in ("The online store", "fedcba9876543210", "activity", "2,000", "<b> 36, visits_7d 2"):
        assert words in text

    report_outcome(told(), PROJECT, artifacts, SEEN)
    assert "The online store" not in Page(artifacts.objects["reports/run/report.html"].decode()).text


def trial(number: int, status: str = "Completed", objective: float | None = None) -> SearchTrial:
    return SearchTrial(name=f"bank-1-{number:03d}-0123abcd", status=status, objective=objective)


SEARCH = Search(
    metric="roc_auc",
    trials=(
        trial(1, objective=0.71),
        trial(2, "Failed"),
        trial(3, objective=0.8125),
        trial(4, "Stopped", objective=0.6),
    ),
    best_trial="bank-1-003-0123abcd",
    best={"rate": "0.25", "kind": "<b>", "deep": "true"},
    first_failure='AlgorithmError: {"error": "TrainingFailed", "what": "<it> broke", "where": "train.py:4", '
    '"why": "w", "fix": "f"}, exit code: 1',
)


def test_a_search_is_in_report_message_and_page() -> None:
    artifacts = bucket()
    reported = report_outcome(told(search=SEARCH), PROJECT, artifacts, SEEN)

    report = Report.model_validate_json(artifacts.objects["reports/run/report.json"])
    assert report.search == SEARCH
    sentence = "4 trials, 1 failed, 1 stopped early; the best is 3 with roc_auc 0.8125"
    assert f"search     {sentence}\n" in reported.message
    html = artifacts.objects["reports/run/report.html"].decode()
    text = Page(html).text
    for words in ("The search", sentence, "rate 0.25", "kind <b>", "deep True", "<it> broke (train.py:4): w"):
        assert words in text
    figure = html[html.index("Objective by trial") :]
    assert figure[: figure.index("</figure>")].count("<circle") == 3, "a failed trial has no objective"

    without = report_outcome(told(), PROJECT, artifacts, SEEN)
    assert "search" not in without.message
    assert "The search" not in Page(artifacts.objects["reports/run/report.html"].decode()).text


def test_a_search_that_found_nothing_is_told_as_such() -> None:
    search = Search(metric="roc_auc", trials=(trial(1, "Failed"),), first_failure="ClientError: no data")
    artifacts = bucket()
    reported = report_outcome(told(search=search), PROJECT, artifacts, SEEN)
    assert "1 trial, 1 failed; none is the best" in reported.message
    text = Page(artifacts.objects["reports/run/report.html"].decode()).text
    assert "The first trial that failed: ClientError: no data" in text
    assert "Objective by trial" not in text


ANSWER = {
    "decision": "rejected",
    "by": "arn:aws:sts::123456789012:assumed-role/lead/ada<b>",
    "at": "2026-01-02T03:04:05Z",
    "reason": "unfair to <the> old",
}
SAID = "Rejected by arn:aws:sts::123456789012:assumed-role/lead/ada<b> on 2026-01-02 03:04 UTC: unfair to <the> old"


def request(**more: Any) -> ApprovalRequest:
    return ApprovalRequest(
        task_token="the-token",
        expires_seconds=3600,
        model_name="bank-dev-1",
        judgement=1,
        judged_champion="bank-dev-0",
        execution="run",
        execution_arn="arn:aws:states:execution:run",
        source=Source(bucket="uploads", key="incoming/training/a&b.csv", version_id="v1"),
        dataset=DATASET,
        gate=GATE,
        evaluation_uri="s3://artifacts/reports/run/evaluation/evaluation.json",
        model_uri="s3://artifacts/models/m",
        archive=Archive(version_id="v9", etag='"e"'),
        endpoint_name="sluice-bank-dev",
        **more,
    )


def test_a_model_that_waits_is_told_with_how_to_answer_and_without_the_token() -> None:
    store = bucket()
    until = datetime(2026, 1, 9, 3, 4, tzinfo=UTC)

    reported = report_waiting(request(), until, PROJECT, store)

    assert reported.subject == "Sluice bank: AwaitingApproval, roc_auc 0.9000"
    assert (reported.error, reported.cause) == (None, None)
    page = page_of(store)
    for text in (reported.message, page.text):
        for verb in ("approve", "reject"):
            assert f'sluice {verb} bank-dev-1 --stack sluice-bank-dev --reason "why"' in text
        assert "2026-01-09 03:04 UTC" in text
        assert "roc_auc is 0.9, and at least 0.7 was asked for." in text
    assert "s3://artifacts/reports/run/report.html" in reported.message
    assert "waits for approval" in page.text
    report = Report.model_validate_json(store.objects["reports/run/report.json"])
    assert (report.outcome, report.rules, report.archive) == (None, GATE.rules, request().archive)
    assert not [body for body in store.objects.values() if b"the-token" in body]
    assert "the-token" not in reported.model_dump_json() + repr(request())


def test_a_rejection_is_told_with_who_and_why_and_what_serves() -> None:
    store = bucket()
    reported = report_outcome(told(outcome="ApprovalRejected", approval=ANSWER), PROJECT, store, SEEN)

    page = page_of(store)
    assert "not approved" in page.text
    assert SAID in page.text
    assert "in service on bank-dev-0" in page.text
    assert reported.summary["outcome"] == "ApprovalRejected"
    assert SAID in reported.summary["reasons"]
    assert SAID in reported.message
    report = Report.model_validate_json(store.objects["reports/run/report.json"])
    assert report.approval == Answer.model_validate(ANSWER)


def test_that_nobody_answered_is_told_with_what_serves() -> None:
    store = bucket()
    reported = report_outcome(told(outcome="ApprovalExpired"), PROJECT, store, SEEN)

    page = page_of(store)
    assert "approval expired" in page.text
    assert "nobody approved or rejected it in time" in page.text
    assert "in service on bank-dev-0" in page.text
    assert reported.summary["endpoint_name"] is None


def test_an_approval_is_in_the_report_of_what_was_deployed() -> None:
    store = bucket()
    reported = report_outcome(told(approval={**ANSWER, "decision": "approved"}), PROJECT, store, SEEN)

    assert SAID.replace("Rejected", "Approved") in page_of(store).text
    assert SAID.replace("Rejected", "Approved") in reported.summary["reasons"]


def test_that_it_was_judged_again_is_told() -> None:
    store = bucket()
    reported = report_outcome(told(judgement=3, released="bank-dev-2"), PROJECT, store, SEEN)

    assert [reason for reason in reported.summary["reasons"] if "judged 3 times" in reason]
    assert "against bank-dev-2" in page_of(store).text
    assert Report.model_validate_json(store.objects["reports/run/report.json"]).judgement == 3
    once = report_outcome(told(), PROJECT, bucket(), SEEN)
    assert not [reason for reason in once.summary["reasons"] if "times" in reason]


def test_who_is_asked_for_an_approval_sees_the_search() -> None:
    store = bucket()
    until = datetime(2026, 1, 9, 3, 4, tzinfo=UTC)
    reported = report_waiting(request(search=SEARCH), until, PROJECT, store)
    assert "4 trials, 1 failed, 1 stopped early" in reported.message
    assert "The search" in page_of(store).text
