"""Sums of slices of a column to the last bit: whole numbers first, one rounding at the end.

A double is a whole number times a power of two, so a column is whole numbers over one power of two: its finest.
These are cut into digits of 32 bits. Digits of one place add up exactly in 64 bits, whatever the order, so a running
total of each place gives the digits of any slice as a difference. Only then is there a carry, and one rounding.
The idea is that of Shewchuk's exact sums and of `math.fsum`, with places that are fixed beforehand, as in Neal,
"Fast exact summation using small and large superaccumulators" (2015), and so for many slices at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.features.slices import Slices, running_total

_DIGIT_BITS = 32
_DIGIT = (1 << _DIGIT_BITS) - 1
MOST_VALUES = 1 << 28
"""Values that can be summed up: three terms a value, each below 2^32, stay well below 2^63."""

_MANTISSA_BITS = 52
_SUBNORMAL = -1074
"""The exponent of the smallest double above zero."""


@dataclass(frozen=True)
class _Terms:
    """Whole numbers, each moved up by its own number of bits."""

    magnitudes: NDArray[np.uint64]
    shifts: NDArray[np.int64]

    def pieces(self, negative: NDArray[np.bool_] | None) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield the three digits that each touches, as (place above its lowest, digits with the sign)."""
        bits = (self.shifts % _DIGIT_BITS).astype(np.uint64)
        low = (self.magnitudes << bits) & np.uint64(_DIGIT)
        middle = (self.magnitudes >> (np.uint64(_DIGIT_BITS) - bits)) & np.uint64(_DIGIT)
        # In two steps: a shift of 64 bits at once is none that C defines.
        high = (self.magnitudes >> np.uint64(_DIGIT_BITS)) >> (np.uint64(_DIGIT_BITS) - bits)
        for place, digits in enumerate((low, middle, high)):
            signed = digits.astype(np.int64)
            yield place, signed if negative is None else np.where(negative, -signed, signed)

    @property
    def places(self) -> NDArray[np.int64]:
        return self.shifts // _DIGIT_BITS


class ExactColumn:
    """Finite values whose slices can be summed up, and so can their squares.

    Args:
        values: int64, or float64 without infinities and NaN; shape (n,), n at most `MOST_VALUES`.
    """

    def __init__(self, values: NDArray[np.int64] | NDArray[np.float64]) -> None:
        if len(values) > MOST_VALUES:
            raise ValueError(f"{len(values):,} values in one column: at most {MOST_VALUES:,}")
        self._negative = values < 0
        if values.dtype == np.int64:
            # The magnitude of -2^63 is its own bits, read without a sign.
            self._magnitudes = np.abs(values).view(np.uint64)
            self._shifts = np.zeros(len(values), np.int64)
            self._exponent = 0
            return
        bits = values.view(np.uint64)
        biased = ((bits >> np.uint64(_MANTISSA_BITS)) & np.uint64(0x7FF)).astype(np.int64)
        mantissas = bits & np.uint64((1 << _MANTISSA_BITS) - 1)
        mantissas |= (biased > 0).astype(np.uint64) << np.uint64(_MANTISSA_BITS)
        exponents = np.maximum(biased, 1) + (_SUBNORMAL - 1)
        above_zero = mantissas != 0
        self._exponent = int(exponents[above_zero].min()) if above_zero.any() else 0
        self._magnitudes = mantissas
        self._shifts = np.where(above_zero, exponents - self._exponent, 0)

    def sums(self, slices: Sequence[Slices]) -> list[ExactSums]:
        """Sum up the values of slices."""
        terms = [_Terms(self._magnitudes, self._shifts)]
        return _summed(terms, self._negative, self._exponent, slices)

    def sums_of_squares(self, slices: Sequence[Slices]) -> list[ExactSums]:
        """Sum up the squares of the values of slices."""
        low = self._magnitudes & np.uint64(_DIGIT)
        high = self._magnitudes >> np.uint64(_DIGIT_BITS)
        double = 2 * self._shifts
        # (a 2^32 + b)^2 = a^2 2^64 + a b 2^33 + b^2, and each product fits in 64 bits.
        terms = [
            _Terms(low * low, double),
            _Terms(low * high, double + (_DIGIT_BITS + 1)),
            _Terms(high * high, double + 2 * _DIGIT_BITS),
        ]
        return _summed(terms, None, 2 * self._exponent, slices)


def _summed(
    terms: Sequence[_Terms], negative: NDArray[np.bool_] | None, exponent: int, slices: Sequence[Slices]
) -> list[ExactSums]:
    size = len(terms[0].magnitudes)
    # Of each piece of each value: the place that it goes into, and the digits.
    pieces = [
        (term.places + place, digits)
        for term in terms
        for place, digits in term.pieces(negative)
        if digits.any()
    ]
    count = max((int(places.max()) for places, _ in pieces), default=-1) + 1
    sums = [np.zeros((count + 1, len(each.first)), np.int64) for each in slices]
    # One place after the other, so that the running totals of one are held at a time.
    for place in range(count):
        digits = np.zeros(size, np.int64)
        for places, piece in pieces:
            np.add(digits, piece, out=digits, where=places == place)
        if digits.any():
            totals = running_total(digits)
            for each, matrix in zip(slices, sums, strict=True):
                matrix[place] = totals[each.last] - totals[each.first]
    for matrix in sums:
        _carry(matrix)
    return [ExactSums(matrix, exponent) for matrix in sums]


