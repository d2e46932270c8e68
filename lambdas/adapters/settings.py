"""What a function is told by its environment, and the project it belongs to."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sluice.features.plan import FeaturePlan
from sluice.project import Project


class Settings(BaseModel):
    """A function's environment variables. `PROJECT_FILE` is relative to the function's code."""

    model_config = ConfigDict(frozen=True)

    artifacts_bucket: str
    project_file: Path


@cache
def settings() -> Settings:
    """Read once a process, at the first event: importing a handler reads nothing."""
    return Settings(
        artifacts_bucket=os.environ["ARTIFACTS_BUCKET"],
        project_file=Path(os.environ.get("LAMBDA_TASK_ROOT", ".")) / os.environ["PROJECT_FILE"],
    )


class EndingSettings(BaseModel):
    """What only a function is told that tells people of an end itself."""

    model_config = ConfigDict(frozen=True)

    topic_arn: str
    endpoint_name: str


@cache
def ending_settings() -> EndingSettings:
    return EndingSettings(topic_arn=os.environ["TOPIC_ARN"], endpoint_name=os.environ["ENDPOINT_NAME"])


class DriftSettings(BaseModel):
    """What only functions are told that read captured traffic."""

    model_config = ConfigDict(frozen=True)

    endpoint_name: str


@cache
def drift_settings() -> DriftSettings:
    return DriftSettings(endpoint_name=os.environ["ENDPOINT_NAME"])


class ApprovalSettings(BaseModel):
    """What only the function is told that asks for approvals."""

    model_config = ConfigDict(frozen=True)

    topic_arn: str
    releases_table: str


@cache
def approval_settings() -> ApprovalSettings:
    return ApprovalSettings(topic_arn=os.environ["TOPIC_ARN"], releases_table=os.environ["RELEASES_TABLE"])


class TrackingSettings(BaseModel):
    """What only a function is told that speaks to the tracking server.

    Attributes:
        experiment: of the runs; the registered model has the same name.
        artifacts: the folder in S3 for what runs keep; None of a server that is not the deployment's own.
        environment: with the project's name it makes the names of jobs.
    """

    model_config = ConfigDict(frozen=True)

    uri: str
    experiment: str
    artifacts: str | None
    environment: str
    secret: str | None


def is_tracked() -> bool:
    """Whether the deployment keeps runs at all."""
    return "TRACKING_URI" in os.environ


@cache
def tracking_settings() -> TrackingSettings:
    return TrackingSettings(
        uri=os.environ["TRACKING_URI"],
        experiment=os.environ["TRACKING_EXPERIMENT"],
        artifacts=os.environ.get("TRACKING_ARTIFACTS"),
        environment=os.environ["TRACKING_ENVIRONMENT"],
        secret=os.environ.get("TRACKING_SECRET"),
    )


class MaterializationSettings(BaseModel):
    """What only a function is told that reads the feature plan. `FEATURE_PLAN` is relative to the function's code."""

    model_config = ConfigDict(frozen=True)

    online_store: str
    feature_plan: Path


@cache
def materialization_settings() -> MaterializationSettings:
    return MaterializationSettings(
        online_store=os.environ["ONLINE_STORE"],
        feature_plan=Path(os.environ.get("LAMBDA_TASK_ROOT", ".")) / os.environ["FEATURE_PLAN"],
    )


@cache
def feature_plan() -> FeaturePlan:
    """The plan that was deployed with the function."""
    return FeaturePlan.model_validate_json(materialization_settings().feature_plan.read_bytes())


def feature_registry() -> bytes:
    """Feast's registry that was deployed with the one function that publishes it."""
    return (Path(os.environ.get("LAMBDA_TASK_ROOT", ".")) / os.environ["FEATURE_REGISTRY"]).read_bytes()


@cache
def project() -> Project:
    """The project that was deployed with the function."""
    return Project.load_file(settings().project_file)
