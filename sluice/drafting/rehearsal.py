"""A drafted project tried on its own file: how many rows validation will reject, and a split that can be judged."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.arrow import Table
from sluice.arrow import compute as pc
from sluice.datasets import signatures
from sluice.datasets.reading import LocalFile
from sluice.datasets.report import ValidationReport
from sluice.datasets.row_hashes import row_hashes
from sluice.datasets.validation import validate
from sluice.drafting.draft import Draft, SplitDraft
from sluice.drafting.roles import rows_text
from sluice.drafting.sampling import shown
from sluice.errors import OneClassTarget
from sluice.keys import TRAINING_SUFFIXES
from sluice.project import Project
from sluice.splits import held_out_mask

# Chance divides larger files well enough, unless they hold few entities, and larger classes.
_CHANCE_FROM = 20_000
_CHANCE_FROM_IN_CLASS = 1_000
_MOST_SALTS = 500


def rehearse(draft: Draft, project: Project) -> Draft:
    """Give the draft with the rejects and the split that the project makes of its whole file.

    Raises:
        OneClassTarget: no split leaves enough classes on both sides.
    """
    tolerant = project.model_copy(
        update={"data": project.data.model_copy(update={"max_rejected_share": 1.0})}
    )
    with tempfile.TemporaryDirectory() as scratch:
        result = validate(_Upload(draft.sample.path), tolerant, Path(scratch))
        accepted = result.accepted()
        rehearsed = replace(
            draft,
            expected_rejects=result.report.rejected_share,
            warnings=(*draft.warnings, *_unforeseen(draft, result.report)),
        )
        if result.report.rows <= _CHANCE_FROM or draft.entity is not None:
            rows = _rows(draft, pq.read_table(accepted.file))
        elif draft.problem == "regression":
            return rehearsed
        else:
            rows = _rows_of_rare_classes(draft, accepted.file)
            if not rows.keys:
                return rehearsed
    return replace(rehearsed, split=choose_split(rows, project))


def _unforeseen(draft: Draft, report: ValidationReport) -> Iterator[str]:
    """Say what validation rejects that the profiles did not tell: a row beyond the sample, a year beyond 9999."""
    for column in draft.columns:
        found = column.profile
        told = found.breaking_rows or found.stray_rows or (column.role == "target" and found.empty)
        # Rows without a class are told of already, whatever else is wrong with them.
        if told or column.role == "entity" or report.columns[column.name].rejected <= draft.target.gone:
            continue
        own = f"{column.name}: "
        for reason, count in report.reasons.items():
            if reason.startswith(own):
                what = f"{reason.removeprefix(own)} ({report.examples[reason]})"
                yield f"{shown(column.name)}: {rows_text(count)} {what}: they will be rejected"


@dataclass(frozen=True)
class _Upload(LocalFile):
    """The file as it will be uploaded: one whose ending says nothing gets the ending of what it holds."""

    @property
    def suffix(self) -> str:
        own = super().suffix
        if own in TRAINING_SUFFIXES:
            return own
        with self.open() as file:
            return ".parquet" if signatures.is_parquet(file.read(4)) else ".csv"


@dataclass(frozen=True)
class Rows:
    """What a split is judged by: each row's key and target."""

    keys: list[str]
    labels: list[object]
    """Each row's target: a class, or a number."""
    classes: bool
    others: Counter[object] = field(default_factory=Counter)
    """Rows of classes that are left to chance: of each, the share that is asked for will be held out."""


def _rows(draft: Draft, table: Table) -> Rows:
    keys = (
        row_hashes(table) if draft.entity is None else [str(key) for key in table[draft.entity].to_pylist()]
    )
    return Rows(keys, table[draft.target.name].to_pylist(), draft.problem != "regression")


