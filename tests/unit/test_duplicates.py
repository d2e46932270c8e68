"""Keys that repeat: the same ones a dict finds, whatever their hashes are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.datasets.duplicates import KeyIndex


@dataclass(frozen=True)
class Colliding:
    """A key whose hash is given."""

    name: str
    shared: int

    def __hash__(self) -> int:
        return self.shared


def repeats(batches: Sequence[Sequence[object]]) -> list[tuple[int, int]]:
    index = KeyIndex()
    for batch in batches:
        index.add(batch)
    return list(index.repeated(key for batch in batches for key in batch))


def oracle(batches: Sequence[Sequence[object]]) -> list[tuple[int, int]]:
    first: dict[object, int] = {}
    keys = [key for batch in batches for key in batch]
    pairs = [(position, first.setdefault(key, position)) for position, key in enumerate(keys)]
    return [(position, before) for position, before in pairs if position != before]


def test_each_repeat_names_the_first_of_its_key() -> None:
    assert repeats([["a", "b", "a"], [], ["c", "b", "a"]]) == [(2, 0), (4, 1), (5, 0)]


def test_keys_that_only_share_a_hash_are_no_repeats() -> None:
    a, b = Colliding("a", 7), Colliding("b", 7)
    assert repeats([[a, b]]) == []
    assert repeats([[a, b], [b]]) == [(2, 1)]
    assert repeats([[-1, -2]]) == []  # in CPython both hash to -2


def test_keys_are_read_again_only_where_hashes_were_equal() -> None:
    def unreadable() -> object:
        pytest.fail("the keys were read again")

    index = KeyIndex()
    index.add(range(1_000))
    assert list(index.repeated(unreadable() for _ in range(1))) == []


def test_nothing_repeats_nothing() -> None:
    assert repeats([]) == []
    assert repeats([[]]) == []


def test_many_keys_of_every_part_are_told_apart() -> None:
    keys = [f"customer-{i}" for i in range(50_000)]
    assert repeats([keys[:30_000], keys[30_000:]]) == []
    assert repeats([keys, keys[::-1]]) == [(50_000 + i, 49_999 - i) for i in range(50_000)]


@pytest.mark.parametrize("step", [1, 256, 2**20, 2**40])
def test_integers_at_any_distance_are_spread_over_the_parts(step: int) -> None:
    index = KeyIndex()
    index.add(range(0, 10_000 * step, step))
    largest = max(map(len, index._parts))
    assert largest < 10_000 / len(index._parts) * 4


KEYS = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.text(max_size=2),
    st.booleans(),
    st.floats(allow_nan=False, width=16),
    st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 1, 0, 0, 0, 5)),
    st.tuples(st.text("ab", max_size=1), st.integers(0, 2)),
    st.builds(Colliding, st.sampled_from("abc"), st.sampled_from([0, -1, 2**61 - 2, -(2**62)])),
)


@given(st.lists(st.lists(KEYS, max_size=40), max_size=4))
def test_the_repeats_are_those_a_dict_finds(batches: list[list[object]]) -> None:
    assert repeats(batches) == oracle(batches)