def _carry(digits: NDArray[np.int64]) -> None:
    for place in range(len(digits) - 1):
        # The shift rounds down, so that what stays is never negative.
        digits[place + 1] += digits[place] >> _DIGIT_BITS
        digits[place] &= _DIGIT


class ExactSums:
    """Many exact sums: each the sum of its digits, times 2^32 a place, times 2^exponent.

    Args:
        digits: shape (places, sums), the lowest place first, carried: all but the last in [0, 2^32), and the sign is
            that of the last.
    """

    def __init__(self, digits: NDArray[np.int64], exponent: int) -> None:
        self._digits = digits
        self.exponent = exponent

    def where(self, chosen: NDArray[np.bool_]) -> ExactSums:
        return ExactSums(self._digits[:, chosen], self.exponent)

    def integers(self) -> list[int]:
        """Give the sums, each still to be multiplied by 2^exponent."""
        rows = np.ascontiguousarray(
            self._digits.T.astype(np.int32)
        )  # the low 32 bits of a digit, as they are
        raw, size = rows.tobytes(), 4 * len(self._digits)
        return [int.from_bytes(raw[at : at + size], "little", signed=True) for at in range(0, len(raw), size)]

    def nearest(self) -> NDArray[np.float64]:
        """Give the double nearest to each sum, of two as near the even one; infinite beyond the doubles.

        A sum that is zero is +0.0, as that of `math.fsum`.
        """
        negative = self._digits[-1] < 0
        # Three places of nothing below the lowest, so that there always are three below the highest.
        digits = np.zeros((len(self._digits) + 3, self._digits.shape[1]), np.int64)
        digits[3:] = np.where(negative, -self._digits, self._digits)
        _carry(digits[3:])
        held = digits != 0
        top = np.maximum(len(digits) - 1 - np.argmax(held[::-1], axis=0), 3)
        each = np.arange(digits.shape[1])
        first, second, third = (digits[top - below, each].astype(np.uint64) for below in range(3))
        some_below = np.logical_or.accumulate(held, axis=0)[top - 3, each]

        # The 64 highest bits, and whether there is anything below them.
        used = np.frexp(first.astype(np.float64))[1].astype(np.uint64)
        free = np.uint64(_DIGIT_BITS) - used
        bits = (((first << np.uint64(_DIGIT_BITS)) | second) << free) | (third >> used)
        some_below |= (third & ((np.uint64(1) << used) - np.uint64(1))) != 0

        kept, cut = bits >> np.uint64(11), bits & np.uint64(0x7FF)
        odd = (kept & np.uint64(1)) == 1
        kept += (cut > 0x400) | ((cut == 0x400) & (some_below | odd))
        # 3 places of nothing, one place that `bits` holds below the highest, and the 11 bits that were cut.
        exponents = (top - 4) * _DIGIT_BITS - free.astype(np.int64) + 11 + self.exponent
        # No second rounding below the normal doubles: a sum of doubles has no bit below the smallest of them.
        with np.errstate(over="ignore"):
            values: NDArray[np.float64] = np.ldexp(kept.astype(np.float64), exponents.astype(np.int32))
        return np.where(negative, -values, values)


def standard_deviations(
    counts: NDArray[np.int64], sums: ExactSums, squares: ExactSums
) -> NDArray[np.float64]:
    """Give the double nearest to the standard deviation of each sample, n - 1 in the denominator.

    Args:
        counts: of the values of each sample, at least 2.
        sums: of the values.
        squares: sums of the squares of the same values.
    """
    exponent = sums.exponent
    return np.fromiter(
        (
            # n Σx² - (Σx)² is n (n - 1) times the variance.
            _nearest_root(count * square - total * total, count * (count - 1), exponent)
            for count, total, square in zip(counts.tolist(), sums.integers(), squares.integers(), strict=True)
        ),
        np.float64,
        len(counts),
    )


def _nearest_root(numerator: int, denominator: int, exponent: int) -> float:
    """Give the double nearest to the square root of a fraction, times 2^exponent; infinite beyond the doubles.

    The root is cut at 54 bits or more with its lowest bit set where anything was cut off, so that the one rounding
    that follows rounds as if it saw them all (Boldo and Melquiond, "When double rounding is odd", 2005).
    """
    if not numerator:
        return 0.0
    half = (numerator.bit_length() - denominator.bit_length() - 109) // 2
    if half >= 0:
        denominator <<= 2 * half
    else:
        numerator <<= -2 * half
    quotient = numerator // denominator
    root = math.isqrt(quotient)
    root |= root * root * denominator != numerator
    half += exponent
    try:
        return float(root << half) if half >= 0 else root / (1 << -half)
    except OverflowError:
        return math.inf
