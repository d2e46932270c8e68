"""The boto3 clients that tasks call AWS with."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.asl.utils import boto_client


def install(client: Callable[[str, str], Any]) -> None:
    """Give moto's service tasks clients made by `client(service, region)`.

    moto makes a new client for each task state (some 50 ms) and looks for its server at `localhost`, which
    may be the IPv6 address it does not listen on. All its integrations get their client from this module's
    `boto3`, so that is the one seam to fill.
    """

    def cached_client(*, service_name: str, region_name: str, **_moto_settings: Any) -> Any:
        return client(service_name, region_name)

    boto_client.boto3 = SimpleNamespace(client=cached_client)
