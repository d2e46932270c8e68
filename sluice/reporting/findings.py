"""What the states of an execution left behind, gathered once: the base of everything that is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sluice import keys, naming
from sluice.artifacts import Artifacts
from sluice.errors import SluiceError
from sluice.outcomes import AWAITING_APPROVAL, Outcome
from sluice.payloads.base import Document
from sluice.payloads.deployment import DeploymentResult
from sluice.payloads.documents import Evaluation, Summary, TrainingSetSummary, Validation
from sluice.payloads.training import EndpointSeen, ReportOutcomeInput, Source
from sluice.project import Project
from sluice.reporting.failures import explain

_Document = TypeVar("_Document", bound=Document)


@dataclass(frozen=True)
class Waiting:
    """A model that passed its gates and waits for a person's word. The stack is how commands call it."""

    model: str
    until: datetime
    stack: str


@dataclass(frozen=True)
class Findings:
    """What is known of an execution, as far as it came; `waiting` while it has not ended."""

    told: ReportOutcomeInput
    project: Project
    failure: SluiceError | None
    validation: Validation | None
    training_set: TrainingSetSummary | None
    evaluation: Evaluation | None
    source: Source
    endpoint: EndpointSeen | None
    summary: Summary
    page_uri: str | None
    unreported: SluiceError | None
    waiting: Waiting | None = None

    @property
    def heading(self) -> str:
        """The outcome in one word or two (Deployed, GateRejected, Appended, Predicted), or the error's name."""
        return self.failure.name if self.failure else self.summary.outcome or AWAITING_APPROVAL


def gather(
    told: ReportOutcomeInput, project: Project, artifacts: Artifacts, endpoint: EndpointSeen | None
) -> Findings:
    """Read what lies in S3 of the execution; what is not there, it did not come to."""
    validation = _read(artifacts, keys.validation(told.execution), Validation)
    evaluation = None
    if told.evaluation_uri is not None:
        evaluation = _read(artifacts, naming.split_uri(told.evaluation_uri)[1], Evaluation)
    failure = None if told.failure is None else explain(told.failure)
    rejected = validation is not None and validation.rejected_rows > 0
    summary = _summary(told, failure, validation, evaluation).model_copy(
        update={
            "quarantine_uri": artifacts.uri(keys.rejected(told.execution)) if rejected else None,
            "report_uri": artifacts.uri(keys.report(told.execution)),
        }
    )
    return Findings(
        told=told,
        project=project,
        failure=failure,
        validation=validation,
        training_set=_read(artifacts, keys.training_set(told.execution), TrainingSetSummary),
        evaluation=evaluation,
        source=_source(told),
        endpoint=endpoint,
        summary=summary,
        page_uri=artifacts.uri(keys.page(told.execution)),
        unreported=None,
    )


def gather_without_storage(
    told: ReportOutcomeInput, project: Project, endpoint: EndpointSeen | None, why: SluiceError
) -> Findings:
    """Give what is known of the execution without S3, which fails for the reason `why`."""
    failure = None if told.failure is None else explain(told.failure)
    return Findings(
        told=told,
        project=project,
        failure=failure,
        validation=None,
        training_set=None,
        evaluation=None,
        source=_source(told),
        endpoint=endpoint,
        summary=_summary(told, failure, None, None),
        page_uri=None,
        unreported=why,
    )


def _read(artifacts: Artifacts, key: str, kind: type[_Document]) -> _Document | None:
    body = artifacts.read(key)
    return None if body is None else kind.model_validate_json(body)


def _source(told: ReportOutcomeInput) -> Source:
    bucket, key = told.source.bucket, told.source.key
    if isinstance(bucket, str) and isinstance(key, str) and bucket and key:
        return told.source.model_copy(update={"uri": naming.uri(bucket, key)})
    return told.source


