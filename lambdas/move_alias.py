"""MoveAlias: the registry follows the release: the alias `champion`, the stages of the new and the old version."""

from __future__ import annotations

from typing import Any

from lambdas.adapters.log import decided
from lambdas.adapters.settings import tracking_settings
from lambdas.adapters.tracking import tracker
from lambdas.adapters.wire import on_the_wire
from sluice.payloads.tracking import MoveAliasInput
from sluice.tracking.registry import move_alias


@on_the_wire
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer `sluice.payloads.tracking.MovedAlias`."""
    asked = MoveAliasInput.model_validate(event)
    moved = move_alias(tracking_settings().experiment, asked.version, tracker())
    decided("alias", execution=asked.model_name, version=moved.version, replaced=moved.replaced)
    return moved.model_dump(mode="json")
