"""Anything at all through the fast entry points: None, or what the explaining path says; never a crash."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from xgboost import XGBClassifier

from containers.compiled.engine import Engine, engine_of
from containers.serve.decoding import decode
from sluice.contract import ModelContract

from .cases import PREPROCESSING, Classes, as_they_are, columns, contract_for, fitted
from .comparing import compiled

HGB: dict[str, Any] = {"early_stopping": False, "min_samples_leaf": 5, "random_state": 0}
MODELS: dict[str, tuple[Any, Classes]] = {
    "masks": (make_pipeline(as_they_are(), HistGradientBoostingClassifier(max_iter=10, **HGB)), "binary"),
    "sets": (
        make_pipeline(
            PREPROCESSING["ordinal"](),
            HistGradientBoostingClassifier(max_iter=3, categorical_features=[0, 2], **HGB),
        ),
        "multiclass",
    ),
    "singles": (make_pipeline(as_they_are(), XGBClassifier(n_estimators=3, max_depth=8, n_jobs=1)), "codes"),
    "strict": (
        make_pipeline(PREPROCESSING["strict"](), RandomForestClassifier(5, max_depth=4, random_state=0)),
        "binary",
    ),
}


class Scored:
    """An engine, and what has to be said of rows by way of the contract."""

    def __init__(self, name: str) -> None:
        model, classes = MODELS[name]
        self.contract: ModelContract = contract_for(classes)
        self.engine: Engine = engine_of(compiled(fitted(model, classes, rows=300), classes), self.contract)
        self.values = len(self.contract.target.classes)

    def rows(self, quick: Any, explained: Any, *arguments: Any) -> None:
        """Hold an answer to many rows against the explaining path's."""
        if quick is not None:
            assert quick == self.engine.score_columns(explained(*arguments))

    def row(self, quick: Any, column: int, explained: Any, *arguments: Any) -> None:
        """Hold an answer to one row against the explaining path's."""
        if quick is None:
            return
        found = self.engine.score_columns(explained(*arguments))
        assert found is not None
        values = np.frombuffer(found[0]).tolist()
        label = np.frombuffer(found[1] or b"", dtype=np.int32).tolist()
        assert quick == ((tuple(values), *label) if column < 0 else (values[column], *label))


@pytest.fixture(scope="module", params=MODELS)
def scored(request: pytest.FixtureRequest) -> Scored:
    made = Scored(request.param)
    if made.engine.name != "native":
        pytest.skip("the native extension is not built: python -m containers.compiled.build")
    return made


class Text(str):
    """No JSON reader makes one."""


class Whole(int):
    pass


usual = columns(40, seed=9)
plain = {
    "size": st.integers(-(2**54), 2**54) | st.sampled_from([1.0, -0.0, 2.5, 2**53 + 1, 1e300]),
    "weight": st.none() | st.floats() | st.integers(),
    "height": st.floats() | st.sampled_from([5e-324, -0.0, 1.8e308]),
    "member": st.booleans() | st.sampled_from([0, 1, 0.0]),
    "colour": st.sampled_from(["red", "green", "blue", None, "", "NA"]) | st.text(max_size=4),
    "city": st.sampled_from(["Köln", "Bonn", "Łódź", "x" * 20, "Köl", "Köln\0", "x" * 21]),
    "grade": st.sampled_from([1, 2, 3, -4, -4.0, None, 7, 2**63, 2**53, -0.0]) | st.integers(),
    "flag": st.booleans() | st.sampled_from(["true", 1]),
    "ratio": st.sampled_from([0.5, 1, 1.0, -2.25, None]) | st.floats(),
}
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**63, -(2**63), 2**64, 2**1024]),
    st.floats(),
    st.binary(max_size=4),
    st.text(st.characters(), max_size=6),  # lone surrogates, too
    st.sampled_from(
        ["\ud800", "red\ud800", "\0", "red\0", "re\0d", "r" * 200_000, "é" * 70_000, "\U0010ffff"]
    ),
    st.sampled_from([Text("red"), Whole(1), np.float64(0.5), 1j, (), (1,), object, float, ...]),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=2),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
        max_leaves=6,
    ),
)


