"""How the server runs: read from the environment once, by the names SageMaker uses where it has any."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from containers.paths import MlPaths
from sluice.errors import SluiceError

if TYPE_CHECKING:
    from containers.serve.online.settings import OnlineSettings

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
MAX_BODY_BYTES = 6 * 1024 * 1024


class SettingError(SluiceError):
    """An environment variable cannot be used."""


@dataclass(frozen=True)
class Settings:
    """What the server goes by.

    Attributes:
        host: a container listens on all its interfaces, as SageMaker reaches it from outside. With SAGEMAKER_BASE_DIR
            set there is no container around the process: then it listens on this machine only.
        workers: processes; one to each core this process may run on.
        queue: requests a worker lets wait for its scoring thread before it answers 503.
        connections: a worker holds so many at once; for one more, one whose client keeps it waiting is dropped.
        seconds: an invocation may take so long, the reading of its body included; SageMaker gives up after 60.
        grace_seconds: requests in flight get so long after SIGTERM; SageMaker kills 30 s after it.
        metrics_seconds: so often metrics are written, where there are any; alarms look at them by the minute.
        online: where features are read from for predictions by id; None where SLUICE_ONLINE_STORE names no store.
    """

    model: Path
    host: str
    port: int
    workers: int
    queue: int = 64
    connections: int = 1000
    seconds: float = 55.0
    grace_seconds: int = 25
    max_body_bytes: int = MAX_BODY_BYTES
    metrics_seconds: float = 10.0
    online: OnlineSettings | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Read the environment.

        Raises:
            SettingError: a number is none, or out of range; or what is said of the online store cannot be used.
        """
        return cls(
            model=MlPaths.of(environment).model,
            host="127.0.0.1" if environment.get("SAGEMAKER_BASE_DIR") else "0.0.0.0",  # noqa: S104
            port=_number(environment, "SAGEMAKER_BIND_TO_PORT", 8080, 0, 65_535),
            workers=_number(environment, "SAGEMAKER_MODEL_SERVER_WORKERS", _cores(), 1, 256),
            queue=_number(environment, "SLUICE_SERVE_QUEUE", 64, 0, 100_000),
            connections=_number(environment, "SLUICE_SERVE_CONNECTIONS", 1000, 1, 100_000),
            seconds=_number(environment, "SAGEMAKER_MODEL_SERVER_TIMEOUT", 55, 1, 3_600),
            metrics_seconds=_number(environment, "SLUICE_METRICS_SECONDS", 10, 1, 60),
            online=_online(environment),
        )


def _online(environment: Mapping[str, str]) -> OnlineSettings | None:
    if not environment.get("SLUICE_ONLINE_STORE"):
        return None
    # Only here: most endpoints read nothing.
    from containers.serve.online.settings import OnlineSettings

    try:
        return OnlineSettings.of(environment)
    except ValueError as error:
        raise SettingError(
            "the online store cannot be read", where="the environment", why=str(error)
        ) from error


def _cores() -> int:
    # Not cpu_count: a container may be given fewer than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise SettingError(
            f"{name} = {text!r} cannot be used",
            where="the environment",
            fix=f"a number from {least} to {most}",
        )
    return int(text)
