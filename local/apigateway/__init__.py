"""API Gateway's own listener: requests to a deployed REST API, handed to its Lambda functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.apigateway import snapshots
from local.apigateway.listener import Listener
from local.apigateway.stages import Gateway

if TYPE_CHECKING:
    from local.context import Context

__all__ = ["Listener", "install"]


def install(context: Context) -> None:
    """Have deployments keep what they deploy, and the listener answer for them."""
    snapshots.install()
    Listener.gateway = Gateway(context)
