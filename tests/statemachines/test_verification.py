"""What came into service is asked what the model was asked before; one that answers otherwise goes back."""

from __future__ import annotations

import json
from typing import Any

from sluice.outcomes import Outcome
from sluice.payloads.deployment import DeploymentResult
from sluice.payloads.golden import VerifyModelInput
from tests.statemachines.answers import (
    ANSWER_LOST,
    CHAMPION,
    DEPLOYMENT,
    DIFFERENT,
    ENDPOINT,
    GONE_BACK,
    GUARDED,
    MODEL_URI,
    described,
    endpoint,
)
from tests.statemachines.expectations import REFUSED_AS
from tests.statemachines.harness import Failure, Harness, Run, payload

AFTER_ANOTHER = {**DEPLOYMENT, "judged_champion": "bank-dev-0"}


def first(harness: Harness, **outcomes: list[Any]) -> Run:
    return harness.run("deployment", DEPLOYMENT, {**ENDPOINT, **outcomes})


def after_another(harness: Harness, **outcomes: list[Any]) -> Run:
    return harness.run("deployment", AFTER_ANOTHER, {**GUARDED, **outcomes}, guarded=True)


def test_what_serves_is_asked_before_it_is_recorded(harness: Harness) -> None:
    result = first(harness)

    [asked] = result.calls_of("VerifyModel")
    told = VerifyModelInput.model_validate(asked["Payload"])
    assert (told.endpoint_name, told.model_name, told.model_uri) == (
        "sluice-bank-dev",
        "bank-dev-1",
        MODEL_URI,
    )
    assert result.path.index("VerifyModel") < result.path.index("RecordRelease")
    assert DeploymentResult.model_validate(result.output).unverified is None


def test_a_model_of_which_nothing_was_recorded_is_released(harness: Harness) -> None:
    result = first(harness, VerifyModel=[payload({"verdict": "unrecorded", "rows": 0, "difference": None})])

    assert DeploymentResult.model_validate(result.output).outcome is Outcome.DEPLOYED
    assert len(result.calls_of("RecordRelease")) == 1


def test_one_that_answers_otherwise_makes_room_for_what_served_before(harness: Harness) -> None:
    result = after_another(harness, VerifyModel=[DIFFERENT], DescribeEndpoint=GONE_BACK)

    told = DeploymentResult.model_validate(result.output)
    assert (told.outcome, told.endpoint_config_name) == (Outcome.ROLLED_BACK, "bank-dev-0")
    assert told.reason == "it answers otherwise than when it was judged: row 1 of 20: 0.5 for 0.25"
    # No alarm of another time is named for it.
    assert told.alarm is None
    assert "FindAlarm" not in result.path
    assert result.calls_of("GoBack") == [
        {"EndpointName": "sluice-bank-dev", "EndpointConfigName": "bank-dev-0"}
    ]
    assert not {"RecordRelease", "MoveAlias"} & set(result.path)
    assert len(result.calls_of("RemoveAlarms")) == len(result.calls_of("ReleaseLock")) == 1


def test_what_went_back_is_not_deployed_again_though_an_answer_was_lost_before(harness: Harness) -> None:
    lost = Failure(REFUSED_AS["deployment"], 'Cannot update in-progress endpoint "arn".')
    result = after_another(
        harness,
        UpdateEndpoint=[ANSWER_LOST, lost],
        VerifyModel=[DIFFERENT],
        DescribeEndpoint=[described("InService"), described("InService", "bank-dev-0")],
    )

    assert DeploymentResult.model_validate(result.output).outcome is Outcome.ROLLED_BACK
    assert len(result.calls_of("UpdateEndpoint")) == 2
    assert len(result.calls_of("GoBack")) == 1


def test_one_that_does_not_go_back_is_a_failure_that_says_what_serves(harness: Harness) -> None:
    stuck = described("InService", FailureReason="no capacity")
    result = after_another(harness, VerifyModel=[DIFFERENT], DescribeEndpoint=[described("InService"), stuck])

    cause = json.loads(str(result.cause))
    assert "the endpoint serves bank-dev-1" in cause["what"]
    assert "did not go back" in cause["what"]
    assert cause["why"] == "row 1 of 20: 0.5 for 0.25; no capacity"
    assert len(result.calls_of("GoBack")) == 1
    assert "RecordRelease" not in result.path


def test_a_first_model_that_answers_otherwise_serves_nobody(harness: Harness) -> None:
    result = first(harness, VerifyModel=[DIFFERENT])

    cause = json.loads(str(result.cause))
    assert "answers otherwise than bank-dev-1 did when it was judged" in cause["what"]
    assert "the endpoint was deleted" in cause["fix"]
    assert result.calls_of("RemoveEndpoint") == [{"EndpointName": "sluice-bank-dev"}]
    assert not {"RecordRelease", "GoBack"} & set(result.path)
    assert len(result.calls_of("ReleaseLock")) == 1


def test_what_cannot_be_deleted_hides_no_reason(harness: Harness) -> None:
    result = first(harness, VerifyModel=[DIFFERENT], RemoveEndpoint=[Failure("SageMaker.SageMakerException")])

    assert json.loads(str(result.cause))["why"] == "row 1 of 20: 0.5 for 0.25"


def cut_off(**outcomes: list[Any]) -> dict[str, list[Any]]:
    """An earlier attempt brought the endpoint to the model, and ended before it had looked."""
    return {
        **ENDPOINT,
        "FindServing": [described("InService")],
        "FindRelease": [{"Item": {**CHAMPION["Item"], "model_name": {"S": "bank-dev-1"}}}],
        "FindEndpoint": [{"Endpoints": [endpoint("InService")]}],
        "VerifyModel": [DIFFERENT],
        **outcomes,
    }


def test_after_an_attempt_that_was_cut_off_it_goes_back_to_what_it_was_judged_against(
    harness: Harness,
) -> None:
    back = cut_off(DescribeEndpoint=[described("InService"), described("InService", "bank-dev-0")])
    result = harness.run("deployment", AFTER_ANOTHER, back)

    assert DeploymentResult.model_validate(result.output).outcome is Outcome.ROLLED_BACK
    [asked] = result.calls_of("GoBack")
    assert asked["EndpointConfigName"] == "bank-dev-0"


def test_an_endpoint_that_was_there_is_not_deleted_where_nothing_is_known_to_go_back_to(
    harness: Harness,
) -> None:
    result = harness.run("deployment", DEPLOYMENT, cut_off(DescribeEndpoint=[described("InService")]))

    assert "it serves yet" in json.loads(str(result.cause))["fix"]
    assert not {"GoBack", "RemoveEndpoint", "RecordRelease"} & set(result.path)


def test_that_nobody_could_look_is_told_and_undoes_nothing(harness: Harness) -> None:
    result = first(harness, VerifyModel=[Failure("EndpointUnavailable", "{}")])

    told = DeploymentResult.model_validate(result.output)
    assert (told.outcome, told.unverified) == (Outcome.DEPLOYED, "VerifyModel failed: EndpointUnavailable")
    assert len(result.calls_of("RecordRelease")) == 1
