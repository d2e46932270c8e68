"""Requests of every format, sound ones and what becomes of them when somebody breaks them.

Whatever comes, the answer is what tests/unit/containers/oracle.py makes of the same bytes: these predictions to the
last bit, or a refusal as JSON; and never an error of the server's.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containers.serve.app import Application
from containers.serve.scorer import ModelScorer, load_scorer
from sluice.errors import RequestError
from tests.support import oracle
from tests.support.asgi import Response, call, made, npy

from .test_app_limits import parquet

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
NPY, PARQUET = "application/x-npy", "application/x-parquet"
TIMES = int(os.environ.get("SLUICE_FUZZ_TIMES", "1"))  # how many times as long to look


@pytest.fixture(scope="module")
def compiled() -> Iterator[Application]:
    application = made(oracle.compiled())
    yield application
    application.close()


@pytest.fixture(scope="module")
def as_trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The same model by scikit-learn's path."""
    folder, path = tmp_path_factory.mktemp("model"), list(sys.path)
    joblib.dump(oracle.pipeline(), folder / "model.joblib")
    oracle.CONTRACT.save(folder / "contract.json")
    Path(folder / "code").mkdir()
    scorer = load_scorer(folder)
    assert isinstance(scorer, ModelScorer)
    application = made(scorer)
    yield application
    application.close()
    sys.path[:] = path


def judge(
    application: Application, body: bytes, media_type: str, response: Response, accept: str = JSON
) -> None:
    """Hold an answer to a body of this type against the oracle's."""
    try:
        rows = oracle.read(body, media_type)
    except oracle.Malformed:
        expect_refusal(response, 400)
        return
    assert response.status == 200, (body, response.body)
    assert response.headers["content-type"] == accept
    expected = oracle.answers(rows)
    probabilities, labels = said(response.body, accept)
    assert list(map(oracle.bits, probabilities)) == list(map(oracle.bits, expected.probabilities)), body
    assert labels in (None, expected.labels)


def said(body: bytes, accept: str) -> tuple[list[float], list[str] | None]:
    if accept == CSV:
        return list(map(float, body.splitlines())), None
    if accept == NPY:
        return np.load(io.BytesIO(body)).tolist(), None
    documents = list(map(json.loads, body.splitlines()))
    predictions = documents[0]["predictions"] if accept == JSON else documents
    return [each["probability"] for each in predictions], [each["label"] for each in predictions]


def expect_refusal(response: Response, *statuses: int) -> None:
    assert response.status in statuses, response.body
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.body))
    assert set(response.json) == {"error", "message"}
    assert response.json["message"]
    assert response.json["error"] not in ("InternalError", "PredictionFailed")


def same_as_explained(body: bytes, media_type: str) -> None:
    """The quick path answers as the explaining one, or nothing."""
    from containers.serve.encoding import encode
    from sluice.decoding.bodies import decode

    scorer = oracle.compiled()
    quick = scorer.answer(body, media_type, JSON)
    if quick is not None:
        try:
            columns = decode(body, media_type, oracle.CONTRACT)
        except RequestError as error:
            raise AssertionError(f"answered, and refused with: {error}") from error
        assert quick == encode(scorer.score(columns), JSON, oracle.CONTRACT)


