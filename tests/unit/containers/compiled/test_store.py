"""A file that is damaged is refused; one that only looks whole is, or its plan can be followed without harm."""

from __future__ import annotations

import hashlib
import json
import math
import random
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from xgboost import XGBClassifier

from containers.compiled import store
from containers.compiled.engine import Engine, NumpyEngine, engine_of
from containers.compiled.plan import CompiledModelError, Op, Plan, Trees
from sluice.contract import Columns, ModelContract, TargetContract
from sluice.problems import Problem

from .cases import PREPROCESSING, Classes, as_they_are, fitted
from .comparing import compiled

HGB: dict[str, Any] = {"early_stopping": False, "min_samples_leaf": 5, "random_state": 0}
HEAD = struct.Struct("<8sIIQ32s")
MODELS: dict[str, tuple[Any, Classes]] = {
    "sets": (
        make_pipeline(
            PREPROCESSING["ordinal"](),
            HistGradientBoostingClassifier(max_iter=3, categorical_features=[0, 2], **HGB),
        ),
        "binary",
    ),
    "masks": (
        make_pipeline(
            PREPROCESSING["codes"](), HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=5, **HGB)
        ),
        "multiclass",
    ),
    "singles": (make_pipeline(as_they_are(), XGBClassifier(n_estimators=2, n_jobs=1)), "codes"),
    "rows": (
        make_pipeline(PREPROCESSING["strict"](), RandomForestClassifier(3, max_depth=4, random_state=0)),
        "multiclass",
    ),
    "weights": (make_pipeline(PREPROCESSING["sparse"](), LogisticRegression()), "binary"),
}


@pytest.fixture(scope="module", params=MODELS)
def content(request: pytest.FixtureRequest) -> bytes:
    model, classes = MODELS[request.param]
    return store.to_bytes(compiled(fitted(model, classes, rows=200), classes))


def test_a_plan_is_read_as_it_was_written(content: bytes) -> None:
    assert store.to_bytes(store.from_bytes(content)) == content


def test_a_file_of_another_length_is_refused(content: bytes) -> None:
    for length in range(len(content)):
        with pytest.raises(CompiledModelError, match=r"no compiled model|cut off or added to"):
            store.from_bytes(content[:length])
    for more in (b"\0", b"\n", bytes(8), content):
        with pytest.raises(CompiledModelError, match="cut off or added to"):
            store.from_bytes(content + more)


def test_a_flipped_bit_is_found_wherever_it_is(content: bytes) -> None:
    head = range(HEAD.size * 8)
    elsewhere = random.Random(0).sample(range(HEAD.size * 8, len(content) * 8), 4_000)
    for bit in (*head, *elsewhere):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CompiledModelError):
            store.from_bytes(bytes(damaged))


def test_a_file_of_another_version_is_named(content: bytes) -> None:
    with pytest.raises(CompiledModelError, match="version 1; this code knows version 2"):
        store.from_bytes(content[:8] + struct.pack("<I", 1) + content[12:])


def signed(header: bytes, body: bytes) -> bytes:
    """A file whose lengths and checksum are right, whatever is in it."""
    digest = hashlib.sha256(header + body).digest()
    return HEAD.pack(b"SLUICE\r\n", store.VERSION, len(header), len(body), digest) + header + body


