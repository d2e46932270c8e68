"""Numbers from text: the native engine's doubles are those of Python's float()."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from containers.compiled.engine import Engine, engine_of
from containers.compiled.plan import Labels, Linear, Link, LinkKind, Number, Plan
from sluice.contract import Feature, ModelContract, TargetContract


@pytest.fixture(scope="module")
def identity() -> Engine:
    """Answer a number by itself."""
    feature = Feature(name="x", kind="number", type="number", nullable=False)
    contract = ModelContract(features=(feature,), target=TargetContract(name="y", problem="regression"))
    plan = Plan(
        features=(feature,),
        numbers=(Number(0, 0, ()),),
        texts=(),
        number_lookups=(),
        base=np.zeros(1),
        model=Linear(np.ones((1, 1))),
        start=np.full(1, -0.0),
        link=Link(LinkKind.IDENTITY, Labels.NONE),
    )
    engine = engine_of(plan, contract)
    if engine.name != "native":
        pytest.skip("the native extension is not built: python -m containers.compiled.build")
    return engine


def _check(engine: Engine, text: str) -> None:
    for read in (engine.score_csv, engine.score_json):
        body = text.encode() if read == engine.score_csv else b"[[" + text.encode() + b"]]"
        found = read(body, 0)
        if found is not None:
            assert found[0] == float(text), text  # the sum knows no -0.0


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=2000, deadline=None)
def test_any_double_is_read_back_bit_for_bit(identity: Engine, value: float) -> None:
    _check(identity, repr(value))


@given(st.integers(0, 10**19 - 1), st.integers(0, 24), st.sampled_from(["", "-"]))
@example(2**53 + 1, 0, "")
@example(9999999999999999999, 19, "")
@example(9007199254740993, 3, "-")
@settings(max_examples=3000, deadline=None)
def test_any_digits_with_a_point_anywhere(identity: Engine, digits: int, places: int, sign: str) -> None:
    padded = f"{digits:0{places + 1}d}"
    _check(identity, sign + (f"{padded[:-places]}.{padded[-places:]}" if places else padded))


@given(st.floats(1e-3, 1e6), st.integers(-2, 2))
@settings(max_examples=2000, deadline=None)
def test_halfway_between_two_doubles(identity: Engine, value: float, nudge: int) -> None:
    """The exact middle of two neighbours, and one unit of its last digits beside it."""
    above = math.nextafter(value, math.inf)
    numerator, denominator = value.as_integer_ratio()
    more, under = above.as_integer_ratio()
    scale = 10**18
    middle = (numerator * under + more * denominator) * scale // (2 * denominator * under) + nudge
    text = f"{middle:019d}"
    _check(identity, f"{text[:-18]}.{text[-18:]}")


def test_seventeen_digits_are_read_without_python(identity: Engine) -> None:
    assert identity.score_json(b"[[0.12345678901234568]]", 0) == (0.12345678901234568, -1)
