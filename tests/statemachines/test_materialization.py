"""materialization: each share of the plan is written by itself, and the sums are told."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.payloads.materialization import PlanMaterializationInput
from tests.statemachines.harness import EXECUTION_NAME, SETTINGS, Failure, Harness, payload
from tests.statemachines.scenarios import MATERIALIZATION, SHARE


def plan(*shares: dict[str, Any], version: str | None = "0123456789abcdef") -> dict[str, Any]:
    return payload({"dataset_version": version, "moment": "2026-03-01T00:00:00Z", "shares": list(shares)})


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ({}, {"dataset": None, "moment": None}),
        (
            {"dataset": "abc", "moment": "2026-03-01T00:00:00Z"},
            {"dataset": "abc", "moment": "2026-03-01T00:00:00Z"},
        ),
    ],
)
def test_a_person_may_name_the_dataset_and_the_moment(
    harness: Harness, typed: dict[str, Any], asked: dict[str, Any]
) -> None:
    result = harness.run("materialization", typed, MATERIALIZATION)

    [call] = result.calls_of("PlanMaterialization")
    assert call["FunctionName"] == SETTINGS["functions"]["PlanMaterialization"]
    assert call["Payload"] == {"execution": EXECUTION_NAME, **asked}
    PlanMaterializationInput.model_validate(call["Payload"])


def test_every_share_is_written_and_the_sums_are_told(harness: Harness) -> None:
    shares = [{**SHARE, "number": number, "count": 3} for number in range(3)]
    result = harness.run("materialization", {}, {**MATERIALIZATION, "PlanMaterialization": [plan(*shares)]})

    assert result.succeeded
    assert sorted(call["Payload"]["number"] for call in result.calls_of("MaterializeView")) == [0, 1, 2]
    assert result.calls_of("MaterializeView")[0]["FunctionName"] == SETTINGS["functions"]["MaterializeView"]
    assert result.output == {
        "dataset_version": "0123456789abcdef",
        "moment": "2026-03-01T00:00:00Z",
        "written": 9,
        "removed": 3,
        "held": 270,
        "superseded": 6,
    }


def test_without_a_dataset_there_is_nothing_to_write(harness: Harness) -> None:
    script = {**MATERIALIZATION, "PlanMaterialization": [plan(version=None)]}
    result = harness.run("materialization", {}, script)

    assert result.succeeded
    assert result.calls_of("MaterializeView") == []
    assert (result.output["written"], result.output["held"]) == (0, 0)


@pytest.mark.parametrize("state", ["PlanMaterialization", "MaterializeView"])
def test_what_fails_is_the_executions_own_error(harness: Harness, state: str) -> None:
    result = harness.run(
        "materialization", {}, {**MATERIALIZATION, state: [Failure("OnlineTableMissing", "gone")]}
    )

    assert (result.error, result.cause) == ("OnlineTableMissing", "gone")