@st.composite
def records(draw: st.DrawFn) -> Any:
    """A record that is right, or in one place or several is not."""
    record: dict[Any, Any] = {name: draw(each) for name, each in plain.items()}
    names = list(record)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        name = draw(st.sampled_from(names))
        match draw(st.integers(0, 5)):
            case 0:
                record.pop(name, None)
            case 1:
                record[draw(st.sampled_from([1, None, b"size", ("size",), Text("more"), "\ud800", ""]))] = 1
            case 2:
                record = {Text(key) if key == name else key: value for key, value in record.items()}
            case _:
                record[name] = draw(odd)
    return draw(st.sampled_from([record, record, record, OrderedDict(record)]))


anything = records() | odd
numbers = st.integers(-1, 1)


@given(record=anything, column=numbers)
@settings(max_examples=200, deadline=None)
def test_a_record(scored: Scored, record: Any, column: int) -> None:
    quick = scored.engine.score_record(record, column)
    scored.row(quick, column, scored.contract.columns_from_records, [record])


@given(
    record=records(),
    more=st.sampled_from([0, 0, 0, 1, -1]),
    column=numbers,
    kind=st.sampled_from([list, tuple]),
)
@settings(max_examples=150, deadline=None)
def test_a_list(scored: Scored, record: Any, more: int, column: int, kind: Any) -> None:
    values = [*record.values(), 1] if more > 0 else list(record.values())[: len(record) + more]
    quick = scored.engine.score_list(kind(values), column)
    scored.row(quick, column, scored.contract.columns_from_lists, [kind(values)])


@given(rows=st.lists(records(), max_size=12) | st.lists(anything, max_size=3) | odd)
@settings(max_examples=100, deadline=None)
def test_records(scored: Scored, rows: Any) -> None:
    scored.rows(scored.engine.score_records(rows), scored.contract.columns_from_records, rows)


@given(
    rows=st.lists(records().map(lambda r: list(r.values())), max_size=12) | st.lists(odd, max_size=3) | odd
)
@settings(max_examples=100, deadline=None)
def test_lists(scored: Scored, rows: Any) -> None:
    scored.rows(scored.engine.score_lists(rows), scored.contract.columns_from_lists, rows)


FIELDS = [
    *(
        "",
        " ",
        "1",
        "-4",
        "+3",
        "2.50",
        "-0",
        "0x1",
        "1_0",
        "nan",
        "inf",
        "-Infinity",
        ".",
        "+",
        "-.5",
        "5.",
        "1e",
    ),
    *(
        "1e400",
        "1e-400",
        "1e+22",
        "1e-23",
        "1e99999999999",
        "1e-99999999999",
        "1.8e308",
        "5e-324",
        "0e9",
        "1e9e9",
    ),
    *(
        "1" * 40,
        "1" * 41,
        "0" * 99 + "1",
        "9" * 19,
        "9" * 20,
        "0." + "0" * 30 + "1",
        "9007199254740993",
        "1" * 400,
    ),
    *(
        "true",
        "TRUE",
        " true ",
        "tRUE",
        "red",
        "Köln",
        "Köl",
        " city",
        "city",
        "size",
        "NA",
        "x" * 20,
        "x" * 21,
    ),
    *(
        "x" * 100_000,
        "x" * 100_001,
        "x" * 131_073,
        "\u2028",
        "\xa01",
        "\x1f1",
        "\x0c1",
        "1\x85",
        "\ud800",
        "é" * 9,
    ),
]
fields = st.one_of(
    st.sampled_from(FIELDS), st.floats().map(repr), st.integers().map(str), st.text(max_size=4)
).map(lambda text: text.encode("utf-8", "surrogatepass"))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """CSV that is right but for a field or some bytes."""
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        row = draw(st.integers(0, 39))
        line = [_as_text(usual[name][row]) for name in plain]
        for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
            line[draw(st.integers(0, len(line) - 1))] = draw(fields)
        lines.append(b",".join(line[: draw(st.sampled_from([9, 9, 9, 8]))]))
    body = draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r"])).join(lines)
    body += draw(st.sampled_from([b"", b"\n", b"\r\n", b"\r", b",", b'"', b"\0"]))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(body)))
        body = body[:place] + draw(st.binary(max_size=2)) + body[place + draw(st.integers(0, 2)) :]
    return draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b" "])) + body


