"""The documents that an execution leaves in S3, by their types; `sluice.keys` says where each lies."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sluice.contract import Feature
from sluice.outcomes import Outcome
from sluice.payloads.base import Document, Payload
from sluice.payloads.training import EndpointSeen, Source, StateFailure
from sluice.problems import Problem


class DocumentSource(Payload):
    """The object version that a dataset version was made from, and by which execution."""

    uri: str
    version_id: str | None
    etag: str | None
    execution: str


class Manifest(Document):
    """manifest.json beside a dataset version: what it holds, what of, under which contract."""

    dataset_version: str
    sha256: str
    bytes: int
    rows: int
    project: str
    columns: dict[str, dict[str, Any]] = Field(description="[columns] of project.toml, without defaults")
    source: DocumentSource


class ColumnSummary(Payload):
    """What was seen in one column: nulls among the rows read, rejected cells, and the accepted range."""

    type: str
    nulls: int = 0
    rejected: int = 0
    min: int | float | str | None = None
    max: int | float | str | None = None


class DocumentError(Payload):
    """The error that ended a step: its name, and its text as a person reads it."""

    name: str
    text: str


class Validation(Document):
    """validation.json: what became of an uploaded file, whether a dataset version was made of it or not."""

    source: DocumentSource
    dataset_version: str | None
    error: DocumentError | None
    rows: int
    rejected_rows: int
    rejected_share: float
    reasons: dict[str, int]
    examples: dict[str, str] = Field(default={}, description="the first rejected value of each reason, cut")
    classes: dict[str, int]
    columns: dict[str, ColumnSummary]


class SplitSummary(Payload):
    """How the rows were split."""

    salt: str
    held_out_share: float


class TargetSummary(Payload):
    """What is predicted; of a classification how many rows of each class are on either side."""

    name: str
    problem: Problem
    train: dict[str, int] | None = None
    held_out: dict[str, int] | None = None


class TrainingSetSummary(Document):
    """training_set.json: what was made of a dataset version."""

    dataset_rows: int
    rows: int
    train_rows: int
    held_out_rows: int
    keys: int
    split: SplitSummary
    features: tuple[Feature, ...]
    target: TargetSummary


class ModelEvaluation(Payload):
    """One model's figures on the held-out rows; `error` instead of metrics where it could not score them.

    `scoring` says by which path it would be served, and why; None of an image of the user's own.
    """

    metrics: dict[str, float] = Field(default={})
    error: str | None = None
    model_uri: str
    scoring: str | None = None


class Evaluation(Document):
    """evaluation.json: challenger and champion, judged on the same held-out rows."""

    problem: Problem
    held_out_rows: int
    challenger: ModelEvaluation
    champion: ModelEvaluation | None
    curves: dict[str, Any] = Field(default={}, description="points for plots, at most 200 a curve")


class Summary(Payload):
    """What is told of an execution in a few figures: the output of `training`, and what commands print."""

    outcome: Outcome
    execution_arn: str
    dataset_version: str | None
    rows: int | None
    rejected_rows: int | None
    quarantine_uri: str | None
    metrics: dict[str, float] | None
    champion_metrics: dict[str, float] | None
    reasons: list[str]
    scoring: str | None
    model_uri: str | None
    endpoint_name: str | None = Field(description="where a model was deployed, or rolled back")
    serving: str | None = Field(description="the endpoint configuration that a rollback left in service")
    report_uri: str | None
    error: str | None = None
    cause: str | None = None

    def told(self) -> dict[str, Any]:
        """JSON-ready; of an execution that did not fail without `error` and `cause`."""
        return self.model_dump(mode="json", exclude={"error", "cause"} if self.error is None else None)


class Report(Summary, Document):
    """report.json: the summary, and everything it was made of."""

    project: str
    source: Source
    endpoint: EndpointSeen | None = None
    failure: StateFailure | None
    validation: Validation | None
    training_set: TrainingSetSummary | None
    evaluation: Evaluation | None
