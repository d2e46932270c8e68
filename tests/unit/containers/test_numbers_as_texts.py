"""A number's text means in a request what validation made of it in the training file, on every path to the model."""

from __future__ import annotations

import csv
import io
import math
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from containers.compiled import engine
from containers.compiled.compile import compile_model
from containers.frames import frame_of
from containers.serve.scorer import CompiledScorer
from sluice.contract import Columns, Feature, ModelContract, TargetContract
from sluice.datasets import schema
from sluice.datasets.reading import LocalFile, read_batches
from sluice.decoding.bodies import decode
from sluice.errors import RequestError
from sluice.project import Column
from tests.support.asgi import npy
from tests.support.uploads import a_project

NULLS = ("", "NA")
CODES = [2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), -(2**53) - 1, -(2**53), 7]
CONTRACT = ModelContract(
    features=(
        Feature(name="amount", kind="number", type="number", nullable=True),
        Feature(name="count", kind="number", type="integer", nullable=True),
        Feature(name="code", kind="category", type="integer", nullable=True),
        Feature(name="rate", kind="category", type="number", nullable=True),
    ),
    target=TargetContract(name="y", problem="regression"),
    null_values=NULLS,
)
TYPES = {feature.name: feature.type for feature in CONTRACT.features}


@cache
def pipeline() -> Pipeline:
    """A model that answers something else for every code."""
    rows = 50 * len(CODES)
    columns: dict[str, list[Any]] = {
        "amount": [float(i % 7) for i in range(rows)],
        "count": [float(i % 5) for i in range(rows)],
        "code": [str(CODES[i % len(CODES)]) for i in range(rows)],
        "rate": [["0.5", "10.0", None][i % 3] for i in range(rows)],
    }
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["code", "rate"]),
        remainder="passthrough",
    )
    target = np.array([100.0 * (i % len(CODES)) + i % 7 + i % 3 for i in range(rows)])
    model: Pipeline = make_pipeline(encode, HistGradientBoostingRegressor(max_iter=60, random_state=0))
    return model.fit(frame_of(columns, CONTRACT), target)


@pytest.fixture(scope="module", params=["native", "numpy"])
def scorer(request: pytest.FixtureRequest) -> CompiledScorer:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(engine, "_native", lambda: None)
        made = CompiledScorer(compile_model(pipeline(), CONTRACT), CONTRACT)
    if made.engine.name != request.param:
        pytest.skip("the native extension is not built: python -m containers.compiled.build")
    return made


class Rejected(Exception):
    """The text is no value of its column."""


def in_a_dataset(text: str, name: str) -> Any:
    """What validation makes of a cell, as the model was given it in training."""
    column = Column(type=TYPES[name], nullable=True)
    cells = pa.array([None if text in NULLS else text], pa.string())
    checked = schema.check(column, cells, null_values=NULLS, required=False)
    if checked.rejections:
        raise Rejected
    value = checked.values[0].as_py()
    if name in ("amount", "count"):
        return math.nan if value is None else float(value)
    return None if value is None else str(value)


def expected_columns(row: dict[str, str]) -> dict[str, list[Any]] | None:
    try:
        return {name: [in_a_dataset(text, name)] for name, text in row.items()}
    except Rejected:
        return None


def served(body: bytes, media_type: str) -> dict[str, list[Any]] | None:
    try:
        return decode(body, media_type, CONTRACT)
    except RequestError:
        return None


def a_line(row: dict[str, str]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink).writerow(row.values())
    return sink.getvalue().encode()


digits = st.from_regex(r"0{0,3}[0-9]{0,22}", fullmatch=True, alphabet="0123456789")
written = st.one_of(
    st.tuples(
        st.sampled_from(["", "+", "-", "+-"]),
        digits,
        st.sampled_from(["", ".", ".0", ".00", ".5", ".25"]),
        st.sampled_from(["", "e1", "E+2", "e-3", "e400", "e"]),
    ).map("".join),
    st.sampled_from([-(2**63), -(2**53), 2**53, 2**63, 2**64]).flatmap(
        lambda edge: st.integers(edge - 3, edge + 3).map(str)
    ),
    st.floats().map(repr),
    st.sampled_from(["5.", ".5", "1e1", "+1", "+.5e+1", "1e308", "1e309", "1_0", "0x1f", "nan", "inf", "-"]),
    st.sampled_from(["", "NA", " 7 ", "\t1.5", "\u00a02", "٣", "7 7", "9007199254740993.0", "1" * 60]),
)


