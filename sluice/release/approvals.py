"""What is written down of an approval: that it was asked for, until when, who answered what, and that it arrived.

It is an item of the releases table, `approval#<model>`, of a later judgement `approval#<model>-<number>`: so what was
said of an earlier one stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from pydantic import Field

from sluice.errors import SluiceError
from sluice.payloads.approval import Answer
from sluice.payloads.base import Payload
from sluice.payloads.training import ApprovalRequest

PREFIX = "approval#"
WRITTEN_BY_APPROVERS = ("decision", "decided_by", "decided_at", "reason", "answered_at")
"""The attributes that an answer writes: who may answer may write these, and none of the others."""

Standing = Literal["waits", "approved", "rejected", "unsent", "expired", "ended"]
"""`unsent`: somebody answered, and whether the execution heard of it is not known. `ended`: it runs no more, and
nobody had answered.
"""


class UnknownApproval(SluiceError):
    """No model, or more than one, is meant by what was typed."""


class Approval(Payload):
    """One item.

    Attributes:
        version: its number in the registry; None of a project that keeps none.
        token: by which the execution is answered. It is shown to nobody.
        rules: by which the model passed, as sentences.
        answer: written before the execution is told.
        answered_at: when the execution had taken it.
    """

    endpoint_name: str
    model_name: str
    version: str | None
    judgement: int
    judged_champion: str | None
    execution_arn: str
    token: str = Field(repr=False, exclude=True)
    requested_at: datetime
    expires_at: datetime
    page_uri: str
    rules: tuple[str, ...]
    answer: Answer | None = None
    answered_at: datetime | None = None

    @classmethod
    def requested(cls, asked: ApprovalRequest, now: datetime, page_uri: str) -> Self:
        return cls(
            endpoint_name=asked.endpoint_name,
            model_name=asked.model_name,
            version=None if asked.registered is None else asked.registered.version,
            judgement=asked.judgement,
            judged_champion=asked.judged_champion,
            execution_arn=asked.execution_arn,
            token=asked.task_token,
            requested_at=now,
            expires_at=now + timedelta(seconds=asked.expires_seconds),
            page_uri=page_uri,
            rules=tuple(asked.gate.reasons),
        )

    @property
    def key(self) -> dict[str, Any]:
        again = "" if self.judgement == 1 else f"-{self.judgement}"
        return {
            "endpoint_name": {"S": self.endpoint_name},
            "item": {"S": f"{PREFIX}{self.model_name}{again}"},
        }

    def item(self) -> dict[str, Any]:
        """Give the item as it is asked for: typed as DynamoDB wants it, without an answer."""
        champion = self.judged_champion
        version = {} if self.version is None else {"version": {"S": self.version}}
        return {
            **self.key,
            **version,
            "model_name": {"S": self.model_name},
            "judgement": {"N": str(self.judgement)},
            "judged_champion": {"NULL": True} if champion is None else {"S": champion},
            "execution": {"S": self.execution_arn},
            "task_token": {"S": self.token},
            "requested_at": {"S": self.requested_at.isoformat()},
            "expires_at": {"N": str(int(self.expires_at.timestamp()))},
            "page_uri": {"S": self.page_uri},
            "rules": {"L": [{"S": rule} for rule in self.rules]},
        }

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Read an item."""
        said = {name: item[name]["S"] for name in WRITTEN_BY_APPROVERS if name in item}
        answer = None
        if "decision" in said:
            answer = Answer.model_validate(
                {
                    "decision": said["decision"],
                    "by": said["decided_by"],
                    "at": said["decided_at"],
                    "reason": said["reason"],
                }
            )
        return cls(
            endpoint_name=item["endpoint_name"]["S"],
            model_name=item["model_name"]["S"],
            version=item["version"]["S"] if "version" in item else None,
            judgement=int(item["judgement"]["N"]),
            judged_champion=item["judged_champion"].get("S"),
            execution_arn=item["execution"]["S"],
            token=item["task_token"]["S"],
            requested_at=datetime.fromisoformat(item["requested_at"]["S"]),
            expires_at=datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC),
            page_uri=item["page_uri"]["S"],
            rules=tuple(rule["S"] for rule in item["rules"]["L"]),
            answer=answer,
            answered_at=datetime.fromisoformat(said["answered_at"]) if "answered_at" in said else None,
        )

    def standing(self, now: datetime, *, runs: bool) -> Standing:
        """Say what became of it; `runs` is whether its execution does, which is asked of what has no answer."""
        if self.answer is not None:
            return "unsent" if self.answered_at is None else self.answer.decision
        if now >= self.expires_at:
            return "expired"
        return "waits" if runs else "ended"


def meant(approvals: Iterable[Approval], text: str) -> Approval:
    """Find the approval that a person means by `text`: a model's name, a beginning that only one has, or `v3`.

    Of a model that was judged more than once it is the last one, of several models the one that has no answer yet.

    Raises:
        UnknownApproval: it is none, or several are meant.
    """
    latest: dict[str, Approval] = {}
    for each in sorted(approvals, key=lambda approval: approval.judgement):
        latest[each.model_name] = each
    found = [
        each
        for name, each in latest.items()
        if name.startswith(text) or (each.version is not None and text == f"v{each.version}")
    ]
    exact = [each for each in found if each.model_name == text]
    unanswered = [each for each in found if each.answered_at is None]
    for chosen in (exact, unanswered, found):
        if len(chosen) == 1:
            return chosen[0]
    raise _unknown(text, found, list(latest.values()))


def _unknown(text: str, found: Sequence[Approval], known: Sequence[Approval]) -> UnknownApproval:
    if found:
        names = ", ".join(sorted(each.model_name for each in found))
        return UnknownApproval(
            f"{text!r} is the beginning of {len(found)} models' names", why=names, fix="give more of the name"
        )
    open_ones = sorted(each.model_name for each in known if each.answered_at is None)
    return UnknownApproval(
        f"no approval was asked for a model {text!r}",
        where="the releases table",
        why=f"without an answer: {', '.join(open_ones) or 'none'}",
        fix="`sluice approvals` lists them",
    )
