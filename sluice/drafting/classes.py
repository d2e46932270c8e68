"""What the values of a target mean: yes, no, or nothing, being a mistake."""

from __future__ import annotations

import re
from dataclasses import replace

import pyarrow as pa

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


def without_strays(target: ColumnProfile) -> ColumnProfile:
    """Take what is neither of a target's two classes for a mistake (a footer's total, a typo), if it is that rare.

    The profile that is given back has two values; `strays` and `stray_rows` say what was taken out. It is `target`
    itself where there is nothing to take out.
    """
    if not 2 < target.distinct <= 2 + _MOST_STRAY_VALUES or target.type not in (
        "string",
        "integer",
        "number",
    ):
        return target
    counted = pc.value_counts(target.values.drop_null())
    counted = counted.take(pc.sort_indices(counted.field("counts"), sort_keys=[("", "descending")]))
    values, times = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    if not _are_strays(values[:2], times) or (target.is_numeric and any(each % 1 for each in values[:2])):
        return target
    kept = pc.is_in(target.values, value_set=counted.field("values").slice(0, 2))
    cleaned = pc.if_else(kept, target.values, pa.scalar(None, target.values.type))
    written = values[:2] if target.type == "string" else [str(int(value)) for value in values[:2]]
    return replace(
        target,
        # Whole numbers can be listed as the only ones that are valid.
        type="string" if target.type == "string" else "integer",
        values=cleaned if target.type == "string" else cleaned.cast(pa.int64()),
        distinct=2,
        counts=tuple(zip(written, times[:2], strict=True)),
        whole=target.is_numeric,
        low=int(min(values[:2])) if target.is_numeric else None,
        high=int(max(values[:2])) if target.is_numeric else None,
        strays=tuple(str(value) for value in values[2:7]),
        stray_rows=sum(times[2:]),
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
