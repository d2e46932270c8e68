"""What the machine `deployment` is asked, and what it answers where it comes to an expected end."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.outcomes import Outcome
from sluice.payloads.base import Payload


class DeploymentInput(Payload):
    """A promoted model: `model_name` is the name of the model and of its endpoint configuration."""

    model_name: str
    model_uri: str
    dataset_version: str
    has_model: bool = Field(default=False, description="the SageMaker model of that name exists already")
    version: str | None = Field(default=None, description="in the registry; null of a model that is in none")


class DeploymentResult(Payload):
    """What became of it. `reason` says why a deployment was rolled back, as SageMaker told it."""

    outcome: Literal[Outcome.DEPLOYED, Outcome.ROLLED_BACK]
    endpoint_name: str
    endpoint_config_name: str = Field(description="the configuration that serves at the end")
    reason: str | None = None
    alias: str | None = Field(
        default=None, description="why the registry does not follow the release, where it does not"
    )
