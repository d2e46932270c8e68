"""Small data files, and what `sluice init` makes of them."""

from __future__ import annotations

import random
from pathlib import Path

from sluice.drafting.draft import Draft, draft_project
from sluice.drafting.profiling import ColumnProfile, profile
from sluice.drafting.roles import ColumnDraft
from sluice.drafting.sampling import read_sample

ROWS = 400


def write(
    folder: Path, columns: dict[str, list[object]], *, delimiter: str = ",", name: str = "data.csv"
) -> Path:
    path = folder / name
    lines = [delimiter.join(columns)]
    lines += [delimiter.join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def cycle(*values: object, rows: int = ROWS) -> list[object]:
    return [values[row % len(values)] for row in range(rows)]


def numbers(seed: int = 1, rows: int = ROWS) -> list[object]:
    dice = random.Random(seed)
    return [f"{dice.uniform(-50, 50):.3f}" for _ in range(rows)]


def labels(seed: int = 2, rows: int = ROWS) -> list[object]:
    dice = random.Random(seed)
    return [dice.choice(["yes", "no"]) for _ in range(rows)]


def one(folder: Path, values: list[object], **options: str) -> ColumnProfile:
    """Profile a single column, beside another one so that there is a delimiter."""
    path = write(folder, {"column": values, "other": list(range(len(values)))}, **options)
    return profile(read_sample(path))[0]


def drafted(folder: Path, columns: dict[str, list[object]], target: str = "y", **options: str) -> Draft:
    columns = {"anchor": numbers(99, len(next(iter(columns.values())))), **columns}
    return draft_project(read_sample(write(folder, columns)), target=target, **options)


def column(draft: Draft, name: str) -> ColumnDraft:
    return next(column for column in draft.columns if column.name == name)
