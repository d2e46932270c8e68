"""The rows of a dataset version, from the files of its parts."""

from __future__ import annotations

import hashlib
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.datasets import overlaps, parts
from sluice.datasets.overlaps import Arrivals
from sluice.errors import PipelineFailed
from sluice.payloads.documents import DocumentSource, Manifest, Part
from sluice.project import Project

SOURCE = DocumentSource(uri="s3://uploads/a.csv", version_id="v", etag="e", execution="run")
DAY_ONE = datetime(2026, 1, 1)
FIELDS: Any = [("id", pa.string()), ("at", pa.timestamp("us")), ("value", pa.int64())]
SCHEMA = pa.schema(FIELDS)


def a_project(**entity: str) -> Project:
    return Project.model_validate(
        {
            "project": {"name": "shop"},
            "entity": entity,
            "target": {"column": "value", "problem": "regression"},
            "columns": {
                "id": {"type": "string"},
                "at": {"type": "timestamp"},
                "value": {"type": "integer"},
            },
            "features": {"categorical": ["id"]},
        }
    )


PROJECT = a_project(key="id", timestamp="at")


def rows(*given: tuple[str, int, int]) -> pa.Table:
    """Rows of an id, a day, a value."""
    columns = [{"id": key, "at": DAY_ONE + timedelta(days=day), "value": value} for key, day, value in given]
    return pa.Table.from_pylist(columns, SCHEMA)


def put(folder: Path, *tables: pa.Table, place: str = "files/md5/{start}/{rest}", group: int = 2) -> Manifest:
    """Write parts as they arrive in a job."""
    listed = []
    for number, table in enumerate(tables):
        file = folder / f"{number}.new"
        pq.write_table(table, file, row_group_size=group)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        there = folder / place.format(start=md5[:2], rest=md5[2:])
        there.parent.mkdir(parents=True, exist_ok=True)
        times = [each for each in table["at"].to_pylist() if each is not None]
        listed.append(
            Part(
                name=sha256[:16],
                sha256=sha256,
                md5=md5,
                bytes=file.stat().st_size,
                rows=len(table),
                source=SOURCE,
                first_event=min(times, default=None),
                last_event=max(times, default=None),
            )
        )
        file.rename(there)
    return Manifest(
        dataset_version="0" * 16,
        sha256="0" * 64,
        bytes=1,
        rows=1,
        project="shop",
        columns={},
        source=SOURCE,
        parts=tuple(listed),
    )


def file_of(folder: Path, part: Part) -> Path:
    return folder / "files" / "md5" / part.md5[:2] / part.md5[2:]


def test_of_two_rows_with_the_same_key_and_time_the_later_parts_counts(tmp_path: Path) -> None:
    manifest = put(
        tmp_path,
        rows(("a", 1, 1), ("b", 1, 2), ("b", 2, 3)),
        rows(("b", 1, 20), ("c", 1, 4)),
        rows(("c", 1, 40), ("a", 2, 5)),
    )
    expected = rows(("a", 1, 1), ("b", 2, 3), ("b", 1, 20), ("c", 1, 40), ("a", 2, 5))
    assert parts.read(tmp_path, manifest, PROJECT).equals(expected)


def test_one_part_is_read_as_it_is(tmp_path: Path) -> None:
    table = rows(("a", 1, 1), ("a", 1, 2))
    assert parts.read(tmp_path, put(tmp_path, table), PROJECT).equals(table)


@pytest.mark.parametrize("entity", [{}, {"key": "id"}, {"timestamp": "at"}])
def test_without_key_and_time_there_is_nothing_to_tell_apart(tmp_path: Path, entity: dict[str, str]) -> None:
    tables = rows(("a", 1, 1)), rows(("a", 1, 2))
    read = parts.read(tmp_path, put(tmp_path, *tables), a_project(**entity))
    assert read.equals(pa.concat_tables(tables))


def test_columns_may_lie_in_another_order(tmp_path: Path) -> None:
    manifest = put(tmp_path, rows(("a", 1, 1)).select(["value", "id", "at"]), rows(("a", 2, 2)))
    assert parts.read(tmp_path, manifest, PROJECT).to_pylist() == rows(("a", 1, 1), ("a", 2, 2)).to_pylist()


def test_parts_are_found_also_where_no_folders_came_with_them(tmp_path: Path) -> None:
    manifest = put(tmp_path, rows(("a", 1, 1)), rows(("b", 1, 2)), place="{rest}")
    assert parts.read(tmp_path, manifest, PROJECT).equals(rows(("a", 1, 1), ("b", 1, 2)))


def test_a_part_that_did_not_arrive_ends_the_job(tmp_path: Path) -> None:
    manifest = put(tmp_path, rows(("a", 1, 1)), rows(("b", 1, 1)))
    file_of(tmp_path, manifest.parts[0]).unlink()
    with pytest.raises(PipelineFailed, match="0 files arrived"):
        parts.read(tmp_path, manifest, PROJECT)


