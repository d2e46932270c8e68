"""The base of every payload and document."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """A payload's base: unknown keys are refused, so that a renamed field fails where it was renamed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
