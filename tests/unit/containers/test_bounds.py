"""Small bodies that stand for much: refused for what they say of themselves, before anything is made of them."""

from __future__ import annotations

import io
import json
import struct
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containers.predictions import Predictions
from sluice.contract import Columns, Feature, ModelContract, TargetContract
from sluice.decoding.bodies import decode
from sluice.decoding.json_text import read_json
from sluice.errors import RequestError
from tests.support import oracle
from tests.support.asgi import FakeScorer, call, made

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
NPY, PARQUET = "application/x-npy", "application/x-parquet"
MB = 1024 * 1024
BODY = 6 * MB  # as much as SageMaker passes on
WIDTH = 60


def contract(columns: int, kind: Any = "category", type_: Any = "string") -> ModelContract:
    features = tuple(Feature(name=f"c{i}", kind=kind, type=type_, nullable=True) for i in range(columns))
    return ModelContract(features=features, target=TargetContract(name="y", problem="regression"))


WIDE, ONE = contract(WIDTH), contract(1, "number", "number")


def array(descr: str, shape: str, data: bytes = b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode() + data


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def wide(rows: int, **columns: Any) -> dict[str, Any]:
    return {f"c{i}": columns.get(f"c{i}", pa.array(["a"] * rows)) for i in range(WIDTH)}


def repeated_text(times: int, length: int) -> bytes:
    """One long text, referred to by every row."""
    words = pa.DictionaryArray.from_arrays(pa.array([0] * times), pa.array(["x" * length]))
    return parquet(wide(times, c0=words))


def prefixed_text(times: int, length: int) -> bytes:
    """One long text, of which every other row is the same prefix."""
    return parquet(
        wide(times, c0=pa.array(["x" * length] * times)),
        use_dictionary=False,
        column_encoding={"c0": "DELTA_BYTE_ARRAY"},
    )


def zeros(length: int, *, lie: bool) -> bytes:
    """One page that is far larger than it looks, or says so only in its own header."""
    body = parquet(
        wide(1, c0=pa.array(["x" * length])),
        use_dictionary=False,
        compression="zstd",
        write_statistics=False,
        store_schema=False,
    )
    if not lie:
        return body
    group = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0)
    size = struct.unpack("<I", body[-8:-4])[0]
    pages, footer = body[: -8 - size], body[-8 - size :]
    for number in (group.column(0).total_uncompressed_size, group.total_byte_size):
        assert footer.count(varint(2 * number)) == 1
        footer = footer.replace(varint(2 * number), varint(2 * 1000, len(varint(2 * number))))
    body = pages + footer
    assert pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).total_byte_size == 1000
    return body


def varint(number: int, length: int = 1) -> bytes:
    """Write a number seven bits a byte, in at least so many bytes."""
    found: list[int] = []
    while number or len(found) < length:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found[:-1], found[-1] & 127])


def filled(unit: bytes, before: bytes = b"[", after: bytes = b"]") -> bytes:
    """Repeat a value until a body is full."""
    count = (BODY - len(before) - len(after)) // len(unit)
    return before + (unit * count)[:-1] + after


