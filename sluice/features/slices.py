"""What slices of an array hold, for many slices at a time: extremes and distinct values.

Nothing here walks through the members of a slice: slices overlap, and a busy entity's events times its moments would
be more than any machine can look at. The work grows as (values + slices) × log(values of the longest slice).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Slices:
    """Positions [first, last) of an array, shape (slices,) each."""

    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self.last - self.first

    def where(self, chosen: NDArray[np.bool_]) -> Slices:
        return Slices(self.first[chosen], self.last[chosen])


def running_total(values: NDArray[Any]) -> NDArray[np.int64]:
    """Sum up what lies before each position, and all at the end: shape (n + 1,)."""
    totals = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=totals[1:])
    return totals


def counts(held: NDArray[np.bool_], slices: Slices) -> NDArray[np.int64]:
    """Count the positions of each slice where `held` is true."""
    totals = running_total(held)
    return totals[slices.last] - totals[slices.first]


def extremes(values: NDArray[Any], slices: Slices, of: np.ufunc) -> NDArray[Any]:
    """Give each slice's minimum or maximum (`of` is np.minimum or np.maximum). No slice may be empty.

    Any slice is two that overlap, each as long as a power of two (Bender and Farach-Colton, "The LCA problem
    revisited", 2000); of the table for each power only one is held at a time.
    """
    result = np.empty(len(slices.first), values.dtype)
    powers = _bit_lengths(slices.lengths) - 1
    order = np.argsort(powers, kind="stable")
    highest = int(powers.max(initial=-1))
    bounds = np.searchsorted(powers[order], np.arange(highest + 2))
    for power in range(highest + 1):
        chosen = order[bounds[power] : bounds[power + 1]]
        length = 1 << power
        result[chosen] = of(values[slices.first[chosen]], values[slices.last[chosen] - length])
        values = of(values[:-length], values[length:])
    return result


def distinct_counts(
    values: NDArray[np.int64],
    groups: NDArray[np.int64],
    starts: NDArray[np.int64],
    slices: Slices,
    slice_starts: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Count the distinct values of each slice.

    A value is new to a slice where the one before that is equal to it lies before the slice.

    Args:
        values: from 0 on, and below the number of values.
        groups: the group of each value, ascending from 0 on; a slice lies within one.
        starts: the position at which each value's group begins.
        slices: positions among the values.
        slice_starts: the position at which each slice's group begins.
    """
    if not len(values):
        return np.zeros(len(slices.first), np.int64)
    paired = groups * (int(values.max()) + 1) + values
    order = np.argsort(paired, kind="stable")
    repeats = paired[order[1:]] == paired[order[:-1]]
    # Positions in the group, and one more: 0 says that there is no such value before.
    before = np.zeros(len(values), np.int64)
    later = order[1:][repeats]
    before[later] = order[:-1][repeats] - starts[later] + 1
    return _counts_below(before, slices, slices.first - slice_starts + 1)


def _counts_below(values: NDArray[np.int64], slices: Slices, bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count each slice's values that are less than its bound, by a wavelet matrix (Claude and Navarro, 2012).

    Bit by bit from the highest, the values are put apart: those with a 0 first. A slice follows those that share the
    bits of its bound, and counts those that leave it downwards.
    """
    found = np.zeros(len(bounds), np.int64)
    first, last = slices.first, slices.last
    width = max(int(values.max(initial=0)), int(bounds.max(initial=0))).bit_length()
    for bit in reversed(range(width)):
        zero = (values >> bit) & 1 == 0
        zeros = running_total(zero)
        zeros_first, zeros_last = zeros[first], zeros[last]
        one = (bounds >> bit) & 1 == 1
        found += np.where(one, zeros_last - zeros_first, 0)
        first = np.where(one, zeros[-1] + first - zeros_first, zeros_first)
        last = np.where(one, zeros[-1] + last - zeros_last, zeros_last)
        values = np.concatenate([values[zero], values[~zero]])
    return found


def _bit_lengths(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.frexp(lengths.astype(np.float64))[1].astype(np.int64)
