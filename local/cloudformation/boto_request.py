"""Turns CloudFormation properties into the keyword arguments of a boto3 operation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local.cloudformation.errors import ResourceFailed


def request(client: Any, method: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for `client.<method>` from properties in CloudFormation's spelling and types.

    CloudFormation and the services' APIs mostly differ in the case of a first letter, in text where the API
    wants a number or a JSON document, and in tags as a list or a map. Anything else is refused:
    ResourceFailed names the property the operation has no member for.
    """
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    return dict(_structure(model.input_shape, properties, model.name))


def _structure(shape: Any, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ResourceFailed(f"{path} must be an object, not {value!r}")
    members = {member.lower(): member for member in shape.members}
    conformed = {}
    for name, item in value.items():
        member = members.get(name.lower())
        if member is None:
            raise ResourceFailed(f"{path} has no {name}; it takes {', '.join(sorted(shape.members))}")
        conformed[member] = _conform(shape.members[member], item, f"{path}.{name}")
    return conformed


def _conform(shape: Any, value: Any, path: str) -> Any:
    match shape.type_name:
        case "structure":
            return value if getattr(shape, "is_document_type", False) else _structure(shape, value, path)
        case "list" if isinstance(value, Mapping) and _is_tag_list(shape):
            pairs = [{"Key": key, "Value": text} for key, text in value.items()]
            return [_structure(shape.member, pair, path) for pair in pairs]
        case "list":
            if not isinstance(value, list):
                raise ResourceFailed(f"{path} must be a list, not {value!r}")
            return [_conform(shape.member, item, f"{path}[{index}]") for index, item in enumerate(value)]
        case "map" if isinstance(value, list):
            return tag_map(value)
        case "map":
            return {key: _conform(shape.value, item, f"{path}.{key}") for key, item in value.items()}
        case "string":
            return value if isinstance(value, str) else as_text(value)
        case "integer" | "long" | "float" | "double" if isinstance(value, str):
            return _number(shape.type_name, value, path)
        case "boolean" if isinstance(value, str):
            return as_boolean(value, path)
    return value


def _is_tag_list(shape: Any) -> bool:
    return shape.member.type_name == "structure" and {name.lower() for name in shape.member.members} == {
        "key",
        "value",
    }


def _number(type_name: str, value: str, path: str) -> float | int:
    try:
        return int(value) if type_name in ("integer", "long") else float(value)
    except ValueError:
        raise ResourceFailed(f"{path} must be a number, not {value!r}") from None


def as_boolean(value: Any, path: str) -> bool:
    """A boolean property, which a template may also give as the text "true" or "false"."""
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false"):
        raise ResourceFailed(f"{path} must be true or false, not {value!r}")
    return str(value).lower() == "true"


def as_text(value: Any) -> str:
    """What a string member gets: documents (policies, patterns) as JSON, scalars as CloudFormation does."""
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def tag_map(tags: list[Mapping[str, str]]) -> dict[str, str]:
    """[{Key, Value}] as {key: value}."""
    return {tag["Key"]: tag["Value"] for tag in tags}