def parts(content: bytes) -> tuple[Any, bytes]:
    length = HEAD.unpack_from(content)[2]
    return json.loads(content[HEAD.size : HEAD.size + length]), content[HEAD.size + length :]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"\xff",
        b'{"features": 1}',
        b"[" * 100_000,
        b'{"trees": ' + b"9" * 5_000 + b"}",
    ],
)
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(CompiledModelError, match="its header is not one of ours"):
        store.from_bytes(signed(header, b""))


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path into a JSON document."""
    if path:
        yield path
    if isinstance(document, dict):
        keys: list[Any] = list(document)
    else:
        keys = list(range(len(document))) if isinstance(document, list) else []
    for key in keys:
        yield from places(document[key], (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = dict(document) if isinstance(document, dict) else list(document)
    changed[path[0]] = replaced(document[path[0]], path[1:], value)
    return changed


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from([op.name for op in Op]),
    st.floats(allow_nan=True).map(float.hex),
    st.sampled_from(
        ["SOFTMAX", "SHARE", "LOGISTIC32", "IDENTITY", "VALUE_ABOVE_HALF", "RAW_LARGEST", "PAIRWISE"]
    ),
    st.sampled_from([[], {}, [[]], [0, 0], {"array": ["u4", 0, [1]]}, {"array": ["f8", -8, [1]]}]),
)
words = st.sampled_from([0, 1, 2, 31, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]) | st.integers(0, 0xFFFFFFFF)
doubles = st.floats() | st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.8e308 / 2])


@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_what_is_signed_and_wrong_is_refused_or_does_no_harm(content: bytes, data: st.DataObject) -> None:
    header, body = parts(content)
    for _ in range(data.draw(st.integers(1, 3))):
        if data.draw(st.booleans()):
            path = data.draw(st.sampled_from(list(places(header))))
            # Another part of the header often is of the right type, and means something else.
            other = at(header, data.draw(st.sampled_from(list(places(header)))))
            header = replaced(header, path, data.draw(st.just(other) | scalars))
        else:
            body = _other_numbers(body, data)
    _follow(signed(json.dumps(header).encode(), body))


def _other_numbers(body: bytes, data: st.DataObject) -> bytes:
    size = data.draw(st.sampled_from([1, 4, 8]))
    raw = {
        1: lambda: bytes([data.draw(st.integers(0, 255))]),
        4: lambda: struct.pack("<I", data.draw(words)),
        8: lambda: struct.pack("<d", data.draw(doubles)),
    }[size]()
    place = data.draw(st.integers(0, len(body) // size - 1)) * size
    return body[:place] + raw + body[place + size :]


def _follow(changed: bytes) -> None:
    """Read and evaluate it: a refusal, or one answer of both engines, with no crash on the way."""
    try:
        plan = store.from_bytes(changed)
        contract = _contract_of(plan)
        engine = engine_of(plan, contract)
    except (CompiledModelError, ValidationError):
        return
    columns = _columns_of(contract, plan)
    pure = NumpyEngine(plan)
    for some in (slice(0, 1), slice(0, 7), slice(0, None)):
        rows = {name: values[some] for name, values in columns.items()}
        _same(engine, pure, rows)


def _same(engine: Engine, pure: Engine, rows: Columns) -> None:
    assert engine.score_columns(rows) == pure.score_columns(rows)


def _contract_of(plan: Plan) -> ModelContract:
    """The contract that such a plan would fit."""
    classes = tuple(range(plan.values)) if plan.link.labels else ()
    problem: Problem = "multiclass" if classes else "regression"
    target = TargetContract(name="y", problem=problem, classes=classes)
    return ModelContract(features=plan.features, target=target)


def _columns_of(contract: ModelContract, plan: Plan) -> Columns:
    draw = random.Random(0)
    texts = {text.column: [*text.keys, "no such", None] for text in plan.texts}
    thresholds = plan.model.threshold.tolist() if isinstance(plan.model, Trees) else []
    numbers = [0.0, -0.0, -0.5, 1.0, 33.0, -1.0, 1e300, -1e300, 5e-324, math.nan, *thresholds]
    columns: Columns = {}
    for i, feature in enumerate(contract.features):
        pool: list[Any] = numbers if feature.kind == "number" else texts.get(i, [None, "x"])
        columns[feature.name] = [draw.choice(pool) for _ in range(70)]
    return columns


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("left", 0, "a child lies outside of its tree"),
        ("left", 0xFFFFFFFF, "a child lies outside of its tree"),
        ("slot", 0x7FFFFFFF, "a node's slot"),
        ("row", 0xFFFFFFFF, "a leaf's row"),
        ("category_set", 0x7FFFFFFF, "a node's category set"),
        ("null_left", 0xFFFFFFFF, "a flag is neither 0 nor 1"),
        ("root", 7, "the roots"),
        ("set_start", 7, "the category sets"),
    ],
)
def test_an_index_that_leads_astray_is_named(name: str, value: int, reason: str) -> None:
    header, body = parts(store.to_bytes(_plan_of("sets")))
    kind, offset, shape = header["trees"][name]["array"]
    size = int(kind[1])
    for place in range(offset, offset + math.prod(shape) * size, size):
        changed = body[:place] + value.to_bytes(4, "little")[:size] + body[place + size :]
        try:
            store.from_bytes(signed(json.dumps(header).encode(), changed))
        except CompiledModelError as error:
            if reason in str(error):
                return
    pytest.fail(f"no {name} of {value} was refused for {reason!r}")


def test_a_slot_with_two_sources_is_refused() -> None:
    header, body = parts(store.to_bytes(_plan_of("masks")))
    header["numbers"].append(header["numbers"][0])
    with pytest.raises(CompiledModelError, match="a slot is filled by two columns"):
        store.from_bytes(signed(json.dumps(header).encode(), body))


def test_two_columns_of_one_name_are_refused() -> None:
    header, body = parts(store.to_bytes(_plan_of("masks")))
    header["features"][0] = header["features"][1]
    with pytest.raises(CompiledModelError, match="two columns of one name"):
        store.from_bytes(signed(json.dumps(header).encode(), body))


def test_labels_that_ask_for_a_value_that_is_not_there_are_refused() -> None:
    header, body = parts(store.to_bytes(_plan_of("masks")))
    header["link"]["labels"] = "VALUE_ABOVE_HALF"
    with pytest.raises(CompiledModelError, match="labels of two classes"):
        store.from_bytes(signed(json.dumps(header).encode(), body))


def test_a_category_set_without_a_word_is_refused() -> None:
    plan = _plan_of("sets")
    assert isinstance(plan.model, Trees)
    header, body = parts(store.to_bytes(plan))
    _, offset, [edges] = header["trees"]["set_start"]["array"]
    starts = np.frombuffer(body[offset : offset + 4 * edges], dtype="<u4").copy()
    starts[1] = 0
    changed = body[:offset] + starts.tobytes() + body[offset + 4 * edges :]
    with pytest.raises(CompiledModelError, match="a category set without a word"):
        store.from_bytes(signed(json.dumps(header).encode(), changed))


def _plan_of(name: str) -> Plan:
    model, classes = MODELS[name]
    return compiled(fitted(model, classes, rows=200), classes)
