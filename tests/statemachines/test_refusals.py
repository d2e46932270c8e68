"""A call that is refused: a lost answer is no failure, what passes is waited for, what stays is told at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice import errors
from sluice.payloads.training import StateFailure
from sluice.reporting.failures import explain
from tests.statemachines.answers import (
    ANSWER_LOST,
    CHAMPION,
    DEPLOYED,
    DEPLOYMENT,
    ENDPOINT,
    FAILED_REPORT,
    MODEL_EXISTS,
    MODEL_URI,
    SOURCE,
    TRAINING,
    TUNED,
    as_asked,
    described,
    endpoint,
    started,
    taken,
)
from tests.statemachines.expectations import FOR_GOOD, REFUSED_AS, TRANSIENT
from tests.statemachines.harness import AsAsked, Failure, Harness, Run, payload

# state -> the state that looks what has the name, its kind, what its description holds beside what was asked.
JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "BuildTrainingSet": (
        "ProcessingJob",
        {"ProcessingEndTime": 1, "RoleArn": "arn:aws:iam::123456789012:role/sagemaker"},
    ),
    "SearchHyperparameters": ("HyperParameterTuningJob", {"BestTrainingJob": TUNED["BestTrainingJob"]}),
    "TrainModel": ("TrainingJob", {"ModelArtifacts": {"S3ModelArtifacts": MODEL_URI}}),
    "PredictChallenger": ("TransformJob", {}),
    "PredictChampion": ("TransformJob", {}),
    "EvaluateModel": ("ProcessingJob", {}),
}
SAGEMAKER = {
    "training": [
        "BuildTrainingSet",
        "SearchHyperparameters",
        "TrainModel",
        "CreateChallenger",
        "PredictChallenger",
        "PredictChampion",
        "EvaluateModel",
    ],
    "deployment": [
        "CreateModel",
        "CreateEndpointConfig",
        "FindEndpoint",
        "DeleteEndpoint",
        "CreateEndpoint",
        "UpdateEndpoint",
        "DescribeEndpoint",
    ],
}


def through(harness: Harness, state: str, **outcomes: Any) -> Run:
    """Run the machine of `state` with outcomes, in a way that leads through it."""
    if state in SAGEMAKER["training"]:
        own_image = "Challenger" in state or "Champion" in state
        script = {**TRAINING, "FindChampion": [CHAMPION], **outcomes}
        return harness.run(
            "training", SOURCE, script, own_image=own_image, search=state == "SearchHyperparameters"
        )
    found: Any = {
        "UpdateEndpoint": [{"Endpoints": [endpoint("InService")]}],
        "DeleteEndpoint": [{"Endpoints": [endpoint("Failed")]}, {"Endpoints": []}],
    }.get(state, [{"Endpoints": []}])
    return harness.run("deployment", DEPLOYMENT, {**ENDPOINT, "FindEndpoint": found, **outcomes})


def results(state: str) -> Any:
    if state == "DeleteEndpoint":
        return [{}]
    return {**TRAINING, **ENDPOINT}[state]


@pytest.mark.parametrize("state", JOBS)
def test_a_job_that_is_there_because_the_answer_was_lost_is_waited_for(harness: Harness, state: str) -> None:
    kind, more = JOBS[state]
    expected = through(harness, state)

    result = through(
        harness,
        state,
        **{
            state: [ANSWER_LOST, taken(state)],
            f"Describe{kind}": [
                as_asked(**{f"{kind}Status": "InProgress"}),
                as_asked(**{f"{kind}Status": "Stopping"}),
                as_asked(**{f"{kind}Status": "Completed"}, **more),
            ],
        },
    )

    assert (result.succeeded, result.output) == (True, expected.output)
    asked = result.calls_of(state)
    assert asked == expected.calls_of(state) * 2
    assert [each[f"{kind}Name"] for each in result.calls_of(f"Describe{kind}")] == [
        asked[0][f"{kind}Name"]
    ] * 3
    assert len(result.waits) == 2
    [*_, evaluate] = result.calls_of("EvaluateModel")
    if kind == "TransformJob":
        given = [each["S3Input"]["S3Uri"] for each in evaluate["ProcessingInputs"]]
        assert asked[0]["TransformOutput"]["S3OutputPath"] + "/" in given
    else:
        assert evaluate == expected.calls_of("EvaluateModel")[0]
    assert result.calls_of("ReportOutcome") == expected.calls_of("ReportOutcome")
    assert len(result.calls_of("NotifyOutcome")) == 1


@pytest.mark.parametrize("state", ["BuildTrainingSet", "TrainModel", "PredictChallenger", "EvaluateModel"])
@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_of_ours_that_failed_is_told_as_if_it_had_been_waited_for(
    harness: Harness, state: str, status: str
) -> None:
    kind, _ = JOBS[state]
    ended = {f"{kind}Status": status, "FailureReason": "AlgorithmError: the third row"}

    result = through(
        harness,
        state,
        ReportOutcome=[payload(FAILED_REPORT)],
        **{state: [ANSWER_LOST, taken(state)], f"Describe{kind}": [as_asked(**ended)]},
    )

    [report] = result.calls_of("ReportOutcome")
    failure = report["Payload"]["failure"]
    assert (failure["state"], failure["error"]) == (state, "States.TaskFailed")
    assert json.loads(failure["cause"]).items() >= ended.items()
    assert not result.succeeded


@pytest.mark.parametrize("state", JOBS)
@pytest.mark.parametrize("other", ["gone", "else", "longer"])
def test_a_job_that_is_not_what_was_asked_for_is_not_taken_for_it(
    harness: Harness, state: str, other: str
) -> None:
    kind, more = JOBS[state]
    part = {
        "ProcessingJob": "ProcessingInputs",
        "TrainingJob": "InputDataConfig",
        "HyperParameterTuningJob": "HyperParameterTuningJobConfig",
        "TransformJob": "TransformInput",
    }[kind]
    asked = through(harness, state).calls_of(state)[0][part]
    value: Any = {"gone": type(asked)(), "else": "another", "longer": [asked, asked]}[other]
    if other == "longer" and isinstance(asked, list):
        value = [*asked, asked[0]]

    result = through(
        harness,
        state,
        ReportOutcome=[payload(FAILED_REPORT)],
        **{
            state: [taken(state)],
            f"Describe{kind}": [AsAsked({**more, f"{kind}Status": "Completed", part: value})],
        },
    )

    assert not result.succeeded
    [report] = result.calls_of("ReportOutcome")
    failure = StateFailure.model_validate(report["Payload"]["failure"])
    assert failure.state == state
    told = explain(failure)
    assert "its name is taken" in str(told)
    assert "to do" in str(told)


def test_a_model_that_is_there_already_is_ours_if_it_is_the_same(harness: Harness) -> None:
    there = Failure(REFUSED_AS["training"], MODEL_EXISTS)
    result = through(harness, "CreateChallenger", CreateChallenger=[ANSWER_LOST, there])
    assert result.succeeded
    assert result.path.count("PredictChallenger") == 1

    other = as_asked(PrimaryContainer={"Image": "another", "ModelDataUrl": MODEL_URI})
    result = through(
        harness,
        "CreateChallenger",
        CreateChallenger=[there],
        DescribeModel=[other],
        ReportOutcome=[payload(FAILED_REPORT)],
    )
    assert "PredictChallenger" not in result.path


@pytest.mark.parametrize(
    ("state", "describe", "other"),
    [
        (
            "CreateModel",
            "DescribeModel",
            {"PrimaryContainer": {"Image": "another", "ModelDataUrl": MODEL_URI}},
        ),
        ("CreateEndpointConfig", "DescribeEndpointConfig", {"ProductionVariants": []}),
    ],
)
def test_what_a_deployment_needs_and_finds_is_ours_if_it_is_the_same(
    harness: Harness, state: str, describe: str, other: dict[str, Any]
) -> None:
    there = Failure(REFUSED_AS["deployment"], 'Cannot create already existing thing "arn".')
    variants = [{"VariantName": "AllTraffic", "InitialVariantWeight": 1.0}]

    result = through(harness, state, **{state: [ANSWER_LOST, there]})
    assert result.output == DEPLOYED
    assert result.calls_of(describe) == [
        {"EndpointConfigName": "bank-dev-1"} if "Config" in state else {"ModelName": "bank-dev-1"}
    ]

    for more in (
        other,
        {"ProductionVariants": variants} if "Config" in state else {"ExecutionRoleArn": "arn"},
    ):
        result = through(harness, state, **{state: [there], describe: [as_asked(**more)]})
        told = errors.from_wire(str(result.cause))
        assert told is not None
        assert (told.name, "its name is taken" in told.what) == ("DeploymentFailed", True)
        assert "bank-dev-1" in told.where
        assert "RecordRelease" not in result.path
        assert len(result.calls_of("ReleaseLock")) == 1


def test_a_description_may_say_more_than_was_asked(harness: Harness) -> None:
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "bank-dev-1",
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": 2,
        "InitialVariantWeight": 1.0,
    }
    there = Failure(REFUSED_AS["deployment"], 'Cannot create already existing endpoint configuration "arn".')
    result = through(
        harness,
        "CreateEndpointConfig",
        CreateEndpointConfig=[there],
        DescribeEndpointConfig=[as_asked(ProductionVariants=[variant], CreationTime="2026-01-01T00:00:00Z")],
    )
    assert result.output == DEPLOYED


def test_a_deployment_that_began_unheard_is_followed_to_its_end(harness: Harness) -> None:
    there = Failure("StepFunctions.ExecutionAlreadyExistsException")
    running = started(Status="RUNNING")
    failed = started(Status="FAILED", Error="DeploymentFailed", Cause="why", ExecutionArn="arn")

    result = through(
        harness,
        "TrainModel",
        DeployModel=[ANSWER_LOST_BY_STEP_FUNCTIONS, there],
        DescribeExecution=[running, started(Status="SUCCEEDED", Output=json.dumps(DEPLOYED))],
    )
    assert result.succeeded
    assert result.calls_of("ReportOutcome")[0]["Payload"]["deployment"] == DEPLOYED
    [first, second] = result.calls_of("DescribeExecution")
    assert first == second
    assert first["ExecutionArn"] == (
        "arn:aws:states:us-east-1:123456789012:execution:deployment:bank-dev-eb865072a4c4f0bc"
    )

    result = through(
        harness,
        "TrainModel",
        DeployModel=[there],
        DescribeExecution=[running, failed],
        ReportOutcome=[payload(FAILED_REPORT)],
    )
    failure = result.calls_of("ReportOutcome")[0]["Payload"]["failure"]
    assert (failure["state"], json.loads(failure["cause"])["Cause"]) == ("DeployModel", "why")


ANSWER_LOST_BY_STEP_FUNCTIONS = Failure("StepFunctions.SdkClientException", "Read timed out")
IN_PROGRESS = Failure(REFUSED_AS["deployment"], 'Cannot update in-progress endpoint "arn".')
ENDPOINT_EXISTS = Failure(REFUSED_AS["deployment"], 'Cannot create already existing endpoint "arn".')


@pytest.mark.parametrize(
    ("state", "refused", "first"),
    [
        ("CreateEndpoint", ENDPOINT_EXISTS, described("Creating")),
        (
            "UpdateEndpoint",
            IN_PROGRESS,
            described(
                "Updating", "bank-dev-0", PendingDeploymentSummary={"EndpointConfigName": "bank-dev-1"}
            ),
        ),
        ("UpdateEndpoint", IN_PROGRESS, described("Updating", "bank-dev-1")),
    ],
)
def test_an_endpoint_that_is_being_changed_by_us_is_waited_for(
    harness: Harness, state: str, refused: Failure, first: dict[str, Any]
) -> None:
    result = through(
        harness, state, **{state: [ANSWER_LOST, refused]}, DescribeEndpoint=[first, described("InService")]
    )

    assert result.output == DEPLOYED
    assert len(result.calls_of(state)) == 2
    assert len(result.calls_of("RecordRelease")) == 1


@pytest.mark.parametrize(
    "first",
    [
        described("Updating", "bank-dev-0", PendingDeploymentSummary={"EndpointConfigName": "anothers"}),
        described("InService", "anothers"),
    ],
)
def test_an_update_by_another_is_no_rollback_of_ours(harness: Harness, first: dict[str, Any]) -> None:
    result = through(
        harness,
        "UpdateEndpoint",
        UpdateEndpoint=[IN_PROGRESS, {"EndpointArn": "arn"}],
        DescribeEndpoint=[first, described("InService")],
    )

    assert result.output == DEPLOYED
    assert len(result.calls_of("UpdateEndpoint")) == 2


def test_a_rollback_of_an_update_whose_answer_was_lost_is_one(harness: Harness) -> None:
    ours = {"EndpointConfigName": "bank-dev-1"}
    result = through(
        harness,
        "UpdateEndpoint",
        UpdateEndpoint=[ANSWER_LOST, IN_PROGRESS],
        DescribeEndpoint=[
            described("Updating", "bank-dev-0", PendingDeploymentSummary=ours),
            described("RollingBack", "bank-dev-0"),
            described("InService", "bank-dev-0", FailureReason="an alarm"),
        ],
    )

    assert result.output["outcome"] == "RolledBack"
    assert len(result.calls_of("UpdateEndpoint")) == 2


def test_an_endpoint_that_is_deleted_already_needs_no_deletion(harness: Harness) -> None:
    gone = Failure(REFUSED_AS["deployment"], 'Could not find endpoint "arn".')
    result = through(harness, "DeleteEndpoint", DeleteEndpoint=[ANSWER_LOST, gone])

    assert result.output == DEPLOYED
    assert "CreateEndpoint" in result.path


def refusals(causes: dict[str, list[str]]) -> list[Any]:
    return [
        pytest.param(machine, state, cause, id=f"{state}-{cause[:20]}")
        for machine, states in SAGEMAKER.items()
        for state in states
        for cause in causes[machine]
    ]


@pytest.mark.parametrize(("machine", "state", "cause"), refusals(TRANSIENT))
def test_what_passes_is_tried_again_with_growing_pauses(
    harness: Harness, machine: str, state: str, cause: str
) -> None:
    refused = Failure(REFUSED_AS[machine], cause)
    good = results(state) if state != "FindEndpoint" else [{"Endpoints": []}]
    expected = through(harness, state)

    result = through(harness, state, **{state: [refused] * 6 + good})
    assert (result.succeeded, result.output) == (True, expected.output)
    pauses = result.waits[state == "DescribeEndpoint" :][:6]
    assert all(0 <= pause <= 2**n for n, pause in enumerate(pauses, start=1))

    result = through(harness, state, **{state: [refused]}, ReportOutcome=[payload(FAILED_REPORT)])
    assert not result.succeeded
    assert len(result.calls_of(state)) == 7


@pytest.mark.parametrize("machine", SAGEMAKER)
def test_each_state_has_its_own_attempts(harness: Harness, machine: str) -> None:
    refused = Failure(REFUSED_AS[machine], TRANSIENT[machine][0])
    first, second = {
        "training": ("BuildTrainingSet", "TrainModel"),
        "deployment": ("CreateModel", "CreateEndpoint"),
    }[machine]

    result = through(harness, first, **{each: [refused] * 6 + results(each) for each in (first, second)})

    assert result.succeeded


@pytest.mark.parametrize(("machine", "state", "cause"), refusals(FOR_GOOD))
def test_what_stays_is_told_at_once(harness: Harness, machine: str, state: str, cause: str) -> None:
    refused = Failure(REFUSED_AS[machine], cause)

    result = through(harness, state, **{state: [refused]}, ReportOutcome=[payload(FAILED_REPORT)])

    assert not result.succeeded
    assert len(result.calls_of(state)) == 1
    assert result.pauses == []
    if machine == "training":
        [report] = result.calls_of("ReportOutcome")
        assert report["Payload"]["failure"] == {"state": state, "error": refused.error, "cause": cause}
        assert len(result.calls_of("NotifyOutcome")) == 1
    else:
        assert json.loads(str(result.cause)) == {"state": state, "error": refused.error, "cause": cause}
        assert len(result.calls_of("ReleaseLock")) == 1