# Sound values, as they are written in JSON; texts in CSV are the same without their quotation marks.
SOUND: dict[str, st.SearchStrategy[str]] = {
    "size": st.integers(-3, 12).map(str) | st.sampled_from(["2.0", "-0", "9007199254740993", "1e3"]),
    "weight": st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.sampled_from(
        ["null", "-0.0", "5e-324", "1.7976931348623157e308", "0.1e-400", "123456789012345678901234567890"]
    ),
    "colour": st.sampled_from(
        ['"red"', '"gr\\u00fcn"', '"grün"', '"a,b"', '"blue"', '" red"', '"NA"', '""', "null"]
    ),
    "grade": st.sampled_from(["1", "2", "30", "1.0", "-0", "99", "null", "2e0", "18446744073709551616"]),
    "member": st.sampled_from(["true", "false", "true", "false", "True", "yes", "F", "1"]),
    "region": st.sampled_from(
        ['"north"', '"\\""', '"x y"', '"south\\n"', '"\\u0000"', '"a:b"', '"\u3000north"']
    ),
}
ODD = [
    *(
        "NaN",
        "-Infinity",
        "Infinity",
        "1e400",
        "-1e400",
        "1" * 400,
        "1" * 5000,
        "01",
        "+1",
        ".5",
        "1.",
        "0x1",
        "1_0",
        "--1",
    ),
    *(
        "null",
        "true",
        "false",
        "True",
        "None",
        "nan",
        "inf",
        "yes",
        "0",
        "1",
        "1.5",
        "-1",
        "0.0",
        "1e",
        "٣",
        "１",
        "²",
    ),
    *(
        '""',
        '" "',
        '"NA"',
        '" NA\\t"',
        '"3"',
        '"true"',
        '"\\ud800"',
        '"\\udc00x"',
        '"\\u0000"',
        '"\x00"',
        '"\x01"',
        '"\\x"',
    ),
    *(
        "[]",
        "[1]",
        "{}",
        '{"size": 1}',
        "[" * 40 + "]" * 40,
        '{"a":' * 40 + "1" + "}" * 40,
        "[" * 2000,
        "'red'",
        "red",
        "",
    ),
    *(
        "\u2028",
        "\ufeff",
        "\x85",
        "\x1c",
        ",",
        ":",
        '"',
        "\n",
        "\r",
        "//",
        "#",
        "=1+1",
        "<x>",
        "%00",
        "\\",
        "1,5",
        "1 2",
    ),
]
odd = st.sampled_from(ODD) | st.text(max_size=6).map(lambda text: text.encode("utf-8", "ignore").decode())