def test_a_part_that_is_another_file_ends_the_job(tmp_path: Path) -> None:
    manifest = put(tmp_path, rows(("a", 1, 1)), rows(("b", 1, 1)))
    pq.write_table(rows(("c", 1, 1)), file_of(tmp_path, manifest.parts[1]))
    with pytest.raises(PipelineFailed, match="its SHA-256 is another") as told:
        parts.read(tmp_path, manifest, PROJECT)
    # An upload of what is there already writes nothing.
    assert f"{manifest.parts[1].key} (artifacts bucket); or delete it, and upload" in told.value.fix


KEYS = st.sampled_from(["a", "b", "c", "", "ä"])
A_PART = st.dictionaries(st.tuples(KEYS, st.integers(0, 6)), st.integers(0, 99), min_size=1, max_size=12)


def table_of(part: dict[tuple[str, int], int]) -> pa.Table:
    return rows(*((key, day, value) for (key, day), value in part.items()))


@settings(max_examples=60, deadline=None)
@given(history=st.lists(A_PART, min_size=1, max_size=5))
def test_a_history_of_parts_is_what_a_dictionary_would_hold(
    tmp_path_factory: pytest.TempPathFactory, history: list[dict[tuple[str, int], int]]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    manifest = put(folder, *(table_of(part) for part in history))
    oracle: dict[tuple[str, int], int] = {}
    for part in history:
        oracle |= part
    if len({part.sha256 for part in manifest.parts}) < len(history):
        return  # a table never lists a part twice
    read = parts.read(folder, manifest, PROJECT).to_pylist()
    assert len(read) == len(oracle)
    assert {(row["id"], (row["at"] - DAY_ONE).days): row["value"] for row in read} == oracle


@settings(max_examples=60, deadline=None)
@given(history=st.lists(A_PART, max_size=4), arriving=A_PART, group=st.integers(1, 4))
def test_repeats_are_the_rows_that_a_dictionary_would_replace(
    tmp_path_factory: pytest.TempPathFactory,
    history: list[dict[tuple[str, int], int]],
    arriving: dict[tuple[str, int], int],
    group: int,
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    pq.write_table(table_of(arriving), folder / "new.parquet")
    arrivals = Arrivals(folder / "new.parquet", "id", "at")
    earlier: tuple[Part, ...] = ()
    if history:
        earlier = put(folder, *(table_of(part) for part in history), group=group).parts
    for part in earlier:
        if arrivals.may_meet(part):
            with file_of(folder, part).open("rb") as file:
                arrivals.meet(part, file)
    there = {at for part in history for at in part}
    assert arrivals.repeats(earlier) == len(arriving.keys() & there)


@pytest.mark.parametrize(
    ("days", "may"), [((0, 3), True), ((6, 9), True), ((0, 2), False), ((7, 9), False), ((4, 5), True)]
)
def test_times_that_touch_may_meet(tmp_path: Path, days: tuple[int, int], may: bool) -> None:
    pq.write_table(rows(("a", 3, 1), ("a", 6, 1)), tmp_path / "new.parquet")
    (part,) = put(tmp_path, rows(*(("a", day, 1) for day in days))).parts
    arrivals = Arrivals(tmp_path / "new.parquet", "id", "at")
    assert arrivals.may_meet(part) == may
    assert arrivals.may_meet(part.model_copy(update={"first_event": None}))


class Counted(io.FileIO):
    """A file that counts the bytes that are read of it."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, "rb")
        self.bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        assert piece is not None
        self.bytes += len(piece)
        return piece


def test_of_an_earlier_part_two_columns_and_the_row_groups_in_question_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlaps, "_GROUPS_AT_ONCE", 2)
    count = 200_000
    table = pa.table(
        {
            "id": [str(i) for i in range(count)],
            "at": pa.array([DAY_ONE + timedelta(minutes=i) for i in range(count)], pa.timestamp("us")),
            "value": pa.array(range(count), pa.int64()),
            "ballast": [f"{i * 7919 % 1_000_003:020d}" for i in range(count)],
        }
    )
    (part,) = put(tmp_path, table, group=10_000).parts
    file = file_of(tmp_path, part)
    arriving = table.slice(150_000, 20_000)
    pq.write_table(arriving, tmp_path / "new.parquet")
    arrivals = Arrivals(tmp_path / "new.parquet", "id", "at")
    with Counted(file) as read:
        arrivals.meet(part, cast("BinaryIO", read))
    assert arrivals.repeats((part,)) == 20_000
    # Two or three of the twenty groups, and less than half of the columns' bytes.
    assert read.bytes < 0.15 * file.stat().st_size
