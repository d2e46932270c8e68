"""Resolves CloudFormation's intrinsic functions, conditions and pseudo parameters."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.cloudformation.errors import TemplateError, Unresolved


class _NoValue:
    """What `AWS::NoValue` resolves to: the property or list item that holds it disappears."""


NO_VALUE = _NoValue()
_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")


@dataclass(frozen=True)
class Resource:
    """A deployed resource as templates see it: what Ref returns, and what Fn::GetAtt can return."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Scope:
    """Everything a value in a template can refer to.

    `declared` maps every logical id of the template to its type; `resources` holds those that exist.
    Resolving a reference to one that is declared and does not exist yet raises Unresolved.
    """

    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    declared: Mapping[str, str]
    resources: Mapping[str, Resource]
    exports: Mapping[str, str]
    _evaluated: dict[str, bool] = field(default_factory=dict)

    def condition(self, name: str) -> bool:
        if name not in self.conditions:
            raise TemplateError(f"Template error: unresolved condition {name}; it is not in Conditions")
        if name not in self._evaluated:
            self._evaluated[name] = self._holds(self.conditions[name])
        return self._evaluated[name]

    def resolve(self, value: Any) -> Any:
        """`value` with every intrinsic replaced; entries that are AWS::NoValue are left out."""
        if isinstance(value, list):
            return [item for item in (self.resolve(item) for item in value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        function = intrinsic(value)
        if function is not None:
            return self._call(function, value[function])
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def choose(self, value: Any) -> Any:
        """`value`, or the branch its Fn::If selects, otherwise unresolved."""
        while isinstance(value, dict) and intrinsic(value) == "Fn::If":
            name, when_true, when_false = _arguments("Fn::If", value["Fn::If"], 3)
            value = when_true if self.condition(name) else when_false
        return NO_VALUE if value == {"Ref": "AWS::NoValue"} else value

    def references(self, value: Any) -> Iterator[str]:
        """The logical ids `value` refers to, as it stands under the current conditions."""
        for function, argument in self.calls(value):
            match function:
                case "Ref":
                    yield argument
                case "Fn::GetAtt":
                    yield _attribute_path(argument)[0]
                case "Fn::Sub":
                    text, local_values = _substitution(argument)
                    names = (name for literal, name in _VARIABLE.findall(text) if not literal)
                    yield from (name.split(".")[0].strip() for name in names if name not in local_values)

    def calls(self, value: Any) -> Iterator[tuple[str, Any]]:
        """The intrinsic functions that resolving `value` calls, each with its unresolved argument."""
        value = self.choose(value)
        if isinstance(value, list):
            for item in value:
                yield from self.calls(item)
        elif isinstance(value, dict):
            function = intrinsic(value)
            if function is not None:
                yield function, value[function]
            for item in value.values():
                yield from self.calls(item)

    def _holds(self, expression: Any) -> bool:
        match expression:
            case {"Condition": str(name)}:
                return self.condition(name)
            case {"Fn::And": list(terms)}:
                return all(self._holds(term) for term in terms)
            case {"Fn::Or": list(terms)}:
                return any(self._holds(term) for term in terms)
            case {"Fn::Not": [term]}:
                return not self._holds(term)
            case {"Fn::Equals": [left, right]}:
                return bool(_text(self.resolve(left)) == _text(self.resolve(right)))
            case {"Fn::Contains": [values, wanted]}:
                return bool(self.resolve(wanted) in self.resolve(values))
        raise TemplateError(
            f"Template error: {json.dumps(expression)} is no condition the local AWS can evaluate"
        )

    def holds(self, expression: Any) -> bool:
        """Whether a condition expression (of a Rule's assertion) is true."""
        return self._holds(expression)

    def _call(self, function: str, argument: Any) -> Any:
        if function not in _FUNCTIONS:
            raise TemplateError(
                f"Template error: the local AWS does not evaluate the intrinsic function {function}"
            )
        return _FUNCTIONS[function](self, argument)

    def ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        for known in (self.parameters, self.pseudo):
            if name in known:
                return known[name]
        return self._resource(name).physical_id

    def attribute(self, logical_id: str, name: str) -> Any:
        resource = self._resource(logical_id)
        if name not in resource.attributes:
            known = ", ".join(sorted(resource.attributes)) or "none"
            raise TemplateError(
                f"Template error: {logical_id} ({self.declared[logical_id]}) has no attribute {name} in the "
                f"local AWS; attributes it has: {known}"
            )
        return resource.attributes[name]

    def _resource(self, logical_id: str) -> Resource:
        if logical_id in self.resources:
            return self.resources[logical_id]
        if logical_id in self.declared:
            raise Unresolved(logical_id)
        raise TemplateError(
            f"Template format error: Unresolved resource dependencies [{logical_id}] in the template"
        )


def intrinsic(value: Mapping[str, Any]) -> str | None:
    """The name of the intrinsic function `value` is a call of, if it is one."""
    if len(value) == 1:
        (key,) = value
        if isinstance(key, str) and (key == "Ref" or key.startswith("Fn::")):
            return key
    return None


def _text(value: Any) -> Any:
    """Conditions compare parameters as text: true and "true" are the same."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def _arguments(function: str, argument: Any, count: int) -> list[Any]:
    if not isinstance(argument, list) or len(argument) != count:
        raise TemplateError(f"Template error: {function} takes {count} arguments, not {json.dumps(argument)}")
    return argument


def _attribute_path(argument: Any) -> tuple[str, str]:
    parts = argument.split(".", 1) if isinstance(argument, str) else argument
    logical_id, *names = parts
    return logical_id, ".".join(names)


def _substitution(argument: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(argument, str):
        return argument, {}
    text, values = _arguments("Fn::Sub", argument, 2)
    return text, values


def _get_att(scope: Scope, argument: Any) -> Any:
    return scope.attribute(*_attribute_path(argument))


def _if(scope: Scope, argument: Any) -> Any:
    return scope.resolve(scope.choose({"Fn::If": argument}))


def _join(scope: Scope, argument: Any) -> str:
    separator, items = _arguments("Fn::Join", argument, 2)
    resolved = scope.resolve(items)
    # `Fn::Join: ['', {Ref: AListParameter}]` and a list with a nested Ref are both legal.
    return str(separator).join(str(_text(item)) for item in resolved)


def _sub(scope: Scope, argument: Any) -> str:
    text, values = _substitution(argument)

    def replace(match: re.Match[str]) -> str:
        literal, name = match.group(1), match.group(2).strip()
        if literal:
            return "${" + name + "}"
        if name in values:
            return str(_text(scope.resolve(values[name])))
        logical_id, _, attribute = name.partition(".")
        return str(_text(scope.attribute(logical_id, attribute) if attribute else scope.ref(name)))

    return _VARIABLE.sub(replace, text)


def _select(scope: Scope, argument: Any) -> Any:
    index, items = (scope.resolve(part) for part in _arguments("Fn::Select", argument, 2))
    if not 0 <= int(index) < len(items):
        raise TemplateError(f"Template error: Fn::Select cannot select nonexistent value at index {index}")
    return items[int(index)]


def _split(scope: Scope, argument: Any) -> list[str]:
    separator, text = _arguments("Fn::Split", argument, 2)
    return str(scope.resolve(text)).split(separator)


def _find_in_map(scope: Scope, argument: Any) -> Any:
    name, first, second = (scope.resolve(part) for part in _arguments("Fn::FindInMap", argument, 3))
    try:
        return scope.mappings[name][first][second]
    except KeyError:
        raise TemplateError(f"Template error: Fn::FindInMap finds no {name}.{first}.{second}") from None


def _import_value(scope: Scope, argument: Any) -> str:
    name = scope.resolve(argument)
    if name not in scope.exports:
        raise TemplateError(f"No export named {name} found.")
    return scope.exports[name]


def _availability_zones(scope: Scope, argument: Any) -> list[str]:
    region = scope.resolve(argument) or scope.pseudo["AWS::Region"]
    return [region + letter for letter in "abc"]


_FUNCTIONS: dict[str, Callable[[Scope, Any], Any]] = {
    "Ref": lambda scope, name: scope.ref(name),
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::Join": _join,
    "Fn::Sub": _sub,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": _import_value,
    "Fn::GetAZs": _availability_zones,
    "Fn::Base64": lambda scope, text: base64.b64encode(str(scope.resolve(text)).encode()).decode(),
    "Fn::ToJsonString": lambda scope, value: json.dumps(scope.resolve(value)),
    "Fn::Length": lambda scope, value: len(scope.resolve(value)),
}
