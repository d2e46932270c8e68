"""What EventBridge tells of an execution that has ended."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Ending(BaseModel):
    """The detail of an event "Step Functions Execution Status Change"; AWS says more in it, and may say yet more.

    `error` and `cause` are the aborter's own words, if any. `input` is JSON, and missing where it is long.
    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    executionArn: str  # noqa: N815 - AWS's name
    name: str
    status: Literal["ABORTED", "TIMED_OUT", "FAILED"]
    input: str | None = None
    error: str | None = None
    cause: str | None = None
