"""Anything at all through the fast entry points: None, or what the explaining path says; never a crash."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from xgboost import XGBClassifier

from containers.compiled.engine import Engine, engine_of
from sluice.contract import ModelContract
from sluice.decoding.bodies import decode

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


CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"


class Scored:
    """An engine, and what has to be said of rows by way of the contract."""

    def __init__(self, name: str) -> None:
        model, classes = MODELS[name]
        self.contract: ModelContract = contract_for(classes)
        self.engine: Engine = engine_of(compiled(fitted(model, classes, rows=300), classes), self.contract)
        self.values = len(self.contract.target.classes)

    def hold(self, body: bytes, media_type: str, column: int = -1) -> bool:
        """Ask for a body; hold an answer against the explaining path's, and tell whether there is one."""
        ask = {CSV: self.engine.score_csv, JSON: self.engine.score_json, LINES: self.engine.score_json_lines}
        quick = ask[media_type](body, column)
        if quick is None:
            return False
        columns = decode(body, media_type, self.contract)  # raises, were it refused there
        found = self.engine.score_columns(columns)
        assert found is not None
        if len(columns["size"]) > 1:
            assert quick == found
            return True
        values = np.frombuffer(found[0]).tolist()
        label = np.frombuffer(found[1] or b"", dtype=np.int32).tolist()
        assert quick == ((tuple(values), *label) if column < 0 else (values[column], *label))
        return True


@pytest.fixture(scope="module", params=MODELS)
def scored(request: pytest.FixtureRequest) -> Scored:
    made = Scored(request.param)
    if made.engine.name != "native":
        pytest.skip("the native extension is not built: python -m containers.compiled.build")
    return made


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
    st.sampled_from([10**400, -(10**400), 2**63, -(2**63), 2**64, 2**1024, 2**53 + 1]),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["\ud800", "red\ud800", "\0", "red\0", "re\0d", "r" * 200_000, "é" * 70_000, "\U0010ffff"]
    ),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=2),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
        max_leaves=6,
    ),
)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record that is right, or in one place or several is not."""
    record: dict[str, Any] = {name: draw(each) for name, each in plain.items()}
    names = list(record)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        name = draw(st.sampled_from(names))
        match draw(st.integers(0, 4)):
            case 0:
                record.pop(name, None)
            case 1:
                record[draw(st.sampled_from(["more", "\ud800", "", "siz", "size\0", "s" * 70_000]))] = 1
            case _:
                record[name] = draw(odd)
    return record


documents = st.one_of(
    records(),
    st.lists(records(), max_size=12),
    st.lists(records().map(lambda record: [*record.values()]), max_size=12),
    records().map(lambda record: [*record.values()]),
    st.lists(records(), max_size=3).map(lambda rows: {"instances": rows}),
    st.lists(records() | odd, max_size=3),
    odd,
)
places = st.integers(-1, 1)
unjson = st.binary(max_size=4) | st.sampled_from([np.float64(0.5), 1j, (), object, ...])


@st.composite
def written(draw: st.DrawFn, document: Any) -> bytes:
    """JSON of a document, escaped or not, and perhaps with some bytes cut, put in or put in place of others."""
    text = json.dumps(
        document, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([None, (",", ":")]))
    )
    return draw(bent(text.encode("utf-8", "surrogatepass")))


@st.composite
def bent(draw: st.DrawFn, body: bytes) -> bytes:
    if draw(st.integers(0, 2)):
        return body
    place = draw(st.integers(0, len(body)))
    more = draw(
        st.binary(max_size=3)
        | st.sampled_from([b'"', b"\\", b"\\u", b"[", b"{", b"}", b",", b"\0", b"\xed\xa0\x80"])
    )
    return draw(
        st.sampled_from([body[:place] + more + body[place + draw(st.integers(0, 3)) :], body[:place]])
    )


@given(data=st.data(), document=documents, place=places)
@settings(max_examples=250, deadline=None)
def test_json(scored: Scored, data: st.DataObject, document: Any, place: int) -> None:
    scored.hold(data.draw(written(document)), JSON, place)


@given(data=st.data(), rows=st.lists(records() | odd, max_size=4), place=places)
@settings(max_examples=150, deadline=None)
def test_json_lines(scored: Scored, data: st.DataObject, rows: list[Any], place: int) -> None:
    end = data.draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"]))
    scored.hold(end.join(data.draw(written(row)) for row in rows), LINES, place)


@given(body=st.binary(max_size=60), media_type=st.sampled_from([CSV, JSON, LINES]), place=places)
@settings(max_examples=200, deadline=None)
def test_bytes(scored: Scored, body: bytes, media_type: str, place: int) -> None:
    scored.hold(body, media_type, place)


@pytest.mark.parametrize("opening", [b"[", b'{"size":', b"[[", b'{"instances":[', b'"', b'["\\u12'])
def test_what_is_nested_without_end_is_left_alone(scored: Scored, opening: bytes) -> None:
    for media_type in (JSON, LINES):
        assert not scored.hold(opening * 200_000, media_type)


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
                scored.hold(body, CSV)


@given(body=bodies(), place=places)
@settings(max_examples=300, deadline=None)
def test_csv(scored: Scored, body: bytes, place: int) -> None:
    scored.hold(body, CSV, place)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_columns_that_keep_no_contract_are_an_error_of_pythons(scored: Scored, data: st.DataObject) -> None:
    given: dict[Any, Any] = {name: values[:5] for name, values in usual.items()}
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(list(plain)))
        column: list[Any] = list(usual[name][: data.draw(st.sampled_from([4, 5, 5, 5, 6]))])
        column[data.draw(st.integers(0, 3))] = data.draw(odd | unjson)
        given[name] = data.draw(st.sampled_from([column, column, column, tuple(column), None, 3, {}]))
    try:
        answer = scored.engine.score_columns(given)
    except (TypeError, ValueError, OverflowError):
        return
    assert answer is None or len(answer[0]) == 5 * scored.values * 8


def test_arguments_that_are_none_of_theirs_are_an_error_of_pythons(scored: Scored) -> None:
    engine: Any = scored.engine
    unfit: list[tuple[Any, ...]] = [
        (),
        (b"1",),
        (b"1", 2, 3),
        (b"1", "a"),
        (b"1", 99),
        (b"1", -2),
        (b"1", 2**70),
    ]
    unfit += [(body, 0) for body in (None, "text", 3, [b"1"], memoryview(b"1,2,3,4")[::2])]
    for method in (engine.score_csv, engine.score_json, engine.score_json_lines):
        for arguments in unfit:
            with pytest.raises((TypeError, ValueError, OverflowError, BufferError)):
                method(*arguments)


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
    for rows in (1, 100):
        for place in (-1, 0):
            assert scored.hold(json.dumps([record] * rows).encode(), JSON, place)
            assert scored.hold(json.dumps([[*record.values()]] * rows).encode(), JSON, place)
            assert scored.hold(b"\n".join([json.dumps(record).encode()] * rows), LINES, place)
            assert scored.hold(b"\n".join([line] * rows), CSV, place)
