"""API Gateway's own listener: requests to a deployed REST API, handed to its Lambda functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.apigateway.listener import Listener

if TYPE_CHECKING:
    from local.context import Context

__all__ = ["Listener", "install"]


def install(context: Context) -> None:
    """Have the listener answer for REST APIs, with the first that is made or asked."""
    Listener.context = context
