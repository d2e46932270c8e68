"""What a scorer says is counted once, whichever way it was asked: held against what it answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from containers.compiled.compile import compile_model
from containers.predictions import Predictions
from containers.serve.scorer import CompiledScorer
from containers.serve.tally import tally
from sluice.contract import TargetContract
from tests.support.asgi import CONTRACT, call, made
from tests.support.oracle import CONTRACT as COMPILED
from tests.support.oracle import pipeline

Counted = list[tuple[int, float, float]]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_a_batch_is_counted_as_its_numbers_are(chances: list[float]) -> None:
    counted: Counted = []
    chance = np.array(chances)
    predictions = Predictions(np.column_stack([1 - chance, chance]), (chance > 0.5).astype(np.int64))
    assert tally(predictions, CONTRACT, lambda *each: counted.append(each)) is predictions
    [(count, total, squares)] = counted
    assert count == len(chances)
    assert total == pytest.approx(sum(chances))
    assert squares == pytest.approx(sum(each * each for each in chances))


def test_of_several_classes_there_is_no_one_number_to_count() -> None:
    counted: Counted = []
    target = TargetContract(name="y", problem="multiclass", classes=("a", "b", "c"))
    contract = CONTRACT.model_copy(update={"target": target})
    predictions = Predictions(np.full((2, 3), 1 / 3), np.array([0, 1]))
    tally(predictions, contract, lambda *each: counted.append(each))
    assert counted == []


ROWS = [
    {"size": size, "weight": weight, "colour": colour, "grade": 1, "member": True, "region": "north"}
    for size in (1, 5)
    for weight in (None, 0.5)
    for colour in ("red", None)
]


def bodies(rows: list[dict[str, object]]) -> list[tuple[bytes, str, str]]:
    csv = "\n".join(
        ",".join("" if row[n] is None else str(row[n]).lower() for n in COMPILED.names) for row in rows
    )
    return [
        (json.dumps(rows).encode(), "application/json", "application/json"),
        (json.dumps(rows).encode(), "application/json", "text/csv"),
        (json.dumps(rows).encode(), "application/json", "application/jsonlines"),
        ("\n".join(map(json.dumps, rows)).encode(), "application/jsonlines", "application/json"),
        (csv.encode(), "text/csv", "application/json"),
        # With a header: what the compiled path leaves to the thread.
        (f"{','.join(COMPILED.names)}\n{csv}\n".encode(), "text/csv", "text/csv"),
    ]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(ROWS), min_size=1, max_size=6))
def test_every_way_to_ask_counts_what_it_answers_once(rows: list[dict[str, object]]) -> None:
    counted: Counted = []
    scorer = CompiledScorer(compile_model(pipeline(), COMPILED), COMPILED, lambda *each: counted.append(each))
    application = made(scorer)
    expected = [float(each) for each in call(application, *bodies(rows)[1]).body.split()]
    for body, media_type, accepted in bodies(rows):
        counted.clear()
        assert call(application, body, media_type, accepted).status == 200
        assert sum(count for count, _, _ in counted) == len(rows)
        assert sum(total for _, total, _ in counted) == pytest.approx(sum(expected))
        assert sum(squares for _, _, squares in counted) == pytest.approx(
            sum(each * each for each in expected)
        )
    counted.clear()
    assert call(application, b'[{"size": 1}]').status == 400
    assert counted == []
    application.close()


def test_a_row_of_columns_is_counted() -> None:
    counted: Counted = []
    scorer = CompiledScorer(compile_model(pipeline(), COMPILED), COMPILED, lambda *each: counted.append(each))
    columns = COMPILED.columns_from_records(ROWS[:1])
    answer = scorer.answer_row(columns, "application/json")
    assert answer is not None
    chance = json.loads(answer)["predictions"][0]["probability"]
    assert counted == [(1, chance, chance * chance)]
