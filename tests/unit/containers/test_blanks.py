"""Blanks around a text are no part of it: the same ones in a file, in every request and to the native code."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containers.serve.scorer import CompiledScorer
from sluice.arrow import compute as pc
from sluice.datasets import schema
from sluice.decoding.bodies import decode
from sluice.project import Column
from tests.support import oracle
from tests.support.asgi import call, made, npy

from .test_app_limits import parquet

CODES = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
BLANKS = [code for code in CODES if code.isspace()]
# Not blank, though some may look so: a zero width space, a byte order mark, an escape, and bytes like a blank's.
NEARLY = ["\u200b", "\ufeff", "\u180e", "\x1b", "\u0080", "\u2010", "\u3001", "Ā", "\u00a1"]
NULLS = oracle.CONTRACT.null_values
ROW: dict[str, Any] = {
    "size": 3,
    "weight": 0.25,
    "colour": "red",
    "grade": 2,
    "member": True,
    "region": "north",
}


@pytest.fixture(scope="module")
def scorer() -> CompiledScorer:
    return oracle.compiled()


def in_a_dataset(text: str) -> str | None:
    """What validation makes of a cell."""
    cells = pa.array([None if text in NULLS else text], pa.string())
    value: str | None = (
        schema.check(Column(type="string", nullable=True), cells, null_values=NULLS, required=False)
        .values[0]
        .as_py()
    )
    return value


def served(text: str) -> dict[str, Any]:
    """What the explaining path makes of it, by the way it came."""
    row = {**ROW, "colour": text}
    values = list(row.values())
    fields = ["3", "0.25", text, "2", "true", "north"]
    kinds = ["i8", "f8", f"U{max(1, len(text))}", "i8", "?", "U9"]
    structured = np.array([tuple(values)], dtype=list(zip(row, kinds, strict=True)))
    quoted = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    bodies = {
        "record": (json.dumps(row).encode(), "application/json"),
        "list": (json.dumps([values]).encode(), "application/json"),
        "lines": (json.dumps(row).encode(), "application/jsonlines"),
        "csv": (quoted.encode(), "text/csv"),
        "parquet": (parquet(pa.Table.from_pylist([row])), "application/x-parquet"),
    }
    if not text.endswith("\0"):  # numpy's arrays of text drop them
        bodies["npy text"] = (npy(np.array([fields])), "application/x-npy")
        bodies["npy structured"] = (npy(structured), "application/x-npy")
    return {way: decode(*body, oracle.CONTRACT)["colour"][0] for way, body in bodies.items()}


around = st.text(st.sampled_from(BLANKS + NEARLY), max_size=3)
texts = st.tuples(around, st.sampled_from(["red", "grün", "NA", "", "a,b", "x\u00a0y"]), around).map("".join)


def test_arrow_trims_what_python_strips() -> None:
    padded = pa.array([f"{code}x{code}" for code in CODES])
    trimmed = pc.utf8_trim_whitespace(padded).to_pylist()
    assert trimmed == [f"{code}x{code}".strip() for code in CODES]
    assert len(BLANKS) == 29


@given(texts)
@settings(max_examples=150, deadline=None)
def test_a_text_means_the_same_in_a_file_and_in_every_request(text: str) -> None:
    assert set(served(text).values()) == {in_a_dataset(text)}


@pytest.mark.parametrize("blank", BLANKS + NEARLY, ids=lambda code: f"U+{ord(code):04X}")
def test_native_code_answers_by_the_same_blanks(scorer: CompiledScorer, blank: str) -> None:
    texts = [
        f"{blank}grün",
        f"grün{blank}",
        f"NA{blank}",
        f"{blank}NA",
        blank,
        f"{blank}{blank}",
        f"red{blank}",
        "grün",
    ]
    answered: list[bytes] = []
    rows: list[oracle.Row] = []
    for row in ({**ROW, "colour": text} for text in texts):
        fields = ",".join(map(str, row.values()))
        for body, media_type in [
            (json.dumps(row, ensure_ascii=False).encode(), "application/json"),
            (json.dumps([list(row.values())] * 2).encode(), "application/json"),
            (fields.encode(), "text/csv"),
            (f"{fields}\n{fields}".encode(), "text/csv"),
        ]:
            quick = scorer.answer(body, media_type, "text/csv")
            if quick is not None:
                answered += quick.split()
                rows += oracle.read(body, media_type)
    if scorer.engine.name == "native":
        assert rows, "not even a plain row is answered"
    expected = oracle.answers(rows).probabilities if rows else []
    assert list(map(float, answered)) == expected


def test_plain_blanks_in_csv_are_still_answered_quickly(scorer: CompiledScorer) -> None:
    if scorer.engine.name != "native":
        pytest.skip("the native extension is not built: python -m containers.compiled.build")
    plain = scorer.answer(b"3,0.25,red,2,true,north\n", "text/csv", "text/csv")
    assert plain is not None
    assert scorer.answer(b" 3, 0.25 , red ,2 , true, north\n", "text/csv", "text/csv") == plain
    assert scorer.answer(b"3,0.25, NA ,2,true,north\n", "text/csv", "text/csv") == scorer.answer(
        b"3,0.25,,2,true,north\n", "text/csv", "text/csv"
    )


@pytest.mark.parametrize("text", ["true", "T", "Yes", "y", "1", "FALSE", "f", "No", "n", "0", " yes "])
def test_a_boolean_is_written_in_a_request_as_in_a_file(text: str) -> None:
    checked = schema.check(Column(type="boolean"), pa.array([text]), null_values=NULLS, required=False)
    body = f"3,0.25,red,2,{text},north"
    assert decode(body.encode(), "text/csv", oracle.CONTRACT)["member"] == [float(checked.values[0].as_py())]


def test_nothing_but_blanks_is_no_null_where_there_may_be_none(scorer: CompiledScorer) -> None:
    application = made(scorer)
    for body, media_type in [
        (json.dumps({**ROW, "region": " \t"}), "application/json"),
        (json.dumps({**ROW, "region": ""}), "application/json"),
        ("3,0.25,red,2,true,  ", "text/csv"),
    ]:
        response = call(application, body.encode(), media_type)
        assert response.status == 400
        assert "column 'region': found an empty text, expected a string, not null" in response.json["message"]
    application.close()
