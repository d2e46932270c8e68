"""What a release table says of the past: what one goes back to, and what is wrong with an endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.payloads.deployment import DeploymentInput
from sluice.release.history import (
    Ended,
    NothingToGoBackTo,
    ReleasedModel,
    Seen,
    findings,
    model_to_go_back_to,
)


def model(name: str, version: str | None = None) -> ReleasedModel:
    item: dict[str, Any] = {
        "model_name": {"S": name},
        "model_uri": {"S": f"s3://a/{name}"},
        "archive_version_id": {"S": "v"},
        "archive_etag": {"S": "e"},
        "dataset_version": {"S": "d"},
    }
    return ReleasedModel.of({**item, **({"version": {"S": version}} if version else {})})


def ended(name: str, outcome: str = "Deployed", **more: Any) -> Ended:
    item: dict[str, Any] = {
        "ended_at": {"S": "2026-01-01T00:00:00Z"},
        "model_name": {"S": name},
        "outcome": {"S": outcome},
        "execution": {"S": "arn"},
        **more,
    }
    return Ended.of(item)


KNOWN = [model("bank-dev-aa1", "1"), model("bank-dev-aa2", "2"), model("bank-dev-bb3", "3")]
PAST = [ended("bank-dev-bb3"), ended("bank-dev-aa2", "RolledBack"), ended("bank-dev-aa1")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (None, "bank-dev-aa1"),
        ("v1", "bank-dev-aa1"),
        ("bank-dev-aa", "bank-dev-aa1"),
        # Where the endpoint is gone it is made again with what is released.
        ("bank-dev-bb", "bank-dev-bb3"),
        ("bank-dev-aa1", "bank-dev-aa1"),
    ],
)
def test_one_goes_back_to_what_is_meant(text: str | None, name: str) -> None:
    # What was taken back never served: nobody goes back to it.
    assert model_to_go_back_to(KNOWN, PAST, "bank-dev-bb3", text).model_name == name


@pytest.mark.parametrize(
    ("text", "says", "why"),
    [
        ("bank-dev-", "'bank-dev-' names 2 models", "bank-dev-aa1, bank-dev-bb3"),
        ("v9", "'v9' names no models that have served", "those are bank-dev-aa1, bank-dev-bb3"),
        ("bank-dev-aa2", "'bank-dev-aa2' names no models that have served", "those are"),
    ],
)
def test_what_is_not_one_model_is_refused(text: str, says: str, why: str) -> None:
    with pytest.raises(NothingToGoBackTo, match=says) as caught:
        model_to_go_back_to(KNOWN, PAST, "bank-dev-bb3", text)
    assert why in caught.value.why
    assert "sluice releases" in caught.value.fix


def test_before_the_first_model_there_was_none() -> None:
    with pytest.raises(NothingToGoBackTo, match="there is no model to go back to"):
        model_to_go_back_to(KNOWN, [ended("bank-dev-aa1")], "bank-dev-aa1", None)


def test_going_back_is_asked_of_the_machine_as_any_deployment() -> None:
    asked = model("bank-dev-aa1", "1").rollback("bank-dev-bb3", "arn:ada", "worse")
    assert DeploymentInput.model_validate_json(asked.model_dump_json()) == asked
    assert (asked.judged_champion, asked.version) == ("bank-dev-bb3", "1")
    assert asked.rollback is not None
    assert (asked.rollback.by, asked.rollback.reason) == ("arn:ada", "worse")


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        ("an alarm went off", "an alarm went off"),
        ('{"what": "the lock is held", "why": "by ada", "fix": "wait"}', "the lock is held: by ada"),
        ('{"state": "CreateModel", "error": "Broken", "cause": "c"}', "CreateModel: Broken: c"),
    ],
)
def test_why_it_ended_so_is_a_sentence(why: str, sentence: str) -> None:
    assert ended("m", "Failed", why={"S": why}).why == sentence


FINE = Seen(
    serving="a", status="InService", released="a", known=("a", "b"), holder=None, holder_runs=False, alarms=()
)


@pytest.mark.parametrize(
    ("change", "says", "reconciled"),
    [
        ({"serving": "b"}, "the endpoint serves b, and the release record names a", [True]),
        ({"serving": "by-hand"}, "the endpoint serves by-hand", [False]),
        ({"serving": None, "status": None}, "there is no endpoint, and the release record names a", [False]),
        ({"serving": None, "status": "Failed"}, "the endpoint is Failed", [False]),
        ({"holder": "arn:x"}, "arn:x holds the release lock, and runs no more", [True]),
        ({"alarms": ("left",)}, "alarms of a deployment that was stopped are left: left", [True]),
        ({"released": None}, "the endpoint serves a, and the release record names nothing", [True]),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    change: dict[str, Any], says: str, reconciled: list[bool]
) -> None:
    found = findings(FINE.model_copy(update=change))
    assert [says in each.what for each in found] == [True]
    assert [each.reconciled for each in found] == reconciled
    assert all(each.fix for each in found)


def test_what_is_as_it_should_be_is_not_found_fault_with() -> None:
    assert findings(FINE) == []
    nothing = FINE.model_copy(update={"serving": None, "status": None, "released": None})
    assert findings(nothing) == []


def test_of_an_endpoint_that_a_deployment_is_at_work_on_nothing_is_said() -> None:
    busy = {"holder": "arn:x", "holder_runs": True, "serving": "b", "alarms": ("its own",)}
    assert findings(FINE.model_copy(update=busy)) == []
