"""What the machine `deployment` is asked, and what it answers where it comes to an expected end."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from sluice.outcomes import Outcome
from sluice.payloads.approval import Answer
from sluice.payloads.base import Payload


class Archive(Payload):
    """Which object a training job left: S3 never changes a version, and never gives its id again.

    Attributes:
        etag: a hash of its bytes, of an archive that went up in one piece their MD5; with its quotes, as S3 gives it.
    """

    version_id: str
    etag: str


class Rollback(Payload):
    """Somebody wants a model back that served before: who, and why."""

    by: str
    reason: str


class FiredAlarm(Payload):
    """The alarm that took a new model back: CloudWatch's own words, and when."""

    name: str
    at: datetime
    reason: str


class DeploymentInput(Payload):
    """A promoted model: `model_name` is the name of the model and of its endpoint configuration.

    Attributes:
        archive: what lies at `model_uri` has to be this object.
        judged_champion: the model that it was judged against, None if there was none: it has to be the champion yet.
        approval: of an environment that asks for one.
        rollback: of a model that served before: then it was judged against nothing, and `judged_champion` is what it
            is to take the place of.
    """

    model_name: str
    model_uri: str
    archive: Archive
    judged_champion: str | None
    approval: Answer | None = None
    rollback: Rollback | None = None
    dataset_version: str
    has_model: bool = Field(default=False, description="the SageMaker model of that name exists already")
    version: str | None = Field(default=None, description="in the registry; null of a model that is in none")


class DeploymentResult(Payload):
    """What became of it. `reason` says why a deployment was rolled back, as SageMaker told it.

    ChampionChanged: nothing was deployed, for another model serves than the one that was judged against. Reconciled:
    nothing was to be deployed, and the release record names what serves.
    """

    outcome: Literal[Outcome.DEPLOYED, Outcome.ROLLED_BACK, "ChampionChanged", "Reconciled"]
    endpoint_name: str
    endpoint_config_name: str | None = Field(
        description="the configuration that serves at the end; after ChampionChanged None where there is no release"
    )
    reason: str | None = None
    alias: str | None = Field(
        default=None, description="why the registry does not follow the release, where it does not"
    )
    unverified: str | None = Field(
        default=None,
        description="why the endpoint's answers were not held against those of the evaluation, if so",
    )
    alarm: FiredAlarm | None = None
    reached: float | None = Field(
        default=None,
        description="the part of the traffic that the new model was given; null where it goes at once",
    )
    figures: dict[str, float] | None = Field(
        default=None,
        description="of both fleets while they stood: `new_requests`, `old_errors`, …; `p99` in microseconds",
    )
