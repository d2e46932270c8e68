"""Models that go wrong while they are deployed, and deployments that are stopped: on real processes, under load."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli import main
from sluice.outcomes import Outcome
from tests.support.house import House
from tests.support.local_aws import wait_until


def test_a_good_model_has_it_all_in_the_end_and_no_request_is_lost(house: House) -> None:
    with house.sender() as client:
        wait_until(lambda: len(client.answers) > 20)
        model, result = house.deploy("answers")
        before = len(client.answers)
        wait_until(lambda: len(client.answers) > before + 20)

    assert client.failures == []
    assert (result.outcome, result.reached, result.alarm) == (Outcome.DEPLOYED, 1.0, None)
    assert house.champion == model
    assert b"0.25" in client.answers[-1]
    assert result.figures is not None
    assert result.figures["new_requests"] > 20
    assert result.figures["old_requests"] > 20
    [kept] = house.history(model)
    assert kept["outcome"] == {"S": "Deployed"}
    house.is_at_rest()


@pytest.mark.parametrize(
    ("how", "alarms", "lost"),
    [
        ("fails once in ten", {"errors"}, True),
        # The request that it dies of is answered by the old fleet. Until a process is there again, others wait.
        ("crashes under load", {"errors", "latency-ratio"}, False),
        ("slows down", {"latency-ratio"}, False),
        # No error, no delay: it says something else than the old one, to the same requests.
        ("answers nonsense", {"answers"}, False),
    ],
)
def test_a_model_that_goes_wrong_is_taken_back_by_its_alarm(
    house: House, how: str, alarms: set[str], lost: bool
) -> None:
    champion = house.champion
    with house.sender() as client:
        wait_until(lambda: len(client.answers) > 20)
        model, result = house.deploy(how)
        failed, before = len(client.failures), len(client.answers)
        wait_until(lambda: len(client.answers) > before + 20)
        assert len(client.failures) == failed

    assert result.outcome is Outcome.ROLLED_BACK
    assert result.alarm is not None
    alarm = result.alarm.name.removeprefix(f"{house.endpoint}-{model}-")
    assert alarm in alarms
    # A busy machine may be a step further when it notices.
    assert result.reached in (0.5, 1.0)
    assert result.reason is not None
    assert alarm in result.reason
    # What failed are the model's own answers, each of them told.
    assert (client.failures != []) == lost
    assert all("ModelError" in each for each in client.failures)
    assert house.champion == champion
    [kept] = house.history(model)
    assert (kept["outcome"], kept["alarm"]) == ({"S": "RolledBack"}, {"S": result.alarm.name})
    house.is_at_rest()


def test_a_model_that_never_comes_up_is_not_seen_by_anybody(house: House) -> None:
    champion = house.champion
    with house.sender() as client:
        _, result = house.deploy("never comes up")
    assert client.failures == []
    assert (result.outcome, result.alarm) == (Outcome.ROLLED_BACK, None)
    assert "did not pass the ping health check" in str(result.reason)
    assert house.champion == champion
    house.is_at_rest()


def test_a_deployment_that_is_stopped_blocks_nobody_and_hides_nothing(house: House) -> None:
    champion = house.champion
    stopped = house.made("answers")
    arn = house.start(stopped)
    states = house.client("stepfunctions")
    house.goes_over()
    states.stop_execution(executionArn=arn)
    wait_until(lambda: states.describe_execution(executionArn=arn)["status"] == "ABORTED")
    assert house.item("lock") is not None
    assert house.champion == champion

    # Judged against what the record says. SageMaker has gone on meanwhile.
    late = house.made("answers")
    result = house.ended(house.start(late))

    assert result.outcome == "ChampionChanged"
    assert result.endpoint_config_name == stopped["model_name"] == house.champion == house.serves()
    release = house.item("release")
    assert release is not None
    assert release["model_uri"] == {"S": stopped["model_uri"]}
    assert release["corrected_by"]["S"].startswith(
        house.stack.outputs["DeploymentArn"].replace("stateMachine", "execution")
    )

    again = house.ended(house.start({**late, "judged_champion": stopped["model_name"]}))
    assert again.outcome is Outcome.DEPLOYED
    # What the stopped one had put up is gone, too.
    house.is_at_rest()


def test_what_was_asked_and_answered_is_kept(house: House) -> None:
    s3 = house.client("s3")

    def kept() -> list[str]:
        prefix = f"captures/{house.endpoint}/AllTraffic/"
        found = s3.list_objects_v2(Bucket=house.bucket, Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in found]

    def asked() -> list[dict[str, Any]]:
        """What clients asked; a deployment's look at its model is told by its inference id."""
        bodies = [s3.get_object(Bucket=house.bucket, Key=key)["Body"].read() for key in kept()]
        found = [json.loads(line) for body in bodies for line in body.splitlines()]
        return [each["captureData"] for each in found if "inferenceId" not in each["eventMetadata"]]

    wait_until(asked)
    record = asked()[0]
    assert (record["endpointInput"]["encoding"], record["endpointOutput"]["encoding"]) == ("CSV", "CSV")
    assert float(record["endpointOutput"]["data"].split(",")[0]) >= 0


