"""How two dataset versions differ: rows and parts, schema, and the distribution of each column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cli import tables
from sluice.datasets import distributions
from sluice.datasets.distributions import Distribution
from sluice.payloads.documents import Lineage, Manifest

_MOST_CHANGED = 3
_LEAST = 0.01


def compared(before: Manifest, after: Manifest, sides: Sequence[Sequence[Lineage]]) -> dict[str, Any]:
    """Compare two versions; JSON-ready."""
    names = [{part.name for part in manifest.parts} for manifest in (before, after)]
    columns = {}
    for name in dict.fromkeys((*before.columns, *after.columns)):
        if name not in before.columns or name not in after.columns:
            continue
        one, other = (distributions.of(side, name) for side in sides)
        shift = distributions.shift(one, other)
        columns[name] = {
            "type": other.type,
            "before": _plain(one),
            "after": _plain(other),
            "shift": None if shift is None else round(shift.distance, 6),
            "noticeable": shift is not None and shift.noticeable,
        }
    return {
        "before": _summary(before),
        "after": _summary(after),
        "parts": {
            "both": len(names[0] & names[1]),
            "only_before": sorted(names[0] - names[1]),
            "only_after": sorted(names[1] - names[0]),
        },
        "schema": {
            "added": {name: after.columns[name] for name in after.columns if name not in before.columns},
            "removed": {name: before.columns[name] for name in before.columns if name not in after.columns},
            "changed": {
                name: {"before": before.columns[name], "after": after.columns[name]}
                for name in before.columns
                if name in after.columns and before.columns[name] != after.columns[name]
            },
        },
        "columns": columns,
    }


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "dataset_version": manifest.dataset_version,
        "rows": manifest.rows,
        "parts": len(manifest.parts),
        "bytes": manifest.bytes,
    }


def _plain(told: Distribution) -> dict[str, Any]:
    return {
        "rows": told.rows,
        "null_share": told.null_share,
        "min": _text_of(told, told.min),
        "median": _text_of(told, told.median),
        "max": _text_of(told, told.max),
        "mean": told.mean,
        "deviation": told.deviation,
        "shares": told.shares,
    }


def _text_of(told: Distribution, value: float | None) -> float | str | None:
    return value if value is None or told.type != "timestamp" else tables.figure(told.type, value)


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Tell what `compared` found."""
    before, after, parts = found["before"], found["after"], found["parts"]
    rows = [
        [name, str(side["dataset_version"]), f"{side['rows']:,}", str(side["parts"]), f"{side['bytes']:,}"]
        for name, side in (("A", before), ("B", after))
    ]
    yield from tables.lines(("", "version", "rows", "parts", "bytes"), rows, right="rows parts bytes")
    if before["dataset_version"] == after["dataset_version"]:
        yield "\nthey are the same version"
        return
    yield (
        f"\n{tables.counted(parts['both'], 'part')} in both, {len(parts['only_before'])} in A alone, "
        f"{len(parts['only_after'])} in B alone"
    )
    schema = found["schema"]
    yield "schema: " + ("the same" if not any(schema.values()) else "")
    for sign, kind in (("+", "added"), ("-", "removed")):
        for name, contract in schema[kind].items():
            yield f"  {sign} {name}: {_contract(contract)}"
    for name, change in schema["changed"].items():
        yield f"  ~ {name}: {_contract(change['before'])} → {_contract(change['after'])}"
    yield ""
    columns = sorted(found["columns"].items(), key=lambda pair: -(pair[1]["shift"] or 0.0))
    described = [
        [
            name,
            column["type"],
            "–"
            if column["shift"] is None
            else f"{column['shift']:.3f}{'*' if column['noticeable'] else ' '}",
            _arrow(*(tables.share(column[side]["null_share"]) for side in ("before", "after"))),
            _arrow(*(_value(column[side]["mean"]) for side in ("before", "after"))),
            _arrow(*(_value(column[side]["median"]) for side in ("before", "after"))),
            _changes(column["before"]["shares"], column["after"]["shares"]),
        ]
        for name, column in columns
    ]
    yield from tables.lines(
        ("column", "type", "shift", "nulls", "mean", "median", "what changed most"), described, right="shift"
    )
    yield "\nshift: 0 the same, 1 nothing in common; * more than chance makes of so many rows"


def _contract(told: dict[str, Any]) -> str:
    return ", ".join(str(value) if name == "type" else f"{name} {value}" for name, value in told.items())


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _value(told: float | str | None) -> str:
    return told if isinstance(told, str) else tables.number(told)


def _changes(before: dict[str, float], after: dict[str, float]) -> str:
    changes = {
        value: after.get(value, 0.0) - before.get(value, 0.0) for value in before.keys() | after.keys()
    }
    most = sorted(changes, key=lambda value: (-abs(changes[value]), value))[:_MOST_CHANGED]
    told = (
        f"{value} {_arrow(tables.share(before.get(value, 0.0)), tables.share(after.get(value, 0.0)))}"
        for value in most
        if abs(changes[value]) >= _LEAST
    )
    return ", ".join(told)
