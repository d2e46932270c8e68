"""Finding a column that alone gives the target away: often one written down after the outcome was known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import pyarrow as pa

from sluice.arrow import Array, ChunkedArray, Table
from sluice.arrow import compute as pc
from sluice.drafting.profiling import ColumnProfile
from sluice.problems import Problem

# In a file this small a column may sort the classes by luck.
_LEAST_ROWS = 100
_LEAST_IN_CLASS = 10
# A value stands for this many rows on average, or it identifies rows instead of telling about them.
_ROWS_PER_VALUE = 10
# More whole numbers than these are a measure, whose thresholds may well be nature's.
_MOST_CODES = 12
# Sums are looked for in this many rows, of at most this many columns.
_SUMMED_ROWS = 2_000
_MOST_SUMMANDS = 8
# The share of every class (and of the variance, in regression) that the column has to get right.
_GIVEN_AWAY = 0.999


def find_leak(column: ColumnProfile, target: ColumnProfile, problem: Problem) -> str | None:
    """Say how `column` alone predicts `target`, as the end of a sentence; None if it does not.

    The classes are given away if a rule on this one column gets at least 99.9 % of every class right: a rule by
    value, by being filled in or not, or by thresholds. One class of several is if a rule by being filled in or by
    the value of a category tells it from all others; a threshold that does may well be nature's. A number is given
    away if each value of the column has one value of the target, or if both have the same order.
    """
    known = pa.table({"column": column.values, "target": target.values})
    known = known.filter(pc.is_valid(known["target"]))
    if known.num_rows < _LEAST_ROWS:
        return None
    if problem == "regression":
        return _leaks_number(column, known)
    return _leaks_class(column, known)


def find_sum(columns: Sequence[ColumnProfile], target: ColumnProfile) -> dict[str, int]:
    """Find numbers that add up to the target (cnt = casual + registered), give or take a constant.

    Returns:
        The columns, at least two, in the order of the file, with 1 for those that are added and -1 for those that are
        subtracted; empty if there is no such sum. They are tried greedily: each step takes the one that leaves the
        least variance.
    """
    usable = [column for column in columns if column.is_numeric and not column.nulls and column.distinct > 1]
    if target.nulls or target.rows < _LEAST_ROWS or len(usable) < 2:
        return {}
    numbers = {column.name: column.values.slice(0, _SUMMED_ROWS).cast("float64") for column in usable}
    rest = target.values.slice(0, _SUMMED_ROWS).cast("float64")
    found = _greedy_sum(numbers, rest)
    return {column.name: found[column.name] for column in usable if column.name in found}


def _greedy_sum(numbers: dict[str, ChunkedArray], rest: ChunkedArray) -> dict[str, int]:
    left = pc.variance(rest).as_py()
    nothing = 1e-12 * left
    found: dict[str, int] = {}
    while numbers and left > nothing and len(found) < _MOST_SUMMANDS:
        tried = {
            (name, sign): pc.variance(pc.subtract(rest, pc.multiply(values, float(sign)))).as_py()
            for name, values in numbers.items()
            for sign in (1, -1)
        }
        (name, sign), least = min(tried.items(), key=lambda pair: pair[1])
        if not least < left:
            return {}
        rest = pc.subtract(rest, pc.multiply(numbers.pop(name), float(sign)))
        found[name], left = sign, least
    return found if left <= nothing and len(found) > 1 else {}


def _leaks_class(column: ColumnProfile, known: Table) -> str | None:
    classes = Counter(
        {each["values"]: each["counts"] for each in pc.value_counts(known["target"]).to_pylist()}
    )
    if len(classes) < 2:
        return None
    filled = (
        _pairs(known.set_column(0, "column", pc.is_valid(known["column"]))) if column.nulls else Counter()
    )
    values = _pairs(known) if column.distinct * _ROWS_PER_VALUE <= known.num_rows else Counter()
    if min(classes.values()) >= _LEAST_IN_CLASS:
        if filled and _by_value(filled):
            return "whether it is filled in already says what the target is"
        if values and _by_value(values):
            return "each of its values goes with one value of the target"
        if column.is_numeric and _by_threshold(known.drop_null(), len(classes)):
            return "its size alone separates the values of the target"
    if len(classes) == 2:
        return None
    large = [label for label, count in classes.most_common() if count >= _LEAST_IN_CLASS]
    for label in large if filled else ():
        if _by_value(_one_against_all(filled, label)):
            return f"whether it is filled in already says whether the target is {_written(label)}"
    for label in large if values and _is_category(column) else ():
        if _by_value(_one_against_all(values, label)):
            return f"its values already say whether the target is {_written(label)}"
    return None


def _is_category(column: ColumnProfile) -> bool:
    return not column.is_numeric or (column.whole and column.distinct <= _MOST_CODES)


def _written(label: object) -> str:
    return repr(label) if isinstance(label, str) else str(label)


_Pairs: TypeAlias = Counter[tuple[object, object]]
"""How many rows have a value of the column and one of the target."""


def _pairs(known: Table) -> _Pairs:
    counted = known.group_by(["column", "target"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(each["column"], each["target"]): each["count_all"] for each in counted})


def _one_against_all(pairs: _Pairs, label: object) -> _Pairs:
    two: _Pairs = Counter()
    for (value, each), count in pairs.items():
        two[value, each == label] += count
    return two


def _by_value(pairs: _Pairs) -> bool:
    """Tell whether guessing the most frequent class for each value finds 99.9 % of every class."""
    best: dict[object, tuple[int, object]] = {}
    rows: Counter[object] = Counter()
    for (value, label), count in pairs.items():
        rows[label] += count
        if value not in best or count > best[value][0]:
            best[value] = (count, label)
    right: Counter[object] = Counter()
    for count, label in best.values():
        right[label] += count
    return all(right[label] >= _GIVEN_AWAY * count for label, count in rows.items())


def _by_threshold(known: Table, classes: int) -> bool:
    """Tell whether cuts along the column, one fewer than there are classes, separate them nearly always.

    With two classes that is an area under the ROC curve of 99.9 % or more, from ranks (Mann-Whitney U).
    """
    if known.num_rows < _LEAST_ROWS:
        return False
    if classes == 2:
        labels = known["target"].unique()
        if len(labels) < 2:
            return False
        ranks = _ranks(known["column"])
        mine = pc.equal(known["target"], labels[0])
        positives = pc.sum(mine).as_py()
        negatives = known.num_rows - positives
        if min(positives, negatives) < _LEAST_IN_CLASS:
            return False
        wins = pc.sum(ranks.filter(mine)).as_py() - positives * (positives + 1) / 2
        area = wins / (positives * negatives)
        return bool(max(area, 1 - area) >= _GIVEN_AWAY)
    ordered = known.sort_by("column")["target"].combine_chunks()
    changes = pc.sum(pc.not_equal(ordered.slice(1), ordered.slice(0, len(ordered) - 1))).as_py()
    # A misplaced row makes two changes.
    return bool(changes - (classes - 1) <= 2 * (1 - _GIVEN_AWAY) * known.num_rows)


def _leaks_number(column: ColumnProfile, known: Table) -> str | None:
    if column.is_numeric:
        both = known.drop_null()
        # A flag or a handful of values cannot follow a number closely enough to be worth asking.
        if both.num_rows >= _LEAST_ROWS and column.distinct > 2:
            ranks = abs(_correlation(_ranks(both["column"]), _ranks(both["target"])))
            sizes = abs(_correlation(both["column"].cast("float64"), both["target"].cast("float64")))
            if ranks >= _GIVEN_AWAY or sizes >= 0.9999:
                return "it rises and falls with the target, row by row"
    if column.distinct * _ROWS_PER_VALUE <= known.num_rows and _explains(known):
        return "each of its values goes with one value of the target"
    return None


def _explains(known: Table) -> bool:
    """Tell whether the column's groups leave next to none of the target's variance within them."""
    numbers = known.set_column(1, "target", known["target"].cast("float64"))
    groups = numbers.group_by("column").aggregate([("target", "variance"), ("target", "count")])
    within = pc.sum(pc.multiply(groups["target_variance"], groups["target_count"])).as_py()
    total = pc.variance(numbers["target"]).as_py() * numbers.num_rows
    return bool(total > 0 and within <= 1e-4 * total)


def _ranks(values: ChunkedArray) -> Array:
    """Ranks from 1; equal values share the mean of theirs."""
    low = pc.rank(values, sort_keys="ascending", tiebreaker="min")
    high = pc.rank(values, sort_keys="ascending", tiebreaker="max")
    return pc.divide(pc.add(low.cast("float64"), high.cast("float64")), 2.0)


def _correlation(x: Array | ChunkedArray, y: Array | ChunkedArray) -> float:
    """Pearson's r; 0 where one of them does not vary."""
    dx, dy = pc.subtract(x, pc.mean(x)), pc.subtract(y, pc.mean(y))
    spread = (pc.sum(pc.multiply(dx, dx)).as_py() * pc.sum(pc.multiply(dy, dy)).as_py()) ** 0.5
    return float(pc.sum(pc.multiply(dx, dy)).as_py() / spread) if spread else 0.0
