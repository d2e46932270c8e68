"""events: a file is validated and appended, and people hear of it; nothing else happens."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.payloads.training import ReportOutcomeInput, ValidateDatasetInput
from tests.statemachines.answers import DATASET, EVENTS, EVENTS_SOURCE, FAILED_REPORT, REPORT, SUMMARY
from tests.statemachines.harness import EXECUTION_NAME, SETTINGS, Failure, Harness, Run, payload


def append(harness: Harness, typed: Any = EVENTS_SOURCE, **outcomes: list[Any]) -> Run:
    return harness.run("events", typed, {**EVENTS, **outcomes})


def report(result: Run) -> ReportOutcomeInput:
    [arguments] = result.calls_of("ReportOutcome")
    return ReportOutcomeInput.model_validate(arguments["Payload"])


def test_a_file_is_appended_and_reported_and_nothing_is_trained(harness: Harness) -> None:
    result = append(harness)

    assert (result.succeeded, result.output) == (True, SUMMARY)
    assert result.path == [
        "Begin",
        "ValidateDataset",
        "ReportOutcome",
        "NotifyOutcome",
        "HasFailed",
        "Finished",
    ]
    [validate] = result.calls_of("ValidateDataset")
    asked = ValidateDatasetInput.model_validate(validate["Payload"])
    assert asked == ValidateDatasetInput(execution=EXECUTION_NAME, mode="append", **EVENTS_SOURCE)
    told = report(result)
    assert told.outcome == "Appended"
    assert told.source.model_dump(exclude={"uri"}) == EVENTS_SOURCE
    assert told.dataset is not None
    assert told.dataset.dataset_version == DATASET["dataset_version"]
    assert (told.failure, told.gate, told.model_uri) == (None, None, None)


def test_a_console_execution_needs_no_version(harness: Harness) -> None:
    result = append(harness, {"bucket": "uploads", "key": "incoming/events/a.csv"})

    [validate] = result.calls_of("ValidateDataset")
    assert ValidateDatasetInput.model_validate(validate["Payload"]).version_id is None


def test_a_refused_file_is_a_failure_with_its_state(harness: Harness) -> None:
    result = append(
        harness,
        ValidateDataset=[Failure("DataRejected", "why")],
        ReportOutcome=[payload(FAILED_REPORT)],
    )

    assert (result.error, result.cause) == (FAILED_REPORT["error"], FAILED_REPORT["cause"])
    told = report(result)
    assert told.outcome == "Failed"
    assert told.dataset is None
    assert told.failure is not None
    assert (told.failure.state, told.failure.error, told.failure.cause) == (
        "ValidateDataset",
        "DataRejected",
        "why",
    )


def test_the_message_is_the_report_and_its_outcome_can_be_filtered_on(harness: Harness) -> None:
    [message] = append(harness).calls_of("NotifyOutcome")

    assert message["TopicArn"] == SETTINGS["topic_arn"]
    assert (message["Subject"], message["Message"]) == (REPORT["subject"], REPORT["message"])
    assert message["MessageAttributes"]["outcome"]["StringValue"] == "Appended"


@pytest.mark.parametrize("state", ["", "ValidateDataset", "ReportOutcome"])
def test_people_are_told_once(harness: Harness, state: str) -> None:
    outcomes: dict[str, list[Any]] = {"ReportOutcome": [payload(FAILED_REPORT if state else REPORT)]}
    if state:
        outcomes[state] = [Failure("Broken", "why")]

    result = append(harness, **outcomes)

    assert len(result.calls_of("NotifyOutcome")) == 1
    assert result.succeeded == (not state)


def test_an_appended_file_whose_report_fails_is_a_failure_that_says_it_was_appended(harness: Harness) -> None:
    result = append(harness, ReportOutcome=[Failure("ReportBroke", "{}")])

    assert result.error == "PipelineFailed"
    for text in (str(result.cause), result.calls_of("NotifyOutcome")[0]["Message"]):
        assert "Appended" in text
        assert "ReportBroke" in text


def test_a_notification_that_cannot_be_sent_fails_the_execution(harness: Harness) -> None:
    result = append(harness, NotifyOutcome=[Failure("SNS.NotFoundException", "no such topic")])

    assert result.error == "PipelineFailed"
    assert "no such topic" in str(result.cause)
