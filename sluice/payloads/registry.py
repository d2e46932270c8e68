"""A model as the registry has it."""

from __future__ import annotations

from typing import Literal

from sluice.payloads.base import Payload

Stage = Literal["experimental", "staging", "production", "retired"]
"""How far a version came: judged, good enough to be released, in service, replaced."""


class RegisteredModel(Payload):
    """A version in the registry, under the name of its project and environment."""

    name: str
    version: str
    verdict: Literal["promoted", "rejected"]
    stage: Stage
