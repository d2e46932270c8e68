"""Stages of work on a stream: in order, ahead or behind by a bounded number of items, ended by the first error."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sluice.datasets.stages import DEPTH, Behind, ahead


def numbers(count: int, made: list[int], fail_at: int | None = None) -> Iterator[int]:
    for number in range(count):
        if number == fail_at:
            raise ValueError(f"no {number}")
        made.append(number)
        yield number


class TestAhead:
    def test_the_items_come_in_order(self) -> None:
        assert list(ahead(numbers(100, []))) == list(range(100))

    def test_none_are_none(self) -> None:
        assert list(ahead(iter([]))) == []

    def test_an_error_comes_after_the_items_before_it(self) -> None:
        seen: list[int] = []
        with pytest.raises(ValueError, match="no 7"):
            seen.extend(ahead(numbers(100, [], fail_at=7)))
        assert seen == list(range(7))

    def test_few_are_made_before_they_are_asked_for(self) -> None:
        made: list[int] = []
        items = ahead(numbers(100, made))
        assert next(items) == 0
        items.close()  # type: ignore[attr-defined]
        assert len(made) <= DEPTH + 2
        assert not any(thread.name.startswith("ahead") for thread in threading.enumerate())


class TestBehind:
    def test_each_item_is_used_once_and_in_order(self) -> None:
        used: list[int] = []
        with Behind(used.append) as behind:
            for number in range(100):
                behind.put(number)
        assert used == list(range(100))

    def test_few_wait(self) -> None:
        used: list[int] = []
        go = threading.Semaphore(0)

        def use(number: int) -> None:
            go.acquire()
            used.append(number)

        with Behind(use) as behind:
            for number in range(DEPTH):
                behind.put(number)
            late = threading.Thread(target=behind.put, args=(DEPTH,))
            late.start()
            late.join(0.2)
            assert (late.is_alive(), used) == (True, [])  # it has no place before one of the others is used
            go.release(DEPTH + 1)
            late.join()
        assert used == list(range(DEPTH + 1))

    def test_an_error_is_raised_and_nothing_is_used_after_it(self) -> None:
        used: list[int] = []

        def use(number: int) -> None:
            if number == 5:
                raise ValueError("no 5")
            used.append(number)

        def work() -> None:
            with Behind(use) as behind:
                for number in range(100):
                    behind.put(number)

        with pytest.raises(ValueError, match="no 5"):
            work()
        assert used == list(range(5))

    def test_an_error_of_the_last_item_is_raised_at_the_end(self) -> None:
        def work() -> None:
            with Behind(refuse) as behind:
                behind.put(1)

        with pytest.raises(ValueError, match="no 1"):
            work()

    def test_an_error_outside_is_the_one_that_is_told(self) -> None:
        def work() -> None:
            with Behind(refuse) as behind:
                behind.put(1)
                raise KeyError("outside")

        with pytest.raises(KeyError, match="outside"):
            work()


def refuse(number: int) -> None:
    raise ValueError(f"no {number}")
