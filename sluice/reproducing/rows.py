"""In what the rows of two training sets differ, where their files do: counts and columns, and no values."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sluice.arrow import Table
from sluice.reproducing.comparing import Difference

_SHOWN = 20


def differences(recorded: Table, again: Table) -> tuple[Difference, ...]:
    """Say in what two tables of rows differ; nothing where the same rows in the same order were written otherwise."""
    columns = [("columns", recorded.column_names, again.column_names)]
    types = [
        (f"type of {name}", str(recorded[name].type), str(again[name].type))
        for name in recorded.column_names
        if name in again.column_names
    ]
    found = [
        Difference(what=what, recorded=_listed(before), again=_listed(after))
        for what, before, after in (*columns, *types)
        if before != after
    ]
    if recorded.num_rows != again.num_rows:
        found.append(Difference(what="rows", recorded=f"{recorded.num_rows:,}", again=f"{again.num_rows:,}"))
    if found:
        return tuple(found)
    changed = {
        name: count
        for name in recorded.column_names
        if (count := _changed(recorded[name].to_pylist(), again[name].to_pylist()))
    }
    if not changed:
        return ()
    if _rows(recorded) == _rows(again):
        return (Difference(what="order of the rows", recorded="as recorded", again="another"),)
    return tuple(
        Difference(what=name, recorded=f"{count:,} rows of {recorded.num_rows:,}", again="other values")
        for name, count in list(changed.items())[:_SHOWN]
    )


def _changed(before: list[Any], after: list[Any]) -> int:
    # By their texts: NaN is itself, and -0.0 is not 0.0.
    return sum(repr(one) != repr(other) for one, other in zip(before, after, strict=True))


def _rows(table: Table) -> Counter[tuple[str, ...]]:
    columns = [map(repr, table[name].to_pylist()) for name in table.column_names]
    return Counter(zip(*columns, strict=True))


def _listed(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
