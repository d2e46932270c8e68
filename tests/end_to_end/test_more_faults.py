"""A deployment whose surroundings go wrong: memory, archive, alarms, the table, and stops in each of its states."""

from __future__ import annotations

import pytest

from sluice.outcomes import Outcome
from tests.support.house import House
from tests.support.local_aws import wait_until


def test_a_model_that_leaks_until_it_is_killed_is_taken_back_and_no_request_is_lost(house: House) -> None:
    champion = house.champion
    with house.sender() as client:
        wait_until(lambda: len(client.answers) > 20)
        model, result = house.deploy("leaks memory")
        before = len(client.answers)
        wait_until(lambda: len(client.answers) > before + 20)

    assert client.failures == []
    assert result.outcome is Outcome.ROLLED_BACK
    assert result.reason is not None
    # By what its deaths did to those who waited, or because the fleet was not there any more.
    assert any(why in result.reason for why in ("-latency-ratio", "-errors", "did not stay healthy")), (
        result.reason
    )
    assert house.champion == champion
    [kept] = house.history(model)
    assert kept["outcome"] == {"S": "RolledBack"}
    house.is_at_rest()
    house.goes_on()


def test_an_alarm_that_is_deleted_under_way_takes_the_model_back(house: House) -> None:
    champion = house.champion
    asked = house.made("answers")
    with house.sender() as client:
        arn = house.start(asked)
        house.goes_over()
        (watching,) = [name for name in house.alarms() if name.endswith("-errors")]
        house.client("cloudwatch").delete_alarms(AlarmNames=[watching])
        result = house.ended(arn)

    # Nothing would have watched for errors any more; which alarm it was, the reason says.
    assert client.failures == []
    assert (result.outcome, result.alarm) == (Outcome.ROLLED_BACK, None)
    assert watching in str(result.reason)
    assert house.champion == champion
    [kept] = house.history(asked["model_name"])
    assert watching in kept["why"]["S"]
    house.is_at_rest()
    house.goes_on()


def test_a_model_that_answers_otherwise_than_when_it_was_judged_goes_back(house: House) -> None:
    assert house.golden.exact
    good, wrong = house.made("answers"), house.made("answers")
    # A quarter to everything is what both answer. Of the second another model's answers were written down.
    quarters = tuple((0.25,) for _ in house.golden.answers)
    house.recorded(good, house.golden.model_copy(update={"answers": quarters}))
    house.recorded(wrong, house.golden)
    with house.sender() as client:
        assert house.ended(house.start(good)).outcome is Outcome.DEPLOYED
        result = house.ended(house.start({**wrong, "judged_champion": good["model_name"]}))

    assert client.failures == []
    assert (result.outcome, result.alarm, result.unverified) == (Outcome.ROLLED_BACK, None, None)
    assert result.reason is not None
    assert "it answers otherwise than when it was judged: row 1 of 20" in result.reason
    assert house.serves() == house.champion == good["model_name"]
    [kept] = house.history(wrong["model_name"])
    assert kept["outcome"] == {"S": "RolledBack"}
    assert "row 1 of 20" in kept["why"]["S"]
    house.is_at_rest()
    house.goes_on()


def test_an_archive_that_was_replaced_is_not_deployed(house: House) -> None:
    champion = house.champion
    asked, other = house.made("answers"), house.made("answers nonsense")
    s3 = house.client("s3")
    key, wrong = (each["model_uri"].split("/", 3)[3] for each in (asked, other))
    s3.copy_object(Bucket=house.bucket, Key=key, CopySource={"Bucket": house.bucket, "Key": wrong})

    with house.sender() as client:
        arn = house.start(asked)
        cause = house.failed(arn)

    assert client.failures == []
    assert cause["error"] == "ArchiveChanged"
    assert cause["what"] == "the archive of the new model is not the one that was trained and judged"
    assert cause["where"] == asked["model_uri"]
    assert asked["archive"]["version_id"] in cause["why"]
    assert "CreateModel" not in house.entered(arn)
    assert house.champion == champion
    [kept] = house.history(asked["model_name"])
    assert kept["outcome"] == {"S": "Failed"}
    house.is_at_rest()

    # What was judged is a version of the bucket still: it is brought back and deployed.
    body = s3.get_object(Bucket=house.bucket, Key=key, VersionId=asked["archive"]["version_id"])[
        "Body"
    ].read()
    put = s3.put_object(Bucket=house.bucket, Key=key, Body=body)
    again = {**asked, "archive": {"version_id": put["VersionId"], "etag": put["ETag"]}}
    assert house.ended(house.start(again)).outcome is Outcome.DEPLOYED
    house.is_at_rest()


