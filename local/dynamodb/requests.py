"""What the item operations share: the table they name, the parameters they take, what they report as consumed."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from local.dynamodb.errors import PassOn, invalid

_CAPACITY = ("INDEXES", "TOTAL", "NONE")


def check_parameters(request: Mapping[str, Any], known: Set[str]) -> None:
    """Raises PassOn where a request holds what is not known here."""
    if not request.keys() <= known:
        raise PassOn


def table_of(backend: Any, name: Any) -> Any:
    """Moto's table of a name. Raises PassOn where there is none: it may be an ARN, or an error."""
    table = backend.tables.get(name) if isinstance(name, str) else None
    if table is None:
        raise PassOn
    return table


def flag(request: Mapping[str, Any], name: str) -> bool:
    value = request.get(name, False)
    if not isinstance(value, bool):
        raise PassOn
    return value


def choice(request: Mapping[str, Any], name: str, *choices: str) -> str:
    """A parameter that is one of some words, the last of them by default."""
    value: str = request.get(name, choices[-1])
    if value not in choices:
        raise PassOn
    return value


def capacity_wanted(request: Mapping[str, Any]) -> str:
    """ReturnConsumedCapacity. Raises Refused where it is no such."""
    wanted: str = request.get("ReturnConsumedCapacity", "NONE")
    if wanted not in _CAPACITY:
        raise invalid(
            f"1 validation error detected: Value '{wanted}' at 'returnConsumedCapacity' failed to satisfy "
            f"constraint: Member must satisfy enum value set: [{', '.join(_CAPACITY)}]"
        )
    return wanted


def consumed(wanted: str, table: Any, units: float) -> dict[str, Any]:
    """A table's ConsumedCapacity."""
    capacity: dict[str, Any] = {"TableName": table.name, "CapacityUnits": units}
    if wanted == "INDEXES":
        capacity["Table"] = {"CapacityUnits": units}
    return capacity
