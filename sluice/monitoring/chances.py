"""How likely chance alone makes two sets of counts differ as much, and by how much they differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

_SMALL = 5.0
"""Expected rows of a cell below which chi-square is not to be trusted (Cochran 1954, Biometrics 10)."""
_GROUPS = 30
_NEGLIGIBLE = 1e-17


def kolmogorov_tail(scaled: float) -> float:
    """Give P(K > scaled) of Kolmogorov's distribution, by whichever of its two series converges fast.

    Marsaglia, Tsang and Wang (2003), Journal of Statistical Software 8(18), equations 1 and 2.
    """
    if scaled <= 0:
        return 1.0
    if scaled < 1.0:
        terms = (math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * scaled**2)) for k in range(1, 6))
        return 1.0 - math.sqrt(2 * math.pi) / scaled * math.fsum(terms)
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 11))
    return min(1.0, 2 * math.fsum(terms))


def chi_square_tail(statistic: float, degrees: int) -> float:
    """Give P(X > statistic) of chi-square, in closed form: DLMF 8.4.8 and 8.4.15 (https://dlmf.nist.gov/8.4).

    The sums have half as many terms as there are degrees of freedom; each is formed by its logarithm.
    """
    if statistic <= 0:
        return 1.0
    half = statistic / 2
    first = 0.0 if degrees % 2 == 0 else 0.5
    logs = ((k + first) * math.log(half) - half - math.lgamma(k + first + 1) for k in range(degrees // 2))
    tail = math.fsum(map(math.exp, logs))
    return min(1.0, tail + (math.erfc(math.sqrt(half)) if degrees % 2 else 0.0))


def more_often(before: int, rows_before: int, now: int, rows_now: int) -> float:
    """Give the chance of at least `now` hits among the later rows, given all hits: Fisher's exact test, one-sided.

    Of values beyond the greatest of the reference it is the chance that all the greatest are in the window.
    """
    hits, rows = before + now, rows_before + rows_now
    term = math.exp(
        _log_choose(hits, now) + _log_choose(rows - hits, rows_now - now) - _log_choose(rows, rows_now)
    )
    total, found = term, now
    while found < min(hits, rows_now) and (term > _NEGLIGIBLE * total or found < hits * rows_now / rows):
        missed = rows_now - found
        term *= (hits - found) * missed / ((found + 1) * (rows - hits - missed + 1))
        total += term
        found += 1
    return min(1.0, total)


def share_differs(before: int, rows_before: int, now: int, rows_now: int) -> float:
    """Give the two-sided chance: twice that of the nearer side."""
    more = more_often(before, rows_before, now, rows_now)
    less = more_often(rows_before - before, rows_before, rows_now - now, rows_now)
    return min(1.0, 2 * min(more, less))


def kolmogorov_smirnov(before: Sequence[int], now: Sequence[int]) -> float:
    """Give the chance of as great a gap between cumulative shares; a gap between edges is not seen."""
    first, second = _shares(before), _shares(now)
    gap = float(np.max(np.abs(np.cumsum(first) - np.cumsum(second))))
    return kolmogorov_tail(gap * math.sqrt(effective(sum(before), sum(now))))


def chi_square(before: Sequence[int], now: Sequence[int]) -> tuple[float, int]:
    """Give the chance of shares as different, and the degrees of freedom; small cells are taken together."""
    cells = np.array([before, now], dtype=np.float64)
    cells = _merged(cells[:, cells.sum(axis=0) > 0])
    degrees = cells.shape[1] - 1
    if degrees < 1:
        return 1.0, 0
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / cells.sum()
    return chi_square_tail(float(((cells - expected) ** 2 / expected).sum()), degrees), degrees


def jensen_shannon(before: Sequence[int], now: Sequence[int]) -> float:
    """Give the distance of two sets of shares, 0 to 1: the root of the divergence in bits (Endres, Schindelin 2003).

    Bins are taken together to about 30 of equal share of the reference: with 1,000 chance alone makes a distance.
    """
    first, second = _shares(before), _shares(now)
    if len(first) > _GROUPS:
        middles = np.cumsum(first) - first / 2
        groups = np.minimum((middles * _GROUPS).astype(np.int64), _GROUPS - 1)
        first, second = _grouped(first, groups), _grouped(second, groups)
    middle = (first + second) / 2
    return math.sqrt(max(0.0, (_bits(first, middle) + _bits(second, middle)) / 2))


def effective(before: int, now: int) -> float:
    """Give the size of one sample that would tell as much as two of these sizes."""
    return before * now / (before + now)


def critical(tail: Callable[[float], float], chance: float) -> float:
    """Give where a falling tail reaches a chance, by bisection."""
    low, high = 0.0, 1.0
    while tail(high) > chance:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > chance else (low, middle)
    return high


def false_discoveries(chances: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Adjust chances for their number, whatever depends on what.

    Benjamini and Yekutieli (2001), Annals of Statistics 29; with weights Blanchard and Roquain (2008), Electronic
    Journal of Statistics 2, 3.2.

    Args:
        chances: one a column.
        weights: of mean 1, how much of the error each may use up.
    """
    count = len(chances)
    if not count:
        return []
    toll = math.fsum(1 / rank for rank in range(1, count + 1))
    weighted = np.array(chances) / np.array(weights)
    order = np.argsort(weighted)
    stepped = weighted[order] * count * toll / np.arange(1, count + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(stepped[::-1])[::-1])
    return [float(value) for value in adjusted]


def _shares(counts: Sequence[int]) -> Numbers:
    values = np.asarray(counts, dtype=np.float64)
    return values / float(values.sum())


def _grouped(shares: Numbers, groups: npt.NDArray[np.int64]) -> Numbers:
    return np.bincount(groups, weights=shares, minlength=_GROUPS).astype(np.float64)


def _bits(shares: Numbers, middle: Numbers) -> float:
    some = shares > 0
    return float(np.sum(shares[some] * np.log2(shares[some] / middle[some])))


def _merged(cells: Numbers) -> Numbers:
    smaller = cells.sum(axis=1).min() / cells.sum()
    expected = cells.sum(axis=0) * smaller
    order = np.argsort(expected, kind="stable")
    cells, expected = cells[:, order], expected[order]
    few = int(np.sum(expected < _SMALL))
    while 0 < few < len(expected) and expected[:few].sum() < _SMALL:
        few += 1
    if not few:
        return cells
    return np.concatenate([cells[:, :few].sum(axis=1, keepdims=True), cells[:, few:]], axis=1)


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