def _as_text(value: Any) -> bytes:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return b""
    text = str(value)
    return text.removesuffix(".0").encode()


def test_every_odd_field_in_every_column(scored: Scored) -> None:
    line = [_as_text(values[0]) for values in usual.values()]
    for place in range(len(line)):
        for field in FIELDS:
            changed = [*line[:place], field.encode("utf-8", "surrogatepass"), *line[place + 1 :]]
            for body in (b",".join(changed), b",".join(line) + b"\n" + b",".join(changed)):
                scored.rows(scored.engine.score_csv(body), decode, body, "text/csv", scored.contract)


@given(body=bodies() | st.binary(max_size=40), column=numbers)
@settings(max_examples=300, deadline=None)
def test_csv(scored: Scored, body: bytes, column: int) -> None:
    quick = scored.engine.score_csv(body)
    scored.rows(quick, decode, body, "text/csv", scored.contract)
    row = scored.engine.score_csv_row(body, column)
    scored.row(row, column, decode, body, "text/csv", scored.contract)
    assert row is None or quick is not None


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_columns_that_keep_no_contract_are_an_error_of_pythons(scored: Scored, data: st.DataObject) -> None:
    given: dict[Any, Any] = {name: values[:5] for name, values in usual.items()}
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(list(plain)))
        column = list(usual[name][: data.draw(st.sampled_from([4, 5, 5, 5, 6]))])
        column[data.draw(st.integers(0, 3))] = data.draw(odd)
        given[name] = data.draw(st.sampled_from([column, column, column, tuple(column), None, 3, {}]))
    try:
        answer = scored.engine.score_columns(given)
    except (TypeError, ValueError, OverflowError):
        return
    assert answer is None or len(answer[0]) == 5 * scored.values * 8


def test_arguments_that_are_none_of_theirs_are_an_error_of_pythons(scored: Scored) -> None:
    engine: Any = scored.engine
    unfit: list[tuple[Any, ...]] = [(), (1,), (1, 2, 3), ({}, "a"), ({}, 99), ({}, -2), ({}, 2**70)]
    for wrong in unfit:
        for method in (engine.score_record, engine.score_list, engine.score_csv_row):
            with pytest.raises((TypeError, ValueError, OverflowError)):
                method(*wrong)
    for wrong_body in (None, "text", 3, [b"1"], memoryview(b"1,2,3,4")[::2]):
        with pytest.raises((TypeError, BufferError)):
            engine.score_csv(wrong_body)


def test_what_is_right_is_answered_by_every_entry_point(scored: Scored) -> None:
    """Else the properties above would hold of an engine that never answers."""
    record = {
        "size": 3,
        "weight": 0.5,
        "height": 0.25,
        "member": True,
        "colour": "red",
        "city": "Köln",
        "grade": 2,
        "flag": False,
        "ratio": 0.5,
    }
    assert list(record) == list(plain)
    line = ",".join(json.dumps(value, ensure_ascii=False).strip('"') for value in record.values()).encode()
    engine = scored.engine
    for column in (-1, 0):
        answers = [
            engine.score_record(record, column),
            engine.score_list(list(record.values()), column),
            engine.score_csv_row(line, column),
        ]
        assert answers[0] is not None
        assert answers == [answers[0]] * 3
    many = [
        engine.score_records([record] * 100),
        engine.score_lists([list(record.values())] * 100),
        engine.score_csv(b"\n".join([line] * 100)),
    ]
    assert many[0] is not None
    assert many == [many[0]] * 3
