"""What is told of one dataset version: where its parts came from, and what its columns hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cli import tables
from sluice.datasets import distributions
from sluice.datasets.distributions import Distribution
from sluice.payloads.documents import Lineage, Manifest

_MOST_FREQUENT = 3
_LEAST = 0.01


def lines(
    manifest: Manifest, lineages: Sequence[Lineage], missing: Sequence[str], *, is_current: bool
) -> Iterator[str]:
    """Describe a version; `missing` are the names of parts whose file was deleted."""
    now = ", the current one" if is_current else ""
    yield f"dataset version {manifest.dataset_version} of {manifest.project}{now}"
    yield f"{manifest.rows:,} rows, {tables.counted(len(manifest.parts), 'part')}, {manifest.bytes:,} bytes\n"
    rows = [
        [
            part.name,
            f"{lineage.rows:,}",
            f"{lineage.rejected_rows:,}",
            f"{part.repeats:,}",
            tables.moment(lineage.uploaded.at or lineage.accepted),
            lineage.uploaded.by or "not said",
            lineage.source.uri.rsplit("/", 1)[-1],
        ]
        for part, lineage in zip(manifest.parts, lineages, strict=True)
    ]
    header = ("part", "rows", "rejected", "repeats", "uploaded (UTC)", "by", "file")
    yield from tables.lines(header, rows, right="rows rejected repeats")
    for name in missing:
        yield f"\n  the file of the part {name} was deleted: this version can be neither trained on nor pulled"
    yield ""
    told = {name: distributions.of(lineages, name) for name in manifest.columns}
    described = [
        [
            name,
            each.type,
            tables.share(each.null_share),
            tables.figure(each.type, each.min),
            tables.figure(each.type, each.median),
            tables.figure(each.type, each.max),
            tables.number(each.mean),
            tables.number(each.deviation),
            _frequent(each),
        ]
        for name, each in told.items()
    ]
    columns = ("column", "type", "nulls", "min", "median", "max", "mean", "deviation", "most frequent")
    yield from tables.lines(columns, described, right="nulls min median max mean deviation")
    yield f"\n{_foundation(lineages)}"


def _foundation(lineages: Sequence[Lineage]) -> str:
    rows, drawn = sum(each.rows for each in lineages), sum(each.drawn for each in lineages)
    if rows == drawn:
        return "all figures are of all rows"
    return f"nulls, min and max are of all rows, the other figures of {drawn:,} that were drawn evenly"


def _frequent(told: Distribution) -> str:
    most = list(told.shares.items())[:_MOST_FREQUENT]
    return ", ".join(f"{value} {tables.share(share)}" for value, share in most if share >= _LEAST)
