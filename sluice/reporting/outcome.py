"""What people and programs hear of an execution that ends: report, page, message, summary."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sluice import keys
from sluice.artifacts import Artifacts
from sluice.errors import SluiceError
from sluice.payloads.documents import Report
from sluice.payloads.training import ApprovalRequest, EndpointSeen, ReportedOutcome, ReportOutcomeInput
from sluice.project import Project
from sluice.reporting import page
from sluice.reporting.card import CardFacts, card
from sluice.reporting.findings import Findings, Waiting, gather, gather_without_storage

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_SUBJECT_MAX = 100
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
_CAUSE_MAX = 32_768


def report_outcome(
    told: ReportOutcomeInput, project: Project, artifacts: Artifacts, endpoint: EndpointSeen | None
) -> ReportedOutcome:
    """Write report.json, report.html and a judged model's card.md, and say what is to be sent and ended with.

    Args:
        told: how the execution ended.
        project: the one that was deployed with it.
        artifacts: where its documents lie, and the report goes.
        endpoint: what it looked like just now; None where nobody looked.
    """
    return _written(gather(told, project, artifacts, endpoint), artifacts)


def report_waiting(
    asked: ApprovalRequest, until: datetime, project: Project, artifacts: Artifacts
) -> ReportedOutcome:
    """Write the report of a model that waits for an approval, as it stands, and the message that asks for one.

    The execution's own report takes its place when it ends.
    """
    told = ReportOutcomeInput(
        outcome=None,
        released=asked.judged_champion,
        **{
            name: getattr(asked, name)
            for name in ApprovalRequest.model_fields.keys() & ReportOutcomeInput.model_fields.keys()
        },
    )
    findings = gather(told, project, artifacts, None)
    waiting = Waiting(asked.model_name, until, stack=asked.endpoint_name)
    return _written(replace(findings, waiting=waiting), artifacts)


def _written(findings: Findings, artifacts: Artifacts) -> ReportedOutcome:
    execution = findings.told.execution
    facts = CardFacts.of(findings)
    card_uri = None
    if facts is not None:
        artifacts.write(keys.card(execution), card(facts).encode(), "text/markdown; charset=utf-8")
        card_uri = artifacts.uri(keys.card(execution))
    artifacts.write(keys.report(execution), _report(findings, card_uri).body(), "application/json")
    html = page.render(findings, card_uri).encode()
    artifacts.write(keys.page(execution), html, "text/html; charset=utf-8")
    return _reported(findings)


def outcome_without_report(
    told: ReportOutcomeInput, project: Project, endpoint: EndpointSeen | None, why: SluiceError
) -> ReportedOutcome:
    """Say what is to be sent and ended with where S3 takes no report, and `why` it takes none."""
    return _reported(gather_without_storage(told, project, endpoint, why))


def _reported(findings: Findings) -> ReportedOutcome:
    failure = findings.failure
    return ReportedOutcome(
        report_uri=findings.summary.report_uri,
        subject=_subject(findings),
        message=page.message(findings),
        error=None if failure is None else failure.name,
        cause=None if failure is None else _cause(failure, findings.page_uri),
        summary=findings.summary.told(),
    )


def _report(findings: Findings, card_uri: str | None) -> Report:
    return Report(
        **dict(findings.summary),
        project=findings.project.name,
        source=findings.source,
        endpoint=findings.endpoint,
        archive=findings.told.archive,
        judgement=findings.told.judgement,
        approval=findings.told.approval,
        failure=findings.told.failure,
        rules=[] if findings.told.gate is None else findings.told.gate.rules,
        validation=findings.validation,
        training_set=findings.training_set,
        evaluation=findings.evaluation,
        search=findings.told.search,
        skew=findings.told.skew,
        card_uri=card_uri,
    )


def _subject(findings: Findings) -> str:
    subject = f"Sluice {findings.project.name}: {findings.heading}"
    compared, metrics = findings.project.gates.compare, findings.summary.metrics
    if findings.failure is None and metrics and compared in metrics:
        subject += f", {compared} {metrics[compared]:.4f}"
    batch = findings.summary.batch
    if findings.failure is None and batch is not None:
        subject += f", {batch.predicted:,} of {batch.rows:,} rows"
    return subject.encode("ascii", "replace").decode()[:_SUBJECT_MAX]


def _cause(failure: SluiceError, page_uri: str | None) -> str:
    report = f"\n  report {page_uri or 'could not be written'}"
    return str(failure)[: _CAUSE_MAX - len(report)] + report
