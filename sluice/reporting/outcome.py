"""What people and programs hear of an execution that ends: report, page, message, summary."""

from __future__ import annotations

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.errors import SluiceError
from sluice.payloads.documents import Report
from sluice.payloads.training import ReportedOutcome, ReportOutcomeInput
from sluice.project import Project
from sluice.reporting import page
from sluice.reporting.findings import Findings, gather

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_SUBJECT_MAX = 100
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
_CAUSE_MAX = 32_768


def report_outcome(told: ReportOutcomeInput, project: Project, artifacts: Artifacts) -> ReportedOutcome:
    """Write report.json and report.html of the execution, and say what is to be sent and ended with."""
    findings = gather(told, project, artifacts)
    artifacts.write(keys.report(told.execution), _report(findings).body(), "application/json")
    html = page.render(findings).encode()
    artifacts.write(keys.page(told.execution), html, "text/html; charset=utf-8")
    failure = findings.failure
    return ReportedOutcome(
        report_uri=findings.summary.report_uri,
        subject=_subject(findings),
        message=page.message(findings),
        error=None if failure is None else failure.name,
        cause=None if failure is None else _cause(failure, findings.page_uri),
        summary=findings.summary.told(),
    )


def _report(findings: Findings) -> Report:
    return Report(
        **dict(findings.summary),
        project=findings.project.name,
        source=findings.source,
        failure=findings.told.failure,
        validation=findings.validation,
        training_set=findings.training_set,
        evaluation=findings.evaluation,
    )


def _subject(findings: Findings) -> str:
    subject = f"Sluice {findings.project.name}: {findings.heading}"
    compared, metrics = findings.project.gates.compare, findings.summary.metrics
    if findings.failure is None and metrics and compared in metrics:
        subject += f", {compared} {metrics[compared]:.4f}"
    return subject.encode("ascii", "replace").decode()[:_SUBJECT_MAX]


def _cause(failure: SluiceError, page_uri: str) -> str:
    report = f"\n  report {page_uri}"
    return str(failure)[: _CAUSE_MAX - len(report)] + report