KEYS = b",".join(b'"%x":1' % i for i in range(400_000))
BOMBS: dict[str, tuple[Callable[[], bytes], str, ModelContract, str]] = {
    "no bytes a cell": (
        lambda: array("'<U0'", "(1000000, 60)"),
        NPY,
        WIDE,
        "1,000,000 rows of 60 values, 60,000,000 in all, at most 4,000,000",
    ),
    "no bytes a field": (
        lambda: array(repr([(f"c{i}", "<U0") for i in range(WIDTH)]), "(1000, 1000)"),
        NPY,
        WIDE,
        "60,000,000 in all",
    ),
    "a byte a cell": (
        lambda: array("'|b1'", "(100000, 60)", bytes(6_000_000)),
        NPY,
        WIDE,
        "6,000,000 in all",
    ),
    "a size that is only claimed": (lambda: array("'<f8'", "(900000, 60)"), NPY, WIDE, "not an NPY array"),
    "a text that is only claimed": (lambda: array("'<U99999999'", "(1, 60)"), NPY, WIDE, "not an NPY array"),
    "runs of one value": (lambda: parquet(wide(100_000)), PARQUET, WIDE, "6,000,000 in all"),
    "a long word": (lambda: repeated_text(50_000, 10_000), PARQUET, WIDE, "bytes uncompressed"),
    "a long prefix": (lambda: prefixed_text(30_000, 10_000), PARQUET, WIDE, "bytes uncompressed"),
    "a large page": (lambda: zeros(300_000_000, lie=False), PARQUET, WIDE, "bytes uncompressed"),
    "a large page that is not owned to": (
        lambda: zeros(300_000_000, lie=True),
        PARQUET,
        WIDE,
        "bytes uncompressed",
    ),
    "empty lists": (lambda: filled(b"[],"), JSON, WIDE, "a list of more than 66,666"),
    "small records": (lambda: filled(b'{"a":1},'), JSON, WIDE, "a list of more than 66,666"),
    "a flat list": (lambda: filled(b"1,"), JSON, WIDE, "a list of more than 66,666"),
    "a row of millions": (lambda: filled(b"1,", b"[[", b"]]"), JSON, WIDE, "at most 1,048,576 characters"),
    "rows in an envelope": (
        lambda: filled(b"[],", b'{"instances":[', b"]}"),
        JSON,
        WIDE,
        "a list of more than 66,666",
    ),
    "split rows": (
        lambda: filled(b"[],", b'{"dataframe_split":{"data":[', b"]}}"),
        JSON,
        WIDE,
        "a list of more than 66,666",
    ),
    "keys": (lambda: b"{" + KEYS + b"}", JSON, WIDE, "an object of more than 123 keys"),
    "keys of a row": (lambda: b"[{" + KEYS + b"}]", JSON, WIDE, "at most 1,048,576 characters"),
    "few enough keys": (
        lambda: b"{" + KEYS[:1_000_000].rpartition(b",")[0] + b"}",
        JSON,
        WIDE,
        "unknown: '0'",
    ),
    "deep": (lambda: b"[" * BODY, JSON, WIDE, "nested too deeply"),
    "empty lines": (lambda: b"[]\n" * (BODY // 3), LINES, WIDE, "66,667 rows"),
    "a long line": (lambda: filled(b"1,"), LINES, WIDE, "row 1 is longer than 1,048,576 characters"),
    "short rows": (lambda: b"1\n" * (BODY // 2), CSV, WIDE, "66,667 rows"),
    "commas": (lambda: b"," * BODY, CSV, WIDE, "row 1 is longer than 1,048,576 characters"),
    "a name again and again": (lambda: b"c0," * 300_000, CSV, WIDE, "there twice: 'c0'"),
    "names of a file": (
        lambda: parquet({f"x{i}": pa.array([1]) for i in range(5_000)}),
        PARQUET,
        WIDE,
        "and 4,970 more",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_body_that_stands_for_much_is_refused(name: str) -> None:
    make, media_type, model, text = BOMBS[name]
    body = make()
    assert len(body) <= BODY
    tracemalloc.start()
    try:
        with pytest.raises(RequestError) as caught:
            decode(body, media_type, model)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert text in str(caught.value)
    assert len(str(caught.value)) < 4_000, "no longer than a person reads"
    assert peak < 300 * MB


def test_as_much_as_is_taken_is_read() -> None:
    assert len(decode(b"1\n" * 1_000_000, CSV, ONE)["c0"]) == 1_000_000
    with pytest.raises(RequestError, match="1,000,001 rows, at most 1,000,000"):
        decode(b"1\n" * 1_000_003, CSV, ONE)
    assert len(decode(array("'<U0'", "(66666, 60)"), NPY, WIDE)["c59"]) == 66_666


@pytest.mark.parametrize(
    "encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "RLE_DICTIONARY"]
)
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_a_sound_file_is_read_however_it_is_written(encoding: str, version: Any, compression: Any) -> None:
    rows = 20_000
    texts = [None if i % 7 == 0 else f"word {i % 100}" for i in range(rows)]
    table = {
        "c0": pa.array([0.5 * i for i in range(rows)]),
        "c1": pa.array(texts),
        "c2": pa.array([i % 3 for i in range(rows)], pa.int16()),
    }
    features = (
        Feature(name="c2", kind="number", type="integer", nullable=False),
        Feature(name="c1", kind="category", type="string", nullable=True),
        Feature(name="c0", kind="number", type="number", nullable=False),
    )
    model = ModelContract(features=features, target=TargetContract(name="y", problem="regression"))
    dictionary = encoding == "RLE_DICTIONARY"
    body = parquet(
        table,
        use_dictionary=["c1"] if dictionary else False,
        column_encoding=None if dictionary else {"c1": encoding},
        data_page_version=version,
        compression=compression,
        data_page_size=20_000,
        row_group_size=7_000,
    )
    assert decode(body, PARQUET, model) == {
        "c2": [float(i % 3) for i in range(rows)],
        "c1": texts,
        "c0": [0.5 * i for i in range(rows)],
    }


@pytest.mark.parametrize("flipped", [0x01, 0x02, 0x10, 0x80, 0xFF])
def test_a_spoilt_file_is_read_or_refused(flipped: int) -> None:
    """Above all it does not end the process, as some of pyarrow's ways to a column's metadata do."""
    whole = parquet({"c0": pa.array([0.5, None, 2.0])})
    for at in range(len(whole)):
        body = bytes([*whole[:at], whole[at] ^ flipped, *whole[at + 1 :]])
        try:
            found = decode(body, PARQUET, ONE)
        except RequestError:
            continue
        assert all(value is None or isinstance(value, float) for value in found["c0"])


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(
    document=documents,
    piece=st.integers(1, 60),
    indent=st.sampled_from([None, 0, 2]),
    cut=st.integers(0, 200),
)
@settings(max_examples=500, deadline=None)
def test_json_in_pieces_is_json_or_refused(document: Any, piece: int, indent: int | None, cut: int) -> None:
    """A value that is longer than a piece is refused; nothing is ever read as something else."""
    whole = json.dumps(document, indent=indent)
    for text in (whole, whole[:cut] + whole[cut + 1 :]):
        try:
            expected: Any = json.loads(text)
        except ValueError:
            expected = None
        try:
            found = read_json(text.encode(), "the body", 60, piece)
        except RequestError:
            continue
        assert repr(found) == repr(expected)


def test_rows_are_read_in_pieces_that_hold_them() -> None:
    rows = [{"a": 1.5e10, "b": f'te"xt, [{i}'} for i in range(200)]
    body = json.dumps({"dataframe_split": {"columns": ["a"], "data": rows}}).encode()
    assert read_json(body, "the body", 1, 50)["dataframe_split"]["data"] == rows


class Watched(FakeScorer):
    """Waits in its first block of rows until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.blocks: list[int] = []

    def score(self, columns: Columns) -> Predictions:
        self.blocks.append(len(columns["size"]))
        assert self.let.wait(30)
        return super().score(columns)


def test_work_stops_that_nobody_waits_for() -> None:
    scorer = Watched()
    application = made(scorer, seconds=0.2)
    rows = b"1,0.5,red\n" * 30_000
    late = call(application, rows, CSV)
    queued = call(application, rows, CSV)  # given up while it waits for the first one
    scorer.let.set()
    application.close()  # when the thread is done
    assert (late.status, queued.status) == (503, 503)
    assert sum(scorer.blocks) < 30_000


def test_many_rows_are_answered_in_order_and_a_refusal_names_the_row_that_was_sent() -> None:
    application = made(oracle.compiled())
    fields = [f"{i % 9},0.25,red,2,true,north" for i in range(20_000)]
    # Blanks around a text and a mark at the beginning are for the explaining path, which scores in blocks.
    by_blocks = call(application, ("\ufeff" + "\n".join(fields)).encode(), CSV)
    assert by_blocks.status == 200
    assert by_blocks.body == call(application, "\n".join(fields).encode(), CSV).body
    application.close()


def test_too_many_rows_are_refused_by_the_quick_path_too() -> None:
    quick = oracle.compiled()
    rows = b"3,0.25,red,2,true,north\n"
    if quick.engine.name != "native":
        pytest.skip("the native extension is not built: python -m containers.compiled.build")
    assert quick.answer(rows * 1_000_001, CSV, CSV) is None
    assert quick.answer(rows * 1_000, CSV, CSV) is not None


def test_numbers_stay_what_they_are_in_an_array() -> None:
    model = contract(2, "number", "number")
    sent = np.array([[0.1, 2.5], [np.nan, -1e300]])
    sink = io.BytesIO()
    np.save(sink, np.asfortranarray(sent))
    assert repr(decode(sink.getvalue(), NPY, model)) == "{'c0': [0.1, nan], 'c1': [2.5, -1e+300]}"
