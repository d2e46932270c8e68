"""A model as it was recorded: what it was made of, what came out, what it was made on."""

from __future__ import annotations

import hashlib

from sluice.payloads.documents import ModelEvaluation, SplitSummary
from sluice.payloads.training_record import TrainingRecord
from sluice.reproducing.builds import Archive, Build


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


RECORD = TrainingRecord(
    dataset_version="0123456789abcdef",
    code_sha256=sha256("code"),
    plan_sha256=None,
    train_sha256=sha256("train"),
    hyperparameters={"max_iter": 100},
    seed=0,
    split=SplitSummary(salt="salt", held_out_share=0.2),
    entity_key="id",
    python="3.13.9",
    libraries={"numpy": "2.3.5", "scikit-learn": "1.8.0"},
    machine="x86_64 glibc 2.36",
    processor="a processor",
    cores=2,
    threads={"openmp libgomp": 2},
    thread_settings={"GOMP_SPINCOUNT": "10000"},
    instance_type="ml.m5.large",
)
MEMBERS = {
    "code/train.py": sha256("train.py"),
    "compiled.sluice": sha256("compiled"),
    "contract.json": sha256("contract"),
    "environment.json": sha256("environment"),
    "model.joblib": sha256("pickle"),
    "scoring.json": sha256("scoring"),
}
BUILD = Build(
    dataset_version="0123456789abcdef",
    parts={"a": sha256("a"), "b": sha256("b")},
    code_sha256=sha256("code"),
    hyperparameters={"max_iter": "100", "learning_rate": "0.1"},
    images={"training": "registry/train:1", "evaluation": "registry/process:1"},
    archive=Archive(MEMBERS, RECORD),
    train_sha256=sha256("train"),
    held_out_sha256=sha256("held out"),
    evaluation=ModelEvaluation(
        metrics={"roc_auc": 0.8, "log_loss": 0.4}, model_uri="s3://b/m", predictions_sha256=sha256("said")
    ),
)
