"""How large items are, and what reading and writing them costs, as DynamoDB counts.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

MAX_ITEM_BYTES = 400 * 1024
MAX_ANSWER_BYTES = 16 * 1024 * 1024
_READ_UNIT_BYTES = 4096
_WRITE_UNIT_BYTES = 1024
_CONTAINER_BYTES = 3
_ELEMENT_BYTES = 1


def size_of(item: Any) -> int:
    """The bytes of moto's Item. Those that were made here know it, and never change."""
    known: int | None = getattr(item, "known_size", None)
    return attributes_size(item.attrs) if known is None else known


def is_known(item: Any) -> bool:
    """Whether moto's Item was made here, and so never changes."""
    return getattr(item, "known_size", None) is not None


def attributes_size(attributes: Mapping[str, Any]) -> int:
    """The bytes of an item: its attributes' names and values, each a DynamoType."""
    return sum(_text_size(name) + value_size(value) for name, value in attributes.items())


def value_size(value: Any) -> int:
    """The bytes of a DynamoType."""
    kind, content = value.type, value.value
    if kind in ("S", "B"):
        return _text_size(content)
    if kind == "M":
        overhead = _CONTAINER_BYTES + _ELEMENT_BYTES * len(content)
        return overhead + attributes_size(content)
    if kind == "L":
        return _CONTAINER_BYTES + sum(_ELEMENT_BYTES + value_size(each) for each in content)
    if kind == "N":
        return _number_size(content)
    if kind in ("SS", "BS"):
        return sum(map(_text_size, content))
    if kind == "NS":
        return sum(map(_number_size, content))
    return 1  # NULL and BOOL


def read_units(size: int, *, consistent: bool) -> float:
    """Capacity units for reading an item of `size` bytes; one that is not there costs as a small one."""
    return max(1, -(-size // _READ_UNIT_BYTES)) * (1.0 if consistent else 0.5)


def write_units(*sizes: int) -> float:
    """Capacity units for a write: of the item before or after it, whichever is larger."""
    return float(max(1, -(-max(sizes) // _WRITE_UNIT_BYTES)))


def _text_size(value: Any) -> int:
    if isinstance(value, str) and not value.isascii():
        return len(value.encode())
    return len(value)


def _number_size(value: Any) -> int:
    """One byte for two significant digits, one more, and one for a minus."""
    number = Decimal(value)
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    return (len(digits) + 1) // 2 + 1 + (number < 0)
