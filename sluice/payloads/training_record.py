"""environment.json in a model's archive: what the training job was given, and what it ran on."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sluice.payloads.base import Document
from sluice.payloads.documents import SplitSummary

FILE_NAME = "environment.json"


class TrainingRecord(Document):
    """What has to be the same for the same model, and what may make another one of it.

    Nothing in it is of a single run (no time, no job's name): the same training on the same machine writes the same
    bytes.

    Attributes:
        code_sha256: of the project's zip.
        plan_sha256: of its feature plan; None of a project that declares no features.
        train_sha256: of the Parquet file of the training rows.
        hyperparameters: as build_model was given them.
        seed: of Python's and numpy's generators.
        split, entity_key: by which the training rows were told from the held-out ones.
        libraries: every distribution that was installed, with its version.
        threads: how many each pool of threads has, by what the pool belongs to.
        thread_settings: variables of the environment that say so.
    """

    dataset_version: str
    code_sha256: str
    plan_sha256: str | None = None
    train_sha256: str
    hyperparameters: dict[str, Any]
    seed: int
    split: SplitSummary
    entity_key: str | None = None
    python: str
    libraries: dict[str, str]
    machine: str = Field(description="architecture and C library")
    processor: str
    cores: int
    threads: dict[str, int]
    thread_settings: dict[str, str]
    instance_type: str = Field(default="", description="as SageMaker calls it")
