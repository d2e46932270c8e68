"""What people and programs hear of an execution that ends: the report, the message, the summary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from sluice import keys, naming
from sluice.payloads.documents import Evaluation
from sluice.payloads.training import ReportedOutcome, ReportOutcomeInput
from sluice.project import Project
from sluice.reporting.failures import Explained, explain
from sluice.reporting.page import render

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_SUBJECT_MAX = 100
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
_CAUSE_MAX = 32_768


class Store(Protocol):
    """What is needed of the artifacts bucket. Keys are relative to it."""

    def uri(self, key: str) -> str: ...
    def write(self, key: str, body: bytes, media_type: str) -> None: ...
    def read_json(self, key: str) -> Any:
        """Read a JSON document; None where there is none."""


@dataclass(frozen=True)
class Findings:
    """What the states of an execution left behind, as far as it came; the base of everything that is told."""

    told: ReportOutcomeInput
    project: Project
    failure: Explained | None
    validation: dict[str, Any] | None
    training_set: dict[str, Any] | None
    evaluation: Evaluation | None
    quarantine_uri: str | None
    report_uri: str
    page_uri: str

    @property
    def heading(self) -> str:
        """The outcome in one word or two: Deployed, GateRejected, or the error's name."""
        return self.failure.name if self.failure else self.told.outcome

    @property
    def source_uri(self) -> str | None:
        bucket, key = self.told.source.get("bucket"), self.told.source.get("key")
        return naming.uri(bucket, key) if bucket and key else None

    @property
    def rows(self) -> int | None:
        return None if self.validation is None else self.validation["rows"]

    @property
    def rejected_rows(self) -> int | None:
        return None if self.validation is None else self.validation["rejected_rows"]

    @property
    def dataset_version(self) -> str | None:
        return None if self.told.dataset is None else self.told.dataset.dataset_version

    @property
    def metrics(self) -> dict[str, float] | None:
        """The challenger's figures on the held-out rows."""
        if self.told.gate is not None:
            return self.told.gate.metrics
        return None if self.evaluation is None else self.evaluation.challenger.metrics

    @property
    def scoring(self) -> str | None:
        """By which path the challenger is, or would be, served."""
        return None if self.evaluation is None else self.evaluation.challenger.scoring

    @property
    def champion_metrics(self) -> dict[str, float] | None:
        return None if self.told.gate is None else self.told.gate.champion_metrics

    @property
    def reasons(self) -> list[str]:
        return [] if self.told.gate is None else self.told.gate.reasons


def report_outcome(told: ReportOutcomeInput, project: Project, store: Store) -> ReportedOutcome:
    """Write report.json and report.html of the execution, and say what is to be sent and ended with."""
    findings = _gather(told, project, store)
    summary = _summary(findings)
    document = {
        **summary,
        "project": project.name,
        "source": {**told.source, "uri": findings.source_uri},
        "failure": None if told.failure is None else told.failure.model_dump(),
        "validation": findings.validation,
        "training_set": findings.training_set,
        "evaluation": None if findings.evaluation is None else findings.evaluation.model_dump(),
    }
    body = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    store.write(keys.report(told.execution), body, "application/json")
    page = render(findings).encode()
    store.write(keys.page(told.execution), page, "text/html; charset=utf-8")
    failure = findings.failure
    return ReportedOutcome(
        report_uri=findings.report_uri,
        subject=_subject(findings),
        message=_message(findings),
        error=None if failure is None else failure.name,
        cause=None if failure is None else _cause(failure, findings.page_uri),
        summary=summary,
    )


def _gather(told: ReportOutcomeInput, project: Project, store: Store) -> Findings:
    def left_behind(key: str) -> Any:
        return store.read_json(key)

    validation = left_behind(keys.validation(told.execution))
    evaluation = None
    if told.evaluation_uri is not None:
        evaluation = left_behind(naming.split_uri(told.evaluation_uri)[1])
    rejected = validation is not None and validation["rejected_rows"] > 0
    return Findings(
        told=told,
        project=project,
        failure=None if told.failure is None else explain(told.failure),
        validation=validation,
        training_set=left_behind(keys.training_set(told.execution)),
        evaluation=None if evaluation is None else Evaluation.model_validate(evaluation),
        quarantine_uri=store.uri(keys.rejected(told.execution)) if rejected else None,
        report_uri=store.uri(keys.report(told.execution)),
        page_uri=store.uri(keys.page(told.execution)),
    )


def _summary(findings: Findings) -> dict[str, Any]:
    told, failure = findings.told, findings.failure
    summary: dict[str, Any] = {
        "outcome": told.outcome,
        "execution_arn": told.execution_arn,
        "dataset_version": findings.dataset_version,
        "rows": findings.rows,
        "rejected_rows": findings.rejected_rows,
        "quarantine_uri": findings.quarantine_uri,
        "metrics": findings.metrics,
        "champion_metrics": findings.champion_metrics,
        "reasons": findings.reasons,
        "scoring": findings.scoring,
        "model_uri": told.model_uri,
        "endpoint_name": told.endpoint_name if told.outcome == "Deployed" else None,
        "report_uri": findings.report_uri,
    }
    if failure is not None:
        summary |= {"error": failure.name, "cause": failure.text}
    return summary


def _subject(findings: Findings) -> str:
    subject = f"Sluice {findings.project.name}: {findings.heading}"
    compared = findings.project.gates.compare
    if findings.failure is None and findings.metrics and compared in findings.metrics:
        subject += f", {compared} {findings.metrics[compared]:.4f}"
    return subject.encode("ascii", "replace").decode()[:_SUBJECT_MAX]


def _message(findings: Findings) -> str:
    parts = [f"Sluice {findings.project.name}: {findings.heading}"]
    if findings.failure is not None:
        parts.append(findings.failure.text)
    lines = {
        "upload": findings.source_uri,
        "rows": None
        if findings.rows is None
        else f"{findings.rows:,} accepted, {findings.rejected_rows:,} rejected",
        "rejected": findings.quarantine_uri,
        "dataset": findings.dataset_version,
        "model": _figures(findings.metrics),
        "champion": _figures(findings.champion_metrics),
        "scoring": findings.scoring,
        "endpoint": findings.told.endpoint_name if findings.told.outcome == "Deployed" else None,
        "report": findings.page_uri,
        "execution": findings.told.execution_arn,
    }
    parts.append("\n".join(f"{name:<10} {value}" for name, value in lines.items() if value))
    if findings.reasons:
        parts.append("\n".join(f"- {reason}" for reason in findings.reasons))
    return "\n\n".join(parts) + "\n"


def _figures(metrics: dict[str, float] | None) -> str | None:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items()) if metrics else None


def _cause(failure: Explained, page_uri: str) -> str:
    report = f"\n  report {page_uri}"
    return failure.text[: _CAUSE_MAX - len(report)] + report
