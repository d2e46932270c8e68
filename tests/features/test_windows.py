"""The engine of windowed aggregates, against the definitions read one event at a time."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.features.windows import Engine
from tests.features import brute_force
from tests.features.histories import (
    BUSY_KEYS,
    TIME,
    History,
    bits,
    busy_history,
    busy_labels,
    every_aggregation,
    histories,
    moments_of,
    moments_table,
    rows_of,
    times,
    view,
    views,
    write,
)

_generated = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
"""A busy machine writes files slowly, which says nothing of the engine."""


@_generated
@given(st.data(), histories())
def test_a_row_of_labels_gets_what_its_events_up_to_then_give(data: st.DataObject, history: History) -> None:
    view = data.draw(views(history.keys))
    asked = data.draw(moments_of(history.keys))
    rows_at_once, threads = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 3))
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(
            history.write(Path(folder)),
            view,
            TIME,
            scratch=Path(folder),
            rows_at_once=rows_at_once,
            threads=threads,
        )
        found = engine.at_moments(moments_table(asked, history.keys), "moment")

    expected = []
    for row in asked:
        entity = tuple(row[name] for name in history.key_names)
        known = brute_force.known_at(history.parts, history.key_names, TIME, row["moment"])
        expected.append(row | brute_force.features(known.get(entity, []), view, TIME, row["moment"]))
    assert rows_of(found) == [{name: bits(value) for name, value in row.items()} for row in expected]


@pytest.mark.parametrize("seed", range(12))
def test_long_histories_of_few_values_give_what_their_events_give(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    history, labels = busy_history(draw, nulls=True), busy_labels(draw)
    asked = view(BUSY_KEYS, every_aggregation())
    rows_at_once = draw.choice([50, 100, 1000])
    engine = Engine(history.write(tmp_path), asked, TIME, scratch=tmp_path, rows_at_once=rows_at_once)
    found = rows_of(engine.at_moments(moments_table(labels, BUSY_KEYS), "moment"))
    for row, label in zip(found, labels, strict=True):
        known = brute_force.known_at(history.parts, history.key_names, TIME, label["moment"])
        events = known.get((label["customer"], label["card"]), [])
        expected = label | brute_force.features(events, asked, TIME, label["moment"])
        assert row == {name: bits(value) for name, value in expected.items()}


@_generated
@given(st.data(), histories(), times)
def test_what_is_served_as_of_a_moment_is_what_is_trained_on_at_that_moment(
    data: st.DataObject, history: History, moment: int
) -> None:
    view = data.draw(views(history.keys))
    with tempfile.TemporaryDirectory() as folder:
        parts = history.write(Path(folder))
        served = Engine(parts, view, TIME, scratch=Path(folder), rows_at_once=data.draw(st.integers(1, 40)))
        online = rows_of(served.all_as_of(moment))
        known = brute_force.known_at(history.parts, history.key_names, TIME, moment)
        entities = [dict(zip(history.key_names, entity, strict=True)) for entity in known]
        trained = Engine(parts, view, TIME, scratch=Path(folder))
        labels = moments_table([{**entity, "moment": moment} for entity in entities], history.keys)
        offline = rows_of(trained.at_moments(labels, "moment"))

    names = history.key_names
    assert online == [
        {name: value for name, value in row.items() if name != "moment"}
        for row in sorted(offline, key=lambda row: [_order(row[name]) for name in names])
    ]
    assert len(online) == len(known)


def _order(key: str | int) -> bytes | int:
    return key.encode() if isinstance(key, str) else key


@_generated
@given(st.data(), histories())
def test_no_result_depends_on_the_order_of_rows_or_on_how_a_part_is_cut(
    data: st.DataObject, history: History
) -> None:
    view = data.draw(views(history.keys))
    asked = moments_table(data.draw(moments_of(history.keys)), history.keys)
    names = [*history.key_names, TIME]
    shuffle = random.Random(data.draw(st.integers(0, 2**32)))
    cut: list[list[brute_force.Row]] = []
    once: list[list[brute_force.Row]] = []
    for part in history.parts:
        distinct = list({tuple(row[name] for name in names): row for row in part}.values())
        once.append(distinct)
        mixed = shuffle.sample(distinct, len(distinct))
        at = shuffle.randint(0, len(mixed))
        cut += [mixed[:at], mixed[at:]]
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        one = Engine(write(once, history.types, Path(first)), view, TIME, scratch=Path(first), threads=1)
        other = Engine(
            write(cut, history.types, Path(second)),
            view,
            TIME,
            scratch=Path(second),
            rows_at_once=3,
            threads=2,
        )
        assert rows_of(one.at_moments(asked, "moment")) == rows_of(other.at_moments(asked, "moment"))
