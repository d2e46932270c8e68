"""What the states of the machine `training` hand to the functions, and what those answer."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from sluice.outcomes import Outcome
from sluice.payloads.approval import Answer
from sluice.payloads.base import Payload
from sluice.payloads.batch import PredictedBatch
from sluice.payloads.deployment import Archive, DeploymentResult
from sluice.payloads.materialization import MeasuredSkew
from sluice.payloads.registry import RegisteredModel
from sluice.payloads.search import Search


class ValidateDatasetInput(Payload):
    """What ValidateDataset is asked: an upload, or where it names none a dataset version that stands already.

    Attributes:
        version_id: null for the newest version of the object.
        mode: the rows of the object are the table, or are appended to it.
        dataset: without an upload: the name of a version; null or `current` for the current one.
    """

    execution: str
    bucket: str | None = None
    key: str | None = None
    version_id: str | None = None
    mode: Literal["replace", "append"] = "replace"
    dataset: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.bucket is None) != (self.key is None):
            raise ValueError("bucket and key go together")
        if self.bucket is None and self.mode == "append":
            raise ValueError("there is nothing to append")
        if self.bucket is not None and self.dataset is not None:
            raise ValueError("an upload and a dataset are two things to train on")
        return self


class ValidatedDataset(Payload):
    """What ValidateDataset answers once the dataset version stands in S3."""

    dataset_version: str
    manifest_uri: str
    parts_uri: str = Field(description="its parts, as SageMaker takes a list of objects")
    rows: int = Field(description="accepted rows of the upload; without an upload those of the version")
    rejected_rows: int
    quarantine_uri: str | None
    validation_report_uri: str | None = Field(description="null without an upload")


class DecideGateInput(Payload):
    """What DecideGate is asked: `evaluation_uri` is the `evaluation.json` that EvaluateModel wrote.

    `skew` is what MeasureSkew found; None of a project that declares no features.
    """

    execution: str
    evaluation_uri: str
    skew: MeasuredSkew | None = None


class Rule(Payload):
    """One rule of the gate, and what came of it.

    Attributes:
        name: the key of project.toml that it stands for.
        figure: what was found, null where there is no finite figure.
        limit: what it was held against.
        sentence: both in words, for whoever reads nothing else.
    """

    name: str
    figure: float | None
    limit: float | None
    passed: bool
    sentence: str


class GateDecision(Payload):
    """What DecideGate answers: promoted if every rule is met. A refusal is a value, not an error."""

    promote: bool
    rules: list[Rule]
    metrics: dict[str, float]
    champion_metrics: dict[str, float] | None

    @property
    def reasons(self) -> list[str]:
        return [rule.sentence for rule in self.rules]


class StateFailure(Payload):
    """What a Catch hands on: the state that failed, with the error name and cause Step Functions gave."""

    state: str
    error: str
    cause: str


class Source(Payload):
    """What an execution was started with: what a person typed, so any of it may be missing or be no text."""

    bucket: JsonValue = None
    key: JsonValue = None
    version_id: JsonValue = None
    uri: str | None = None


class EndpointSeen(Payload):
    """What an endpoint looked like at the end: no status where there is none, `problem` where nobody could look."""

    name: str
    status: str | None = None
    config: str | None = Field(default=None, description="the configuration that serves")
    problem: str | None = None


class ApprovalRequest(Payload):
    """What RequestApproval is told of a model that passed its gates, for a person to say whether it may serve.

    Attributes:
        task_token: by which the answer is given. It goes into the releases table, and nowhere else.
        expires_seconds: the time there is for an answer.
        judgement: which one it passed, from 1; a later one if its champion was replaced meanwhile.
    """

    task_token: str = Field(repr=False)
    expires_seconds: int
    model_name: str
    judgement: int
    judged_champion: str | None
    execution: str
    execution_arn: str
    source: Source
    dataset: ValidatedDataset
    gate: GateDecision
    skew: MeasuredSkew | None = None
    search: Search | None = None
    evaluation_uri: str
    model_uri: str
    archive: Archive
    registered: RegisteredModel | None = None
    endpoint_name: str


class ReportOutcomeInput(Payload):
    """What ReportOutcome is told of an execution that is about to end, well or not."""

    execution: str
    execution_arn: str
    outcome: Outcome | None = Field(description="None of one that has not ended: it waits for an approval")
    source: Source
    dataset: ValidatedDataset | None = None
    gate: GateDecision | None = None
    skew: MeasuredSkew | None = None
    search: Search | None = None
    evaluation_uri: str | None = None
    model_uri: str | None = None
    archive: Archive | None = None
    judgement: int = Field(default=1, description="how often the model was judged")
    approval: Answer | None = None
    batch: PredictedBatch | None = Field(default=None, description="what became of a file's rows")
    endpoint_name: str | None = None
    released: str | None = Field(
        default=None, description="the configuration in service when it was last judged"
    )
    deployment: DeploymentResult | None = None
    failure: StateFailure | None = None
    run_id: str | None = Field(default=None, description="of the tracking server, where it was opened")
    registered: RegisteredModel | None = None
    untracked: StateFailure | None = Field(
        default=None,
        description="of a state whose failure the project lets pass: what the tracking server lacks",
    )
    unended: str | None = Field(default=None, description="why the run could not be ended")
    retries: int = Field(default=0, description="how often ReportOutcome was tried before")


class ReportedOutcome(Payload):
    """What ReportOutcome answers: the report, the notification, and the error to end with, if any."""

    report_uri: str | None = Field(description="null where no report could be written")
    subject: str = Field(description="at most 100 ASCII characters, as SNS wants it")
    message: str
    error: str | None = None
    cause: str | None = None
    summary: dict[str, Any]
