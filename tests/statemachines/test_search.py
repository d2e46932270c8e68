"""`training` of a project that searches for hyperparameters, and of one that trains on spot instances."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice import naming
from sluice.payloads.training import ReportOutcomeInput, StateFailure
from sluice.reporting.failures import explain
from tests.statemachines.answers import (
    FAILED_REPORT,
    JOB,
    SOURCE,
    TRAINING,
    TRIALS,
    TUNED,
    TUNING_FAILED,
    trial,
)
from tests.statemachines.harness import SEARCH, SETTINGS, Failure, Harness, Run, payload

SEARCH_JOB = "bank-3fa9c1-eb865072a4c4f0bc"


def searched(harness: Harness, **outcomes: Any) -> Run:
    return harness.run("training", SOURCE, {**TRAINING, **outcomes}, search=True)


def report(result: Run) -> ReportOutcomeInput:
    [asked] = result.calls_of("ReportOutcome")
    return ReportOutcomeInput.model_validate(asked["Payload"])


def test_the_model_is_trained_with_the_best_values_on_all_training_rows(harness: Harness) -> None:
    result = searched(harness)
    [train] = result.calls_of("TrainModel")
    [search] = result.calls_of("SearchHyperparameters")
    assert train["HyperParameters"] == {**SETTINGS["hyperparameters"], "rate": "0.3"}
    assert "SEARCH_TRIAL" not in train["Environment"]
    definition = search["TrainingJobDefinition"]
    assert definition["InputDataConfig"] == train["InputDataConfig"]
    assert definition["StaticHyperParameters"] == SETTINGS["hyperparameters"]


def test_a_trial_knows_that_it_is_one_and_sees_training_rows_alone(harness: Harness) -> None:
    [search] = searched(harness).calls_of("SearchHyperparameters")
    definition = search["TrainingJobDefinition"]
    assert definition["Environment"]["SEARCH_TRIAL"] == "true"
    channels = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"]
        for each in definition["InputDataConfig"]
    }
    assert set(channels) == {"train", "code"}
    assert not any("held_out" in uri for uri in channels.values())
    assert definition["OutputDataConfig"] == {"S3OutputPath": f"s3://artifacts/searches/{JOB}"}
    [metric] = definition["AlgorithmSpecification"]["MetricDefinitions"]
    assert metric == {"Name": "roc_auc", "Regex": SEARCH["pattern"]}
    assert search["HyperParameterTuningJobConfig"] == SEARCH["config"]


def test_a_search_has_the_name_that_the_domain_gives_it_and_sagemaker_takes(harness: Harness) -> None:
    [search] = searched(harness).calls_of("SearchHyperparameters")
    assert search["HyperParameterTuningJobName"] == SEARCH_JOB
    for project in ("bank", "a" * 24, "a-b-c-d-e-f-g-h"):
        name = naming.search_prefix(project, "local") + "0" * naming.JOB_DIGITS
        assert len(name) <= 32
        assert name.startswith(project[:7].rstrip("-"))
        assert name.replace("-", "").isalnum()
    assert naming.search_prefix("bank", "dev") != naming.search_prefix("bank", "prod")


def test_all_trials_are_told_of(harness: Harness) -> None:
    pages = [
        {"TrainingJobSummaries": TRIALS[:2], "NextToken": "more"},
        {"TrainingJobSummaries": TRIALS[2:]},
    ]
    for listed in ([{"TrainingJobSummaries": TRIALS}], pages):
        result = searched(harness, ListTrials=listed)
        told = report(result).search
        assert told is not None
        assert [(each.number, each.status, each.objective) for each in told.trials] == [
            (1, "Completed", 0.8),
            (2, "Failed", None),
            (3, "Completed", 0.9),
        ]
        assert (told.metric, told.best, told.best_trial) == (
            "roc_auc",
            {"rate": "0.3"},
            TRIALS[2]["TrainingJobName"],
        )
        assert told.first_failure == "AlgorithmError: the rate is too high, exit code: 1"
    [first, second] = result.calls_of("ListTrials")
    assert "NextToken" not in first
    assert second == {**first, "NextToken": "more"}


def test_a_search_of_one_trial_is_a_list_of_one(harness: Harness) -> None:
    told = report(searched(harness, ListTrials=[{"TrainingJobSummaries": TRIALS[2:]}])).search
    assert told is not None
    assert [each.objective for each in told.trials] == [0.9]
    assert told.first_failure is None


@pytest.mark.parametrize("pages", [[1], [0, 1]])
def test_where_all_trials_fail_the_first_reason_is_told(harness: Harness, pages: list[int]) -> None:
    failed = [trial(n, "Failed", FailureReason=f"AlgorithmError: reason {n}, exit code: 1") for n in (1, 2)]
    listed: list[dict[str, Any]] = [{"TrainingJobSummaries": failed}]
    if len(pages) > 1:
        listed = [
            {"TrainingJobSummaries": failed[:1], "NextToken": "more"},
            {"TrainingJobSummaries": failed[1:]},
        ]
    result = searched(
        harness,
        SearchHyperparameters=[Failure("States.TaskFailed", json.dumps(TUNING_FAILED))],
        ListTrials=listed,
        ReportOutcome=[payload(FAILED_REPORT)],
    )
    assert "TrainModel" not in result.path
    told = report(result)
    assert told.outcome == "Failed"
    assert told.failure is not None
    error = explain(told.failure)
    assert (error.name, error.why) == ("TrainingFailed", "reason 1")
    assert told.search is not None
    assert told.search.failed == 2


def test_a_search_that_was_stopped_is_told_as_it_is(harness: Harness) -> None:
    stopped = {**TUNING_FAILED, "HyperParameterTuningJobStatus": "Stopped"}
    result = searched(
        harness,
        SearchHyperparameters=[Failure("States.TaskFailed", json.dumps(stopped))],
        ListTrials=[{"TrainingJobSummaries": []}],
        ReportOutcome=[payload(FAILED_REPORT)],
    )
    failure = report(result).failure
    assert failure is not None
    assert explain(failure).what == "SearchHyperparameters was stopped"
    assert explain(failure).where == f"tuning job {SEARCH_JOB}"


def test_what_the_search_failed_of_is_told_even_if_its_trials_cannot_be_listed(harness: Harness) -> None:
    result = searched(
        harness,
        SearchHyperparameters=[Failure("States.TaskFailed", json.dumps(TUNING_FAILED))],
        ListTrials=[Failure("SageMaker.ResourceNotFoundException")],
        ReportOutcome=[payload(FAILED_REPORT)],
    )
    failure = report(result).failure
    assert failure is not None
    assert failure.state == "SearchHyperparameters"
    assert "All training jobs failed" in str(explain(failure))


def test_trials_that_cannot_be_listed_are_a_failure_of_their_own(harness: Harness) -> None:
    result = searched(
        harness,
        ListTrials=[Failure("SageMaker.ResourceNotFoundException", "gone")],
        ReportOutcome=[payload(FAILED_REPORT)],
    )
    assert report(result).failure == StateFailure(
        state="ListTrials", error="SageMaker.ResourceNotFoundException", cause="gone"
    )


def test_without_a_best_trial_nothing_is_trained(harness: Harness) -> None:
    without = {name: value for name, value in TUNED.items() if name != "BestTrainingJob"}
    result = searched(harness, SearchHyperparameters=[without], ReportOutcome=[payload(FAILED_REPORT)])
    assert "TrainModel" not in result.path
    failure = report(result).failure
    assert failure is not None
    error = explain(failure)
    assert error.what == "the search found no best trial"
    assert SEARCH_JOB in error.where


def test_without_a_search_nothing_of_one_is_told(harness: Harness) -> None:
    result = harness.run("training", SOURCE, TRAINING)
    assert not {"SearchHyperparameters", "ListTrials"} & set(result.path)
    assert report(result).search is None


@pytest.mark.parametrize("spot", [True, False])
def test_a_model_is_trained_on_spot_instances_where_that_is_asked_for(harness: Harness, spot: bool) -> None:
    result = harness.run("training", SOURCE, TRAINING, search=True, spot=spot)
    [train] = result.calls_of("TrainModel")
    [search] = result.calls_of("SearchHyperparameters")
    assert train["EnableManagedSpotTraining"] is spot
    assert train["Environment"]["SPOT"] == ("true" if spot else "false")
    wait = {"MaxWaitTimeInSeconds": 7200} if spot else {}
    assert train["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, **wait}
    assert train["CheckpointConfig"] == {"S3Uri": f"s3://artifacts/checkpoints/{JOB}"}
    assert search["TrainingJobDefinition"]["EnableManagedSpotTraining"] is spot
    assert "CheckpointConfig" not in search["TrainingJobDefinition"]
