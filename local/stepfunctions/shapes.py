"""Translate task arguments and results between Step Functions' PascalCase JSON and boto3's shapes."""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Mapping
from typing import Any, Literal

import botocore.session
from botocore.model import (
    ListShape,
    MapShape,
    OperationModel,
    ServiceModel,
    Shape,
    StringShape,
    StructureShape,
)
from botocore.response import StreamingBody

TimeFormat = Literal["milliseconds", "iso"]


class UnsupportedField(Exception):
    """A task passes a field that the operation does not have."""


@functools.cache
def service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


@functools.cache
def operation_model(service: str, action: str) -> OperationModel:
    """Find an operation by its ASL name (`createTrainingJob`).

    Raises:
        UnsupportedField: the service has no such operation.
    """
    model = service_model(service)
    for name in model.operation_names:
        if name.lower() == action.replace("_", "").lower():
            return model.operation_model(name)
    raise UnsupportedField(f"The service '{service}' has no API action '{action}'.")


def to_boto(value: Any, shape: Shape | None, path: str = "") -> Any:
    """Rename fields to the operation's own; JSON where the operation wants a string becomes its text.

    Where it wants bytes it gets JSON, of a text too, which then stands in quotation marks: AWS's objects of
    `aws-sdk:s3:putObject` have the ETag of that.

    Raises:
        UnsupportedField: a field is unknown; the message names its path.
    """
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        members = {name.lower(): name for name in shape.members}
        renamed: dict[str, Any] = {}
        for key, item in value.items():
            member = members.get(key.lower())
            if member is None or not key[:1].isupper():
                raise UnsupportedField(f'The field "{path}{key}" is not supported by Step Functions')
            renamed[member] = to_boto(item, shape.members[member], f"{path}{key}.")
        return renamed
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [to_boto(item, shape.member, path) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: to_boto(item, shape.value, f"{path}{key}.") for key, item in value.items()}
    if isinstance(shape, StringShape) and isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"))
    if shape is not None and shape.type_name == "blob" and not isinstance(value, bytes):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return value


def from_boto(value: Any, shape: Shape | None, times: TimeFormat) -> Any:
    """Turn a boto3 answer into JSON: PascalCase fields, times as milliseconds or ISO 8601, bytes as text."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {_pascal(key): from_boto(item, shape.members.get(key), times) for key, item in value.items()}
    if isinstance(value, Mapping):
        inner = shape.value if isinstance(shape, MapShape) else None
        return {key: from_boto(item, inner, times) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        inner = shape.member if isinstance(shape, ListShape) else None
        return [from_boto(item, inner, times) for item in value]
    if isinstance(value, datetime.datetime):
        if times == "milliseconds":
            return int(value.timestamp() * 1000)
        return value.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, StreamingBody):
        return value.read().decode()
    if isinstance(value, bytes):
        return value.decode()
    return value


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]
