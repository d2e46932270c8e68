"""Parts of the held-out rows by the values of a column."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice.errors import EvaluationFailed
from sluice.judging.intervals import Bools, Floats

NULL = "(null)"
MOST_PARTS = 50

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Part:
    """Rows with one value of a column, or between two bounds: `rows` is (n,), true of those of them."""

    column: str
    value: str
    rows: Bools


def by_value(column: str, values: Texts) -> Iterator[Part]:
    """Part rows by the values of a column, the most frequent first; nulls (None) are a part, too.

    Args:
        column: its name.
        values: (n,) texts or None.

    Raises:
        EvaluationFailed: there are more than 50.
    """
    # Numbered as they come: sorting a million texts would take longer than judging them.
    found: dict[str, int] = {}
    numbered = (found.setdefault(NULL if value is None else value, len(found)) for value in values)
    places = np.fromiter(numbered, np.int64, len(values))
    if len(found) > MOST_PARTS:
        raise EvaluationFailed(
            f"the held-out rows cannot be parted by {column!r}: it has {len(found):,} values",
            where="project.toml: gates",
            why=f"parts are looked at one by one, {MOST_PARTS} of them at most",
            fix="give `values` or, of numbers, `cuts` in [[gates.slices]], or a column that has fewer values",
        )
    counts = np.bincount(places)
    for value, number in sorted(found.items(), key=lambda each: (-counts[each[1]], each[0])):
        yield Part(column, value, places == number)


def of_values(column: str, values: Texts, wanted: Sequence[str]) -> Iterator[Part]:
    """Give the parts of those values, of no rows where none has the value."""
    for value in wanted:
        yield Part(column, value, np.asarray(values == value, dtype=np.bool_))


def between(column: str, numbers: Floats, cuts: Sequence[float]) -> Iterator[Part]:
    """Part rows at rising bounds, from the lowest numbers on; NaN are a part where there are any."""
    places = np.searchsorted(np.array(cuts), numbers, "right")
    missing = np.isnan(numbers)
    names = [f"below {cuts[0]:g}"]
    names += [f"{low:g} to below {high:g}" for low, high in itertools.pairwise(cuts)]
    names.append(f"{cuts[-1]:g} and above")
    for number, name in enumerate(names):
        yield Part(column, name, (places == number) & ~missing)
    if missing.any():
        yield Part(column, NULL, missing)
