"""What the values of a target mean: yes, no, or nothing, being a mistake."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

import pyarrow as pa

from sluice.arrow import ChunkedArray
from sluice.arrow import compute as pc
from sluice.drafting.profiling import ColumnProfile

_YES = frozenset(
    """yes y true t positive pos present presence churned churn exited default defaulted fraud fraudulent bad
    malignant spam sick diseased success successful won win left attrited dead died anomaly
    ja si sí oui sim да""".split()  # noqa: SIM905
)
_NO = frozenset("no not non n false f negative neg never none without nein nee não нет".split())  # noqa: SIM905
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")

# Of a target of two classes: up to this share of its rows may hold something else, in this many ways.
_MOST_STRAY_ROWS = 0.01
_MOST_STRAY_VALUES = 20
# A value is a mistake if it comes once or twice, or, beside yes and no, in a twentieth of the rarer one's rows.
_STRAY_ROWS = 2
_RARER_THAN_THE_RARER = 20
_LEAST_IN_CLASS = 10


def means_yes(label: str) -> bool:
    """Tell `Yes.`, `tested_positive`, `churned` and `1` from `no`, `not churned`, `0` and `-1`."""
    if _NUMBER.fullmatch(label):
        return float(label) > 0
    words = _words(label)
    return bool(words & _YES) and not words & _NO


def _means_no(label: str) -> bool:
    return bool(_words(label) & _NO)


def _words(label: str) -> set[str]:
    return set(re.split(r"[\W_]+", label.lower()))


@dataclass(frozen=True)
class Strays:
    """Rows of a target of two classes that hold neither: a footer's total, a header that comes again, a typo."""

    mask: ChunkedArray
    """True where one is."""
    examples: tuple[str, ...]
    rows: int


def find_strays(target: ColumnProfile) -> Strays | None:
    """Find what is neither of a target's two classes and so rare that it is a mistake; None if there is no such."""
    kinds = ("string", "integer", "number")
    if not 2 < target.distinct <= 2 + _MOST_STRAY_VALUES or target.type not in kinds:
        return None
    counted = pc.value_counts(target.values.drop_null())
    counted = counted.take(pc.sort_indices(counted.field("counts"), sort_keys=[("", "descending")]))
    values, times = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    # Fractions cannot be listed as what is valid.
    fractions = target.is_numeric and any(each % 1 for each in values[:2])
    if fractions or not _are_strays(values[:2], times):
        return None
    stray = pc.is_in(target.values, value_set=counted.field("values").slice(2))
    return Strays(stray, tuple(map(str, values[2:7])), sum(times[2:]))


def as_classes(target: ColumnProfile) -> ColumnProfile:
    """Give whole numbers that pandas made fractions of (1.0) as integers, which can be listed as what is valid."""
    if target.type != "number" or not target.whole:
        return target
    counts: Counter[str] = Counter()
    for label, times in target.counts:
        counts[str(int(float(label)))] += times
    return replace(
        target, type="integer", values=target.values.cast(pa.int64()), counts=tuple(counts.most_common())
    )


def _are_strays(classes: list[object], times: list[int]) -> bool:
    """Tell whether all but the two most frequent values are that rare."""
    rarer, rest = times[1], times[2:]
    if rarer < _LEAST_IN_CLASS or sum(rest) > _MOST_STRAY_ROWS * sum(times):
        return False
    most = _STRAY_ROWS
    texts = [each for each in classes if isinstance(each, str)]
    if sum(map(means_yes, texts)) == sum(map(_means_no, texts)) == 1:
        most = max(most, rarer // _RARER_THAN_THE_RARER)
    return max(rest) <= most and rarer > max(rest) * _RARER_THAN_THE_RARER