@given(name=st.sampled_from(sorted(TYPES)), text=written)
@settings(max_examples=600, deadline=None)
def test_a_number_is_written_in_a_request_as_in_a_file(scorer: CompiledScorer, name: str, text: str) -> None:
    row = {"amount": "3", "count": "2", "code": "7", "rate": "0.5"} | {name: text}
    expected = expected_columns(row)
    assert repr(served(a_line(row), "text/csv")) == repr(expected)
    if not text.endswith("\0"):
        assert repr(served(npy(np.array([list(row.values())])), "application/x-npy")) == repr(expected)
    for body in (a_line(row), ",".join(row.values()).encode()):
        quick = scorer.answer(body, "text/csv", "application/x-npy")
        if quick is not None:
            assert expected is not None, f"{text!r} is answered, and no file may hold it"
            assert np.load(io.BytesIO(quick)).tolist() == scorer.score(expected).values.tolist()


@pytest.mark.parametrize("text", ["5.0", "+1", "-3", "12", "1e1", ".5", "5."])
def test_plain_numbers_are_answered_from_their_bytes(scorer: CompiledScorer, text: str) -> None:
    if scorer.engine.name != "native":
        pytest.skip("the fallback reads no bytes")
    whole = text in ("5.0", "+1", "-3", "12")
    body = f"{text},{text if whole else 1},7,{text}".encode()
    assert scorer.answer(body, "text/csv", "application/json") is not None


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("way", ["csv", "csv with header", "json", "json lists", "lines", "npy"])
def test_an_integer_category_keeps_every_digit(scorer: CompiledScorer, code: int, way: str) -> None:
    body, media_type = {
        "csv": (f"3,2,{code},0.5", "text/csv"),
        "csv with header": (f"amount,count,code,rate\n3,2,{code},0.5", "text/csv"),
        "json": (f'{{"amount": 3, "count": 2, "code": {code}, "rate": 0.5}}', "application/json"),
        "json lists": (f"[[3, 2, {code}, 0.5]]", "application/json"),
        "lines": (f"[3, 2, {code}, 0.5]", "application/jsonlines"),
        "npy": ("", "application/x-npy"),
    }[way]
    content = body.encode()
    if way == "npy":
        kinds = [("amount", "f8"), ("count", "i8"), ("code", "i8"), ("rate", "f8")]
        content = npy(np.array([(3.0, 2, code, 0.5)], dtype=kinds))
    row: Columns = {"amount": [3.0], "count": [2.0], "code": [str(code)], "rate": ["0.5"]}
    own = float(pipeline().predict(frame_of(row, CONTRACT))[0])
    others = [
        float(pipeline().predict(frame_of({**row, "code": [str(other)]}, CONTRACT))[0])
        for other in CODES
        if other != code
    ]
    assert own not in others
    quick = scorer.answer(content, media_type, "application/x-npy")
    if quick is not None:
        assert np.load(io.BytesIO(quick)).tolist() == [own]
    assert scorer.score(decode(content, media_type, CONTRACT)).values.tolist() == [own]


@pytest.mark.parametrize(
    "text", ["9007199254740993.0", "9223372036854775808", "-9223372036854775809", "1e1", "5."]
)
def test_what_no_file_may_hold_as_an_integer_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"column 'code': found the string .* expected a whole number"):
        decode(f"3,2,{text},0.5".encode(), "text/csv", CONTRACT)


@pytest.mark.parametrize(
    "number", ["9007199254740992.0", "9223372036854775808", "18446744073709551617", "1e300"]
)
def test_a_json_number_that_no_file_may_hold_as_an_integer_is_refused(number: str) -> None:
    with pytest.raises(RequestError, match="column 'code': found the number"):
        decode(f"[[3, 2, {number}, 0.5]]".encode(), "application/json", CONTRACT)


ONE_COLUMN = ModelContract(
    features=(Feature(name="x", kind="category", type="string", nullable=True),),
    target=TargetContract(name="y", problem="regression"),
    null_values=NULLS,
)


@given(
    cells=st.lists(st.sampled_from(["a", '""', " ", "\t", "", "NA", '"NA"', '" "']), min_size=1, max_size=4),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_row_of_one_column_is_a_row_in_a_request_as_in_a_file(
    cells: list[str], end: str, last: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    body = end.join(cells) + end * last
    file = LocalFile(tmp_path_factory.getbasetemp() / "one.csv")
    file.path.write_text(f"x{end}{body}", newline="")
    project = a_project({"x": {"type": "string", "nullable": True}}, target="x", null_values=NULLS)
    batches = read_batches(file, project, file.path.with_suffix(".spool"), None)
    column = project.columns["x"]
    found = [
        value
        for batch in batches
        for value in schema.check(
            column, batch.column(0), null_values=NULLS, required=False
        ).values.to_pylist()
    ]
    if found:
        assert decode(body.encode(), "text/csv", ONE_COLUMN)["x"] == found
    else:
        with pytest.raises(RequestError):
            decode(body.encode(), "text/csv", ONE_COLUMN)
