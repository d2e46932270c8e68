"""The model card: what a person has to know of a model, and nothing of a row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice import keys
from sluice.contract import Feature
from sluice.outcomes import Outcome
from sluice.payloads.documents import Evaluation, ModelEvaluation, TrainingSetSummary
from sluice.payloads.evaluation import (
    Bounds,
    CalibrationSummary,
    Comparison,
    Figure,
    Gap,
    GroupEvaluation,
    Importance,
    Importances,
    Latency,
    SliceEvaluation,
)
from sluice.payloads.training import Rule
from sluice.reporting.card import CardFacts, card, cell
from sluice.reporting.outcome import report_outcome
from tests.unit.test_outcome import FAILED, PROJECT, TRAINING_SET, bucket, told

BOUNDS = Bounds(low=0.7, high=0.9)
MODEL = "bank-dev-0123456789abcdef"
EVALUATION = Evaluation(
    problem="binary",
    held_out_rows=1_018,
    confidence=0.95,
    challenger=ModelEvaluation(
        metrics={"roc_auc": 0.8, "log_loss": 0.4},
        intervals={"roc_auc": BOUNDS},
        calibration=CalibrationSummary(
            error=0.02, bias=-0.01, reliability=0, resolution=0, uncertainty=0, bins=()
        ),
        model_uri=f"s3://artifacts/{keys.model(MODEL)}",
        scoring="compiled, equal to the fitted pipeline on 80 rows",
        latency=Latency(row_ms=1.5, batch_row_us=3),
        archive_bytes=2_000_000,
    ),
    champion=ModelEvaluation(metrics={"roc_auc": 0.75}, model_uri="s3://artifacts/other", unseen=True),
    comparisons={
        "roc_auc": Comparison(difference=0.05, bounds=Bounds(low=0.01, high=0.09), method="bootstrap")
    },
    slices=(
        SliceEvaluation(
            gate=0,
            column="job",
            value="a|b",
            rows=500,
            challenger={"roc_auc": Figure(value=0.7, bounds=BOUNDS)},
        ),
        SliceEvaluation(
            gate=0, column="job", value="nurse", rows=3, unjudged="it has 3 rows, 10 are asked for"
        ),
    ),
    groups=(
        GroupEvaluation(
            column="sex",
            value="f",
            rows=400,
            positives=40,
            selected=Figure(value=0.1),
            found=Figure(value=0.6),
            bias=Figure(value=0.01),
            calibration_error=None,
        ),
    ),
    gaps=(Gap(column="sex", name="demographic_parity", between=("f", "m"), value=0.05, bounds=BOUNDS),),
    importance=Importances(
        metric="roc_auc", rows=500, shuffles=5, features=(Importance(feature="age", loss=0.2, error=0.01),)
    ),
)
RULES = [
    Rule(name="minimum.roc_auc", figure=0.8, limit=0.7, passed=True, sentence="roc_auc is 0.8."),
    Rule(name="compare", figure=0.0, limit=0.1, passed=False, sentence="It gained too little."),
]
FACTS = CardFacts(
    project=PROJECT,
    model_uri=EVALUATION.challenger.model_uri,
    execution="run",
    stack="sluice-bank-dev",
    dataset_version="fedcba9876543210",
    evaluation=EVALUATION,
    training_set=TrainingSetSummary.model_validate(TRAINING_SET).model_copy(
        update={"features": (Feature(name="age", kind="number", type="integer", nullable=False),)}
    ),
    rules=RULES,
    rows=98,
    rejected_rows=2,
    outcome=Outcome.GATE_REJECTED,
)


@pytest.mark.parametrize(
    "line",
    [
        f"# bank: {MODEL}",
        "It did not pass its gate: 1 of 2 rules failed. It was not deployed.",
        "- passed: roc\\_auc is 0.8.",
        "- **failed**: It gained too little.",
        "who says yes &amp; who &lt;does not>",
        "It predicts `y`, a binary problem; what is predicted is the probability of yes.",
        "| dataset version | fedcba9876543210 |",
        "| uploaded | 98 rows accepted, 2 rejected |",
        "| trained on | 80 rows |",
        "| judged on | 18 rows that were held out (20% of 98 keys, by hash) |",
        "| age | number | integer |",
        "| roc\\_auc | 0.8000 (0.7000 to 0.9000) | 0.7500 | +0.0500 (+0.0100 to +0.0900) |",
        "| log\\_loss (smaller is better) | 0.4000 | – | – |",
        "Calibration: the expected error of a probability is 0.0200, its bias -0.0100.",
        "The fitted pipeline took 1.5 ms for a row that comes alone. Its archive has 2 MB. Scoring: compiled, equal"
        " to the fitted pipeline on 80 rows.",
        "| job: a\\|b | 500 | roc\\_auc | 0.7000 (0.7000 to 0.9000) | – |",
        "| sex: f | 400 | 0.1000 | 0.6000 | 0.0100 |",
        "| sex | demographic parity | f over m | 0.0500 (0.7000 to 0.9000) |",
        "| age | 0.2000 | 0.0100 |",
        "- Of job: nurse (3 rows) nothing is said: it has 3 rows, 10 are asked for.",
        "- The rows are too few to say how far log\\_loss may be from the truth.",
        f"    sluice reproduce {MODEL} --stack sluice-bank-dev",
    ],
)
def test_a_card_says(line: str) -> None:
    assert line in card(FACTS).splitlines()


def changed(**changes: Any) -> str:
    return card(replace(FACTS, **changes))


def test_what_is_not_known_is_a_limit() -> None:
    bare = Evaluation(
        problem="binary",
        held_out_rows=10,
        challenger=ModelEvaluation(metrics={"roc_auc": 0.8}, model_uri=FACTS.model_uri),
        champion=ModelEvaluation(error="row 7 holds 'secret'", model_uri="s3://b/m"),
    )
    text = changed(evaluation=bare, training_set=None, rules=(), outcome=None, stack=None, rows=None)
    assert "The gate has not decided." in text
    assert "secret" not in text
    for limit in (
        "Parts of the rows were not looked at (gates.slices).",
        "Groups of people were not looked at (gates.fairness).",
        "The champion could not be judged: evaluation.json says why.",
        "What each feature is worth was not measured.",
        "Whether its probabilities can be taken at their word was not measured.",
    ):
        assert f"- {limit}" in text.splitlines()
    assert f"    sluice reproduce {MODEL}" in text.splitlines()


@pytest.mark.parametrize("text", ["a | b", "line\nbreak", "<script>", "*bold* _it_ `code` [x](y) # h"])
def test_a_name_cannot_become_markup(text: str) -> None:
    written = cell(text)
    assert "\n" not in written
    assert "<" not in written
    unescaped = written
    for mark in "\\`*_[]|#":
        unescaped = unescaped.replace(f"\\{mark}", "")
    assert not set(unescaped) & set("`*_[]|#")


def test_the_card_of_a_judged_model_lies_beside_its_report() -> None:
    store = bucket()
    report_outcome(told(), PROJECT, store, None)
    assert "## How to build it again" in store.objects[keys.card("run")].decode()
    for key in (keys.report("run"), keys.page("run")):
        assert store.uri(keys.card("run")) in store.objects[key].decode()


def test_without_a_judged_model_there_is_no_card() -> None:
    store = bucket()
    report_outcome(told(**FAILED), PROJECT, store, None)
    assert keys.card("run") not in store.objects
    assert "card.md" not in store.objects[keys.page("run")].decode()
