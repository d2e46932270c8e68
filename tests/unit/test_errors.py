from __future__ import annotations

import pytest

from sluice import errors
from sluice.errors import DataRejected, SluiceError, TrainingFailed


def test_an_error_says_what_where_why_and_what_to_do() -> None:
    error = DataRejected(
        "612 rows rejected", where="s3://b/k", why="balance: not a number", fix="upload again"
    )
    assert error.name == "DataRejected"
    assert str(error).splitlines() == [
        "612 rows rejected",
        "  where  s3://b/k",
        "  why    balance: not a number",
        "  to do  upload again",
    ]


def test_what_is_unknown_is_left_out() -> None:
    assert str(DataRejected("gone")) == "gone"


@pytest.mark.parametrize(
    "error",
    [
        DataRejected(
            "612 rows rejected", where="s3://b/k", why='a "quoted" reason\nof two lines', fix="upload again"
        ),
        TrainingFailed("what: with a colon", why="{'error': 'no JSON'}"),
        SluiceError("gone"),
    ],
)
def test_an_error_comes_back_from_the_wire_as_it_was(error: SluiceError) -> None:
    line = errors.to_wire(error, most_bytes=1000)
    assert "\n" not in line
    back = errors.from_wire(line)
    assert back is not None
    assert (type(back), str(back)) == (type(error), str(error))
    assert (back.what, back.where, back.why, back.fix) == (error.what, error.where, error.why, error.fix)


@pytest.mark.parametrize("filling", ["x", "ü", "語", "😀", '"', "\n", "\x00", "\ud800"])
@pytest.mark.parametrize("part", ["what", "where", "why", "fix"])
def test_an_error_on_the_wire_is_as_short_as_it_has_to_be_and_still_one(filling: str, part: str) -> None:
    parts = {"what": "what", "where": "where", "why": "why", "fix": "mend it", part: filling * 3000}
    error = DataRejected(parts.pop("what"), **parts)
    line = errors.to_wire(error, most_bytes=900)
    assert 700 < len(line.encode()) <= 900
    back = errors.from_wire(line)
    assert back is not None
    assert (back.name, getattr(back, part)[-1]) == ("DataRejected", "…")
    for other in {"what", "where", "why", "fix"} - {part}:
        assert getattr(back, other) == getattr(error, other)


def test_the_why_gives_way_before_what_helps() -> None:
    error = DataRejected("what", where="w" * 100, why="y" * 300, fix="f" * 500)
    back = errors.from_wire(errors.to_wire(error, most_bytes=900))
    assert back is not None
    assert (back.where, back.fix) == (error.where, error.fix)
    assert back.why.startswith("yyyy")


def test_an_error_of_another_module_travels_as_what_it_stands_on() -> None:
    class DataOddlyRejected(DataRejected): ...

    back = errors.from_wire(errors.to_wire(DataOddlyRejected("odd"), most_bytes=900))
    assert type(back) is DataRejected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "See job logs for more information",
        "DataRejected: 12 rows",
        "[]",
        "null",
        "{}",
        '{"error": "KeyError", "what": "x"}',
        '{"error": "DataRejected"}',
        '{"error": "DataRejected", "what": 5}',
        '{"error": "DataRejected", "what": "x", "more": "y"}',
        '{"error": "DataRejected", "what": "cut off',
    ],
)
def test_what_is_no_error_of_ours_is_not_taken_for_one(text: str) -> None:
    assert errors.from_wire(text) is None
