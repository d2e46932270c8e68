"""The documents that an execution leaves in S3, by their types; `sluice.keys` says where each lies."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from sluice import keys
from sluice.contract import Feature
from sluice.outcomes import Outcome
from sluice.payloads.approval import Answer
from sluice.payloads.base import Document, Payload
from sluice.payloads.batch import PredictedBatch
from sluice.payloads.deployment import Archive
from sluice.payloads.evaluation import (
    Bounds,
    CalibrationSummary,
    Comparison,
    Gap,
    GroupEvaluation,
    Importances,
    Latency,
    SliceEvaluation,
)
from sluice.payloads.materialization import MeasuredSkew
from sluice.payloads.search import Search
from sluice.payloads.training import EndpointSeen, Rule, Source, StateFailure
from sluice.problems import Problem


class DocumentSource(Payload):
    """The object version that a dataset version was made from, and by which execution."""

    uri: str
    version_id: str | None
    etag: str | None
    execution: str


class Part(Payload):
    """The accepted rows of one upload, in a Parquet file of their own. Its lineage lies in the folder of its name.

    Times are UTC. The times of events are None where the project has no entity.timestamp.
    """

    name: str
    sha256: str
    md5: str = Field(
        description="by which DVC, and so the key, knows the file; what is checked is the SHA-256"
    )
    bytes: int
    rows: int
    source: DocumentSource
    accepted: datetime | None = None
    first_event: datetime | None = None
    last_event: datetime | None = None
    repeats: int = Field(
        default=0, description="rows whose key and time an earlier part has: these here count"
    )

    @property
    def key(self) -> str:
        """Where the file lies."""
        return keys.part(self.md5)


class Manifest(Document):
    """manifest.json of a dataset version: the parts it is made of, in order, and under which contract.

    Of two rows with the same key and time the one in the later part counts. A version of one part is called like the
    part. The name is a hash of the rows alone: who brought them, and when, is in each part's `Lineage`.
    """

    dataset_version: str
    sha256: str = Field(description="of the part; of several parts sluice.naming.list_of_parts")
    bytes: int
    rows: int = Field(description="those that count")
    project: str
    columns: dict[str, dict[str, Any]] = Field(description="[columns] of project.toml, without defaults")
    source: DocumentSource = Field(description="of the last part")
    parts: tuple[Part, ...] = Field(min_length=1)


class Uploaded(Payload):
    """Who brought an object, and when, as far as S3 tells.

    Attributes:
        at: when S3 took it.
        by: who the uploading client said it is (`sluice upload` asks STS for its ARN). S3 keeps the word and proves
            nothing: which principal it was is in CloudTrail's data events alone.
        tracked_as, tracked_md5: the path and MD5 of the `.dvc` file that it was uploaded by.
    """

    at: datetime | None = None
    by: str | None = None
    tracked_as: str | None = None
    tracked_md5: str | None = None


class ColumnStatistics(Payload):
    """What the accepted rows of a part hold in one column.

    `nulls`, `min` and `max` are of all rows; the others of those that were drawn (`Lineage.drawn`). Times are UTC, in
    ISO 8601.

    Attributes:
        distinct: different values.
        mean, deviation: of numbers; the deviation is the sample's.
        quantiles: of numbers and times, at 0, 5, …, 100 %.
        values: how many rows hold each of the most frequent values; none where most rows hold one of their own, and
            of the entity key.
    """

    type: str
    nulls: int
    min: int | float | str | None = None
    max: int | float | str | None = None
    distinct: int = 0
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float | str, ...] = ()
    values: dict[str, int] = Field(default={})


class Lineage(Document):
    """lineage.json of a part: what it was made of, by whom, under which contract, and what it holds.

    It is written once, with the part. Whoever brings the same rows again changes nothing of it.
    """

    part: str
    project: str
    source: DocumentSource
    uploaded: Uploaded
    accepted: datetime
    rows_read: int
    rejected_rows: int
    reasons: dict[str, int] = Field(description="rejected cells by column and reason")
    rows: int
    columns: dict[str, dict[str, Any]] = Field(description="[columns] of project.toml, without defaults")
    drawn: int = Field(description="rows that the statistics stand on: evenly drawn, or all of them")
    statistics: dict[str, ColumnStatistics]


class Move(Payload):
    """An execution made a dataset version the current one."""

    execution: str
    dataset_version: str
    at: datetime


class Current(Document):
    """current.json: which dataset version is the table as it is now.

    `moves` are the newest ones, the last of them the one that made it so: an execution that is tried again finds its
    own among them.
    """

    dataset_version: str
    moves: tuple[Move, ...]


class Appended(Payload):
    """What became of a part: the version that it is part of, and what it changed.

    Attributes:
        parts, table_rows: of the version, this part included.
        repeats: rows whose key and time an earlier part has; the rows of this part count.
        began: there was no table; this part is all of it.
        unchanged: the table held this part already.
    """

    parts: int
    table_rows: int
    repeats: int
    began: bool
    unchanged: bool


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
    future_rows: int = Field(default=0, description="rows whose time is more than a day ahead of the clock")
    appended: Appended | None = Field(default=None, description="of a file under incoming/events/")


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
    train_sha256: str | None = Field(default=None, description="of the file of the training rows")
    held_out_sha256: str | None = Field(default=None, description="of the file of the held-out rows")


class ModelEvaluation(Payload):
    """One model's figures on the held-out rows; `error` instead of metrics where it could not score them.

    Attributes:
        intervals: how far each figure may be from the truth; none where the rows are too few to tell.
        calibration: of a binary problem.
        scoring: by which path it would be served, and why; None of an image of the user's own, as is `latency`.
        archive_bytes: of its model.tar.gz; None where its answers were read, and not it.
        predictions_sha256: of every bit of its predictions for the held-out rows, in their order.
        unseen: whether it was shown that it has learned from none of the rows it is judged on; None where nothing is
            recorded of how its training rows were told from held-out ones.
    """

    metrics: dict[str, float] = Field(default={})
    intervals: dict[str, Bounds] = Field(default={})
    calibration: CalibrationSummary | None = None
    error: str | None = None
    model_uri: str
    scoring: str | None = None
    latency: Latency | None = None
    archive_bytes: int | None = None
    predictions_sha256: str | None = None
    unseen: bool | None = None


class Evaluation(Document):
    """evaluation.json: challenger and champion, judged on the same held-out rows.

    One that was written before there were intervals has figures only, and no comparisons.

    Attributes:
        held_out_sha256: of the file of the rows, which also seeds what is drawn.
        confidence: of each bound in here, one-sided.
        comparisons: by metric; empty without a champion that could be judged.
        slices, groups, gaps: as gates.slices and gates.fairness ask for them.
        importance: None of an image of the user's own.
    """

    problem: Problem
    held_out_rows: int
    held_out_sha256: str | None = None
    confidence: float | None = None
    challenger: ModelEvaluation
    champion: ModelEvaluation | None
    comparisons: dict[str, Comparison] = Field(default={})
    slices: tuple[SliceEvaluation, ...] = ()
    groups: tuple[GroupEvaluation, ...] = ()
    gaps: tuple[Gap, ...] = ()
    importance: Importances | None = None
    curves: dict[str, Any] = Field(default={}, description="points for plots, at most 200 a curve")
    history: dict[str, tuple[float, ...]] = Field(
        default={}, description="what the challenger measured after each iteration of its training"
    )


class Summary(Payload):
    """What is told of an execution in a few figures: the output of `training`, and what commands print."""

    outcome: Outcome | None = Field(description="null while it waits for an approval")
    execution_arn: str
    dataset_version: str | None
    rows: int | None
    rejected_rows: int | None
    quarantine_uri: str | None
    metrics: dict[str, float] | None
    champion_metrics: dict[str, float] | None
    reasons: list[str]
    notes: list[str] = Field(default=[], description="what is worth knowing of the data, and stops nothing")
    scoring: str | None
    model_uri: str | None
    model_version: str | None = Field(default=None, description="in the registry: its name, then its number")
    endpoint_name: str | None = Field(description="where a model was deployed, or rolled back")
    serving: str | None = Field(description="the endpoint configuration that a rollback left in service")
    report_uri: str | None
    batch: PredictedBatch | None = Field(default=None, description="of an execution of `batch`")
    error: str | None = None
    cause: str | None = None

    def told(self) -> dict[str, Any]:
        """JSON-ready; of an execution that did not fail without `error` and `cause`, and `batch` of one that is."""
        left_out = {"error", "cause"} if self.error is None else set()
        return self.model_dump(mode="json", exclude=left_out | ({"batch"} if self.batch is None else set()))


class Report(Summary, Document):
    """report.json: the summary, and everything it was made of."""

    project: str
    source: Source
    endpoint: EndpointSeen | None = None
    archive: Archive | None = Field(default=None, description="which object `model_uri` was")
    judgement: int = Field(default=1, description="how often the model was judged")
    approval: Answer | None = None
    failure: StateFailure | None
    rules: list[Rule] = Field(default=[], description="the gate's, each with its figure and its limit")
    validation: Validation | None
    training_set: TrainingSetSummary | None
    evaluation: Evaluation | None
    search: Search | None = Field(default=None, description="the trials by which hyperparameters were chosen")
    skew: MeasuredSkew | None = Field(
        default=None, description="the online store against the dataset, where the gate asked"
    )
    card_uri: str | None = Field(default=None, description="the model card, of a model that was judged")
