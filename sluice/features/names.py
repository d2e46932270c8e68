"""Which names a feature, a join key or a request field cannot have, because Feast gives them another meaning."""

from __future__ import annotations

from collections.abc import Iterable

MOMENT = "event_timestamp"
"""What Feast calls the time of a row, and the moment that it is asked about."""

# Columns of Feast's join on duckdb: feast/infra/offline_stores/ibis.py of 0.67.
_OF_THE_JOIN = ("entity_row_id", "event_expire_timestamp", "rn")
_OF_THE_OTHER_SIDE = "_y"
INTERNAL = "sluice_"
"""What names of our own begin with, where they stand beside those of a project."""


def refused(name: str) -> str | None:
    """Say why nothing in a plan can be called so; None where it can."""
    if not name.strip():
        return "it has no name"
    if ":" in name:
        return "a colon parts a view from its feature"
    if name == MOMENT:
        return f"Feast calls the moment {MOMENT}"
    return f"names of Sluice's own begin with {INTERNAL}" if name.startswith(INTERNAL) else None


def lost_in_join(name: str) -> str | None:
    """Say why Feast's join would lose a view's feature that is called so; None where it does not."""
    if name in _OF_THE_JOIN:
        return f"Feast's join has a column {name} of its own"
    if name.endswith(_OF_THE_OTHER_SIDE):
        return f"Feast's join drops columns whose names end in {_OF_THE_OTHER_SIDE}"
    return None


def alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Give two names that are one to duckdb, which tells no capitals from small letters; None if there are none."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            return other, name
    return None