def test_of_two_at_once_one_is_deployed_and_the_other_is_judged_again(house: House) -> None:
    first, second = house.made("answers"), house.made("answers")
    with house.sender() as client:
        results = [house.ended(arn) for arn in [house.start(first), house.start(second)]]
    assert client.failures == []
    assert sorted(result.outcome for result in results) == ["ChampionChanged", "Deployed"]
    [winner] = [
        asked["model_name"]
        for asked, result in zip((first, second), results, strict=True)
        if result.outcome is Outcome.DEPLOYED
    ]
    assert house.champion == winner
    house.is_at_rest()


def test_a_person_goes_back_and_everything_follows(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.stack.current", lambda _name: house.stack)

    def sluice(*arguments: str) -> tuple[int, str]:
        status = main.main(list(arguments))
        told = capsys.readouterr()
        return status, told.out + told.err

    before = house.champion
    later, _ = house.deploy("answers")
    assert house.champion == later
    status, told = sluice("doctor")
    assert (status, f"serves {later}" in told) == (0, True), told

    with house.sender() as client:
        status, told = sluice("rollback", "--reason", "it flags everybody")
    assert status == 0, told
    assert f"{later} → {before}" in told
    assert client.failures == []
    assert house.champion == before == house.serves()
    release = house.item("release")
    assert release is not None
    assert release["rollback_reason"] == {"S": "it flags everybody"}
    status, told = sluice("releases")
    assert status == 0
    assert "it flags everybody" in told
    assert f"serves: {before}" in told
    house.is_at_rest()

    # Somebody changes the endpoint by hand, and then the table.
    sagemaker = house.client("sagemaker")
    sagemaker.update_endpoint(EndpointName=house.endpoint, EndpointConfigName=later)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=house.endpoint, WaiterConfig={"Delay": 1})
    status, told = sluice("doctor")
    assert status == 1
    assert f"the endpoint serves {later}, and the release record names {before}" in told
    status, told = sluice("doctor", "--repair")
    assert status == 0, told
    assert house.champion == later
    house.is_at_rest()


def test_an_endpoint_that_is_deleted_under_way_is_told_and_the_next_deployment_makes_it_again(
    house: House,
) -> None:
    asked = house.made("answers")
    arn = house.start(asked)
    sagemaker, states = house.client("sagemaker"), house.client("stepfunctions")
    house.goes_over()
    sagemaker.delete_endpoint(EndpointName=house.endpoint)
    wait_until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING", seconds=60)
    assert states.describe_execution(executionArn=arn)["status"] == "FAILED"
    assert house.item("lock") is None
    [kept] = house.history(asked["model_name"])
    assert kept["outcome"] == {"S": "Failed"}

    model, result = house.deploy("answers")
    assert result.outcome is Outcome.DEPLOYED
    assert house.champion == model == house.serves()
