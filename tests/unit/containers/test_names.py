"""A name that a client composes in another way (é as one character, or as e and an accent) is the same name."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from containers.compiled.compile import compile_model
from containers.serve.scorer import CompiledScorer
from sluice.contract import Feature, ModelContract, TargetContract
from sluice.decoding.bodies import decode
from sluice.errors import RequestError
from tests.support.asgi import call, made

COMPOSED, APART = "cat\u00e9gorie", "cate\u0301gorie"


def contract(name: str) -> ModelContract:
    return ModelContract(
        features=(
            Feature(name="n", kind="number", type="integer", nullable=False),
            Feature(name=name, kind="category", type="string", nullable=False),
        ),
        target=TargetContract(name="y", problem="binary", classes=("a", "b"), positive="b"),
    )


def _npy(array: Any) -> bytes:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, array, version=(3, 0))  # the one that takes any name
    return sink.getvalue()


def _parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def bodies(name: str) -> dict[str, bytes]:
    record = json.dumps({"n": 1, name: "x"}, ensure_ascii=False).encode()
    return {
        "application/json": record,
        "application/jsonlines": record,
        "text/csv": f"{name},n\nx,1\n".encode(),
        "application/x-parquet": _parquet(**{"n": [1], name: ["x"]}),
        "application/x-npy": _npy(np.array([(1, "x")], dtype=[("n", "i8"), (name, "U3")])),
    }


@pytest.mark.parametrize("media_type", list(bodies("x")))
@pytest.mark.parametrize(("own", "sent"), [(COMPOSED, APART), (APART, COMPOSED), (COMPOSED, COMPOSED)])
def test_a_request_may_compose_its_names_in_its_own_way(own: str, sent: str, media_type: str) -> None:
    assert decode(bodies(sent)[media_type], media_type, contract(own)) == {"n": [1.0], own: ["x"]}


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (json.dumps({"n": 1, COMPOSED: "x", APART: "y"}).encode(), "application/json"),
        (f"n,{COMPOSED},{APART}\n1,x,y\n".encode(), "text/csv"),
        (_parquet(**{"n": [1], COMPOSED: ["x"], APART: ["y"]}), "application/x-parquet"),
    ],
)
def test_one_name_in_two_ways_is_there_twice(body: bytes, media_type: str) -> None:
    with pytest.raises(RequestError, match=r"there (twice|more than once): 'cat.gorie'"):
        decode(body, media_type, contract(COMPOSED))


def test_a_compiled_model_takes_no_header_for_a_row() -> None:
    """All its columns hold text, and none of its names stands in the header byte by byte."""
    text = ModelContract(
        features=(Feature(name=COMPOSED, kind="category", type="string", nullable=False),),
        target=TargetContract(name="y", problem="binary", classes=("a", "b"), positive="b"),
    )
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5, sparse_output=False)
    model = make_pipeline(make_column_transformer((encoder, [COMPOSED])), LogisticRegression())
    model.fit(pd.DataFrame({COMPOSED: ["x", "z"] * 20 + ["rare"]}), ["a", "b"] * 20 + ["a"])
    scorer = CompiledScorer(compile_model(model, text), text)
    application = made(scorer)
    answers = [call(application, f"{name}\nx\nz\n".encode(), "text/csv").json for name in (APART, COMPOSED)]
    application.close()
    assert len(answers[0]["predictions"]) == 2
    assert answers[0] == answers[1]
