"""Answering an approval: who said what is written down first, then the execution is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from cli.releases_table import ReleasesTable
from cli.stack import Stack
from sluice.errors import SluiceError
from sluice.payloads.approval import Answer, Decision
from sluice.release.approvals import PREFIX, Approval, Standing

_POLICY = "ApproversPolicyArn"
# What Step Functions says of a token that was used, timed out, or went with its execution.
_TOKEN_GONE = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class NoReason(SluiceError):
    """An answer without a reason."""


class NotAllowed(SluiceError):
    """Whoever is signed in may not read or answer approvals."""


class AnsweredAlready(SluiceError):
    """Somebody was first."""


class TooLate(SluiceError):
    """The time to answer is over, or the execution that asked runs no more."""


class Approvals:
    """The approvals of a stack. What AWS refuses for want of a permission is told as NotAllowed."""

    def __init__(self, deployed: Stack) -> None:
        self._stack = deployed
        self._dynamodb = deployed.client("dynamodb")
        self._states = deployed.client("stepfunctions")
        self._releases = ReleasesTable(deployed)
        self._table = self._releases.name

    def all(self) -> list[Approval]:
        """Give every approval that was asked for, the newest first."""
        with self._allowed():
            found = [Approval.of(item) for item in self._releases.items(PREFIX)]
        return sorted(found, key=lambda approval: approval.requested_at, reverse=True)

    def standing(self, approval: Approval, now: datetime) -> Standing:
        open_still = approval.answer is None and now < approval.expires_at
        return approval.standing(now, runs=open_still and self._status(approval) == "RUNNING")

    def answer(self, approval: Approval, decision: Decision, reason: str) -> Approval:
        """Write the answer down, tell the execution, and write down that it took it; give what is written then.

        Whoever gives the same answer again, after a process that died on the way, completes that: it stays the first
        one's, with their name and reason.

        Raises:
            AnsweredAlready: another answer stands, or this one has arrived before.
            TooLate: there is no time left, or nobody to be told.
            NotAllowed: a permission is missing.
            NoReason: the reason is empty.
        """
        if not reason.strip():
            raise NoReason("an answer needs a reason", where="--reason", fix="say in a few words why")
        with self._allowed():
            if approval.answer is None:
                approval = self._write(approval, decision, reason)
                return self._send(approval, resumed=False)
            if approval.answered_at is not None or approval.answer.decision != decision:
                raise _answered(approval)
            return self._send(approval, resumed=True)

    def _write(self, approval: Approval, decision: Decision, reason: str) -> Approval:
        self._check_that_it_waits(approval)
        answer = Answer(decision=decision, by=self._caller(), at=datetime.now(UTC), reason=reason.strip())
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key=approval.key,
                UpdateExpression="SET decision = :decision, decided_by = :by, decided_at = :at, #reason = :reason",
                ConditionExpression="attribute_exists(#item) AND attribute_not_exists(decision)",
                ExpressionAttributeNames={"#item": "item", "#reason": "reason"},
                ExpressionAttributeValues={
                    ":decision": {"S": answer.decision},
                    ":by": {"S": answer.by},
                    ":at": {"S": answer.at.isoformat()},
                    ":reason": {"S": answer.reason},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise _answered(self._again(approval)) from None
        return approval.model_copy(update={"answer": answer})

    def _send(self, approval: Approval, *, resumed: bool) -> Approval:
        try:
            self._succeed(approval)
        except ClientError as error:
            if _code(error) not in _TOKEN_GONE:
                raise
            asked_again = self._again(approval)
            if asked_again.token != approval.token and asked_again.answer == approval.answer:
                # The state was tried again between our look and our answer.
                self._succeed(asked_again)
            elif not resumed:
                self._take_back(approval)
                raise self._too_late(approval) from error
            elif not self._has_heard(approval):
                raise self._too_late(approval) from error
        now = datetime.now(UTC)
        self._dynamodb.update_item(
            TableName=self._table,
            Key=approval.key,
            UpdateExpression="SET answered_at = :now",
            ExpressionAttributeValues={":now": {"S": now.isoformat()}},
        )
        return approval.model_copy(update={"answered_at": now})

    def _succeed(self, approval: Approval) -> None:
        # Either answer is a result of the state, and none a failure: a Choice tells them apart.
        assert approval.answer is not None
        self._states.send_task_success(taskToken=approval.token, output=approval.answer.model_dump_json())

    def _has_heard(self, approval: Approval) -> bool:
        """Whether an execution, whose token is of no use any more, took the answer that somebody wrote down."""
        in_time = approval.answer is not None and datetime.now(UTC) < approval.expires_at
        return in_time and self._status(approval) not in ("ABORTED", "TIMED_OUT")

    def _take_back(self, approval: Approval) -> None:
        """Let no answer stand that nobody heard."""
        self._dynamodb.update_item(
            TableName=self._table,
            Key=approval.key,
            UpdateExpression="REMOVE decision, decided_by, decided_at, #reason",
            ExpressionAttributeNames={"#reason": "reason"},
        )

    def _check_that_it_waits(self, approval: Approval) -> None:
        if datetime.now(UTC) >= approval.expires_at or self._status(approval) != "RUNNING":
            raise self._too_late(approval)

    def _too_late(self, approval: Approval) -> TooLate:
        status = self._status(approval)
        until = f"{approval.expires_at:%Y-%m-%d %H:%M:%S} UTC"
        if datetime.now(UTC) >= approval.expires_at:
            what, why = "the time to answer is over", f"there was time until {until}"
        else:
            what, why = "the execution that asked waits no more", f"it is {status}"
        return TooLate(
            f"{what}: {approval.model_name} is not deployed by this answer",
            where=approval.execution_arn,
            why=why,
            fix="upload the file again: it is trained, judged and asked for anew",
        )

    def _again(self, approval: Approval) -> Approval:
        found = self._releases.item(approval.key["item"]["S"])
        assert found is not None, "nobody deletes an approval"
        return Approval.of(found)

    def _status(self, approval: Approval) -> str:
        with self._allowed():
            described = self._states.describe_execution(executionArn=approval.execution_arn)
        return str(described["status"])

    def _caller(self) -> str:
        return str(self._stack.client("sts").get_caller_identity()["Arn"])

    @contextmanager
    def _allowed(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if not _code(error).startswith("AccessDenied"):
                raise
            policy = self._stack.outputs.get(_POLICY) or f"{self._stack.output('EndpointName')}-approvers"
            raise NotAllowed(
                "you may not read or answer the approvals of this stack",
                where=f"{error.operation_name} ({_code(error)})",
                why=error.response["Error"].get("Message", ""),
                fix=f"ask whoever runs it to attach the managed policy {policy} to your role",
            ) from error


def _answered(approval: Approval) -> AnsweredAlready:
    said = "" if approval.answer is None else approval.answer.sentence
    sent = approval.answered_at is not None
    return AnsweredAlready(
        f"{approval.model_name} was answered already",
        where=approval.execution_arn,
        why=said,
        fix="an answer stands; `sluice approvals` shows what came of it"
        if sent
        else "an answer stands, and was maybe not sent: the same answer again sends it",
    )


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