def test_a_record_that_dynamodb_refuses_for_a_while_is_written_when_it_takes_it(house: House) -> None:
    champion = house.champion
    asked = house.made("answers")
    with house.sender() as client:
        arn = house.start(asked)
        house.goes_over()
        with house.throttled():
            wait_until(lambda: house.is_refused(arn, "RecordRelease"), seconds=60)
            # It serves, and the record does not say so yet.
            assert (house.serves(), house.champion) == (asked["model_name"], champion)
        result = house.ended(arn)

    assert client.failures == []
    assert result.outcome is Outcome.DEPLOYED
    assert house.champion == asked["model_name"]
    house.is_at_rest()
    house.goes_on()


def test_a_deployment_that_is_stopped_while_its_record_is_refused_is_put_right_by_the_next(
    house: House,
) -> None:
    champion = house.champion
    asked = house.made("answers")
    with house.sender() as client:
        arn = house.start(asked)
        house.goes_over()
        with house.throttled():
            wait_until(lambda: house.is_refused(arn, "RecordRelease"), seconds=60)
            house.stop(arn)
        assert house.entered(arn)[-1] == "RecordRelease"
        assert (house.serves(), house.champion) == (asked["model_name"], champion)

        # Judged against what the record said: it is told, and the record is true again.
        late = house.made("answers")
        assert late["judged_champion"] == champion
        result = house.ended(house.start(late))

    assert client.failures == []
    assert (result.outcome, result.endpoint_config_name) == ("ChampionChanged", asked["model_name"])
    assert house.champion == asked["model_name"] == house.serves()
    assert house.item("lock") is None
    house.goes_on()


def test_a_record_that_somebody_writes_under_way_is_not_written_over_and_the_next_mends_it(
    house: House,
) -> None:
    champion = house.champion
    asked = house.made("answers")
    with house.sender() as client:
        arn = house.start(asked)
        house.goes_over()
        house.write_release("bank-local-by-hand")
        cause = house.failed(arn)

        assert client.failures == []
        assert "the release record names another model, which it was not judged against" in cause["what"]
        assert cause["where"] == f"the item release of {house.endpoint} in the table {house.table}"
        assert "the next deployment mends both" in cause["fix"]
        [kept] = house.history(asked["model_name"])
        assert kept["outcome"] == {"S": "Failed"}
        # It serves, and nobody is served worse for it; nobody holds the lock.
        assert (house.serves(), house.champion) == (asked["model_name"], "bank-local-by-hand")
        assert house.item("lock") is None

        late = house.made("answers")
        result = house.ended(house.start({**late, "judged_champion": asked["model_name"]}))

    assert client.failures == []
    assert result.outcome is Outcome.DEPLOYED
    assert house.champion == late["model_name"] != champion
    house.is_at_rest()


@pytest.mark.parametrize(
    "state",
    [
        "AcquireLock",
        "CreateModel",
        "RememberModel",
        "PutAlarms",
        "UpdateEndpoint",
        "KeepHistory",
        "ReleaseLock",
    ],
)
def test_a_deployment_that_is_stopped_in_any_state_blocks_nobody_and_hides_nothing(
    house: House, state: str
) -> None:
    asked = house.made("answers")
    with house.sender() as client:
        arn = house.start(asked)
        # It may be a step further when the stop arrives.
        wait_until(lambda: state in house.entered(arn), seconds=60)
        house.client("stepfunctions").stop_execution(executionArn=arn)
        assert house.end(arn)["status"] in ("ABORTED", "SUCCEEDED")

        # The next one deploys at once, or says that another model serves; then the record is true.
        late = house.made("answers")
        result = house.ended(house.start(late))
        if result.outcome is not Outcome.DEPLOYED:
            assert result.outcome == "ChampionChanged"
            assert result.endpoint_config_name == asked["model_name"] == house.champion == house.serves()
            result = house.ended(house.start({**late, "judged_champion": asked["model_name"]}))

    assert client.failures == []
    assert result.outcome is Outcome.DEPLOYED
    assert house.champion == late["model_name"]
    house.is_at_rest()
