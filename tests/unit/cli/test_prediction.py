"""What `sluice predict` sends of a file of any kind, and what it says of rows that are refused."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.prediction import Asked, Refused, in_requests, tell
from cli.rows import Row
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.errors import SluiceError
from sluice.spelling import Spelling
from tests.support.served import Endpoint

CODE = 9007199254740993  # no float holds it
CONTRACT = ModelContract(
    features=(
        Feature(name="n", kind="number", type="integer", nullable=False),
        Feature(
            name="price",
            kind="number",
            type="number",
            nullable=True,
            spelling=Spelling(decimal=",", grouping=".", after="€"),
        ),
        Feature(name="code", kind="category", type="integer", nullable=True),
        Feature(name="flag", kind="number", type="boolean", nullable=True),
        Feature(name="größe", kind="category", type="string", nullable=True),
    ),
    target=TargetContract(name="y", problem="regression"),
    null_values=("", "NA"),
)
NAMES = [*CONTRACT.names, "y", "id"]
TEXTS = [
    ["1", "1.234,50 €", str(CODE), "Yes", "a;b", "7", "c1"],
    ["2", "NA", "", "no", 'say "x", 1', "8", "c2"],
    ["3", "-5", "12", "", "", "9", "c3"],
]
SEEN: list[dict[str, Any]] = [
    {"n": 1.0, "price": 1234.5, "code": str(CODE), "flag": 1.0, "größe": "a;b"},
    {"n": 2.0, "price": None, "code": None, "flag": 0.0, "größe": 'say "x", 1'},
    {"n": 3.0, "price": -5.0, "code": "12", "flag": None, "größe": None},
]
VALUES: dict[str, list[Any]] = {
    "n": [1, 2, 3],
    "price": [1234.5, None, -5.0],
    "code": [CODE, None, 12],
    "flag": [True, False, None],
    "größe": ["a;b", 'say "x", 1', None],
    "y": [7, 8, 9],
    "id": ["c1", "c2", "c3"],
}


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(CONTRACT, answers_by="n")


def as_csv(delimiter: str, encoding: str = "utf-8", above: str = "") -> Callable[[], bytes]:
    def content() -> bytes:
        import io

        text = io.StringIO()
        text.write(above)
        csv.writer(text, delimiter=delimiter).writerows([NAMES, *TEXTS])
        return text.getvalue().encode(encoding)

    return content


def as_parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(VALUES), sink)
    return sink.getvalue().to_pybytes()


def records() -> list[dict[str, Any]]:
    return [dict(zip(VALUES, row, strict=True)) for row in zip(*VALUES.values(), strict=True)]


def as_json_lines() -> bytes:
    return b"\n\n".join(json.dumps(each).encode() for each in records()) + b"\n"


def as_decomposed() -> bytes:
    import unicodedata

    return unicodedata.normalize("NFD", as_csv(",")().decode()).encode()


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "commas": ("in.csv", as_csv(",")),
    "semicolons": ("in.csv", as_csv(";")),
    "tabs": ("in.tsv", as_csv("\t")),
    "bars": ("in.txt", as_csv("|")),
    "carets, which only a project names": ("in.csv", as_csv("^")),
    "a byte order mark": ("in.csv", as_csv(",", "utf-8-sig")),
    "Excel's first line": ("in.csv", as_csv(";", above="sep=;\n")),
    "no ending": ("in.data", as_csv(",")),
    "decomposed names": ("in.csv", as_decomposed),
    "gzip": ("in.csv.gz", lambda: gzip.compress(as_csv(";")())),
    "gzip by another name": ("in.csv", lambda: gzip.compress(as_csv(",")())),
    "Parquet": ("in.parquet", as_parquet),
    "Parquet by another name": ("in.csv", as_parquet),
    "gzipped Parquet": ("in.parquet.gz", lambda: gzip.compress(as_parquet())),
    "JSON Lines": ("in.jsonl", as_json_lines),
    "JSON Lines called JSON": ("in.json", as_json_lines),
    "gzipped JSON Lines": ("in.ndjson.gz", lambda: gzip.compress(as_json_lines())),
    "a list": ("in.json", lambda: json.dumps(records(), indent=2).encode()),
    "a list on one line": ("in", lambda: json.dumps(records()).encode()),
    "an envelope": ("in.json", lambda: json.dumps({"instances": records()}).encode()),
    "lists in the model's order": (
        "in.jsonl",
        lambda: "\n".join(json.dumps(list(each.values())[:5]) for each in records()).encode(),
    ),
}


def without_nan(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: None if value != value else value for name, value in row.items()} for row in rows]


@pytest.mark.parametrize("kind", FILES)
def test_the_same_rows_are_sent_whatever_the_file_is(endpoint: Endpoint, tmp_path: Path, kind: str) -> None:
    name, content = FILES[kind]
    (tmp_path / name).write_bytes(content())

    answers = endpoint.predict(tmp_path / name)

    seen = without_nan(endpoint.rows)
    if kind == "decomposed names":
        seen = [row | {"größe": SEEN[i]["größe"]} for i, row in enumerate(seen)]
    assert seen == SEEN
    assert [(answer.number, answer.prediction) for answer in answers] == [
        (1, {"value": 1.0}),
        (2, {"value": 2.0}),
        (3, {"value": 3.0}),
    ]


def test_an_image_of_the_users_own_is_asked_in_plain_csv(tmp_path: Path) -> None:
    own = Endpoint(CONTRACT, answers_by="n", reads=("text/csv",))
    (tmp_path / "in.csv").write_bytes(as_csv(",")())

    own.contract = own.contract.model_copy(
        update={"features": tuple(f.model_copy(update={"spelling": None}) for f in CONTRACT.features)}
    )
    served = own.served()
    asked = Asked(type(served)("own", own, CONTRACT))
    rows = [
        Row(number, record) for number, record in enumerate([dict(SEEN[0], code=CODE, flag=True, n=1)], 1)
    ]
    (answer,) = [answer for request in in_requests(rows) for answer in asked.answers(request)]

    assert own.bodies[-1] == f"1.0,1234.5,{CODE},1.0,a;b\n".encode()
    assert answer.prediction == {"value": 1.0}


@pytest.mark.parametrize(
    ("name", "content", "refused"),
    [
        (
            "in.csv",
            'n,price,code,flag,größe\n1,1,,,\nx,1,,,\n3,1\n4,1,,,\n5,"1,2,3",,,\n',
            {2: "column 'n': found the string 'x'", 3: "it has 2 fields, the header 5", 5: "column 'price'"},
        ),
        (
            "in.jsonl",
            '{"n":1,"price":1,"code":1,"flag":true,"größe":"a"}\n{"n":\n7\n[1,2]\n{"n":5}\n'
            '{"n":6,"price":1,"code":1,"flag":true,"größe":"a"}\n'
            '{"n":7,"n":8,"price":1,"code":1,"flag":true,"größe":"a"}\n'
            '{"n":8,"price":1e999,"code":1,"flag":true,"größe":"a"}\n'
            '{"n":9,"price":1,"code":1,"flag":true,"größe":"\\ud800"}\n' + "[" * 9_999 + "\n"
            '{"n":11,"price":1,"code":1,"flag":true,"größe":"a"}\n',
            {
                2: "it is no JSON",
                3: "it is 7, not an object",
                4: "it has 2 values, the model takes 5",
                5: "it has no 'price', 'code', 'flag', 'größe'",
                7: "the key 'n' is there more than once",
                8: "JSON has no NaN or Infinity",
                9: "not valid JSON",
                10: "it is no JSON",
            },
        ),
    ],
)
def test_a_refused_row_is_told_by_its_number_and_the_others_are_predicted(
    endpoint: Endpoint,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: str,
    refused: dict[int, str],
) -> None:
    (tmp_path / name).write_text(content)

    answers = list(tell(endpoint.predict(tmp_path / name)))

    assert [answer.number for answer in answers] == list(range(1, len(answers) + 1))
    assert {answer.number for answer in answers if answer.prediction is None} == refused.keys()
    assert all(a.prediction == {"value": float(a.number)} for a in answers if a.prediction is not None)
    told = capsys.readouterr().err.splitlines()
    for line, (number, problem) in zip(told, refused.items(), strict=False):
        assert line.startswith(f"  row {number}: ")
        assert problem in line
    assert told[-1].startswith(f"{len(refused)} of {len(answers)} rows were refused")


def test_a_header_too_long_for_one_field_is_read(tmp_path: Path) -> None:
    names = [f"column_{i:09}" for i in range(20_000)]
    contract = ModelContract(
        features=(Feature(name=names[7], kind="number", type="integer", nullable=False),),
        target=TargetContract(name="y", problem="regression"),
    )
    (tmp_path / "in.csv").write_text(";".join(names) + "\n" + ";".join(map(str, range(20_000))) + "\n")

    (answer,) = Endpoint(contract, answers_by=names[7]).predict(tmp_path / "in.csv")

    assert answer.prediction == {"value": 7.0}


def test_one_bad_row_among_many_is_found(endpoint: Endpoint, tmp_path: Path) -> None:
    lines = [f"{i},1,,," for i in range(1, 1_701)]
    lines[1_233] = "old,1,,,"
    (tmp_path / "in.csv").write_text("\n".join(["n,price,code,flag,größe", *lines]))

    answers = endpoint.predict(tmp_path / "in.csv")

    assert [answer.number for answer in answers if answer.prediction is None] == [1_234]
    assert [a.prediction for a in answers if a.prediction] == [
        {"value": float(i)} for i in range(1, 1_701) if i != 1_234
    ]


def test_a_file_that_is_refused_altogether_is_given_up(endpoint: Endpoint, tmp_path: Path) -> None:
    lines = ["old,1,,,"] * 2_000
    (tmp_path / "in.csv").write_text("\n".join(["n,price,code,flag,größe", *lines]))

    with pytest.raises(Refused, match="20 of the first 20 rows were refused") as caught:
        endpoint.predict(tmp_path / "in.csv")

    assert "found the string 'old', expected a whole number" in str(caught.value)
    assert len(endpoint.bodies) < 100


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("in.csv", b"", "the file holds 0 bytes"),
        ("in.csv", b"n,price,code,flag,gr\xc3\xb6\xc3\x9fe\n", "the file has a header and no rows"),
        ("in.csv", b"n,price\n1,2\n", "columns the model takes are missing: 'code', 'flag', 'größe'"),
        ("in.csv", b"n,price\n", "columns the model takes are missing: 'code', 'flag', 'größe'"),
        ("in.csv", b"n,price,n\n1,2,3\n", "columns are there more than once: 'n'"),
        ("in.csv", b"n,gr\xf6\xdfe\n1,a\n", "the file is not UTF-8 text"),
        ("in.csv", b"PK\x03\x04" + bytes(99), "a zip archive or an Excel workbook"),
        ("in.csv", "n,price".encode("utf-16"), "UTF-16"),
        ("in.csv.gz", gzip.compress(as_csv(",")() * 9, mtime=0)[:-20], "the gzip file cannot be unpacked"),
        ("in.parquet", as_parquet()[:-9], "the file is no readable Parquet file"),
        ("in.json", b"{'n': 1}", "the file is no JSON"),
        ("in.json", b"[]", "there are no rows in the file"),
        ("in.jsonl", b"\n\n", "the file is empty"),
        ("in.jsonl", b'{"n": 1, "price": 2}\n', "are missing: 'code', 'flag', 'größe'"),
    ],
)
def test_a_file_that_holds_no_rows_for_the_model_is_told_why(
    endpoint: Endpoint, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SluiceError) as caught:
        endpoint.predict(tmp_path / name)

    assert told in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert not endpoint.bodies


def test_what_features_py_derives_is_told(
    endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known: Any = {"derives": True, "described": frozenset({"n", "price", "code"})}
    served = endpoint.served(**known)

    served.describe()
    told = capsys.readouterr().err
    assert "the model takes n, price, code, flag, größe" in told
    assert "derived by features.py: flag, größe" in told

    error = str(served.missing(["n", "price"], tmp_path / "in.csv"))
    assert "missing: 'code', 'flag', 'größe'" in error
    assert "features.py derives 'flag', 'größe' in training, and predict does not run it" in error
    assert "as build_features of features.py returns them" in error

    endpoint.served().describe()
    assert capsys.readouterr().err == ""


# What JSON makes longer than its characters: quotes, control characters, text beyond ASCII.
wide = st.text(alphabet=st.sampled_from('a"\\\n\x01é漢😀'), max_size=40)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cells=st.lists(st.lists(wide, min_size=3, max_size=3), min_size=1, max_size=60),
    most_bytes=st.integers(60, 400),
    most_rows=st.integers(1, 12),
)
def test_no_request_is_larger_than_it_may_be(cells: list[list[str]], most_bytes: int, most_rows: int) -> None:
    rows = [Row(number, dict(zip("abc", row, strict=True))) for number, row in enumerate(cells, start=1)]

    requests = list(in_requests(rows, most_rows, most_bytes))

    sent = [each for request in requests for each in request]
    assert [each.row.number for each in sent] == [row.number for row in rows]
    for request in requests:
        assert 0 < len(request) <= most_rows
        assert len(b"".join(each.line for each in request)) <= most_bytes
    for each, row in zip(sent, rows, strict=True):
        if each.line:
            assert json.loads(each.line) == row.record
        else:
            # Only what fits into no request at all is left out.
            size = len(json.dumps(row.record, ensure_ascii=False, separators=(",", ":")).encode()) + 1
            assert size > most_bytes
            assert f"{size:,} bytes" in each.row.problem
    # As few requests as the order of the rows allows.
    for before, after in itertools.pairwise(requests):
        size = sum(len(each.line) for each in before) + len(after[0].line)
        assert len(before) == most_rows or size > most_bytes


def test_wide_rows_fit_into_requests_of_six_mebibytes(tmp_path: Path) -> None:
    names = [f"column_{i}" for i in range(300)]
    contract = ModelContract(
        features=(
            Feature(name="n", kind="number", type="integer", nullable=False),
            *(Feature(name=name, kind="category", type="string", nullable=True) for name in names),
        ),
        target=TargetContract(name="y", problem="regression"),
    )
    endpoint = Endpoint(contract, answers_by="n")
    pq.write_table(
        pa.table(
            {"n": range(40)}
            | {
                name: ["é" * (7_000_000 if i == 3 and j == 7 else 500) for i in range(40)]
                for j, name in enumerate(names)
            }
        ),
        tmp_path / "wide.parquet",
    )

    answers = endpoint.predict(tmp_path / "wide.parquet")

    assert [a.prediction and a.prediction["value"] for a in answers] == [
        None if i == 3 else float(i) for i in range(40)
    ]
    assert "a request 6,291,456 at most" in answers[3].problem
    assert len(endpoint.bodies) == 2
