"""A model that was trained and judged, as the functions are told of it that keep runs."""

from __future__ import annotations

import math

from sluice.contract import Feature, ModelContract, TargetContract
from sluice.payloads.documents import Evaluation, ModelEvaluation
from sluice.payloads.tracking import OpenRunInput, RegisterModelInput
from sluice.payloads.training import GateDecision, Rule

EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:sluice-bank-dev-training:bank-1"
ASKED = OpenRunInput(
    execution="bank-1",
    execution_arn=EXECUTION,
    model_name="bank-dev-1",
    dataset_version="0123456789abcdef",
    hyperparameters={"max_iter": "150"},
    images={"train": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/assets:abc"},
    code="assets/c0de.zip",
    commit="0123abc",
)
CONTRACT = ModelContract(
    features=(
        Feature(name="age", kind="number", type="integer", nullable=False),
        Feature(name="job", kind="category", type="string", nullable=True),
    ),
    target=TargetContract(name="y", problem="binary", classes=("no", "yes"), positive="yes"),
)
EVALUATION = Evaluation(
    problem="binary",
    held_out_rows=1200,
    challenger=ModelEvaluation(
        metrics={"roc_auc": 0.9, "log_loss": math.inf}, model_uri="s3://a/new", scoring="compiled"
    ),
    champion=ModelEvaluation(metrics={"roc_auc": 0.8}, model_uri="s3://a/old"),
    history={"validation_score": (0.5, 0.25)},
)


def asked(run: str, *, promote: bool = True, name: str = "bank-dev-1") -> RegisterModelInput:
    rule = Rule(name="minimum.roc_auc", figure=0.9, limit=0.8, passed=promote, sentence="roc_auc is 0.9.")
    return RegisterModelInput(
        execution="bank-1",
        run_id=run,
        model_name=name,
        model_uri=f"s3://artifacts/models/{name}-train/output/model.tar.gz",
        dataset_version="0123456789abcdef",
        evaluation_uri="s3://artifacts/reports/bank-1/evaluation/evaluation.json",
        gate=GateDecision(
            promote=promote, rules=[rule], metrics={"roc_auc": 0.9}, champion_metrics={"roc_auc": 0.8}
        ),
    )