Table = list[list[tuple[str, str]]]
"""Rows of names and values."""


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Some rows, their columns in some order; in half of the tables one row has something wrong with it."""
    order = draw(st.just(oracle.NAMES) | st.permutations(oracle.NAMES))
    table = [[(name, draw(SOUND[name])) for name in order] for _ in range(draw(st.integers(1, 3)))]
    row = draw(st.sampled_from(table))
    for change in draw(
        st.sampled_from([[], [], [], [], ["value"], ["value"], ["value", "value"], ["member"]])
    ):
        (_spoil_value if change == "value" else _spoil_members)(draw, row)
    return table


def _spoil_value(draw: st.DrawFn, row: list[tuple[str, str]]) -> None:
    at = draw(st.integers(0, len(row) - 1))
    row[at] = (row[at][0], draw(odd))


def _spoil_members(draw: st.DrawFn, row: list[tuple[str, str]]) -> None:
    at = draw(st.integers(0, len(row) - 1))
    change = draw(st.sampled_from(["less", "more", "twice", "renamed"]))
    if change == "less":
        del row[at]
    elif change == "more":
        row.insert(at, (draw(st.sampled_from(["more", "", "Size", "size ", "instances"])), "1"))
    elif change == "twice":
        row.append((row[at][0], draw(SOUND[row[at][0]])))
    else:
        row[at] = (draw(st.sampled_from(["siz\\u0065", "weight", "__proto__", "\\ud83d"])), row[at][1])


def in_order(row: list[tuple[str, str]]) -> list[str]:
    """The values as they are sent without names."""
    known = {name: at for at, name in enumerate(oracle.NAMES)}
    return [text for _, text in sorted(row, key=lambda pair: known.get(pair[0], len(known)))]


@st.composite
def json_bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    table = draw(tables())
    gap = draw(st.sampled_from(["", " ", "\n", "\t"]))
    shape = draw(st.sampled_from(["record", "records", "lists", "instances", "lines", "mixed"]))
    records = [
        f"{{{gap}" + f",{gap}".join(f'"{name}":{gap}{text}' for name, text in row) + "}" for row in table
    ]
    lists = [f"[{gap}" + f",{gap}".join(in_order(row)) + "]" for row in table]
    if shape == "record":
        return records[0].encode(), JSON
    if shape == "lines":
        separator = draw(st.sampled_from(["\n", "\r\n", "\n\n", " \n", "\r"]))
        return (separator.join(draw(st.sampled_from([records, lists]))) + separator).encode(), LINES
    chosen = {"lists": lists, "mixed": [*records[:1], *lists]}.get(shape, records)
    text = f"[{', '.join(chosen)}]"
    return (f'{{"instances":{gap}{text}}}' if shape == "instances" else text).encode(), JSON


def as_field(text: str) -> str:
    """A JSON value as what a CSV field holds of it."""
    if text == "null":
        return ""
    try:
        found = json.loads(text) if text[:1] == '"' else text
    except ValueError:
        return text
    return found.encode("utf-8", "replace").decode()


@st.composite
def csv_bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    rows = draw(tables())
    if draw(st.booleans()):
        table = [[name for name, _ in rows[0]], *([as_field(text) for _, text in row] for row in rows)]
    else:
        table = [list(map(as_field, in_order(row))) for row in rows]
    quoted = draw(st.sampled_from(["needed", "always", "needed", "never"]))

    def field(text: str) -> str:
        needed = quoted == "always" or (quoted == "needed" and any(mark in text for mark in ',"\r\n'))
        return '"' + text.replace('"', '""') + '"' if needed else text

    line_end = draw(st.sampled_from(["\n", "\r\n", "\n\n", "\r"]))
    blank = draw(st.sampled_from(["", "", "", " ", "\t"]))
    text = line_end.join(f",{blank}".join(map(field, row)) for row in table)
    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    return (mark + text + draw(st.sampled_from(["", line_end]))).encode(), CSV


def array_value(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    return found.encode("utf-8", "replace").decode() if isinstance(found, str) else found


@st.composite
def npy_bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    table = draw(tables())
    kind = draw(st.sampled_from(["text", "structured", "numbers", "other"]))
    if kind == "text":
        width = len(oracle.NAMES)
        rows = [(list(map(as_field, in_order(row))) + ["x"] * width)[:width] for row in table]
        return npy(np.array(rows)), NPY
    if kind == "structured":
        texts = {"colour": draw(around("red")), "region": draw(around("north"))}
        values = {**texts, "size": 3, "weight": draw(st.floats(width=32)), "grade": 2, "member": True}
        kinds = {
            "size": "<i4",
            "weight": ">f8",
            "colour": "<U5",
            "grade": "u1",
            "member": "?",
            "region": "U9",
        }
        order = draw(st.permutations(oracle.NAMES))
        row = tuple(values[name] for name in order)
        return npy(np.array([row] * len(table), dtype=[(name, kinds[name]) for name in order])), NPY
    width = draw(st.sampled_from([6, 6, 5, 0]))
    dtype = draw(st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", "S3", "c16", "M8[s]", "O", "V4", "g"]))
    return npy(np.ones((len(table), width) if kind == "numbers" else (width,), dtype=dtype)), NPY


def around(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, f" {text}", f"{text}\u3000", "", " ", "NA", "é"])


KINDS: dict[str, list[Any]] = {
    "size": [pa.int64(), pa.uint64(), pa.float64(), pa.decimal128(9, 2), pa.string(), pa.bool_(), pa.date32()],
    "weight": [pa.float64(), pa.float32(), pa.float16(), pa.int64(), pa.decimal256(40, 9), pa.time64("us")],
    "colour": [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.binary(), pa.null()],
    "grade": [pa.int64(), pa.float64(), pa.decimal128(5), pa.dictionary(pa.int32(), pa.int64()), pa.timestamp("ns")],
    "member": [pa.bool_(), pa.int64(), pa.float64(), pa.string(), pa.null(), pa.list_(pa.bool_())],
    "region": [pa.string(), pa.dictionary(pa.int32(), pa.large_string()), pa.int32(), pa.struct([("a", pa.int8())])],
}  # fmt: skip


@st.composite
def parquet_bodies(draw: st.DrawFn) -> tuple[bytes, str]:
    rows = [dict(row) for row in draw(tables())]
    odd_one = draw(st.sampled_from([*oracle.NAMES, "none", "none"]))
    columns: dict[str, Any] = {}
    for name in rows[0]:
        kind = draw(st.sampled_from(KINDS[name])) if name == odd_one else KINDS.get(name, [pa.int8()])[0]
        columns[name] = of_kind([array_value(row.get(name, "null")) for row in rows], kind)
    return parquet(pa.table(columns)), PARQUET


def of_kind(values: list[Any], kind: Any) -> Any:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        try:
            return pa.array(list(map(str, values)), pa.string()).cast(kind)
        except pa.ArrowException:
            return pa.nulls(len(values), kind)


@st.composite
def broken(draw: st.DrawFn, bodies: st.SearchStrategy[tuple[bytes, str]]) -> tuple[bytes, str]:
    """A body with some of its bytes changed, lost, doubled or between others."""
    body, media_type = draw(bodies)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        to = min(len(body), at + draw(st.integers(0, 12)))
        new = draw(st.binary(max_size=4) | odd.map(str.encode))
        body = draw(
            st.sampled_from(
                [body[:at] + new + body[at:], body[:at] + new + body[to:], body[:at] + body[to:], body[:at],
                 body[:to] + body[at:], body[at:], body + body[at:to]]
            )
        )  # fmt: skip
    return body, media_type


text_bodies = json_bodies() | csv_bodies()
any_bodies = st.one_of(json_bodies(), csv_bodies(), npy_bodies(), parquet_bodies())
accepts = st.sampled_from([JSON, LINES, CSV, NPY])


@given(request=text_bodies | broken(text_bodies), accept=accepts)
@settings(max_examples=500 * TIMES, deadline=None)
def test_text_is_answered_to_the_last_bit_or_refused(
    compiled: Application, request: tuple[bytes, str], accept: str
) -> None:
    body, media_type = request
    judge(compiled, body, media_type, call(compiled, body, media_type, accept), accept)
    same_as_explained(body, media_type)


@given(request=st.one_of(npy_bodies(), parquet_bodies()), accept=accepts)
@settings(max_examples=300 * TIMES, deadline=None)
def test_arrays_and_tables_are_answered_to_the_last_bit_or_refused(
    compiled: Application, request: tuple[bytes, str], accept: str
) -> None:
    body, media_type = request
    judge(compiled, body, media_type, call(compiled, body, media_type, accept), accept)


@given(request=broken(npy_bodies() | parquet_bodies()))
@settings(max_examples=300 * TIMES, deadline=None)
def test_broken_arrays_and_tables_are_answered_to_the_last_bit_or_refused(
    compiled: Application, request: tuple[bytes, str]
) -> None:
    body, media_type = request
    judge(compiled, body, media_type, call(compiled, body, media_type))


@given(request=any_bodies)
@settings(max_examples=40 * TIMES, deadline=None)
def test_both_ways_of_scoring_answer_alike(
    compiled: Application, as_trained: Application, request: tuple[bytes, str]
) -> None:
    body, media_type = request
    responses = [call(application, body, media_type) for application in (compiled, as_trained)]
    assert responses[0] == responses[1]


@given(request=text_bodies, data=st.data())
@settings(max_examples=100 * TIMES, deadline=None)
def test_in_whatever_pieces_a_body_comes(
    compiled: Application, request: tuple[bytes, str], data: st.DataObject
) -> None:
    body, media_type = request
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert call(compiled, pieces, media_type) == call(compiled, body, media_type)


BY_ITS_LOOK = "by its look"
# What a content type is taken for; None where it is taken for nothing.
CONTENT_TYPES: dict[str | None, str | None] = {
    **{each: each for each in (JSON, LINES, CSV, NPY, PARQUET)},
    "APPLICATION/JSON": JSON,
    " Text/CSV ;charset=UTF-8": CSV,
    "application/json; charset=utf-16": JSON,
    "application/json;;;": JSON,
    "application/jsonlines; x=\"a;b\"": LINES,
    **dict.fromkeys(["text/csv; charset=utf-16", "text/csv;charset=", "text/csv, text/csv", "application/json,"]),
    **dict.fromkeys(["application/x-jsonlines", "Application/X-NDJSON"], LINES),
    **dict.fromkeys(["*/*", "text/*", "json", "application/ json", "application/x-json", "ÿ", "a" * 5000]),
    **dict.fromkeys(["", " ", None], BY_ITS_LOOK),
}  # fmt: skip
ACCEPTS: dict[str | None, str | None] = {
    None: JSON,
    **{each: each for each in (JSON, LINES, CSV, NPY)},
    **dict.fromkeys(["", "*/*", " , ,", "application/*", "APPLICATION/JSON", "text/csv;q=0.5, */*"], JSON),
    "*/*;q=0.001": JSON,
    "text/*;q=0.3": CSV,
    "text/csv;q=0.9;q=0.1, application/x-npy;q=0.5": NPY,
    **dict.fromkeys([PARQUET, "x", "text/csv;q=0", "*/*;q=nan", "application/json;q=-1", "*", "/", ";q=1", "ÿ"]),
}  # fmt: skip


@given(
    request=any_bodies,
    content_type=st.sampled_from(list(CONTENT_TYPES)),
    accept=st.sampled_from(list(ACCEPTS)),
)
@settings(max_examples=300 * TIMES, deadline=None)
def test_headers_of_every_kind(
    compiled: Application, request: tuple[bytes, str], content_type: str | None, accept: str | None
) -> None:
    body, _ = request
    header = content_type.encode().decode("latin-1") if content_type else content_type
    response = call(compiled, body, header, accept)
    media_type, accepted = CONTENT_TYPES[content_type], ACCEPTS[accept]
    if media_type == BY_ITS_LOOK:
        media_type = JSON if body.strip().startswith((b"{", b"[")) else CSV
    if media_type is None:
        expect_refusal(response, 415)
    elif accepted is None:
        expect_refusal(response, 406)
    else:
        judge(compiled, body, media_type, response, accepted)


paths = st.sampled_from(
    ["/invocations", "/ping", "/metrics", "/", "", "/invocations/", "//invocations", "/ping\0", "/é", "*"]
)
methods = st.sampled_from(
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "post", "", "QUERY"]
)


@given(path=paths | st.text(max_size=9), method=methods | st.text("ABC", max_size=4))
@settings(max_examples=150 * TIMES, deadline=None)
def test_other_paths_and_methods_are_refused(compiled: Application, path: str, method: str) -> None:
    response = call(compiled, b"[1]", method=method, path=path)
    if path in ("/ping", "/metrics") and method in ("GET", "HEAD"):
        assert response.status == 200
    elif method == "HEAD":
        assert (response.status, response.body) == (405 if path == "/invocations" else 404, b"")
    elif (path, method) == ("/invocations", "POST"):
        expect_refusal(response, 400)
    else:
        expect_refusal(response, 405 if path in ("/invocations", "/ping", "/metrics") else 404)


@pytest.mark.parametrize("bodies", [json_bodies, csv_bodies, npy_bodies, parquet_bodies])
def test_the_strategies_make_sound_bodies_and_others(
    compiled: Application, bodies: Callable[[], st.SearchStrategy[tuple[bytes, str]]]
) -> None:
    """Else all of the above would hold of nothing."""
    statuses = []

    @given(request=bodies())
    @settings(max_examples=100, deadline=None, database=None, derandomize=True)
    def look(request: tuple[bytes, str]) -> None:
        statuses.append(call(compiled, *request).status)

    look()
    assert set(statuses) == {200, 400}
    assert 0.1 < statuses.count(200) / len(statuses) < 0.9
