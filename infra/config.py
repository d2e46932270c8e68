"""What a deployment is given: CDK context (`-c key=value`), validated, and what its environment implies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from sluice import instances
from sluice.errors import SluiceError
from sluice.tables import Environment


class DeployConfigError(SluiceError):
    """A context value cannot be used."""


@dataclass(frozen=True)
class Profile:
    """What follows from the environment alone."""

    keep_data: bool  # buckets, table and logs outlive their stack
    lambda_wheels: bool  # the Lambda bundles hold the third-party wheels for Lambda's platform
    require_native: bool  # images without the native scorer are refused, instead of serving by numpy
    poll_seconds: int
    metrics_seconds: int  # so often a serving container writes its metrics; canaries of a laptop wait seconds
    log_retention_days: int


_PROFILES: Mapping[Environment, Profile] = {
    # Handlers run on this machine's interpreter: see docs/decisions/0005.
    "local": Profile(
        keep_data=False,
        lambda_wheels=False,
        require_native=False,
        poll_seconds=1,
        metrics_seconds=1,
        log_retention_days=7,
    ),
    "dev": Profile(
        keep_data=False,
        lambda_wheels=True,
        require_native=True,
        poll_seconds=15,
        metrics_seconds=10,
        log_retention_days=30,
    ),
    "prod": Profile(
        keep_data=True,
        lambda_wheels=True,
        require_native=True,
        poll_seconds=15,
        metrics_seconds=10,
        log_retention_days=365,
    ),
}


def _holds_a_project(folder: Path) -> Path:
    if not (folder / "project.toml").is_file():
        raise ValueError("there is no project.toml in it")
    return folder.resolve()


_Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
_AN_EMAIL = "an e-mail address"
_InstanceType = Annotated[str, StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
_AN_INSTANCE_TYPE = "a SageMaker instance type such as ml.m5.large"


class DeployConfig(BaseModel):
    """One deployment's settings. The user's own (model, columns, gates) are in project.toml, not here.

    Each field is a context key; its description says what is allowed, to whoever gives something else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Environment = Field("dev", description="local, dev, prod")
    project: Annotated[Path, AfterValidator(_holds_a_project)] = Field(
        description="a folder that holds a project.toml, e.g. examples/churn"
    )
    poll_seconds: int = Field(
        default_factory=lambda given: _PROFILES[given["environment"]].poll_seconds,
        ge=1,
        le=300,
        description="a whole number from 1 to 300",
    )
    processing_instance_type: _InstanceType = Field(instances.PROCESSING, description=_AN_INSTANCE_TYPE)
    transform_instance_type: _InstanceType = Field(instances.TRANSFORM, description=_AN_INSTANCE_TYPE)
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")] | None = Field(
        None, description="the commit that is deployed, as `git rev-parse HEAD` gives it"
    )
    alarm_email: _Email | None = Field(None, description=_AN_EMAIL)
    outcome_email: _Email | None = Field(None, description=_AN_EMAIL)

    @property
    def profile(self) -> Profile:
        return _PROFILES[self.environment]

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> DeployConfig:
        """Read the context; the CLI gives every value as a string.

        Raises:
            DeployConfigError: a value is missing or cannot be used; it names the key, what was found and what
                is allowed.
        """
        try:
            return cls.model_validate(context)
        except ValidationError as error:
            # A default that hangs on the environment cannot be made where that is wrong: told is the first.
            key = str(error.errors()[0]["loc"][0])
            raise DeployConfigError(
                f"the context value {key!r} cannot be used",
                where=f"-c {key}=… on the command line, or `context` in cdk.json",
                why=f"found {context.get(key)!r}; allowed: {cls.model_fields[key].description}",
                fix=f"give it as -c {key}=…",
            ) from error


CONTEXT_KEYS = tuple(DeployConfig.model_fields)
