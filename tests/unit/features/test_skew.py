"""Skew: what the store holds against what the dataset says, entity by entity and bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.features.materialization import entities
from sluice.features.online_keys import EntityIds, KeyValue
from sluice.features.online_values import encode
from sluice.features.partitions import Share
from sluice.features.plan import Aggregation, Key, Value, View
from sluice.features.skew import Difference, Item, Skew, Written, compare, sample

DAY = 86_400_000_000
KEY = Key(name="customer", type="string")
SUMMED = View(
    name="activity",
    keys=(KEY,),
    features=(Value(name="spent", type="number"), Value(name="visits_7d", type="integer")),
    aggregations=(
        Aggregation(name="spent", function="sum", column="amount"),
        Aggregation(name="visits_7d", function="count", window_microseconds=7 * DAY),
    ),
)
PLAIN = View(
    name="standing",
    keys=(KEY,),
    features=(Value(name="amount", type="number"), Value(name="level", type="string")),
)
IDS = EntityIds([KEY])


def parts(folder: Path, *rows: Sequence[tuple[str | None, int, float | None, str | None]]) -> list[Path]:
    files = []
    for number, part in enumerate(rows):
        names, days, amounts, levels = zip(*part, strict=True)
        file = folder / f"{number}.parquet"
        times = pa.array([day * DAY for day in days], pa.int64()).cast(pa.timestamp("us"))
        columns: list[Any] = [
            pa.array(names, pa.string()),
            times,
            pa.array(amounts, pa.float64()),
            pa.array(levels, pa.string()),
        ]
        pq.write_table(pa.table(columns, ["customer", "at", "amount", "level"]), file)
        files.append(file)
    return files


LOG = [("a", 1, 0.1, "x"), ("a", 2, 0.2, None), ("a", 9, 0.3, "y"), ("b", 3, 5.0, "z"), (None, 3, 1.0, "z")]


def store(view: View, files: list[Path], day: int, scratch: Path) -> dict[str, Item]:
    found = entities(view, files, "at", day * DAY, Share(), scratch)
    return {each.id: Item(each.event, dict(each.values)) for each in found}


def sampled(
    view: View, files: list[Path], size: int, seed: int, day: int = 999, today: int = 999
) -> list[tuple[KeyValue, ...]]:
    return sample(view, files, size, seed, timestamp="at", moment=day * DAY, now=today * DAY)


def skew(view: View, files: list[Path], items: dict[str, Item], scratch: Path, day: int = 20) -> Skew:
    chosen = sampled(view, files, 100, 0, day)
    return compare(view, files, "at", chosen, items, moment=day * DAY, scratch=scratch)


@pytest.mark.parametrize("view", [SUMMED, PLAIN], ids=["windows", "rows"])
def test_what_was_materialized_agrees(tmp_path: Path, view: View) -> None:
    files = parts(tmp_path, LOG)
    found = skew(view, files, store(view, files, 20, tmp_path), tmp_path)
    assert (found.sampled, found.missing, found.differing, found.features, found.rate) == (2, [], 0, {}, 0.0)


def test_windows_are_recomputed_as_of_the_time_that_the_item_says(tmp_path: Path) -> None:
    files = parts(tmp_path, LOG)
    items = store(SUMMED, files, 3, tmp_path)
    # Later events change nothing of what was right then.
    assert skew(SUMMED, files, items, tmp_path).rate == 0.0
    late = parts(tmp_path / "", LOG, [("a", 2, 7.0, "x")])
    assert [(each.entity, each.feature) for each in skew(SUMMED, late, items, tmp_path).shown] == [
        ("customer=a", "spent")
    ]


def test_one_corrupted_value_is_found_with_its_entity_and_both_values(tmp_path: Path) -> None:
    files = parts(tmp_path, LOG)
    items = store(SUMMED, files, 20, tmp_path)
    items[IDS.of(("a",))] = Item(
        20 * DAY, {**items[IDS.of(("a",))].values, "spent": encode(0.6000000000000001, "number")}
    )
    found = skew(SUMMED, files, items, tmp_path)
    assert found.shown == [Difference("customer=a", "spent", 0.6000000000000001, 0.6)]
    assert (found.differing, found.features, found.rate) == (1, {"spent": 1}, 0.5)


def test_bytes_that_are_no_value_and_a_feature_that_is_not_there_differ(tmp_path: Path) -> None:
    files = parts(tmp_path, LOG)
    items = store(SUMMED, files, 20, tmp_path)
    items[IDS.of(("b",))] = Item(20 * DAY, {"visits_7d": b"\xff\xff"})
    found = skew(SUMMED, files, items, tmp_path)
    assert {(each.feature, each.stored) for each in found.shown} == {
        ("spent", None),
        ("visits_7d", b"\xff\xff"),
    }


def test_an_entity_that_the_store_has_not_is_missing(tmp_path: Path) -> None:
    files = parts(tmp_path, LOG)
    items = store(SUMMED, files, 20, tmp_path)
    del items[IDS.of(("b",))]
    found = skew(SUMMED, files, items, tmp_path)
    assert (found.missing, found.differing, found.rate) == (["customer=b"], 0, 0.5)


def test_a_row_that_was_passed_by_differs_in_its_time_too(tmp_path: Path) -> None:
    files = parts(tmp_path, LOG)
    items = store(PLAIN, files, 5, tmp_path)
    found = skew(PLAIN, files, items, tmp_path)
    assert {(each.feature, each.stored, each.recomputed) for each in found.shown} == {
        ("amount", 0.2, 0.3),
        ("level", None, "y"),
        ("event_ts", 2 * DAY, 9 * DAY),
    }


def test_a_sample_is_of_the_entities_each_once_and_the_seed_names_it(tmp_path: Path) -> None:
    files = parts(tmp_path, [(f"c{number % 50}", number, 1.0, None) for number in range(200)])
    everyone = sampled(SUMMED, files, 100, 1)
    assert sorted(everyone) == sorted((f"c{number}",) for number in range(50))
    some = sampled(SUMMED, files, 10, 1)
    assert len(set(some)) == 10
    assert some == sampled(SUMMED, files, 10, 1)
    assert some != sampled(SUMMED, files, 10, 2)
    assert sampled(SUMMED, parts(tmp_path, [(None, 1, 1.0, None)]), 10, 1) == []


def test_who_has_no_event_yet_is_not_missed(tmp_path: Path) -> None:
    files = parts(tmp_path, [("early", 5, 1.0, None), ("late", 7, 1.0, None), ("both", 3, 1.0, None)])
    for view in (SUMMED, PLAIN):
        assert sampled(view, files, 10, 0, day=5) == [("both",), ("early",)]
        assert skew(view, files, store(view, files, 5, tmp_path), tmp_path, day=5).rate == 0.0


def test_a_row_past_its_ttl_is_not_missed_for_dynamodb_deletes_it(tmp_path: Path) -> None:
    rows = [("old", 1, 1.0, None), ("mixed", 1, 1.0, None), ("mixed", 9, 1.0, None), ("fresh", 6, 1.0, None)]
    files = parts(tmp_path, rows)
    short = PLAIN.model_copy(update={"ttl_microseconds": 5 * DAY})
    assert sampled(short, files, 10, 0, day=9, today=10) == [("fresh",), ("mixed",)]
    assert sampled(short, files, 10, 0, day=9, today=11) == [("mixed",)]
    # Windows are written anew before their ttl is over: everybody is there.
    windows = SUMMED.model_copy(update={"ttl_microseconds": 5 * DAY})
    assert len(sampled(windows, files, 10, 0, day=9, today=11)) == 3


def test_where_rows_have_no_times_everybody_counts(tmp_path: Path) -> None:
    files = parts(tmp_path, [("a", 5, 1.0, None), ("b", 7, 1.0, None)])
    assert sample(PLAIN, files, 10, 0, timestamp=None, moment=DAY, now=DAY) == [("a",), ("b",)]


def item(as_of: int | None) -> Item:
    return Item(0, {}, as_of)


STORE = {
    "before": item(5),
    "itself": item(10),
    "feast": item(None),
    "between": item(15),
    "as it moved": item(20),
    "later": item(21),
}


def test_an_item_is_of_the_version_that_its_writer_looked_up() -> None:
    ours, later = Written(as_of=10, moved=20, kept=True).apart([*STORE, "missing"], STORE)
    assert ours == {"before", "itself", "feast", "missing"}
    assert later == {"later"}


def test_where_the_table_has_not_moved_since_all_are_compared() -> None:
    ours, later = Written(as_of=10, moved=9, kept=True).apart(STORE, STORE)
    assert ours | later == set(STORE)
    assert not ours & later


def test_who_is_not_in_a_table_that_was_replaced_meanwhile_is_not_missed() -> None:
    ours, later = Written(as_of=10, moved=20, kept=False).apart(["missing", "itself"], STORE)
    assert (ours, later) == ({"itself"}, set())


def test_what_was_found_of_two_versions_is_added_up() -> None:
    first = Skew("v", 3, 0, ["a"], 1, {"x": 1}, [Difference("b", "x", 1, 2)])
    second = Skew("v", 4, 0, ["c"], 2, {"x": 1, "y": 2}, [Difference("d", "y", 1, 2)])
    both = first.joined(second)
    assert (both.sampled, both.missing, both.differing, both.features) == (7, ["a", "c"], 3, {"x": 2, "y": 2})
    assert [each.entity for each in both.shown] == ["b", "d"]
    assert both.rate == 5 / 7


def test_of_many_differences_the_first_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    files = parts(tmp_path, [(f"c{number:02}", number, 1.0, None) for number in range(50)])
    items = {
        id_: Item(each.event, {"spent": b"", "visits_7d": b""})
        for id_, each in store(SUMMED, files, 60, tmp_path).items()
    }
    found = skew(SUMMED, files, items, tmp_path, day=60)
    assert found.differing == 50
    assert found.features == {"spent": 50, "visits_7d": 50}
    assert len(found.shown) == 20
