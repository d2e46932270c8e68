"""Attribute values: from the JSON of a request to moto's objects, and back."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
import sys
from decimal import Decimal
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict

from local.dynamodb import sizes
from local.dynamodb.errors import PassOn, invalid

MAX_DEPTH = 32
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_MAX_DIGITS = 38
_LARGEST, _SMALLEST = 125, -130
_SETS = {"SS": "string", "NS": "number", "BS": "binary"}


def parse(value: Any, depth: int = 0) -> Any:
    """The DynamoType of an attribute value as it stands in a request.

    Raises:
        PassOn: it is none; moto says why.
        Refused: DynamoDB would not take it, and moto would.
    """
    if not isinstance(value, dict):
        raise PassOn
    if len(value) != 1:
        raise invalid(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported "
            "datatypes"
            if value
            else "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    ((kind, content),) = value.items()
    if kind == "S":
        if not isinstance(content, str):
            raise PassOn
    elif kind == "B":
        content = _parse_binary(content)
    elif kind == "N":
        _check_number(content)
    elif kind == "M":
        if not isinstance(content, dict):
            raise PassOn
        if depth >= MAX_DEPTH:
            raise _too_deep()
        # The names are the same in item after item: kept once.
        content = {sys.intern(name): parse(each, depth + 1) for name, each in content.items()}
    elif kind == "L":
        if not isinstance(content, list):
            raise PassOn
        if depth >= MAX_DEPTH:
            raise _too_deep()
        content = [parse(each, depth + 1) for each in content]
    elif kind == "BOOL":
        if not isinstance(content, bool):
            raise PassOn
    elif kind == "NULL":
        if content is not True:
            raise PassOn
    elif kind in _SETS:
        content = _parse_set(kind, content)
    else:
        raise PassOn
    return made(sys.intern(kind), content)


def made(kind: str, content: Any) -> Any:
    """A DynamoType of content that is checked, and whose parts are DynamoTypes."""
    result = object.__new__(DynamoType)
    result.type = kind
    result.value = content
    return result


def parse_item(attributes: Any) -> dict[str, Any]:
    """The attributes of an item, each a DynamoType.

    Raises:
        PassOn: as `parse`.
        Refused: as `parse`.
    """
    if not isinstance(attributes, dict):
        raise PassOn
    return {sys.intern(name): parse(value) for name, value in attributes.items()}


def make_item(hash_key: Any, range_key: Any, attributes: dict[str, Any]) -> Any:
    """An Item as moto keeps it, without moto's check of its size at each attribute.

    Raises:
        Refused: it has more than 400 KB.
    """
    size = sizes.attributes_size(attributes)
    if size > sizes.MAX_ITEM_BYTES:
        raise invalid("Item size has exceeded the maximum allowed size")
    item = object.__new__(Item)
    item.hash_key = hash_key
    item.range_key = range_key
    item.known_size = size
    item.attrs = LimitedSizeDict.__new__(LimitedSizeDict)
    dict.update(item.attrs, attributes)
    return item


def comparable(value: Any) -> Any:
    """What two equal values have in common, which can be hashed: numbers by their value, sets without their order."""
    kind, content = value.type, value.value
    if kind == "N":
        return kind, Decimal(content)
    if kind == "NS":
        return kind, frozenset(map(Decimal, content))
    if kind in ("SS", "BS"):
        return kind, frozenset(content)
    if kind == "M":
        return kind, frozenset((name, comparable(each)) for name, each in content.items())
    if kind == "L":
        return kind, tuple(map(comparable, content))
    return kind, content


class Json(str):
    """JSON that stands for itself in an answer."""

    __slots__ = ()


def encode(answer: Any) -> bytes:
    """An answer as JSON; it may hold DynamoTypes, bytes and Json."""
    return json_of(answer).encode()


def json_of(value: Any) -> Json:
    """The JSON of a DynamoType, or of what an answer holds besides."""
    return Json(_json(value))


def _json(value: Any) -> str:
    if isinstance(value, DynamoType):
        kind, content = value.type, value.value
        if kind == "B":
            return f'{{"B":"{_as_text(content)}"}}'
        if kind == "BS":
            content = [_as_text(each) for each in content]
        return f'{{"{kind}":{_json(content)}}}'
    if isinstance(value, dict):
        return "{" + ",".join([f"{_name(name)}:{_json(each)}" for name, each in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([_json(each) for each in value]) + "]"
    if isinstance(value, Json):
        return value
    return _quoted(_as_text(value) if isinstance(value, bytes) else value)


def _as_text(content: bytes | str) -> str:
    """Base64. Moto has bytes of what requests brought, and base64 of what it imports."""
    return content if isinstance(content, str) else binascii.b2a_base64(content, newline=False).decode()


_quoted = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
# The names are the same in item after item.
_name = functools.lru_cache(maxsize=4096)(_quoted)


def _parse_binary(content: Any) -> bytes:
    if not isinstance(content, str):
        raise PassOn
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        raise PassOn from None


def _check_number(content: Any) -> None:
    if not isinstance(content, str):
        raise PassOn
    if len(content) <= _MAX_DIGITS and content.isascii() and content.isdigit():
        return
    if not _NUMBER.fullmatch(content):
        raise PassOn
    number = Decimal(content)
    if number and not _SMALLEST <= number.adjusted() <= _LARGEST:
        flow, size = ("over", "larger") if number.adjusted() > _LARGEST else ("under", "smaller")
        raise invalid(
            f"Number {flow}flow. Attempting to store a number with magnitude {size} than supported range"
        )
    if len("".join(map(str, number.as_tuple().digits)).strip("0")) > _MAX_DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")


def _parse_set(kind: str, content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise PassOn
    if not content:
        raise invalid(
            "1 validation error detected: One or more parameter values were invalid: "
            f"An {_SETS[kind]} set  may not be empty"
        )
    if kind == "BS":
        members: list[Any] = [_parse_binary(each) for each in content]
        distinct = set(members)
    elif kind == "NS":
        for each in content:
            _check_number(each)
        members = content
        distinct = set(map(Decimal, members))
    else:
        if not all(isinstance(each, str) for each in content):
            raise PassOn
        members = content
        distinct = set(members)
    if len(distinct) != len(members):
        raise invalid(
            f"One or more parameter values were invalid: Input collection [{', '.join(map(str, content))}] "
            "contains duplicates."
        )
    return members


def _too_deep() -> Exception:
    return invalid("Nesting Levels have exceeded supported limits: Attributes may nest 32 levels deep")
