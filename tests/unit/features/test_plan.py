"""When the rows of a dataset are examples as they stand, and what makes a join necessary."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.features.names import alike, lost_in_join, refused
from sluice.features.plan import Aggregation, FeaturePlan, Key, OnDemand, Value, View

ID = Key(name="id", type="string")
AGE = Value(name="age", type="number")
FLAT: dict[str, Any] = {
    "timestamp": None,
    "views": (View(name="people", keys=(ID,), features=(AGE,)),),
    "model": ("people:age",),
}
COUNTED = View(
    name="activity",
    keys=(ID,),
    features=(Value(name="visits", type="integer"),),
    aggregations=(Aggregation(name="visits", function="count"),),
)
DOUBLED = OnDemand(
    name="doubled",
    mode="python",
    function="doubled",
    source="def doubled(inputs): ...",
    inputs=("age",),
    features=(Value(name="twice", type="number"),),
)


def test_rows_of_a_table_without_times_are_examples_as_they_stand() -> None:
    assert FeaturePlan(**FLAT).rows_are_examples


@pytest.mark.parametrize(
    "other",
    [
        {"timestamp": "at"},
        {"views": (*FLAT["views"], COUNTED)},
        {"views": (View(name="people", keys=(ID,), features=(AGE,), ttl_microseconds=1),)},
        {"on_demand": (DOUBLED,)},
        {"own_labels": True},
    ],
    ids=["event times", "windows", "ttl", "functions", "labels"],
)
def test_what_is_of_a_moment_or_made_has_to_be_joined(other: dict[str, Any]) -> None:
    assert not FeaturePlan(**FLAT | other).rows_are_examples


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it has no name"),
        ("  ", "it has no name"),
        ("a:b", "a colon parts a view from its feature"),
        ("event_timestamp", "Feast calls the moment event_timestamp"),
        ("sluice_row", "names of Sluice's own begin with sluice_"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str, why: str) -> None:
    assert refused(name) == why


@pytest.mark.parametrize(
    "name", ["a", "Event_Timestamp", "created_timestamp", "größe €", "a@v2", "rn", "y", "_y"]
)
def test_any_other_name_is_none_of_feasts(name: str) -> None:
    assert refused(name) is None


def test_names_that_the_join_has_for_itself() -> None:
    assert {name for name in ("rn", "entity_row_id", "size_y", "_y", "y", "rnd", "sizey") if lost_in_join(name)} == {
        "rn", "entity_row_id", "size_y", "_y",
    }  # fmt: skip


def test_names_that_differ_in_capitals_only_are_found() -> None:
    assert alike(["a", "b", "a"]) is None
    assert alike(["size", "b", "Size"]) == ("size", "Size")
