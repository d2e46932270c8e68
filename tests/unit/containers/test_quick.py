"""The quick path against the explaining one: the same bytes, or nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from containers.compiled.compile import compile_model
from containers.compiled.engine import engine_of
from containers.frames import frame_of
from containers.predictions import Predictions
from containers.serve.encoding import encode
from containers.serve.quick import QuickAnswers
from containers.serve.scorer import CompiledScorer
from sluice.contract import Columns, Feature, ModelContract, TargetContract
from sluice.decoding.bodies import decode
from sluice.problems import Problem
from sluice.spelling import Spelling
from tests.support.asgi import call, made

FEATURES = (
    Feature(name="size", kind="number", type="integer", nullable=False),
    Feature(name="weight", kind="number", type="number", nullable=True),
    Feature(name="colour", kind="category", type="string", nullable=True),
    Feature(name="grade", kind="category", type="integer", nullable=False),
    Feature(name="member", kind="number", type="boolean", nullable=False),
)
TARGETS: dict[Problem, TargetContract] = {
    "binary": TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="no"),
    "multiclass": TargetContract(name="y", problem="multiclass", classes=("a", "b", "c")),
    "regression": TargetContract(name="y", problem="regression"),
}


def fitted(contract: ModelContract) -> Pipeline:
    draw = np.random.default_rng(0)
    count = 400
    columns: Columns = {
        "size": draw.integers(0, 9, count).astype(float).tolist(),
        "weight": np.where(draw.random(count) < 0.1, np.nan, draw.normal(size=count)).tolist(),
        "colour": draw.choice(np.array(["red", "green", None], dtype=object), count).tolist(),
        "grade": draw.choice(["1", "2", "3"], count).tolist(),
        "member": draw.integers(0, 2, count).astype(float).tolist(),
    }
    score = np.array(columns["size"], dtype=float) + draw.normal(size=count)
    target: Any = score
    if contract.target.classes:
        edges = np.quantile(score, np.linspace(0, 1, len(contract.target.classes) + 1)[1:-1])
        target = np.array(contract.target.classes, dtype=object)[np.searchsorted(edges, score)]
    kind = HistGradientBoostingClassifier if contract.target.classes else HistGradientBoostingRegressor
    encode_text = make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
        remainder="passthrough",
    )
    model: Pipeline = make_pipeline(encode_text, kind(max_iter=10, random_state=0))
    return model.fit(frame_of(columns, contract), target)


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression"])
def scorer(request: pytest.FixtureRequest) -> CompiledScorer:
    contract = ModelContract(features=FEATURES, target=TARGETS[request.param], null_values=("", "NA"))
    return CompiledScorer(compile_model(fitted(contract), contract), contract)


def explained(scorer: CompiledScorer, columns: Columns, accepted: str) -> bytes:
    predictions: Predictions = scorer.score(columns)
    return encode(predictions, accepted, scorer.contract)


values = {
    "size": st.integers(-(2**53), 2**53) | st.sampled_from([2**60, 1.0, 1.5, True, "1", None]),
    "weight": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.just("x"),
    "colour": st.none() | st.sampled_from(["red", "green", "blue", "", "NA", "é", 'a"b', "a,b"]) | st.just(3),
    "grade": st.integers(0, 4) | st.sampled_from([2.0, 2.5, "2", None]),
    "member": st.booleans() | st.sampled_from([0, 1, None, "true"]),
}
records = st.fixed_dictionaries(values) | st.fixed_dictionaries(
    {name: each for name, each in values.items() if name != "colour"}, optional={"more": st.just(1)}
)


@pytest.mark.parametrize(
    "accepted", ["application/json", "text/csv", "application/jsonlines", "application/x-npy"]
)
@given(
    rows=st.lists(records, min_size=1, max_size=4),
    shape=st.sampled_from(["record", "list", "instances", "lines"]),
)
@settings(max_examples=60, deadline=None)
def test_json_is_answered_alike_or_left_alone(
    scorer: CompiledScorer, accepted: str, rows: list[dict[str, Any]], shape: str
) -> None:
    documents: list[Any] = [list(row.values()) for row in rows] if shape == "list" else list(rows)
    media_type = "application/json"
    body = json.dumps({"instances": documents} if shape == "instances" else documents).encode()
    if shape == "record":
        body = json.dumps(documents[0]).encode()
        documents = documents[:1]
    if shape == "lines":
        media_type, body = "application/jsonlines", "\n".join(map(json.dumps, documents)).encode()
    quick = scorer.answer(body, media_type, accepted)
    if quick is not None:
        columns = (
            scorer.contract.columns_from_lists(documents)
            if shape == "list"
            else scorer.contract.columns_from_records(documents)
        )
        assert quick == explained(scorer, columns, accepted)


numerals = st.sampled_from(
    [
        "0",
        "-0",
        "1",
        "-3",
        "01",
        "1.",
        ".5",
        "1.0",
        "-0.0",
        "1e2",
        "1E+2",
        "1e",
        "1e400",
        "9007199254740993",
        "0.1234567890123456789",
        "123456789012345678",
        "NaN",
        "Infinity",
        "+1",
        "true",
        "null",
        '"1"',
        "[1]",
        "{}",
    ]
)
strings = st.sampled_from(
    r"""
    "red" "r\u0065d" "\u00e9" "é" "\ud83d\ude00" "\ud83d" "a\"b" "a\/\n\b" "\x" "red red null 1 "" "\u12" "TAB"
    """.replace("TAB", "\t").split(" ")
)
blanks = st.sampled_from(["", "", "", " ", "\n", "\r\n", "\t ", "\v", "\xa0"])
keys = st.sampled_from([*(feature.name for feature in FEATURES), "colou\\u0072", "more"])


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """JSON, or nearly, of rows that are nearly right: spelled, ordered and spaced in many ways."""

    def value(name: str) -> str:
        usual = {"size": "3", "weight": "0.5", "colour": '"red"', "grade": "2", "member": "true"}.get(
            name, "1"
        )
        odd = draw(st.integers(0, 5)) == 0
        return draw(blanks) + (draw(strings if name.startswith("colou") else numerals) if odd else usual)

    def row(as_list: bool) -> str:
        names = [feature.name for feature in FEATURES]
        if not as_list and draw(st.booleans()):
            names = draw(st.permutations(names))
        if draw(st.integers(0, 5)) == 0:
            names[draw(st.integers(0, len(names) - 1))] = draw(keys)
        if as_list:
            return "[" + ",".join(map(value, names)) + draw(blanks) + "]"
        return "{" + ",".join(f'{draw(blanks)}"{name}"{draw(blanks)}:{value(name)}' for name in names) + "}"

    as_list = draw(st.booleans())
    rows = [row(as_list) for _ in range(draw(st.integers(1, 3)))]
    if draw(st.integers(0, 5)) == 0:
        rows.append(row(not as_list))
    body = draw(
        st.sampled_from(
            [
                "[" + ",".join(rows) + "]",
                rows[0],
                '{"instances":[' + ", ".join(rows) + "]}",
                '{"instances":[' + ", ".join(rows) + '],"more":1}',
                "\n".join(rows) + "\n",
                "[" + ",".join(rows) + ",]",
            ]
        )
    )
    return draw(blanks) + body + draw(blanks)


@pytest.mark.parametrize("media_type", ["application/json", "application/jsonlines"])
@given(text=json_texts(), cut=st.integers(0, 30))
@settings(max_examples=300, deadline=None)
def test_json_however_it_is_written_is_read_as_the_explaining_path_reads_it(
    scorer: CompiledScorer, media_type: str, text: str, cut: int
) -> None:
    body = text.encode()[cut if cut < 3 else 0 :]
    for accepted in ("application/json", "text/csv"):
        quick = scorer.answer(body, media_type, accepted)
        if quick is not None:
            assert quick == explained(scorer, decode(body, media_type, scorer.contract), accepted)


def test_json_that_is_escaped_or_reordered_is_still_read_quickly(scorer: CompiledScorer) -> None:
    if scorer.engine.name != "native":
        pytest.skip("the native extension is not built: python -m containers.compiled.build")
    body = b'[ {"member" : true, "grade":2,\n"colour":"r\\u0065d", "size":3, "weight":1.25e-3} ]'
    assert scorer.answer(body, "application/json", "application/json") is not None


texts = st.sampled_from(
    [
        "1",
        "-2",
        "+3",
        "1.0",
        "0.1",
        "1e3",
        "",
        " 1",
        "NA",
        "red",
        "green",
        "true",
        "0",
        "nan",
        "inf",
        "0x1",
        '"red"',
        "1_0",
    ]
)


@pytest.mark.parametrize("accepted", ["application/json", "text/csv"])
@given(
    rows=st.lists(st.lists(texts, min_size=4, max_size=6), min_size=1, max_size=4),
    end=st.sampled_from(["", "\n", "\r\n"]),
)
@settings(max_examples=200, deadline=None)
def test_csv_is_answered_alike_or_left_alone(
    scorer: CompiledScorer, accepted: str, rows: list[list[str]], end: str
) -> None:
    body = ("\n".join(",".join(row) for row in rows) + end).encode()
    quick = scorer.answer(body, "text/csv", accepted)
    if quick is not None:
        assert quick == explained(scorer, scorer.contract.columns_from_text(rows), accepted)


def test_plain_rows_are_answered_quickly(scorer: CompiledScorer) -> None:
    if scorer.engine.name != "native":
        pytest.skip("the native extension is not built: python -m containers.compiled.build")
    record = {"size": 3, "weight": 0.25, "colour": "red", "grade": 2, "member": True}
    for body, media_type in [
        (json.dumps(record), "application/json"),
        (json.dumps([record, record]), "application/json"),
        (json.dumps({"instances": [list(record.values())]}), "application/json"),
        (json.dumps(record), "application/jsonlines"),
        ("3,0.25,red,2,true\n", "text/csv"),
        ("3,0.25,red,2,true\n4,,,1,false\n", "text/csv"),
    ]:
        assert scorer.answer(body.encode(), media_type, "application/json") is not None, body


def test_what_is_left_alone_is_explained_by_the_application(scorer: CompiledScorer) -> None:
    application = made(scorer)
    response = call(
        application, b'{"size": "three", "weight": 1, "colour": "red", "grade": 1, "member": true}'
    )
    assert response.status == 400
    assert "column 'size': found the string 'three', expected a whole number" in response.json["message"]
    application.close()


def test_the_numpy_engine_answers_nothing_quickly_and_everything_alike(
    scorer: CompiledScorer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from containers.compiled import engine

    monkeypatch.setattr(engine, "_native", lambda: None)
    plain = engine_of(scorer._plan, scorer.contract)
    assert plain.name == "numpy"
    assert QuickAnswers(plain, scorer.contract).answer(b"3,0.25,red,2,true\n", "text/csv", "text/csv") is None
    columns: Columns = {
        "size": [3.0],
        "weight": [math.nan],
        "colour": [None],
        "grade": ["9"],
        "member": [0.0],
    }
    assert plain.score_columns(columns) == scorer.engine.score_columns(columns)


def test_csv_of_a_spelled_column_is_read_by_its_marks(scorer: CompiledScorer) -> None:
    """1.234 is a number to any reader, and here it is not less than two."""
    features = tuple(
        each.model_copy(update={"spelling": Spelling(decimal=",", grouping=".")})
        if each.name == "weight"
        else each
        for each in FEATURES
    )
    contract = scorer.contract.model_copy(update={"features": features})
    spelled = CompiledScorer(compile_model(fitted(scorer.contract), contract), contract)
    row = b"3,1.234,red,2,true\n"
    assert scorer.answer(row, "text/csv", "text/csv") is not None
    assert spelled.answer(row, "text/csv", "text/csv") is None
    body = row + b'3,"-0,5",red,2,true\n'
    numbers = [{"size": 3, "weight": w, "colour": "red", "grade": 2, "member": True} for w in (1234, -0.5)]
    read = decode(body, "text/csv", spelled.contract)
    assert read["weight"] == [1234.0, -0.5]
    quick = spelled.answer(json.dumps(numbers).encode(), "application/json", "text/csv")
    assert quick == explained(scorer, read, "text/csv")