def _rows_of_rare_classes(draft: Draft, file: Path) -> Rows:
    """Read the rows of the classes that chance may leave on one side only, however many others there are."""
    target = draft.target.name
    column = pq.read_table(file, columns=[target])[target]
    times: Counter[object] = Counter(
        {each["values"]: each["counts"] for each in pc.value_counts(column).to_pylist()}
    )
    others = Counter({label: count for label, count in times.items() if count >= _CHANCE_FROM_IN_CLASS})
    rare = pa.array([label for label in times if label not in others], column.type)
    with pq.ParquetFile(file) as parts:
        batches = [part.filter(pc.is_in(part[target], value_set=rare)) for part in parts.iter_batches()]
        table = pa.Table.from_batches(batches, parts.schema_arrow)
    return Rows(row_hashes(table), table[target].to_pylist(), classes=True, others=others)


def choose_split(rows: Rows, project: Project) -> SplitDraft:
    """Find a salt under which both sides hold what training and judging need; the project's own, if it does.

    Raises:
        OneClassTarget: there is none.
    """
    share = project.split.held_out_share
    second_best: SplitDraft | None = None
    for number in range(1, _MOST_SALTS + 1):
        salt = project.name if number == 1 else f"{project.name}-{number}"
        mask = held_out_mask(rows.keys, salt=salt, share=share)
        if not _possible(rows, mask, project):
            continue
        held_out = sum(_sides(rows, mask, share)[0].values())
        found = SplitDraft(None if number == 1 else salt, held_out, _rarest(rows, mask, share))
        if _even(rows, mask, share):
            return found
        second_best = second_best or found
    if second_best is None:
        raise _no_split(rows, project)
    return second_best


def _possible(rows: Rows, mask: Sequence[bool], project: Project) -> bool:
    """Tell whether a model can be trained on one side and its figures computed on the other."""
    held_out, train = _sides(rows, mask, project.split.held_out_share)
    if not rows.classes:
        return len(held_out) > 1 and bool(train)
    least = 2 if project.target.problem == "binary" else 1
    return len(train) > 1 and len(held_out) >= least


def _even(rows: Rows, mask: Sequence[bool], share: float) -> bool:
    """Tell whether the held-out side has about its share of the rows, and of each class that has a few."""
    held_out, train = _sides(rows, mask, share)
    total = sum((held_out + train).values())
    if not 0.5 * share * total <= sum(held_out.values()) <= max(2 * share * total, 2):
        return False
    if not rows.classes:
        return True
    for label, count in (held_out + train).items():
        wanted = max(1, int(share * count / 2))
        if count > 1 and (not train[label] or (count >= 1 / share and held_out[label] < wanted)):
            return False
    return True


def _sides(rows: Rows, mask: Sequence[bool], share: float) -> tuple[Counter[object], Counter[object]]:
    held_out = Counter(label for label, out in zip(rows.labels, mask, strict=True) if out)
    train = Counter(label for label, out in zip(rows.labels, mask, strict=True) if not out)
    for label, count in rows.others.items():
        held_out[label] = int(share * count)
        train[label] = count - held_out[label]
    return held_out, train


def _rarest(rows: Rows, mask: Sequence[bool], share: float) -> int:
    held_out, train = _sides(rows, mask, share)
    if not rows.classes:
        return sum(mask)
    return min(held_out[label] for label in held_out + train)


def _no_split(rows: Rows, project: Project) -> OneClassTarget:
    keys = dict(rows.others) | {
        label: len({key for key, each in zip(rows.keys, rows.labels, strict=True) if each == label})
        for label in set(rows.labels)
    }
    what = "different rows" if project.entity.key is None else f"values of {project.entity.key!r}"
    fewest = sorted(keys.items(), key=lambda pair: pair[1])[:5]
    shown = ", ".join(f"{count:,} with {label!r}" for label, count in fewest)
    return OneClassTarget(
        "the file cannot be divided into rows to learn from and rows to judge the model by",
        where=f"column {project.target.column!r}",
        why=f"each side needs rows of every class (two different numbers, in a regression); {what}: {shown}",
        fix="give a file with more rows" + ("" if project.entity.key is None else ", or leave --entity out"),
    )
