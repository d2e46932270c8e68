"""Whether an endpoint answers as the model did that was judged."""

from __future__ import annotations

import math

from sluice.payloads.golden import GoldenAnswers, Verdict, VerifiedModel

# Processors take sums in different orders: far above that, far below what a person would call another answer.
_RELATIVE = 1e-9


def verify(golden: GoldenAnswers, answered: bytes) -> VerifiedModel:
    """Hold an answer against the recorded ones.

    Args:
        golden: what was recorded.
        answered: the endpoint's answer to these rows, `text/csv`: a line for each row, numbers with commas.
    """
    rows = len(golden.answers)
    try:
        lines = [tuple(map(float, line.split(","))) for line in answered.decode().splitlines()]
    except ValueError:
        return _different(rows, "the answer is none of numbers")
    if len(lines) != rows:
        return _different(rows, f"{len(lines)} answers to {rows} rows")
    for number, (expected, found) in enumerate(zip(golden.answers, lines, strict=True), start=1):
        if len(expected) != len(found):
            return _different(rows, f"row {number} of {rows}: {len(found)} numbers for {len(expected)}")
        for want, got in zip(expected, found, strict=True):
            same = (
                want == got if golden.exact else math.isclose(want, got, rel_tol=_RELATIVE, abs_tol=_RELATIVE)
            )
            if not same:
                return _different(rows, f"row {number} of {rows}: {got!r} for {want!r}")
    return VerifiedModel(verdict=Verdict.SAME, rows=rows)


def refused(golden: GoldenAnswers, status: int, message: str) -> VerifiedModel:
    """Say that the model refuses what it answered to when it was judged."""
    return _different(len(golden.answers), f"it refuses the rows with {status}: {message[:200]}")


def _different(rows: int, difference: str) -> VerifiedModel:
    return VerifiedModel(verdict=Verdict.DIFFERENT, rows=rows, difference=difference)
