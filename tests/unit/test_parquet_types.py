"""Whatever types a Parquet file has, `sluice init` reads them or refuses them by name, as the pipeline then does."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.arrow import Array
from sluice.drafting.draft import Draft, draft_project
from sluice.drafting.rehearsal import rehearse
from sluice.drafting.sampling import read_sample
from sluice.drafting.scaffold import preview
from sluice.errors import ProjectError, SchemaMismatch
from tests.support.tables import column
from tests.support.uploads import a_project, refuse

ROWS = 400
WHOLE = [(37 * row) % 101 for row in range(ROWS)]
FOURS = WHOLE.count(4)
DAYS = [date(2020, 1, 1) + timedelta(each) for each in WHOLE]
MOMENTS = [datetime(2020, 1, 1) + timedelta(hours=each) for each in WHOLE]
TEXTS = pa.array([f"kind {each % 5}" for each in WHOLE])
FRACTIONS = [Decimal(each) / 4 for each in WHOLE]


def table(cells: Any) -> pa.Table:
    return pa.table(
        {
            "c": cells,
            "x": [float((row * 13) % 97) for row in range(ROWS)],
            "y": ["a" if row * row % 7 < 3 else "b" for row in range(ROWS)],
        }
    )


def drafted(folder: Path, cells: Any) -> Draft:
    pq.write_table(table(cells), folder / "in.parquet")
    draft = draft_project(read_sample(folder / "in.parquet"), target="y")
    return rehearse(draft, preview("p", draft))


READ = {
    "int8": (pa.array(WHOLE, pa.int8()), "integer"),
    "uint64": (pa.array(WHOLE, pa.uint64()), "integer"),
    "half": (pa.array(np.array(WHOLE, dtype=np.float16) + np.float16(0.5)), "number"),
    "float": (pa.array(WHOLE, pa.float32()), "number"),
    "decimal": (pa.array(FRACTIONS, pa.decimal128(10, 2)), "number"),
    "wide decimal": (pa.array(FRACTIONS, pa.decimal256(60, 2)), "number"),
    "whole decimal": (pa.array([Decimal(each) for each in WHOLE], pa.decimal128(38, 0)), "integer"),
    "date": (pa.array(DAYS), "timestamp"),
    "date in ms": (pa.array(DAYS, pa.date64()), "timestamp"),
    "moment in ns": (pa.array(MOMENTS, pa.timestamp("ns")), "timestamp"),
    "moment in a zone": (pa.array(MOMENTS, pa.timestamp("us", "Europe/Berlin")), "timestamp"),
    "moment in no zone": (pa.array(MOMENTS, pa.timestamp("us", "Mars/Phobos")), "timestamp"),
    "large text": (TEXTS.cast(pa.large_string()), "string"),
    "text view": (TEXTS.cast(pa.string_view()), "string"),
    "dictionary": (TEXTS.dictionary_encode(), "string"),
    "dictionary of numbers": (pa.array(WHOLE).dictionary_encode(), "integer"),
    "null": (pa.nulls(ROWS), "string"),
    "not a number": (pa.array([float("nan")] * ROWS), "number"),
    # Text keeps every digit.
    "beyond 64 bits": (pa.array([2**64 - 1 - each for each in WHOLE], pa.uint64()), "string"),
    "far beyond": (pa.array([Decimal(10**30 + each) for each in WHOLE], pa.decimal128(38, 0)), "string"),
    "nothing but infinity": (pa.array([float("inf")] * ROWS), "string"),
}


@pytest.mark.parametrize("name", READ)
def test_a_type_that_is_read(tmp_path: Path, name: str) -> None:
    cells, type_ = READ[name]
    draft = drafted(tmp_path, cells)
    assert column(draft, "c").profile.type == type_
    assert (draft.expected_rejects, draft.warnings) == (0, ())


def test_digits_beyond_64_bits_are_told_apart(tmp_path: Path) -> None:
    codes = [2**63 + each % 3 for each in WHOLE]
    found = column(drafted(tmp_path, pa.array(codes, pa.uint64())), "c")
    assert (found.role, found.categories) == ("categorical", tuple(str(2**63 + each) for each in range(3)))


@pytest.mark.parametrize(
    ("cells", "rows", "said"),
    [
        (
            pa.array([float("inf") if row % 50 == 3 else float(each) for row, each in enumerate(WHOLE)]),
            8,
            "'inf'",
        ),
        (
            pa.array([float("-inf") if row % 4 == 3 else row % 4 for row in range(ROWS)], pa.float64()),
            100,
            "'-inf'",
        ),
        (pa.array(np.array([np.inf if each == 4 else each for each in WHOLE], np.float16)), FOURS, "'inf'"),
        (pa.array([2**64 - 1 if each == 4 else each for each in WHOLE], pa.uint64()), FOURS, str(2**64 - 1)),
        (
            pa.array([2**40 if each == 4 else each for each in WHOLE], pa.int64()).cast(pa.timestamp("s")),
            FOURS,
            "not an ISO 8601 timestamp",
        ),
    ],
    ids=["inf", "minus inf", "half inf", "too large", "too late"],
)
def test_values_that_will_be_rejected_are_said(tmp_path: Path, cells: Array, rows: int, said: str) -> None:
    draft = drafted(tmp_path, cells)
    [note] = draft.warnings
    assert note.startswith(f"c: {rows} rows ")
    assert said in note
    assert "they will be rejected" in note
    assert round(draft.expected_rejects * ROWS) == rows


REFUSED = {
    "time of day": (pa.array([time(each % 24) for each in WHOLE]), "seconds"),
    "duration": (pa.array([timedelta(each) for each in WHOLE]), "seconds"),
    "bytes": (TEXTS.cast(pa.binary()), "as text"),
    "large bytes": (TEXTS.cast(pa.large_binary()), "as text"),
    "fixed bytes": (pa.array([b"abcd"] * ROWS, pa.binary(4)), "leave them out"),
    "list": (pa.array([[each] for each in WHOLE]), "flatten"),
    "large list": (pa.array([[each] for each in WHOLE], pa.large_list(pa.int64())), "flatten"),
    "struct": (pa.array([{"a": each} for each in WHOLE]), "flatten"),
    "map": (pa.array([[("a", each)] for each in WHOLE], pa.map_(pa.string(), pa.int64())), "flatten"),
    "uuid": (pa.array([uuid.UUID(int=each).bytes for each in WHOLE], pa.uuid()), "flatten"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_type_that_is_refused_by_name(tmp_path: Path, name: str) -> None:
    cells, advice = REFUSED[name]
    with pytest.raises(ProjectError, match="types that no contract can name") as caught:
        drafted(tmp_path, cells)
    stored = pq.read_schema(tmp_path / "in.parquet").field("c").type
    assert caught.value.why == f"c is {stored}"
    assert advice in caught.value.fix
    project = a_project({name: {"type": "string"} for name in "cxy"})
    refusal = refuse(tmp_path, table(cells), project)
    assert type(refusal) is SchemaMismatch
    assert f"'c' ({stored})" in refusal.what


def test_all_of_them_are_named_at_once(tmp_path: Path) -> None:
    pq.write_table(
        table(pa.array([[1]] * ROWS)).append_column("d", pa.array([time(1)] * ROWS)), tmp_path / "in.parquet"
    )
    with pytest.raises(ProjectError) as caught:
        draft_project(read_sample(tmp_path / "in.parquet"), target="y")
    assert "c is list<element: int64>, d is time64[us]" in caught.value.why
