"""Windows that move on by steps: who has no new events is written once a step; each item says as of when it is."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.features.materialization import Entity, Ledger, changes, entities
from sluice.features.moments import moved
from sluice.features.online_keys import EntityIds
from sluice.features.online_values import decode
from sluice.features.partitions import Share
from sluice.features.plan import Aggregation, Key, Value, View
from sluice.features.skew import Item, compare
from sluice.features.windows import Engine
from sluice.project import Online

HOUR = 3_600_000_000
DAY = 24 * HOUR
KEY = Key(name="customer", type="string")
VIEW = View(
    name="activity",
    keys=(KEY,),
    features=(Value(name="silent", type="number"), Value(name="visits_7d", type="integer")),
    aggregations=(
        Aggregation(name="silent", function="days_since_last", column="at"),
        Aggregation(name="visits_7d", function="count", window_microseconds=7 * DAY),
    ),
)
ROWS = View(name="standing", keys=(KEY,), features=(Value(name="level", type="integer"),))
IDS = EntityIds([KEY])
ONCE_A_DAY = Online(move_windows="day")


def log(folder: Path, *events: tuple[str, int]) -> list[Path]:
    file = folder / "log.parquet"
    names, times = zip(*events, strict=True)
    at = pa.array(times, pa.int64()).cast(pa.timestamp("us"))
    levels = pa.array([7] * len(names), pa.int64())
    pq.write_table(pa.table({"customer": pa.array(names, pa.string()), "at": at, "level": levels}), file)
    return [file]


def found(view: View, files: list[Path], moment: int, online: Online) -> dict[str, Entity]:
    least = moved(online, view.ttl_microseconds, moment)
    of = entities(view, files, "at", moment, Share(), files[0].parent, moved=least)
    return {each.id: each for each in of}


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30 * DAY)), min_size=1, max_size=12),
    st.integers(0, 30 * DAY),
    st.sampled_from(["run", "hour", "day"]),
)
@settings(deadline=None, max_examples=60)
def test_an_item_is_as_of_its_last_event_or_the_last_step_whichever_is_later(
    events: list[tuple[str, int]], moment: int, step: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = log(Path(folder), *events)
        items = found(VIEW, files, moment, Online(move_windows=step))  # type: ignore[arg-type]
        length = {"run": 1, "hour": HOUR, "day": DAY}[step]
        as_of = {
            name: max(moment // length * length, *(at for who, at in events if who == name and at <= moment))
            for name in {who for who, at in events if at <= moment}
        }
        assert {IDS.of([name]): at for name, at in as_of.items()} == {
            each.id: each.event for each in items.values()
        }
        asked = pa.table(
            {
                "customer": pa.array(as_of, pa.string()),
                "at": pa.array(as_of.values(), pa.int64()).cast(pa.timestamp("us")),
            }
        )
        if as_of:
            right = Engine(files, VIEW, "at", scratch=Path(folder)).at_moments(asked, "at").to_pylist()
            for row in right:
                values = {name: decode(raw) for name, raw in items[IDS.of([row["customer"]])].values.items()}
                assert values == {"silent": row["silent"], "visits_7d": row["visits_7d"]}


def test_who_has_no_new_events_is_written_once_a_day_and_who_has_at_once(tmp_path: Path) -> None:
    ledger: Ledger = {}

    def written(files: list[Path], moment: int) -> set[str]:
        nonlocal ledger
        seen = found(VIEW, files, moment, ONCE_A_DAY)
        change = changes(seen.values(), ledger, None, moment, are_windows=True)
        ledger = change.after
        # And what is in the store by then is what the dataset says of the time that each item says.
        items = {id_: Item(each.event, each.values) for id_, each in seen.items()}
        skew = compare(VIEW, files, "at", [("a",), ("b",)], items, moment=moment, scratch=tmp_path)
        assert (skew.sampled, skew.rate) == (2, 0.0)
        return {name for name in "ab" for each in change.written if each.id == IDS.of([name])}

    first = log(tmp_path, ("a", DAY), ("b", 2 * DAY))
    assert written(first, 10 * DAY + 9 * HOUR) == {"a", "b"}
    assert written(first, 10 * DAY + 10 * HOUR) == set()
    second = log(tmp_path, ("a", DAY), ("b", 2 * DAY), ("a", 10 * DAY + 11 * HOUR))
    assert written(second, 10 * DAY + 12 * HOUR) == {"a"}
    assert written(second, 10 * DAY + 13 * HOUR) == set()
    assert written(second, 11 * DAY + HOUR) == {"a", "b"}


def test_by_default_windows_move_on_with_each_run() -> None:
    assert Online().move_windows == "run"
    assert moved(Online(), None, 10 * DAY + 1) == 10 * DAY + 1


@pytest.mark.parametrize(
    ("ttl", "least"), [(None, 10 * DAY), (4 * DAY, 10 * DAY), (4 * DAY - 1, 10 * DAY + 5 * HOUR)]
)
def test_a_view_that_would_be_stale_before_the_next_step_moves_on_with_each_run(
    ttl: int | None, least: int
) -> None:
    assert moved(ONCE_A_DAY, ttl, 10 * DAY + 5 * HOUR) == least


def test_a_row_is_written_again_when_its_time_moves_on_also_to_the_very_moment(tmp_path: Path) -> None:
    def seen(moment: int, *events: tuple[str, int]) -> list[Entity]:
        return list(entities(ROWS, log(tmp_path, *events), "at", moment, Share(), tmp_path))

    before = changes(seen(DAY, ("a", DAY)), {}, None, 1, are_windows=False)
    after = changes(seen(2 * DAY, ("a", DAY), ("a", 2 * DAY)), before.after, None, 2, are_windows=False)
    assert [each.event for each in after.written] == [2 * DAY]
    again = changes(seen(3 * DAY, ("a", DAY), ("a", 2 * DAY)), after.after, None, 3, are_windows=False)
    assert again.written == []
