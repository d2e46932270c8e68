"""What a person answers who is asked whether a model that passed its gates may serve."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sluice.payloads.base import Payload

Decision = Literal["approved", "rejected"]


class Answer(Payload):
    """The answer, and whose it is: it is the output of the state AwaitApproval.

    Attributes:
        by: the ARN that STS gave for the credentials it was answered with.
    """

    decision: Decision
    by: str
    at: datetime
    reason: str

    @property
    def sentence(self) -> str:
        when = self.at.strftime("%Y-%m-%d %H:%M UTC")
        return f"{self.decision.capitalize()} by {self.by} on {when}: {self.reason}"
