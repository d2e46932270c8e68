"""What project.toml says comes back in the training job, though SageMaker hands over strings alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluice.hyperparameters import decode, encode

VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["20", "true", "True", "False", "null", '"quoted"', "[1]", "NaN", "Infinity", "1e999", ""]
    ),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
)


@given(VALUES)
@example("[" * 2_500)
def test_a_value_comes_back_as_what_it_was(value: Any) -> None:
    [text] = encode({"name": value}).values()

    found = decode(text)

    assert isinstance(text, str)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (150, "150"),
        (0.03, "0.03"),
        (True, "true"),
        ("lbfgs", "lbfgs"),
        ("150", '"150"'),
        ("True", '"True"'),
        (math.inf, "1e999"),
        (-math.inf, "-1e999"),
    ],
)
def test_how_a_value_is_handed_over(value: Any, text: str) -> None:
    assert encode({"name": value}) == {"name": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("150", 150),
        ("0.03", 0.03),
        ("1e-3", 1e-3),
        ("true", True),
        ("False", False),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ('"150"', "150"),
        ("lbfgs", "lbfgs"),
        ("007", "007"),
        ("NaN", "NaN"),
        ("", ""),
    ],
)
def test_a_text_is_read_by_what_it_looks_like(text: str, value: Any) -> None:
    found = decode(text)
    assert (type(found), found) == (type(value), value)
