"""Validation against an oracle: the contract once more, row by row in plain Python, on tables drawn at random."""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.datasets import reading
from sluice.datasets.reading import RaggedRow, RaggedRows, read_batches
from sluice.errors import DataRejected, NoRows
from sluice.project import Column, Project
from tests.support.uploads import Row, a_project, accept, refuse, write

NULL_VALUES = ("", "NA")
TRUE, FALSE = {"true", "t", "yes", "y", "1"}, {"false", "f", "no", "n", "0"}
TEXT = st.text(" \"',;\n\r\tabé0", max_size=8)
LIKELY: dict[str, st.SearchStrategy[str]] = {
    "string": st.sampled_from(["a", "b", "ab", "A", "3"]),
    "integer": st.one_of(
        st.integers(-5, 5).map(str),
        st.integers(-(2**64), 2**64).map(str),
        st.from_regex(r"[+-]?0{0,3}[0-9]{1,20}(\.0{0,2})?", fullmatch=True, alphabet="0123456789+-."),
        st.sampled_from(["0x1f", "1e3", "9223372036854775807", "9007199254740992.0"]),
    ),
    "number": st.one_of(
        st.floats().map(repr),
        st.integers(-5, 5).map(str),
        st.from_regex(r"[+-]?[0-9]{0,3}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    ),
    "boolean": st.sampled_from(["true", "FALSE", "Yes", "n", "0", "1", "2", "maybe"]),
    "timestamp": st.one_of(
        st.datetimes().map(str),
        st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
        st.dates().map(str),
        st.dates().map(lambda day: day.strftime("%d/%m/%Y")),
        st.sampled_from(["2024-02-30", "20240229", "0000-01-01", "2024-01-01T10Z"]),
    ),
}


@dataclass(frozen=True)
class Table:
    """A contract, and rows of which some break it and some have other numbers of fields."""

    columns: dict[str, dict[str, Any]]
    entity: dict[str, str]
    rows: list[list[str]]
    content: str

    @property
    def project(self) -> Project:
        names = list(self.columns)
        return a_project(self.columns, target=names[-1], entity=self.entity, null_values=NULL_VALUES)

    @property
    def is_ragged(self) -> bool:
        return any(len(row) != len(self.columns) for row in self.rows)


@st.composite
def contracts(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(LIKELY)))
    rules: dict[str, Any] = {"type": kind, "nullable": draw(st.booleans())}
    if kind in {"integer", "number"} and draw(st.booleans()):
        rules["min"] = draw(st.floats(-9, 0))
        rules["max"] = draw(st.floats(0, 9))
    if kind == "string" and draw(st.booleans()):
        rules["categories"] = draw(st.sampled_from([["a", "b"], ["ab", 3]]))
    if kind == "integer" and draw(st.booleans()):
        rules["categories"] = draw(st.sampled_from([[1, 2, 3], [0, "-1"]]))
    if kind == "timestamp" and draw(st.booleans()):
        rules["format"] = "%d/%m/%Y"
    return rules


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = {f"c{i}": draw(contracts()) for i in range(draw(st.integers(1, 4)))}
    entity = {}
    if draw(st.booleans()):
        entity["key"] = draw(st.sampled_from(sorted(columns)))
        times = [name for name, rules in columns.items() if rules["type"] == "timestamp"]
        if draw(st.booleans()) and times:
            entity["timestamp"] = times[0]
    blanks = st.sampled_from(["", "", "", " ", "\t"])
    cells = [
        st.one_of(
            LIKELY[rules["type"]],
            st.tuples(blanks, st.one_of(LIKELY[rules["type"]], st.sampled_from(["", "NA"])), blanks).map(
                "".join
            ),
            TEXT,
        )
        for rules in columns.values()
    ]
    even: st.SearchStrategy[list[str]] = st.tuples(*cells).map(list)
    # Fields beyond the header's are no mistake where they are empty in every row: tests/unit/test_header.py.
    uneven = st.lists(TEXT, min_size=1, max_size=len(columns) + 2).map(
        lambda row: [cell if i < len(columns) or cell.strip() else "x" for i, cell in enumerate(row)]
    )
    drawn = draw(st.lists(st.one_of(even, even, even, uneven), max_size=25))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    lines = [",".join(columns), *(",".join(_written(draw, cell, len(row)) for cell in row) for row in drawn)]
    return Table(columns, entity, drawn, end.join(lines) + draw(st.sampled_from(["", end, end * 2])))


def _written(draw: st.DrawFn, cell: str, fields: int) -> str:
    needed = any(mark in cell for mark in '",\r\n') or (not cell and fields == 1)
    return '"' + cell.replace('"', '""') + '"' if needed or draw(st.booleans()) else cell


class Rejected(Exception):
    """The cell breaks the contract."""


def read_cell(column: Column, text: str, required: bool) -> Any:
    text = text.strip()
    if text in NULL_VALUES:
        if required or not column.nullable:
            raise Rejected
        return None
    value = READ[column.type](text, column)
    if (column.min is not None and value < column.min) or (column.max is not None and value > column.max):
        raise Rejected
    if column.categories is not None and str(value) not in {str(each) for each in column.categories}:
        raise Rejected
    return value


def read_integer(text: str, _: Column) -> int:
    found = re.fullmatch(r"([+-]?[0-9]+)(\.0+)?", text)
    if not found:
        raise Rejected
    value = int(found[1])
    if not (abs(value) < 2**53 if found[2] else -(2**63) <= value < 2**63):
        raise Rejected
    return value


def read_number(text: str, _: Column) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise Rejected
    if not math.isfinite(value := float(text)):
        raise Rejected
    return value


def read_boolean(text: str, _: Column) -> bool:
    if text.lower() not in TRUE | FALSE:
        raise Rejected
    return text.lower() in TRUE


def read_timestamp(text: str, column: Column) -> datetime:
    try:
        moment = datetime.strptime(text, column.format) if column.format else datetime.fromisoformat(text)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise Rejected from None


READ: dict[str, Any] = {
    "string": lambda text, _: text,
    "integer": read_integer,
    "number": read_number,
    "boolean": read_boolean,
    "timestamp": read_timestamp,
}


def oracle(table: Table) -> dict[int, Row]:
    """The rows that keep the contract, typed, by their number."""
    project = table.project
    required = {project.target.column, project.entity.key, project.entity.timestamp}
    names = list(project.columns)
    kept: dict[int, Row] = {}
    seen = set()
    for number, row in enumerate(table.rows, start=1):
        if len(row) != len(names):
            continue
        try:
            cells = zip(project.columns.items(), row, strict=True)
            values = {name: read_cell(column, cell, name in required) for (name, column), cell in cells}
        except Rejected:
            continue
        if project.entity.key:
            key = (values[project.entity.key], values.get(project.entity.timestamp or ""))
            if key in seen:
                continue
            seen.add(key)
        kept[number] = tuple(values.values())
    return kept


def some_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(reading, "_BLOCK_BYTES", size)


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from([512, 1024**2]))
def test_the_accepted_rows_are_the_oracles_and_the_rest_is_in_quarantine(table: Table, block: int) -> None:
    kept = oracle(table)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        some_blocks(patch, block)
        folder = Path(name)
        if not kept:
            error = refuse(folder, table.content, table.project)
            assert type(error) is (DataRejected if table.rows else NoRows)
            return
        accepted = accept(folder, table.content, table.project)
    assert accepted.rows == list(kept.values())
    assert [list(map(type, row)) for row in accepted.rows] == [list(map(type, row)) for row in kept.values()]
    assert accepted.rejected == [i for i in range(1, len(table.rows) + 1) if i not in kept]
    assert accepted.report.rows == len(kept)
    assert accepted.report.rejected_rows == len(table.rows) - len(kept)


