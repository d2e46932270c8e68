"""Named ways through each state machine that, together, reach every state and take every branch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.statemachines.answers import (
    ANSWER,
    ANSWER_LOST,
    BATCH,
    BATCH_SOURCE,
    CHAMPION,
    CHAMPION_CHANGED,
    DEPLOYED,
    DEPLOYMENT,
    DIFFERENT,
    DRIFT,
    ENDPOINT,
    EVENTS,
    EVENTS_SOURCE,
    FAILED_REPORT,
    FIRED,
    GONE_BACK,
    GUARDED,
    HELD,
    MATERIALIZATION,
    MODEL_EXISTS,
    MODEL_URI,
    NEXT_CHAMPION,
    NO_ARCHIVE,
    NO_ENDPOINT,
    OVERWRITTEN,
    PLANNED,
    PREPARED,
    REFUSED,
    ROLLED_BACK,
    SOURCE,
    TRAINING,
    TRIALS,
    TUNED,
    TUNING_FAILED,
    WINDOW,
    WITH_FEATURES,
    as_asked,
    described,
    endpoint,
    holder,
    materialized,
    shifting,
    started,
    taken,
)
from tests.statemachines.expectations import FOR_GOOD, REFUSED_AS, TRANSIENT
from tests.statemachines.harness import Failure, Script, payload


@dataclass(frozen=True)
class Scenario:
    """An input, the tasks' outcomes, and where the execution has to end."""

    machine: str
    name: str
    input: dict[str, Any]
    script: Script
    ends_in: str
    own_image: bool = False
    features: bool = False
    search: bool = False
    spot: bool = False
    approval: bool = False
    guarded: bool = False
    on_failure: str | None = "fail"

    def __str__(self) -> str:
        return f"{self.machine}-{self.name}"


def _guarded(name: str, **outcomes: list[Any]) -> Scenario:
    asked = {**DEPLOYMENT, "judged_champion": "bank-dev-0"}
    return Scenario("deployment", name, asked, {**GUARDED, **outcomes}, "Finished", guarded=True)


def _training(name: str, ends_in: str, /, *, own_image: bool = False, **outcomes: Any) -> Scenario:
    return Scenario("training", name, SOURCE, {**TRAINING, **outcomes}, ends_in, own_image)


def _with_search(name: str, ends_in: str, /, **outcomes: Any) -> Scenario:
    return Scenario("training", name, SOURCE, {**TRAINING, **outcomes}, ends_in, search=True)


def _asking(name: str, ends_in: str, /, *, own_image: bool = False, **outcomes: Any) -> Scenario:
    """A training of a project that asks for approvals."""
    return Scenario("training", name, SOURCE, {**TRAINING, **outcomes}, ends_in, own_image, approval=True)


def _with_features(name: str, ends_in: str, /, **outcomes: Any) -> Scenario:
    script = {**TRAINING, **WITH_FEATURES, **outcomes}
    return Scenario("training", name, SOURCE, script, ends_in, features=True)


def _deployment(name: str, ends_in: str, **outcomes: list[Any]) -> Scenario:
    return Scenario("deployment", name, DEPLOYMENT, {**ENDPOINT, **outcomes}, ends_in)


def _batch(name: str, ends_in: str, /, **outcomes: Any) -> Scenario:
    return Scenario("batch", name, BATCH_SOURCE, {**BATCH, **outcomes}, ends_in)


