"""Reads a template: its text, parameters, conditions, rules and the order of its resources."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import yaml

from local.cloudformation import registry
from local.cloudformation.errors import TemplateError, Unresolved
from local.cloudformation.intrinsics import Scope

_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
}
_SSM_PARAMETER = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")


@dataclass(frozen=True)
class Template:
    """A parsed template; `text` is what was submitted."""

    text: str
    body: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Raises TemplateError if it is neither JSON nor YAML or has a section this engine would ignore."""
        try:
            is_json = text.lstrip().startswith("{")
            body = json.loads(text) if is_json else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        except (ValueError, yaml.YAMLError) as error:
            raise TemplateError(f"Template format error: {error}") from error
        if not isinstance(body, dict) or not body.get("Resources"):
            raise TemplateError("Template format error: At least one Resources member must be defined.")
        for section in sorted(set(body) - _SECTIONS):
            raise TemplateError(
                f"The template has a section {section}, which the local AWS does not evaluate."
            )
        return cls(text, body)

    def section(self, name: str) -> Mapping[str, Any]:
        return self.body.get(name) or {}

    def active(self, scope: Scope) -> dict[str, Mapping[str, Any]]:
        """The resources whose condition holds, by logical id, in an order that respects dependencies."""
        resources = {
            logical_id: resource
            for logical_id, resource in self.section("Resources").items()
            if "Condition" not in resource or scope.condition(resource["Condition"])
        }
        graph = {name: dependencies(resource, scope) & set(resources) for name, resource in resources.items()}
        return {logical_id: resources[logical_id] for logical_id in in_order(graph)}

    def outputs(self, scope: Scope) -> dict[str, Mapping[str, Any]]:
        """The outputs whose condition holds."""
        return {
            key: output
            for key, output in self.section("Outputs").items()
            if "Condition" not in output or scope.condition(output["Condition"])
        }

    def imports(self, scope: Scope) -> frozenset[str]:
        """The names of the exports this template uses. Raises TemplateError for one that a resource names."""
        used = [resource.get("Properties", {}) for resource in self.active(scope).values()]
        used += [output.get("Value") for output in self.outputs(scope).values()]
        names = [argument for function, argument in scope.calls(used) if function == "Fn::ImportValue"]
        try:
            return frozenset(str(scope.resolve(name)) for name in names)
        except Unresolved as error:
            raise TemplateError(
                f"Template error: Fn::ImportValue must not depend on any resource, as on {error}"
            ) from error

    def check(self, scope: Scope) -> None:
        """Raises TemplateError with every reason why this template cannot be deployed here."""
        found = list(self._broken_rules(scope))
        for logical_id, resource in self.active(scope).items():
            found += registry.problems(logical_id, resource, scope)
            known = set(scope.declared) | set(scope.parameters) | set(scope.pseudo) | {"AWS::NoValue"}
            found += [
                f"{logical_id} refers to {name}, which is neither a resource nor a parameter of the template."
                for name in sorted(set(scope.references(resource.get("Properties", {}))) - known)
            ]
        if found:
            raise TemplateError(" ".join(found))
        self.imports(scope)

    def _broken_rules(self, scope: Scope) -> list[str]:
        return [
            f"Rule {name}: {assertion.get('AssertDescription', 'its assertion is false')}"
            for name, rule in self.section("Rules").items()
            if "RuleCondition" not in rule or scope.holds(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not scope.holds(assertion["Assert"])
        ]


def dependencies(resource: Mapping[str, Any], scope: Scope) -> set[str]:
    """The logical ids a resource must wait for."""
    explicit = resource.get("DependsOn", [])
    named = {explicit} if isinstance(explicit, str) else set(explicit)
    return named | set(scope.references(resource.get("Properties", {})))


def in_order(graph: Mapping[str, set[str]]) -> list[str]:
    """Nodes after all they depend on; the same graph gives the same order."""
    try:
        return list(TopologicalSorter({node: sorted(graph[node]) for node in graph}).static_order())
    except CycleError as error:
        # graphlib names each node before the one that depends on it; people read it the other way round.
        circle = ", ".join(reversed(error.args[1]))
        raise TemplateError(f"Circular dependency between resources: [{circle}]") from error


@dataclass(frozen=True)
class Parameters:
    """A template's parameters: as given, and as `Ref` returns them."""

    given: Mapping[str, str]
    resolved: Mapping[str, Any]
    hidden: frozenset[str] = frozenset()

    def described(self) -> list[dict[str, str]]:
        """As DescribeStacks shows them."""
        shown = []
        for name, value in self.given.items():
            entry = {"ParameterKey": name, "ParameterValue": "****" if name in self.hidden else value}
            if name not in self.hidden and str(self.resolved[name]) != value:
                resolved = self.resolved[name]
                entry["ResolvedValue"] = ",".join(resolved) if isinstance(resolved, list) else str(resolved)
            shown.append(entry)
        return shown


def parameters(
    template: Template,
    given: Mapping[str, str],
    previous: Mapping[str, str],
    stored_value: Callable[[str], str],
) -> Parameters:
    """The values of the template's parameters.

    `given` are the request's, `previous` those it asks to keep, `stored_value` reads an SSM parameter.
    Raises TemplateError for one that is unknown, missing, or not allowed.
    """
    declared = template.section("Parameters")
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    texts: dict[str, str] = {}
    for name, specification in declared.items():
        if name in given:
            texts[name] = given[name]
        elif name in previous:
            texts[name] = previous[name]
        elif "Default" in specification:
            default = specification["Default"]
            texts[name] = str(default).lower() if isinstance(default, bool) else str(default)
        else:
            raise TemplateError(f"Parameters: [{name}] must have values")
        _check_allowed(name, specification, texts[name])
    hidden = frozenset(name for name, specification in declared.items() if specification.get("NoEcho"))
    resolved = {
        name: _typed(name, declared[name]["Type"], text, stored_value) for name, text in texts.items()
    }
    return Parameters(texts, resolved, hidden)


def _check_allowed(name: str, specification: Mapping[str, Any], text: str) -> None:
    allowed = [str(value) for value in specification.get("AllowedValues", [text])]
    pattern = specification.get("AllowedPattern", ".*")
    if text in allowed and re.fullmatch(pattern, text, re.DOTALL):
        return
    must = (
        f"one of [{', '.join(allowed)}]" if "AllowedValues" in specification else f"of the pattern {pattern}"
    )
    fallback = f"Parameter {name} must be {must}"
    raise TemplateError(specification.get("ConstraintDescription", fallback))


def _typed(name: str, kind: str, text: str, stored_value: Callable[[str], str]) -> Any:
    stored = _SSM_PARAMETER.fullmatch(kind)
    if stored:
        return _typed(name, stored.group(1), stored_value(text), stored_value)
    if kind == "Number":
        return float(text) if "." in text else int(text)
    if kind in ("CommaDelimitedList", "List<String>", "List<Number>"):
        return [item.strip() for item in text.split(",")]
    if kind == "String" or kind.startswith("AWS::"):
        return text
    raise TemplateError(f"Parameter {name} is of type {kind}, which the local AWS does not know")


# YAML with CloudFormation's short forms, and dates (`2012-10-17`) left as text.
# libyaml's, which is ten times faster, where PyYAML was built with it.
_Loader: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)