@settings(max_examples=60, deadline=None)
@given(tables(), st.sampled_from([512, 1024**2]))
def test_reading_in_parallel_and_in_order_agree(table: Table, block: int) -> None:
    ragged: list[RaggedRow] = []
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        some_blocks(patch, block)
        folder = Path(name)
        source = write(folder, table.content)

        def cells(ragged: list[RaggedRow] | None) -> list[Row]:
            batches = read_batches(source, table.project, folder / "spool", ragged)
            return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

        ordered = cells(ragged)
        if table.is_ragged:
            with pytest.raises(RaggedRows):
                cells(None)
        else:
            assert cells(None) == ordered
    even = [row for row in table.rows if len(row) == len(table.columns)]
    assert ordered == [tuple(None if cell in NULL_VALUES else cell for cell in row) for row in even]
    uneven = [(i, len(row)) for i, row in enumerate(table.rows, start=1) if len(row) != len(table.columns)]
    assert [(row.number, row.fields) for row in ragged] == uneven


@settings(max_examples=40, deadline=None)
@given(tables())
def test_the_dataset_and_the_quarantine_are_the_same_whatever_the_blocks(table: Table) -> None:
    if not oracle(table):
        return
    found = []
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        for block in (512, 777, 1024**2):
            some_blocks(patch, block)
            accepted = accept(Path(name), table.content, table.project)
            found.append((accepted.sha256, sorted(accepted.quarantine), accepted.report.as_dict()))
    assert found[0] == found[1] == found[2]
