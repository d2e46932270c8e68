"""The race for the release, approvals, and archives that are not what they were: what states ask and hand on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice import errors, keys
from sluice.payloads.approval import Answer
from sluice.payloads.deployment import DeploymentInput, DeploymentResult
from sluice.payloads.registry import RegisteredModel
from sluice.payloads.training import ApprovalRequest, ReportOutcomeInput
from sluice.reporting.failures import explain
from tests.statemachines.answers import (
    ANSWER,
    ARCHIVE,
    CHAMPION,
    CHAMPION_CHANGED,
    CHAMPION_URI,
    DEPLOYED,
    DEPLOYMENT,
    ENDPOINT,
    FAILED_REPORT,
    JOB,
    MODEL_URI,
    NEXT_CHAMPION,
    NO_ARCHIVE,
    OLD_CHAMPION,
    OVERWRITTEN,
    REGISTERED,
    SOURCE,
    TRAINING,
    started,
    taken,
)
from tests.statemachines.harness import EXECUTION_NAME, Failure, Harness, Run, payload

CHANGED_THEN_DEPLOYED = [
    {"Status": "SUCCEEDED", "Output": CHAMPION_CHANGED},
    {"Status": "SUCCEEDED", "Output": DEPLOYED},
]


def train(harness: Harness, /, *, own_image: bool = False, approval: bool = False, **outcomes: Any) -> Run:
    script = {**TRAINING, **outcomes}
    return harness.run("training", SOURCE, script, own_image=own_image, approval=approval)


def deploy(harness: Harness, given: dict[str, Any], **outcomes: Any) -> Run:
    return harness.run("deployment", {**DEPLOYMENT, **given}, {**ENDPOINT, **outcomes})


def report(result: Run) -> ReportOutcomeInput:
    [arguments] = result.calls_of("ReportOutcome")
    return ReportOutcomeInput.model_validate(arguments["Payload"])


class TestJudgedAgain:
    """Another model was deployed since the judgement."""

    def test_it_is_judged_against_the_new_champion_and_trained_once(self, harness: Harness) -> None:
        result = train(
            harness, FindChampion=[CHAMPION, NEXT_CHAMPION], DeployModel=list(CHANGED_THEN_DEPLOYED)
        )

        assert len(result.calls_of("TrainModel")) == len(result.calls_of("RecordArchive")) == 1
        first, second = (
            DeploymentInput.model_validate(
                {name: value for name, value in each["Input"].items() if not name.startswith("AWS_")}
            )
            for each in result.calls_of("DeployModel")
        )
        assert (first.judged_champion, second.judged_champion) == ("bank-dev-0", "bank-dev-2")
        assert first.model_name == second.model_name == JOB
        told = report(result)
        assert (told.outcome, told.judgement, told.released) == ("Deployed", 2, "bank-dev-2")

    def test_what_is_made_anew_has_a_name_and_a_place_of_its_own(self, harness: Harness) -> None:
        result = train(
            harness, own_image=True, FindChampion=[CHAMPION], DeployModel=list(CHANGED_THEN_DEPLOYED)
        )

        for state, field in (
            ("EvaluateModel", "ProcessingJobName"),
            ("PredictChampion", "TransformJobName"),
            ("DeployModel", "Name"),
        ):
            first, second = (each[field] for each in result.calls_of(state))
            assert second == f"{first}-2"
            assert len(second) <= 63
        # What the challenger answered to these rows stays so.
        assert len(result.calls_of("CreateChallenger")) == len(result.calls_of("PredictChallenger")) == 1
        uris = [each["Payload"]["evaluation_uri"] for each in result.calls_of("DecideGate")]
        assert uris == [
            f"s3://artifacts/{keys.evaluation(EXECUTION_NAME)}",
            f"s3://artifacts/reports/{EXECUTION_NAME}/judgement-2/evaluation/evaluation.json",
        ]
        written = [
            each["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
            for each in result.calls_of("EvaluateModel")
        ]
        assert written == [uri.removesuffix("/evaluation.json") for uri in uris]

    def test_where_it_does_not_beat_the_new_champion_that_one_stays(self, harness: Harness) -> None:
        refused = {"promote": False, "rules": [], "metrics": {}, "champion_metrics": None}
        result = train(
            harness,
            FindChampion=[{}, NEXT_CHAMPION],
            DecideGate=[*TRAINING["DecideGate"], payload(refused)],
            DeployModel=list(CHANGED_THEN_DEPLOYED),
        )

        assert len(result.calls_of("DeployModel")) == 1
        told = report(result)
        assert (told.outcome, told.judgement, told.deployment) == ("GateRejected", 2, None)

    def test_an_answer_that_was_lost_of_a_deployment_leads_there_too(self, harness: Harness) -> None:
        result = train(
            harness,
            FindChampion=[{}, NEXT_CHAMPION],
            DeployModel=[
                Failure("StepFunctions.ExecutionAlreadyExistsException"),
                {"Status": "SUCCEEDED", "Output": DEPLOYED},
            ],
            DescribeExecution=[started(Status="SUCCEEDED", Output=json.dumps(CHAMPION_CHANGED))],
        )

        assert len(result.calls_of("DeployModel")) == 2
        assert report(result).outcome == "Deployed"

    def test_an_answer_that_was_lost_of_a_second_judgement_is_looked_up_by_its_own_name(
        self, harness: Harness
    ) -> None:
        lost = Failure("SageMaker.SdkClientException", "Read timed out")
        result = train(
            harness,
            DeployModel=list(CHANGED_THEN_DEPLOYED),
            EvaluateModel=[{"ProcessingJobStatus": "Completed"}, lost, taken("EvaluateModel")],
        )

        [described] = result.calls_of("DescribeProcessingJob")
        assert described == {"ProcessingJobName": f"{JOB}-evaluate-2"}
        assert report(result).outcome == "Deployed"

    def test_five_times_and_no_more(self, harness: Harness) -> None:
        result = train(
            harness,
            DeployModel=[{"Status": "SUCCEEDED", "Output": CHAMPION_CHANGED}],
            ReportOutcome=[payload(FAILED_REPORT)],
        )

        names = [each["Name"] for each in result.calls_of("DeployModel")]
        assert names == [JOB, *(f"{JOB}-{number}" for number in range(2, 6))]
        told = report(result)
        assert (told.outcome, told.deployment) == ("Failed", None)
        assert told.failure is not None
        explained = explain(told.failure)
        assert explained.name == "ChampionKeptChanging"
        assert "judged 5 times" in explained.what
        assert "sluice-bank-dev" in explained.where
        assert "bank-dev-2" in explained.why
        assert explained.fix


class TestTheChampionUnderTheLock:
    """What `deployment` does about the release that it finds."""

    @pytest.mark.parametrize(
        ("judged", "found", "deployed"),
        [
            (None, {}, True),
            ("bank-dev-0", CHAMPION, True),
            (None, CHAMPION, False),
            ("bank-dev-0", NEXT_CHAMPION, False),
            # Somebody deleted the record.
            ("bank-dev-0", {}, False),
        ],
    )
    def test_only_what_was_judged_against_the_champion_is_deployed(
        self, harness: Harness, judged: str | None, found: dict[str, Any], deployed: bool
    ) -> None:
        result = deploy(harness, {"judged_champion": judged}, FindRelease=[found])

        assert ("CreateEndpointConfig" in result.path) == deployed
        assert ("RecordRelease" in result.path) == deployed
        assert len(result.calls_of("ReleaseLock")) == 1
        answer = DeploymentResult.model_validate(result.output)
        serving = found.get("Item", {}).get("model_name", {}).get("S")
        assert (answer.outcome, answer.endpoint_config_name) == (
            ("Deployed", "bank-dev-1") if deployed else ("ChampionChanged", serving)
        )

    def test_what_an_earlier_attempt_released_is_no_other_champion(self, harness: Harness) -> None:
        ours = {"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-1"}}}
        assert deploy(harness, {"judged_champion": "bank-dev-0"}, FindRelease=[ours]).output == DEPLOYED

    @pytest.mark.parametrize("missing", ["judged_champion", "archive"])
    def test_an_input_that_does_not_say_what_was_judged_deploys_nothing(
        self, harness: Harness, missing: str
    ) -> None:
        given = {name: value for name, value in DEPLOYMENT.items() if name != missing}
        result = harness.run("deployment", given, ENDPOINT)

        told = errors.from_wire(str(result.cause))
        assert told is not None
        assert (told.name, told.what) == (
            "DeploymentFailed",
            "what the model was judged against is not said",
        )
        assert all((told.where, told.why, told.fix))
        assert "CreateModel" not in result.path
        assert len(result.calls_of("ReleaseLock")) == 1

    def test_a_record_that_somebody_wrote_meanwhile_is_told_with_what_serves(self, harness: Harness) -> None:
        refused = Failure("DynamoDB.ConditionalCheckFailedException", "The conditional request failed")
        result = deploy(harness, {}, RecordRelease=[refused])

        told = errors.from_wire(str(result.cause))
        assert told is not None
        assert "serves bank-dev-1" in told.what
        assert "release of sluice-bank-dev" in told.where
        assert all((told.why, told.fix))
        assert len(result.calls_of("RecordRelease")) == 1
        assert len(result.calls_of("ReleaseLock")) == 1

    def test_the_release_says_what_it_was_judged_against(self, harness: Harness) -> None:
        [first] = deploy(harness, {}).calls_of("RecordRelease")
        assert "judged_champion" not in first["Item"]
        given = {"judged_champion": "bank-dev-0"}
        [recorded] = deploy(harness, given, FindRelease=[CHAMPION]).calls_of("RecordRelease")
        assert recorded["Item"]["judged_champion"] == {"S": "bank-dev-0"}

    def test_the_release_says_who_approved_it(self, harness: Harness) -> None:
        [recorded] = deploy(harness, {"approval": ANSWER}).calls_of("RecordRelease")
        assert recorded["Item"]["approved_by"] == {"S": ANSWER["by"]}
        assert recorded["Item"]["approved_at"] == {"S": ANSWER["at"]}
        assert recorded["Item"]["approval_reason"] == {"S": ANSWER["reason"]}


class TestArchives:
    def test_the_new_models_archive_is_recorded_and_handed_on(self, harness: Harness) -> None:
        result = train(harness)

        [asked] = result.calls_of("RecordArchive")
        assert asked == {"Bucket": "artifacts", "Key": MODEL_URI.removeprefix("s3://artifacts/")}
        [deployment] = result.calls_of("DeployModel")
        assert deployment["Input"]["archive"] == ARCHIVE
        told = report(result).archive
        assert told is not None
        assert told.model_dump() == ARCHIVE

    @pytest.mark.parametrize("own_image", [False, True])
    @pytest.mark.parametrize(
        ("found", "what"),
        [(OVERWRITTEN, "is not the one that its training job left"), (NO_ARCHIVE, "is not there any more")],
    )
    def test_a_challenger_that_is_not_what_was_trained_is_not_judged(
        self, harness: Harness, own_image: bool, found: Any, what: str
    ) -> None:
        result = train(
            harness, own_image=own_image, CheckArchive=[found], ReportOutcome=[payload(FAILED_REPORT)]
        )

        assert not {"CreateChallenger", "EvaluateModel", "DeployModel"} & set(result.path)
        failure = report(result).failure
        assert failure is not None
        told = explain(failure)
        assert (told.name, what in told.what, told.where) == ("ArchiveChanged", True, MODEL_URI)
        assert "version v1" in told.why
        assert ("version v2" in told.why) == (found is OVERWRITTEN)
        assert told.fix

    def test_each_judgement_looks_again(self, harness: Harness) -> None:
        head = TRAINING["CheckArchive"][0]
        result = train(
            harness,
            DeployModel=list(CHANGED_THEN_DEPLOYED),
            CheckArchive=[head, OVERWRITTEN],
            ReportOutcome=[payload(FAILED_REPORT)],
        )

        assert len(result.calls_of("EvaluateModel")) == 1
        failure = report(result).failure
        assert failure is not None
        assert explain(failure).name == "ArchiveChanged"

    def test_an_archive_that_was_gone_right_after_the_training_is_told(self, harness: Harness) -> None:
        result = train(harness, RecordArchive=[NO_ARCHIVE], ReportOutcome=[payload(FAILED_REPORT)])

        failure = report(result).failure
        assert failure is not None
        assert explain(failure).why == "it was gone right after the training"

    @pytest.mark.parametrize("own_image", [False, True])
    def test_a_champion_that_is_not_what_was_released_cannot_be_judged(
        self, harness: Harness, own_image: bool
    ) -> None:
        result = train(
            harness, own_image=own_image, FindChampion=[CHAMPION], FindChampionArchive=[OVERWRITTEN]
        )

        assert "PredictChampion" not in result.path
        [evaluation] = result.calls_of("EvaluateModel")
        assert evaluation["Environment"]["CHAMPION_MODEL_URI"] == CHAMPION_URI
        assert "is not the one that was released" in evaluation["Environment"]["CHAMPION_ERROR"]
        assert len(evaluation["Environment"]["CHAMPION_ERROR"]) <= 256
        assert "champion" not in {each["InputName"] for each in evaluation["ProcessingInputs"]}

    def test_a_release_of_before_archives_were_recorded_is_judged_by_what_there_is(
        self, harness: Harness
    ) -> None:
        result = train(harness, FindChampion=[OLD_CHAMPION], FindChampionArchive=[OVERWRITTEN])

        [evaluation] = result.calls_of("EvaluateModel")
        assert "CHAMPION_ERROR" not in evaluation["Environment"]
        assert "champion" in {each["InputName"] for each in evaluation["ProcessingInputs"]}

    @pytest.mark.parametrize(
        ("found", "what"),
        [(OVERWRITTEN, "is not the one that was trained and judged"), (NO_ARCHIVE, "is not there any more")],
    )
    def test_what_is_not_what_was_judged_is_not_deployed(
        self, harness: Harness, found: Any, what: str
    ) -> None:
        result = deploy(harness, {}, CheckArchive=[found])

        told = errors.from_wire(str(result.cause))
        assert told is not None
        assert (told.name, what in told.what, told.where) == ("ArchiveChanged", True, MODEL_URI)
        assert "version v1" in told.why
        assert told.fix
        assert not {"CreateModel", "CreateEndpointConfig", "RecordRelease"} & set(result.path)
        assert len(result.calls_of("ReleaseLock")) == 1


class TestApprovals:
    def test_nobody_is_asked_by_default(self, harness: Harness) -> None:
        assert "AwaitApproval" not in train(harness).path

    def test_nobody_is_asked_about_a_model_that_did_not_pass(self, harness: Harness) -> None:
        refused = {"promote": False, "rules": [], "metrics": {}, "champion_metrics": None}
        result = train(harness, approval=True, DecideGate=[payload(refused)])
        assert "AwaitApproval" not in result.path
        assert report(result).outcome == "GateRejected"

    def test_what_is_asked_is_what_the_function_takes(self, harness: Harness) -> None:
        result = train(harness, approval=True, FindChampion=[CHAMPION])

        [asked] = result.calls_of("AwaitApproval")
        request = ApprovalRequest.model_validate(asked["Payload"])
        assert request.task_token
        assert (request.expires_seconds, request.model_name, request.judgement) == (3600, JOB, 1)
        assert request.judged_champion == "bank-dev-0"
        assert request.archive.model_dump() == ARCHIVE
        assert request.registered == RegisteredModel.model_validate(REGISTERED)

    def test_who_is_asked_is_told_of_the_search(self, harness: Harness) -> None:
        result = harness.run("training", SOURCE, TRAINING, approval=True, search=True)

        [asked] = result.calls_of("AwaitApproval")
        request = ApprovalRequest.model_validate(asked["Payload"])
        assert request.search is not None
        assert request.search == report(result).search

    def test_an_approval_lets_it_be_deployed_and_goes_along(self, harness: Harness) -> None:
        result = train(harness, approval=True)

        told = report(result)
        assert told.outcome == "Deployed"
        assert told.approval == Answer.model_validate(ANSWER)
        [deployment] = result.calls_of("DeployModel")
        assert deployment["Input"]["approval"] == ANSWER

    def test_a_rejection_is_an_outcome(self, harness: Harness) -> None:
        result = train(harness, approval=True, AwaitApproval=[{**ANSWER, "decision": "rejected"}])

        assert result.succeeded
        assert "DeployModel" not in result.path
        told = report(result)
        assert told.outcome == "ApprovalRejected"
        assert told.approval is not None
        assert told.failure is None

    def test_so_is_that_nobody_answered(self, harness: Harness) -> None:
        result = train(harness, approval=True, AwaitApproval=[Failure("States.Timeout", "")])

        assert result.succeeded
        assert "DeployModel" not in result.path
        told = report(result)
        assert (told.outcome, told.approval, told.failure) == ("ApprovalExpired", None, None)

    def test_an_approval_is_for_the_champion_of_then_and_is_asked_for_again(self, harness: Harness) -> None:
        result = train(
            harness,
            approval=True,
            FindChampion=[{}, NEXT_CHAMPION],
            DeployModel=list(CHANGED_THEN_DEPLOYED),
            AwaitApproval=[ANSWER, {**ANSWER, "decision": "rejected"}],
        )

        asked = [each["Payload"] for each in result.calls_of("AwaitApproval")]
        assert [(each["judgement"], each["judged_champion"]) for each in asked] == [
            (1, None),
            (2, "bank-dev-2"),
        ]
        assert asked[0]["task_token"] != asked[1]["task_token"]
        assert len(result.calls_of("DeployModel")) == 1
        assert report(result).outcome == "ApprovalRejected"