SCENARIOS = [
    Scenario("intake", "new", SOURCE, {"StartTraining": [{"ExecutionArn": "arn"}]}, "Started"),
    Scenario(
        "intake",
        "again",
        SOURCE,
        {"StartTraining": [Failure("StepFunctions.ExecutionAlreadyExistsException")]},
        "AlreadyStarted",
    ),
    Scenario("intake", "events", EVENTS_SOURCE, {"AppendEvents": [{"ExecutionArn": "arn"}]}, "Started"),
    Scenario(
        "intake",
        "events-again",
        EVENTS_SOURCE,
        {"AppendEvents": [Failure("StepFunctions.ExecutionAlreadyExistsException")]},
        "AlreadyStarted",
    ),
    Scenario("events", "appended", EVENTS_SOURCE, EVENTS, "Finished"),
    Scenario(
        "events",
        "refused",
        EVENTS_SOURCE,
        {**EVENTS, "ValidateDataset": [Failure("DataRejected")], "ReportOutcome": [payload(FAILED_REPORT)]},
        "Failed",
    ),
    Scenario("intake", "batch", BATCH_SOURCE, {"StartBatch": [{"ExecutionArn": "arn"}]}, "Started"),
    Scenario(
        "intake",
        "batch-again",
        BATCH_SOURCE,
        {"StartBatch": [Failure("StepFunctions.ExecutionAlreadyExistsException")]},
        "AlreadyStarted",
    ),
    _batch("predicted", "Finished"),
    _batch("nothing-released", "Failed", FindRelease=[{}], ReportOutcome=[payload(FAILED_REPORT)]),
    _batch(
        "none-good",
        "Finished",
        PrepareBatch=[payload({**PREPARED, "sent": 0, "part_rows": [], "instances": 0})],
    ),
    _batch(
        "refused",
        "Failed",
        PrepareBatch=[Failure("SchemaMismatch")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _batch(
        "answer-lost",
        "Finished",
        PredictBatch=[ANSWER_LOST, taken("PredictBatch")],
        DescribeTransformJob=[
            as_asked(TransformJobStatus="InProgress"),
            as_asked(TransformJobStatus="Completed"),
        ],
    ),
    _batch(
        "its-job-has-failed",
        "Failed",
        PredictBatch=[ANSWER_LOST, taken("PredictBatch")],
        DescribeTransformJob=[as_asked(TransformJobStatus="Failed", FailureReason="AlgorithmError: x")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _batch(
        "anothers-job",
        "Failed",
        PredictBatch=[ANSWER_LOST, taken("PredictBatch")],
        DescribeTransformJob=[as_asked(ModelName="another", TransformJobStatus="Completed")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _batch(
        "throttled",
        "Finished",
        PredictBatch=[
            Failure(REFUSED_AS["training"], TRANSIENT["training"][0]),
            {"TransformJobStatus": "Completed"},
        ],
    ),
    _batch(
        "not-allowed",
        "Failed",
        PredictBatch=[Failure(REFUSED_AS["training"], FOR_GOOD["training"][1])],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _batch(
        "too-slow", "Failed", PredictBatch=[Failure("States.Timeout")], ReportOutcome=[payload(FAILED_REPORT)]
    ),
    Scenario("materialization", "one-share", {}, MATERIALIZATION, "Finished"),
    Scenario(
        "materialization",
        "a-share-fails",
        {},
        {**MATERIALIZATION, "MaterializeView": [Failure("OnlineTableMissing", "the table is not there")]},
        "Failed",
    ),
    Scenario(
        "materialization",
        "no-dataset-yet",
        {},
        {"PlanMaterialization": [payload({**PLANNED, "dataset_version": None, "shares": []})]},
        "Finished",
    ),
    Scenario("drift", "judged", {}, DRIFT, "Finished"),
    Scenario("drift", "already-running", {}, {**DRIFT, "AcquireLock": [HELD]}, "Finished"),
    Scenario(
        "drift", "given-back-meanwhile", {}, {**DRIFT, "AcquireLock": [HELD], "ReadLock": [{}]}, "Finished"
    ),
    Scenario(
        "drift",
        "left-by-one-that-was-stopped",
        {},
        {**DRIFT, "AcquireLock": [HELD], "DescribeHolder": [{"Status": "ABORTED"}]},
        "Finished",
    ),
    Scenario(
        "drift",
        "nothing-released",
        {},
        {**DRIFT, "FindRelease": [{}], "PlanDrift": [payload({**WINDOW, "window": None, "parts": []})]},
        "Finished",
    ),
    Scenario(
        "drift",
        "a-part-fails",
        {},
        {**DRIFT, "CountCaptures": [Failure("NoReference", "it was deleted")]},
        "Failed",
    ),
    _training("first-model", "Finished"),
    Scenario("training", "of-the-current-dataset", {}, TRAINING, "Finished"),
    _training("with-champion", "Finished", FindChampion=[CHAMPION]),
    _training("rolled-back", "Finished", DeployModel=[{"Status": "SUCCEEDED", "Output": ROLLED_BACK}]),
    _training("refused", "Finished", DecideGate=[payload(REFUSED)]),
    _training(
        "failed", "Failed", TrainModel=[Failure("States.TaskFailed")], ReportOutcome=[payload(FAILED_REPORT)]
    ),
    Scenario("training", "spot", SOURCE, TRAINING, "Finished", spot=True),
    _with_search("search", "Finished"),
    _with_search(
        "search-of-many-pages",
        "Finished",
        ListTrials=[
            {"TrainingJobSummaries": TRIALS[:2], "NextToken": "more"},
            {"TrainingJobSummaries": TRIALS[2:]},
        ],
    ),
    _with_search(
        "search-failed",
        "Failed",
        SearchHyperparameters=[Failure("States.TaskFailed", json.dumps(TUNING_FAILED))],
        ListTrials=[{"TrainingJobSummaries": TRIALS[1:2]}],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _with_search(
        "search-without-a-best",
        "Failed",
        SearchHyperparameters=[{name: TUNED[name] for name in TUNED if name != "BestTrainingJob"}],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _with_search(
        "answer-lost-SearchHyperparameters",
        "Finished",
        SearchHyperparameters=[ANSWER_LOST, taken("SearchHyperparameters")],
        DescribeHyperParameterTuningJob=[
            as_asked(**{**TUNED, "HyperParameterTuningJobStatus": "InProgress"}),
            as_asked(**TUNED),
        ],
    ),
    _with_search(
        "its-search-has-failed",
        "Failed",
        SearchHyperparameters=[ANSWER_LOST, taken("SearchHyperparameters")],
        DescribeHyperParameterTuningJob=[as_asked(**TUNING_FAILED)],
        ListTrials=[{"TrainingJobSummaries": TRIALS[1:2]}],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _with_search(
        "throttled-SearchHyperparameters",
        "Finished",
        SearchHyperparameters=[Failure(REFUSED_AS["training"], TRANSIENT["training"][0]), TUNED],
    ),
    _with_search(
        "answer-lost-BuildTrainingSet-before-a-search",
        "Finished",
        BuildTrainingSet=[ANSWER_LOST, taken("BuildTrainingSet")],
    ),
    _with_features("features", "Finished"),
    _with_features(
        "features-are-still-being-written",
        "Finished",
        DescribeExecution=[materialized(Status="RUNNING"), *WITH_FEATURES["DescribeExecution"]],
    ),
    _with_features(
        "features-were-not-written",
        "Failed",
        DescribeExecution=[materialized(Status="FAILED", Error="OnlineTableMissing", Cause="why")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _with_features(
        "features-were-written-before-the-answer-came",
        "Finished",
        StartMaterialization=[Failure("StepFunctions.ExecutionAlreadyExistsException")],
    ),
    Scenario("training", "untracked", SOURCE, TRAINING, "Finished", on_failure=None),
    *(
        Scenario(
            "training",
            f"tracking-is-down-in-{state}-{on_failure}",
            SOURCE,
            {
                **TRAINING,
                state: [Failure("TrackingUnavailable", "{}")],
                **({"ReportOutcome": [payload(FAILED_REPORT)]} if on_failure == "fail" else {}),
            },
            "Failed" if on_failure == "fail" else "Finished",
            on_failure=on_failure,
        )
        for state in ("OpenRun", "RegisterModel")
        for on_failure in ("fail", "continue")
    ),
    _training("own-image", "Finished", own_image=True),
    _training("own-image-with-champion", "Finished", own_image=True, FindChampion=[CHAMPION]),
    _training(
        "own-image-champion-does-not-answer",
        "Finished",
        own_image=True,
        FindChampion=[CHAMPION],
        PredictChampion=[Failure("States.TaskFailed", '{"TransformJobStatus":"Failed"}')],
        DescribeTransformJob=[as_asked(TransformJobStatus="Failed", FailureReason="AlgorithmError: no")],
    ),
    _training(
        "champion-archive-missing", "Finished", FindChampion=[CHAMPION], FindChampionArchive=[NO_ARCHIVE]
    ),
    _training(
        "champion-archive-overwritten",
        "Finished",
        own_image=True,
        FindChampion=[CHAMPION],
        FindChampionArchive=[OVERWRITTEN],
    ),
    _training(
        "archive-overwritten",
        "Failed",
        CheckArchive=[OVERWRITTEN],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _training("archive-gone", "Failed", RecordArchive=[NO_ARCHIVE], ReportOutcome=[payload(FAILED_REPORT)]),
    _asking("approved", "Finished"),
    _asking("approval-rejected", "Finished", AwaitApproval=[{**ANSWER, "decision": "rejected"}]),
    _asking("approval-expired", "Finished", AwaitApproval=[Failure("States.Timeout", "")]),
    *(
        _asking(
            f"champion-changed{'-own-image' if own_image else ''}",
            "Finished",
            own_image=own_image,
            FindChampion=[{}, NEXT_CHAMPION],
            DeployModel=[
                {"Status": "SUCCEEDED", "Output": CHAMPION_CHANGED},
                {"Status": "SUCCEEDED", "Output": DEPLOYED},
            ],
        )
        for own_image in (False, True)
    ),
    _training(
        "champion-kept-changing",
        "Failed",
        DeployModel=[{"Status": "SUCCEEDED", "Output": CHAMPION_CHANGED}],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _training(
        "own-image-champion-model-missing",
        "Finished",
        own_image=True,
        FindChampion=[CHAMPION],
        PredictChampion=[Failure("SageMaker.AmazonSageMakerException", 'Could not find model "arn".')],
    ),
    *(
        _training(
            f"answer-lost-{state}",
            "Finished",
            own_image="Challenger" in state or "Champion" in state,
            **{
                "FindChampion": [CHAMPION],
                state: [ANSWER_LOST, taken(state)],
                f"Describe{kind}": [
                    as_asked(**{f"{kind}Status": "InProgress"}),
                    as_asked(**{f"{kind}Status": "Completed"}, **more),
                ],
            },
        )
        for state, kind, more in (
            ("BuildTrainingSet", "ProcessingJob", {}),
            ("TrainModel", "TrainingJob", {"ModelArtifacts": {"S3ModelArtifacts": MODEL_URI}}),
            ("PredictChallenger", "TransformJob", {}),
            ("PredictChampion", "TransformJob", {}),
            ("EvaluateModel", "ProcessingJob", {}),
        )
    ),
    _training(
        "answer-lost-CreateChallenger",
        "Finished",
        own_image=True,
        CreateChallenger=[ANSWER_LOST, Failure("SageMaker.AmazonSageMakerException", MODEL_EXISTS)],
    ),
    _training(
        "answer-lost-DeployModel",
        "Finished",
        DeployModel=[Failure("StepFunctions.ExecutionAlreadyExistsException")],
        DescribeExecution=[
            started(Status="RUNNING"),
            started(Status="SUCCEEDED", Output=json.dumps(DEPLOYED)),
        ],
    ),
    _training(
        "its-job-has-failed",
        "Failed",
        TrainModel=[ANSWER_LOST, taken("TrainModel")],
        DescribeTrainingJob=[as_asked(TrainingJobStatus="Failed", FailureReason="AlgorithmError: x")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _training(
        "anothers-job",
        "Failed",
        TrainModel=[ANSWER_LOST, taken("TrainModel")],
        DescribeTrainingJob=[as_asked(HyperParameters={}, TrainingJobStatus="Completed")],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    *(
        _training(
            f"throttled-{state}",
            "Finished",
            own_image=own_image,
            FindChampion=[CHAMPION],
            **{
                state: [Failure(REFUSED_AS["training"], TRANSIENT["training"][0]), *TRAINING[state]],
            },
        )
        for state, own_image in (
            ("BuildTrainingSet", False),
            ("TrainModel", False),
            ("CreateChallenger", True),
            ("PredictChallenger", True),
            ("PredictChampion", True),
            ("EvaluateModel", False),
        )
    ),
    _training(
        "not-allowed",
        "Failed",
        TrainModel=[Failure(REFUSED_AS["training"], FOR_GOOD["training"][1])],
        ReportOutcome=[payload(FAILED_REPORT)],
    ),
    _deployment("new-endpoint", "Finished"),
    _deployment("champion-changed", "Finished", FindRelease=[CHAMPION]),
    _deployment("lock-of-one-that-ended", "Finished", AcquireLock=[HELD, {}]),
    _deployment(
        "lock-of-one-that-is-forgotten",
        "Finished",
        AcquireLock=[HELD],
        DescribeHolder=[Failure("Sfn.ExecutionDoesNotExistException")],
    ),
    _deployment("lock-given-back-meanwhile", "Finished", AcquireLock=[HELD, {}], ReadLock=[{}]),
    _deployment(
        "lock-of-a-person",
        "Finished",
        AcquireLock=[HELD, {}],
        ReadLock=[{"Item": {"held_by": {"S": "arn:ada"}}}],
    ),
    _deployment(
        "lock-of-one-that-runs",
        "Finished",
        AcquireLock=[HELD, HELD, {}],
        DescribeHolder=[holder("RUNNING")],
    ),
    _deployment("lock-held-for-ever", "Failed", AcquireLock=[HELD], DescribeHolder=[holder("RUNNING")]),
    _deployment(
        "throttled-FindServing",
        "Finished",
        FindServing=[Failure(REFUSED_AS["deployment"], TRANSIENT["deployment"][0]), NO_ENDPOINT],
    ),
    _deployment("lock-taken-over-by-another", "Finished", AcquireLock=[HELD, {}], TakeOverLock=[HELD]),
    _deployment(
        "left-apart-by-one-that-was-stopped",
        "Finished",
        FindServing=[described("Updating", "bank-dev-0"), described("InService", "bank-dev-2")],
        FindRelease=[CHAMPION],
    ),
    _deployment(
        "changed-by-hand",
        "Failed",
        FindServing=[described("InService", "by-hand")],
        FindRelease=[CHAMPION],
        FindServed=[{}],
    ),
    _deployment(
        "not-allowed-to-look",
        "Failed",
        FindServing=[Failure(REFUSED_AS["deployment"], FOR_GOOD["deployment"][1])],
    ),
    _deployment(
        "serves-already",
        "Finished",
        FindServing=[described("InService")],
        FindRelease=[{"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-1"}}}],
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        DescribeEndpoint=[described("InService")],
    ),
    Scenario(
        "deployment",
        "rollback",
        {**DEPLOYMENT, "judged_champion": "bank-dev-0", "rollback": {"by": "arn:ada", "reason": "worse"}},
        {
            **ENDPOINT,
            "FindServing": [described("InService", "by-hand")],
            "FindRelease": [CHAMPION],
            "FindEndpoint": [{"Endpoints": [endpoint("InService")]}],
        },
        "Finished",
    ),
    _guarded("canary", DescribeEndpoint=[shifting(0.5), described("InService")]),
    _guarded("alarmed-between-two-looks", DescribeEndpoint=[described("InService", "bank-dev-0")]),
    _guarded(
        "alarmed",
        DescribeEndpoint=[
            shifting(0.5),
            described("RollingBack", "bank-dev-0"),
            described("InService", "bank-dev-0", FailureReason="the alarm went off"),
        ],
        FindAlarm=[{"MetricAlarms": [FIRED], "CompositeAlarms": []}],
    ),
    _guarded("answers-otherwise", VerifyModel=[DIFFERENT], DescribeEndpoint=GONE_BACK),
    _guarded(
        "answers-otherwise-and-the-answer-was-lost",
        VerifyModel=[DIFFERENT],
        GoBack=[ANSWER_LOST, Failure(REFUSED_AS["deployment"], 'Cannot update in-progress endpoint "arn".')],
        DescribeEndpoint=GONE_BACK,
    ),
    _guarded(
        "throttled-GoBack",
        VerifyModel=[DIFFERENT],
        GoBack=[Failure(REFUSED_AS["deployment"], TRANSIENT["deployment"][0]), {"EndpointArn": "arn"}],
        DescribeEndpoint=GONE_BACK,
    ),
    Scenario(
        "deployment",
        "answers-otherwise-and-does-not-go-back",
        {**DEPLOYMENT, "judged_champion": "bank-dev-0"},
        {**GUARDED, "VerifyModel": [DIFFERENT], "DescribeEndpoint": [described("InService")]},
        "Failed",
    ),
    _deployment("first-answers-otherwise", "Failed", VerifyModel=[DIFFERENT]),
    Scenario(
        "deployment",
        "answers-otherwise-after-an-attempt-that-was-cut-off",
        {**DEPLOYMENT, "judged_champion": "bank-dev-0"},
        {
            **ENDPOINT,
            "FindServing": [described("InService")],
            "FindRelease": [{"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-1"}}}],
            "FindEndpoint": [{"Endpoints": [endpoint("InService")]}],
            "VerifyModel": [DIFFERENT],
            "DescribeEndpoint": [described("InService"), described("InService", "bank-dev-0")],
        },
        "Finished",
    ),
    _deployment(
        "first-answers-otherwise-after-an-attempt-that-was-cut-off",
        "Failed",
        FindServing=[described("InService")],
        FindRelease=[{"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-1"}}}],
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        VerifyModel=[DIFFERENT],
        DescribeEndpoint=[described("InService")],
    ),
    _deployment("not-looked-at", "Finished", VerifyModel=[Failure("EndpointUnavailable", "{}")]),
    Scenario("deployment", "reconciled", {"reconcile": True}, ENDPOINT, "Finished"),
    Scenario(
        "deployment",
        "reconciled-where-alarms-are-left",
        {"reconcile": True},
        GUARDED,
        "Finished",
        guarded=True,
    ),
    Scenario(
        "deployment",
        "reconciled-by-whoever-deploys",
        {"reconcile": True},
        {**ENDPOINT, "AcquireLock": [HELD], "DescribeHolder": [holder("RUNNING")]},
        "Finished",
    ),
    _guarded("alarms-gone", ListAlarms=[{"MetricAlarms": []}]),
    Scenario(
        "deployment",
        "no-alarm",
        {**DEPLOYMENT, "judged_champion": "bank-dev-0"},
        {**GUARDED, "PutAlarm": [Failure("CloudWatch.LimitExceededException")]},
        "Failed",
        guarded=True,
    ),
    _deployment("archive-overwritten", "Failed", CheckArchive=[OVERWRITTEN]),
    _deployment("archive-gone", "Failed", CheckArchive=[NO_ARCHIVE]),
    Scenario(
        "deployment",
        "asked-by-an-older-training",
        {name: value for name, value in DEPLOYMENT.items() if name != "judged_champion"},
        ENDPOINT,
        "Failed",
    ),
    Scenario("deployment", "registered", {**DEPLOYMENT, "version": "3"}, ENDPOINT, "Finished"),
    Scenario(
        "deployment",
        "registry-does-not-follow",
        {**DEPLOYMENT, "version": "3"},
        {**ENDPOINT, "MoveAlias": [Failure("TrackingUnavailable", "{}")]},
        "Finished",
    ),
    Scenario("deployment", "model-made-already", {**DEPLOYMENT, "has_model": True}, ENDPOINT, "Finished"),
    _deployment(
        "existing-endpoint",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        DescribeEndpoint=[described("Updating", "bank-dev-0"), described("InService")],
    ),
    _deployment(
        "busy-endpoint",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("Updating")]}, {"Endpoints": [endpoint("InService")]}],
    ),
    _deployment(
        "broken-endpoint",
        "Finished",
        FindEndpoint=[
            {"Endpoints": [endpoint("Failed")]},
            {"Endpoints": [endpoint("Deleting")]},
            {"Endpoints": []},
        ],
    ),
    _deployment(
        "another-name", "Finished", FindEndpoint=[{"Endpoints": [endpoint("InService", "sluice-bank-dev-2")]}]
    ),
    _deployment(
        "rolled-back",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("InService"), endpoint("Failed", "sluice-bank-dev-2")]}],
        DescribeEndpoint=[described("RollingBack", "bank-dev-0"), described("InService", "bank-dev-0")],
    ),
    _deployment(
        "answer-lost-CreateModel",
        "Finished",
        CreateModel=[ANSWER_LOST, Failure(REFUSED_AS["deployment"], MODEL_EXISTS)],
        DescribeModel=[as_asked(CreationTime="2026-01-01T00:00:00Z")],
    ),
    _deployment(
        "answer-lost-CreateEndpointConfig",
        "Finished",
        CreateEndpointConfig=[
            ANSWER_LOST,
            Failure(REFUSED_AS["deployment"], 'Cannot create already existing endpoint configuration "arn".'),
        ],
    ),
    _deployment(
        "answer-lost-CreateEndpoint",
        "Finished",
        CreateEndpoint=[
            ANSWER_LOST,
            Failure(REFUSED_AS["deployment"], 'Cannot create already existing endpoint "arn".'),
        ],
    ),
    _deployment(
        "answer-lost-UpdateEndpoint",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        UpdateEndpoint=[
            ANSWER_LOST,
            Failure(REFUSED_AS["deployment"], 'Cannot update in-progress endpoint "arn".'),
        ],
        DescribeEndpoint=[
            described(
                "Updating", "bank-dev-0", PendingDeploymentSummary={"EndpointConfigName": "bank-dev-1"}
            ),
            described("InService"),
        ],
    ),
    _deployment(
        "updated-by-another",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("InService")]}],
        UpdateEndpoint=[
            Failure(REFUSED_AS["deployment"], 'Cannot update in-progress endpoint "arn".'),
            {"EndpointArn": "arn"},
        ],
        DescribeEndpoint=[
            described("Updating", "bank-dev-0", PendingDeploymentSummary={"EndpointConfigName": "anothers"}),
            described("InService"),
        ],
    ),
    _deployment(
        "answer-lost-DeleteEndpoint",
        "Finished",
        FindEndpoint=[{"Endpoints": [endpoint("Failed")]}, {"Endpoints": []}],
        DeleteEndpoint=[ANSWER_LOST, Failure(REFUSED_AS["deployment"], 'Could not find endpoint "arn".')],
    ),
    _deployment(
        "anothers-model",
        "Failed",
        CreateModel=[Failure(REFUSED_AS["deployment"], MODEL_EXISTS)],
        DescribeModel=[as_asked(PrimaryContainer={"Image": "another"})],
    ),
    *(
        _deployment(
            f"throttled-{state}",
            "Finished",
            **{
                "FindEndpoint": [{"Endpoints": endpoints} for endpoints in found] or [{"Endpoints": []}],
                state: [
                    Failure(REFUSED_AS["deployment"], TRANSIENT["deployment"][0]),
                    *([{"Endpoints": []}] if state == "FindEndpoint" else ENDPOINT[state]),
                ],
            },
        )
        for state, found in (
            ("CreateModel", []),
            ("CreateEndpointConfig", []),
            ("FindEndpoint", []),
            ("DeleteEndpoint", [[endpoint("Failed")], []]),
            ("CreateEndpoint", []),
            ("UpdateEndpoint", [[endpoint("InService")]]),
            ("DescribeEndpoint", []),
        )
    ),
    _deployment(
        "not-allowed", "Failed", CreateModel=[Failure(REFUSED_AS["deployment"], FOR_GOOD["deployment"][1])]
    ),
    _deployment(
        "rollback-failed", "Failed", FindEndpoint=[{"Endpoints": [endpoint("UpdateRollbackFailed")]}]
    ),
    _deployment(
        "never-healthy",
        "Failed",
        DescribeEndpoint=[described("Creating"), described("Failed", FailureReason="ping timed out")],
    ),
]
