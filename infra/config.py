"""What a deployment is given: CDK context (`-c key=value`), validated, and what its environment implies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from sluice.errors import SluiceError

Environment = Literal["local", "dev", "prod"]

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")


class DeployConfigError(SluiceError):
    """A context value cannot be used."""


@dataclass(frozen=True)
class _Profile:
    """What follows from the environment alone."""

    keep_data: bool
    lambda_wheels: bool
    require_native: bool
    poll_seconds: int
    log_retention_days: int


_PROFILES: Mapping[str, _Profile] = {
    # Handlers run on this machine's interpreter: see docs/decisions/0005.
    "local": _Profile(
        keep_data=False, lambda_wheels=False, require_native=False, poll_seconds=1, log_retention_days=7
    ),
    "dev": _Profile(
        keep_data=False, lambda_wheels=True, require_native=True, poll_seconds=15, log_retention_days=30
    ),
    "prod": _Profile(
        keep_data=True, lambda_wheels=True, require_native=True, poll_seconds=15, log_retention_days=365
    ),
}


@dataclass(frozen=True)
class DeployConfig:
    """One deployment's settings. The user's own (model, columns, gates) are in project.toml, not here."""

    environment: Environment
    project_folder: Path
    keep_data: bool  # buckets, table and logs outlive the stack
    lambda_wheels: bool  # the Lambda bundle holds the third-party wheels for Lambda's platform
    require_native: bool  # images without the native scorer are refused, instead of serving by numpy
    poll_seconds: int
    log_retention_days: int
    processing_instance_type: str
    alarm_email: str | None
    outcome_email: str | None

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> DeployConfig:
        """Read `project`, `environment` and the optional keys; the CLI gives every value as a string.

        Raises:
            DeployConfigError: a value is missing or cannot be used; it names the key, what was found and what
                is allowed.
        """
        environment = _environment(context)
        profile = _PROFILES[environment]
        return cls(
            environment=environment,
            project_folder=_project_folder(context),
            keep_data=profile.keep_data,
            lambda_wheels=profile.lambda_wheels,
            require_native=profile.require_native,
            poll_seconds=_integer(context, "poll_seconds", profile.poll_seconds, 1, 300),
            log_retention_days=profile.log_retention_days,
            processing_instance_type=_instance_type(context, "processing_instance_type", "ml.m5.large"),
            alarm_email=_email(context, "alarm_email"),
            outcome_email=_email(context, "outcome_email"),
        )


def _refuse(key: str, found: object, allowed: str) -> DeployConfigError:
    return DeployConfigError(
        f"the context value {key!r} cannot be used",
        where=f"-c {key}=… on the command line, or `context` in cdk.json",
        why=f"found {found!r}; allowed: {allowed}",
        fix=f"give it as -c {key}=…",
    )


def _environment(context: Mapping[str, Any]) -> Environment:
    found = context.get("environment", "dev")
    for environment in get_args(Environment):
        if found == environment:
            return environment  # type: ignore[no-any-return]
    raise _refuse("environment", found, "local, dev, prod")


def _project_folder(context: Mapping[str, Any]) -> Path:
    found = context.get("project")
    allowed = "a folder that holds a project.toml, e.g. examples/churn"
    if not isinstance(found, str) or not found:
        raise _refuse("project", found, allowed)
    folder = Path(found)
    if not (folder / "project.toml").is_file():
        raise _refuse("project", found, allowed)
    return folder.resolve()


def _integer(context: Mapping[str, Any], key: str, default: int, least: int, most: int) -> int:
    found = context.get(key, default)
    try:
        value = int(str(found))
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise _refuse(key, found, f"a whole number from {least} to {most}")
    return value


def _instance_type(context: Mapping[str, Any], key: str, default: str) -> str:
    found = context.get(key, default)
    if not isinstance(found, str) or not _INSTANCE_TYPE.fullmatch(found):
        raise _refuse(key, found, "a SageMaker instance type such as ml.m5.large")
    return found


def _email(context: Mapping[str, Any], key: str) -> str | None:
    found = context.get(key)
    if found is None:
        return None
    if not isinstance(found, str) or not _EMAIL.fullmatch(found):
        raise _refuse(key, found, "an e-mail address")
    return found
