"""materialization: the plan's shares are written each by itself, and what was written is added up."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.payloads.materialization import MeasureSkewInput, PlanMaterializationInput, ShareToWrite
from tests.statemachines.answers import MATERIALIZATION, MATERIALIZED, PLANNED, SHARE, SKEW
from tests.statemachines.harness import EXECUTION_NAME, SETTINGS, Failure, Harness, Run, payload


def materialize(harness: Harness, typed: Any = None, **outcomes: list[Any]) -> Run:
    return harness.run("materialization", typed or {}, {**MATERIALIZATION, **outcomes})


def planned(*shares: dict[str, Any]) -> list[Any]:
    return [payload({**PLANNED, "shares": list(shares)})]


@pytest.mark.parametrize(
    ("typed", "dataset", "moment"),
    [
        ({}, None, None),
        ({"dataset": "0123456789abcdef"}, "0123456789abcdef", None),
        ({"moment": "2026-01-01T00:00:00Z", "dataset": None}, None, "2026-01-01T00:00:00Z"),
    ],
)
def test_the_plan_is_asked_for_what_was_typed_and_by_itself_for_what_there_is(
    harness: Harness, typed: dict[str, Any], dataset: str | None, moment: str | None
) -> None:
    [asked] = materialize(harness, typed).calls_of("PlanMaterialization")

    assert asked["FunctionName"] == SETTINGS["functions"]["PlanMaterialization"]
    assert PlanMaterializationInput.model_validate(
        asked["Payload"]
    ) == PlanMaterializationInput.model_validate(
        {"execution": EXECUTION_NAME, "dataset": dataset, "moment": moment}
    )


def test_each_share_is_written_by_one_call_and_the_sums_are_told(harness: Harness) -> None:
    shares = [{**SHARE, "number": number, "count": 3} for number in range(3)]

    result = materialize(harness, PlanMaterialization=planned(*shares))

    assert result.succeeded, result.cause
    asked = result.calls_of("MaterializeView")
    assert {each["FunctionName"] for each in asked} == {SETTINGS["functions"]["MaterializeView"]}
    given = sorted((each["Payload"] for each in asked), key=lambda each: each["number"])
    assert given == shares
    for each in given:
        ShareToWrite.model_validate(each)
    assert result.output == {
        "dataset_version": PLANNED["dataset_version"],
        "moment": PLANNED["moment"],
        "as_of": PLANNED["as_of"],
        **{name: 3 * MATERIALIZED[name] for name in ("written", "removed", "held", "superseded")},
        "skew": SKEW,
    }


def test_what_was_written_is_held_against_the_version_it_was_written_of(harness: Harness) -> None:
    result = materialize(harness)

    assert result.path[-3:] == ["IsThereADataset", "MeasureSkew", "Finished"]
    [measure] = result.calls_of("MeasureSkew")
    assert measure["FunctionName"] == SETTINGS["functions"]["MeasureSkew"]
    asked = MeasureSkewInput.model_validate(measure["Payload"])
    assert (asked.dataset, asked.as_of) == (PLANNED["dataset_version"], PLANNED["as_of"])
    assert asked.moment is not None
    assert asked.moment.isoformat() == "2026-01-01T00:00:00+00:00"
    assert asked.shown == 0, "an execution's history holds no values"


def test_where_there_is_no_dataset_nothing_is_written_and_nothing_is_wrong(harness: Harness) -> None:
    nothing = [payload({**PLANNED, "dataset_version": None, "shares": []})]

    result = materialize(harness, PlanMaterialization=nothing)

    assert result.succeeded, result.cause
    assert not result.calls_of("MaterializeView")
    assert not result.calls_of("MeasureSkew")
    assert (result.output["dataset_version"], result.output["skew"]) == (None, None)
    assert [result.output[name] for name in ("written", "removed", "held", "superseded")] == [0] * 4


@pytest.mark.parametrize("state", ["PlanMaterialization", "MaterializeView", "MeasureSkew"])
def test_what_fails_fails_the_execution_in_its_own_words(harness: Harness, state: str) -> None:
    result = materialize(harness, **{state: [Failure("OnlineTableMissing", "deploy both stacks")]})

    assert not result.succeeded
    assert result.error == "OnlineTableMissing"
    assert "deploy both stacks" in str(result.cause)
