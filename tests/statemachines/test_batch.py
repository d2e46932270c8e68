"""batch: the rows of a file are predicted by the model that serves, and people hear of it whatever comes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice import naming
from sluice.payloads.batch import JoinPredictionsInput, PrepareBatchInput
from sluice.payloads.training import ReportOutcomeInput, StateFailure
from sluice.reporting.failures import explain
from tests.statemachines.answers import (
    ANSWER_LOST,
    BATCH,
    BATCH_SOURCE,
    CHAMPION_URI,
    FAILED_REPORT,
    PREDICTED,
    PREPARED,
    SUMMARY,
    as_asked,
    taken,
)
from tests.statemachines.expectations import FOR_GOOD, REFUSED_AS, TRANSIENT
from tests.statemachines.harness import (
    ACCOUNT,
    EXECUTION_NAME,
    REGION,
    Failure,
    Harness,
    Run,
    payload,
)

ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:batch:{EXECUTION_NAME}"
JOB = f"{naming.job('bank', 'dev', ARN)}-batch"


def predict(harness: Harness, typed: Any = BATCH_SOURCE, **outcomes: list[Any]) -> Run:
    return harness.run("batch", typed, {**BATCH, **outcomes})


def fail(harness: Harness, **outcomes: list[Any]) -> tuple[Run, StateFailure]:
    """Run it to a failure; give what is told of that."""
    result = predict(harness, **outcomes, ReportOutcome=[payload(FAILED_REPORT)])
    assert (result.succeeded, result.error) == (False, FAILED_REPORT["error"])
    told = report(result)
    assert told.outcome == "Failed"
    assert told.failure is not None
    assert len(result.calls_of("NotifyOutcome")) == 1
    return result, told.failure


def report(result: Run) -> ReportOutcomeInput:
    [arguments] = result.calls_of("ReportOutcome")
    return ReportOutcomeInput.model_validate(arguments["Payload"])


def test_a_file_is_prepared_predicted_joined_counted_and_told(harness: Harness) -> None:
    result = predict(harness)

    assert (result.succeeded, result.output) == (True, SUMMARY)
    [prepare] = result.calls_of("PrepareBatch")
    assert PrepareBatchInput.model_validate(prepare["Payload"]) == PrepareBatchInput(
        execution=EXECUTION_NAME,
        **BATCH_SOURCE,
        model_uri=CHAMPION_URI,
        instance_mb=64,
        max_instances=4,
        by_id=True,
    )
    [job] = result.calls_of("PredictBatch")
    assert job["TransformJobName"] == JOB
    assert len(JOB) <= 63
    assert job["ModelName"] == "bank-dev-0"
    assert job["TransformInput"] == {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": PREPARED["rows_uri"]}},
        "ContentType": "application/jsonlines",
        "SplitType": "Line",
    }
    assert job["TransformOutput"] == {
        "S3OutputPath": PREPARED["answers_uri"],
        "Accept": "application/jsonlines",
        "AssembleWith": "Line",
    }
    assert job["TransformResources"] == {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    [join] = result.calls_of("JoinPredictions")
    assert JoinPredictionsInput.model_validate(join["Payload"]) == JoinPredictionsInput.model_validate(
        {
            "execution": EXECUTION_NAME,
            "bucket": "uploads",
            "key": "incoming/batch/rows.csv",
            "model_uri": CHAMPION_URI,
            "model_name": "bank-dev-0",
            "prepared": PREPARED,
        }
    )
    [count] = result.calls_of("CountRows")
    assert count["Namespace"] == "Sluice/Batch"
    assert {each["MetricName"]: each["Value"] for each in count["MetricData"]} == {
        "RowsPredicted": 98,
        "RowsSetAside": 2,
    }
    told = report(result)
    assert (told.outcome, told.failure, told.dataset) == ("Predicted", None, None)
    assert told.batch is not None
    assert told.batch.model_dump(mode="json") == PREDICTED
    [message] = result.calls_of("NotifyOutcome")
    assert message["MessageAttributes"]["outcome"]["StringValue"] == "Predicted"


def test_where_no_row_is_good_no_job_is_started(harness: Harness) -> None:
    none = payload({**PREPARED, "sent": 0, "part_rows": [], "instances": 0})
    result = predict(harness, PrepareBatch=[none])

    assert result.succeeded
    assert "PredictBatch" not in result.path
    assert len(result.calls_of("JoinPredictions")) == 1


def test_without_a_release_nothing_is_read_and_people_are_told_what_to_do(harness: Harness) -> None:
    result, failure = fail(harness, FindRelease=[{}])

    assert "PrepareBatch" not in result.path
    told = explain(failure)
    assert told.name == "NothingReleased"
    assert "sluice-bank-dev" in told.where
    assert "sluice upload FILE --wait" in told.fix


def test_a_file_that_is_refused_is_a_failure_with_its_state(harness: Harness) -> None:
    _, failure = fail(harness, PrepareBatch=[Failure("SchemaMismatch", "why")])

    assert (failure.state, failure.error, failure.cause) == ("PrepareBatch", "SchemaMismatch", "why")


def test_a_job_that_is_there_because_the_answer_was_lost_is_waited_for(harness: Harness) -> None:
    described = [as_asked(TransformJobStatus=status) for status in ("InProgress", "Stopping", "Completed")]
    result = predict(
        harness, PredictBatch=[ANSWER_LOST, taken("PredictBatch")], DescribeTransformJob=described
    )

    assert (result.succeeded, result.output) == (True, SUMMARY)
    assert [each["TransformJobName"] for each in result.calls_of("DescribeTransformJob")] == [JOB] * 3
    assert result.waits == [86, 86], "at most a thousand looks at a job of a day"
    assert result.calls_of("JoinPredictions") == predict(harness).calls_of("JoinPredictions")


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_failed_is_told_alike_whether_it_was_waited_for_or_found(
    harness: Harness, status: str
) -> None:
    ended = {"TransformJobStatus": status, "TransformJobName": JOB, "FailureReason": "ClientError: x"}
    _, found = fail(
        harness,
        PredictBatch=[ANSWER_LOST, taken("PredictBatch")],
        DescribeTransformJob=[as_asked(**ended)],
    )
    _, waited = fail(harness, PredictBatch=[Failure("States.TaskFailed", json.dumps(ended))])

    assert (found.state, found.error) == (waited.state, waited.error) == ("PredictBatch", "States.TaskFailed")
    told = explain(found)
    assert str(told) == str(explain(waited))
    assert told.name == "BatchFailed"
    assert JOB in told.where


def test_anothers_job_of_the_name_is_not_taken_for_ours(harness: Harness) -> None:
    other = as_asked(ModelName="another", TransformJobStatus="Completed")
    result, failure = fail(
        harness, PredictBatch=[ANSWER_LOST, taken("PredictBatch")], DescribeTransformJob=[other]
    )

    assert "JoinPredictions" not in result.path
    assert "its name is taken by something else" in explain(failure).what


@pytest.mark.parametrize("cause", TRANSIENT["training"])
def test_what_passes_is_tried_again_with_growing_pauses(harness: Harness, cause: str) -> None:
    refused = Failure(REFUSED_AS["training"], cause)
    result = predict(harness, PredictBatch=[refused] * 6 + BATCH["PredictBatch"])

    assert result.succeeded
    assert len(result.waits) == 6
    assert all(0 <= pause <= 2**n for n, pause in enumerate(result.waits, start=1))
    result, _ = fail(harness, PredictBatch=[refused])
    assert len(result.calls_of("PredictBatch")) == 7


@pytest.mark.parametrize("cause", FOR_GOOD["training"])
def test_what_stays_is_told_at_once(harness: Harness, cause: str) -> None:
    result, failure = fail(harness, PredictBatch=[Failure(REFUSED_AS["training"], cause)])

    assert len(result.calls_of("PredictBatch")) == 1
    assert (failure.state, failure.cause) == ("PredictBatch", cause)


def test_a_job_that_takes_too_long_is_stopped_and_told_with_the_key_that_says_so(harness: Harness) -> None:
    result, failure = fail(harness, PredictBatch=[Failure("States.Timeout", "")])

    assert result.calls_of("StopTransformJob") == [{"TransformJobName": JOB}]
    told = explain(failure)
    assert told.name == "BatchFailed"
    assert "86400 seconds, as max_hours under [batch]" in told.why


def test_a_result_is_not_lost_for_the_sake_of_a_metric(harness: Harness) -> None:
    result = predict(harness, CountRows=[Failure("CloudWatch.CloudWatchException")])

    assert (result.succeeded, result.output) == (True, SUMMARY)


def test_a_result_whose_report_fails_is_still_told_of(harness: Harness) -> None:
    result = predict(harness, ReportOutcome=[Failure("ReportBroke", "{}")])

    assert result.error == "PipelineFailed"
    [message] = result.calls_of("NotifyOutcome")
    assert PREDICTED["predictions_uri"] in message["Message"]
    for text in (str(result.cause), message["Message"]):
        assert "Predicted" in text
        assert "ReportBroke" in text


def test_a_console_execution_needs_no_version(harness: Harness) -> None:
    result = predict(harness, {"bucket": "uploads", "key": "incoming/batch/a.csv"})

    [prepare] = result.calls_of("PrepareBatch")
    assert PrepareBatchInput.model_validate(prepare["Payload"]).version_id is None
    # What PrepareBatch has read is read again, whatever was uploaded meanwhile.
    [join] = result.calls_of("JoinPredictions")
    assert join["Payload"]["prepared"]["version_id"] == PREPARED["version_id"]
