"""A target of two classes among which a few rows hold something else: a footer, a header repeated, a typo."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.drafting.draft import Draft, draft_project
from sluice.drafting.rehearsal import rehearse
from sluice.drafting.sampling import read_sample
from sluice.drafting.scaffold import preview
from tests.support.tables import column, cycle, drafted, numbers


def _rejected_rows(draft: Draft) -> float:
    """Say how many rows of its own file the drafted project will reject; no more is said of them then."""
    rehearsed = rehearse(draft, preview("p", draft))
    assert rehearsed.warnings == draft.warnings
    return round(rehearsed.expected_rejects * draft.sample.rows)


@pytest.mark.parametrize(
    ("classes", "strays", "positive", "type_"),
    [
        (("yes", "no"), ["Total"], "yes", "string"),
        (("yes", "no"), ["240"], "yes", "string"),
        (("yes", "no"), ["YES", "yess"], "yes", "string"),
        (("yes", "no"), ["y"] * 4, "yes", "string"),
        (("ham", "spam"), ["spma"], "spam", "string"),
        (("True", "False"), ["Total"], "true", "boolean"),
        (("0", "1"), ["240"], "1", "integer"),
        (("0", "1"), ["-1", "9"], "1", "integer"),
        (("0.0", "1.0"), ["240.0"], "1", "integer"),
        (("0.0", "1.0"), ["0.5"], "1", "integer"),
        (("1", "2"), ["12"], "2", "integer"),
    ],
)
def test_a_stray_value_is_a_mistake_and_no_class(
    tmp_path: Path, classes: tuple[str, ...], strays: list[str], positive: str, type_: str
) -> None:
    y = [*cycle(*classes, rows=600), *strays]
    draft = drafted(tmp_path, {"y": y}, positive=positive)
    assert (draft.problem, draft.positive) == ("binary", positive)
    assert column(draft, "y").profile.type == type_
    assert column(draft, "y").profile.stray_rows == len(strays)
    [note] = draft.warnings
    assert note.startswith(f"y: {len(strays)} row{'s' * (len(strays) > 1)} neither ")
    assert repr(strays[0]) in note
    assert "'multiclass'" not in note
    assert _rejected_rows(draft) == len(strays)


@pytest.mark.parametrize(("rows", "said"), [(150, "neither"), (600, "not of type integer")])
def test_a_text_among_zeros_and_ones(tmp_path: Path, rows: int, said: str) -> None:
    draft = drafted(tmp_path, {"y": [*cycle("0", "1", rows=rows), "Total"]})
    assert (draft.problem, draft.positive, column(draft, "y").profile.type) == ("binary", "1", "integer")
    [note] = draft.warnings
    assert said in note
    assert _rejected_rows(draft) == 1


def test_a_parquet_files_numbers_too(tmp_path: Path) -> None:
    y = [*([0.0, 1.0] * 200), 200.0]
    x = [float(str(value)) for value in numbers(rows=401)]
    pq.write_table(pa.table({"x": x, "y": y}), tmp_path / "data.parquet")
    draft = draft_project(read_sample(tmp_path / "data.parquet"), target="y")
    assert (draft.problem, draft.positive) == ("binary", "1")
    assert _rejected_rows(draft) == 1


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([*cycle("a", "b", rows=997), *["c"] * 3], "multiclass"),
        ([*cycle("yes", "no", rows=980), *["maybe"] * 20], "multiclass"),
        ([*cycle("yes", "no", rows=40), "Total"], "multiclass"),
        ([*cycle("a", rows=990), *["b"] * 9, "c"], "multiclass"),
        ([*cycle("0", rows=900), *["1"] * 80, *["2"] * 15, *["3"] * 5], "multiclass"),
        ([*cycle("0.5", "1.5", rows=600), "7.25"], "regression"),
        ([*cycle("a", "b", "c", rows=600), "d"], "multiclass"),
    ],
)
def test_a_rare_class_is_one(tmp_path: Path, values: list[object], problem: str) -> None:
    draft = drafted(tmp_path, {"y": values})
    assert draft.problem == problem
    assert column(draft, "y").profile.stray_rows == 0


def test_classes_of_one_row_are_said(tmp_path: Path) -> None:
    draft = drafted(tmp_path, {"y": [*cycle("a", "b", "c", rows=600), "Total"]})
    assert draft.warnings == ("y: a class has one row only ('Total'): a mistake, or too few to learn from",)


@pytest.mark.parametrize("target", ["240", ""])
def test_a_footer_changes_no_other_column(tmp_path: Path, target: str) -> None:
    """Of 150 rows even one text makes a column of numbers, of dates or of flags one of text."""
    rows = 150
    columns: dict[str, list[object]] = {
        "n": [*range(0, 7 * rows, 7), "Total"],
        "day": [*(f"2024-01-{1 + row % 28:02}" for row in range(rows)), "Summe"],
        "flag": [*cycle("true", "false", rows=rows), "-"],
        "kind": [*cycle("a", "b", "c", rows=rows), ""],
        "y": [*cycle("yes", "no", "no", "yes", "no", rows=rows), target],
    }
    draft = drafted(tmp_path, columns)
    types = {each.name: (each.profile.type, each.nullable) for each in draft.columns}
    assert types == {
        "anchor": ("number", False), "n": ("integer", False), "day": ("timestamp", False),
        "flag": ("boolean", False), "kind": ("string", False), "y": ("string", False),
    }  # fmt: skip
    [note] = draft.warnings
    assert note.startswith("y: 1 row neither" if target else "1 row without y")
    assert _rejected_rows(draft) == 1


def test_rows_without_a_target_are_counted_once(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {
        "n": [*cycle(4, 9, 7, rows=400), "Total"],
        "y": [*cycle("yes", "no", rows=399), "", "400"],
    }
    draft = drafted(tmp_path, columns)
    assert (column(draft, "y").profile.empty, column(draft, "y").profile.stray_rows) == (1, 1)
    assert draft.warnings == (
        "1 row without y: they will be rejected",
        "y: 1 row neither 'yes' nor 'no' ('400'): taken for a mistake, to be rejected",
    )
    assert _rejected_rows(draft) == 2
