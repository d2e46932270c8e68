"""DynamoDB of the local AWS: moto's tables at the speed of a local database, with DynamoDB's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.dynamodb import tables
from local.dynamodb.front import Front

if TYPE_CHECKING:
    from local.context import Context

__all__ = ["Front", "install"]


def install(_context: Context) -> None:
    """Make moto's tables fit for what the front does to them."""
    tables.install()