def _summary(
    told: ReportOutcomeInput,
    failure: SluiceError | None,
    validation: Validation | None,
    evaluation: Evaluation | None,
) -> Summary:
    """Say each figure of the execution once, where it can be known; places in S3 are not said here."""
    gate, deployment = told.gate, told.deployment
    challenger = None if evaluation is None else evaluation.challenger
    metrics = gate.metrics if gate is not None else None if challenger is None else challenger.metrics
    reasons = [] if gate is None else list(gate.reasons)
    rolled_back = deployment is not None and deployment.outcome is Outcome.ROLLED_BACK
    if deployment is not None and rolled_back:
        reasons.append(f"Rolled back: {deployment.reason or 'SageMaker gave no reason'}.")
        reasons += _taken_back(deployment)
    if told.judgement > 1:
        reasons.append(
            f"It was judged {told.judgement} times, for another model had become champion before it could be "
            f"deployed; this is the last time, against {told.released or 'none'}."
        )
    if told.approval is not None:
        reasons.append(told.approval.sentence)
    dataset = told.dataset or validation
    return Summary(
        outcome=told.outcome,
        execution_arn=told.execution_arn,
        dataset_version=None if dataset is None else dataset.dataset_version,
        rows=None if validation is None else validation.rows,
        rejected_rows=None if validation is None else validation.rejected_rows,
        quarantine_uri=None if told.dataset is None else told.dataset.quarantine_uri,
        metrics=metrics,
        champion_metrics=None if gate is None else gate.champion_metrics,
        reasons=reasons,
        notes=[*([] if validation is None else _notes(validation)), *_untracked(told)],
        scoring=None if challenger is None else challenger.scoring,
        model_uri=told.model_uri if told.batch is None else told.batch.model_uri,
        model_version=None
        if told.registered is None
        else f"{told.registered.name} {told.registered.version}",
        endpoint_name=told.endpoint_name if told.outcome in (Outcome.DEPLOYED, Outcome.ROLLED_BACK) else None,
        serving=deployment.endpoint_config_name if deployment is not None and rolled_back else None,
        report_uri=None,
        batch=told.batch,
        error=None if failure is None else failure.name,
        cause=None if failure is None else str(failure),
    )


def _taken_back(deployment: DeploymentResult) -> Iterator[str]:
    """Say which alarm took a model back, and what the two fleets had done until then."""
    if deployment.alarm is not None:
        alarm = deployment.alarm
        yield f"The alarm {alarm.name} went off at {alarm.at:%Y-%m-%d %H:%M:%S} UTC: {alarm.reason}"
    if deployment.reached is not None:
        yield f"The new model had {deployment.reached:.0%} of the traffic."
    figures = deployment.figures or {}
    for which in ("new", "old"):
        if f"{which}_requests" in figures:
            requests, errors, refused, p99 = (
                figures[f"{which}_{name}"] for name in ("requests", "errors", "refused", "p99")
            )
            yield (
                f"The {which} model had {requests:,.0f} requests: {errors:,.0f} errors, {refused:,.0f} refused, "
                f"{p99 / 1000:.1f} ms at the 99th percentile."
            )


def _notes(validation: Validation) -> Iterator[str]:
    appended = validation.appended
    if appended is not None and appended.unchanged:
        yield "The table held this part already: the dataset version is as it was."
    elif appended is not None and appended.began:
        yield "There was no table: these rows are all of it."
    elif appended is not None:
        yield f"This is part {appended.parts:,} of the table, which now has {appended.table_rows:,} rows that count."
        if appended.repeats:
            yield (
                f"{appended.repeats:,} of its rows have the key and time of rows that were there, "
                "and take their place."
            )
    if validation.future_rows:
        yield f"{validation.future_rows:,} rows are dated more than a day ahead of the clock."


def _untracked(told: ReportOutcomeInput) -> Iterator[str]:
    """Say what the tracking server and the registry lack of the execution."""
    if told.untracked is not None:
        lacks = "has no run of this execution" if told.run_id is None else "has no version of this model"
        why = explain(told.untracked).what
        yield f"The tracking server {lacks}, for {told.untracked.state} failed: {why}."
    if told.unended is not None:
        yield f"The run {told.run_id} could not be ended, and may look as if it were running: {told.unended}."
    if told.deployment is not None and told.deployment.unverified is not None:
        yield (
            "Nobody could look whether the endpoint answers as the model did when it was judged: "
            f"{told.deployment.unverified}."
        )
    if told.deployment is not None and told.deployment.alias is not None:
        yield f"The registry does not say yet that this model is the champion: {told.deployment.alias}."
