"""What a deployment of a REST API holds: the API as it was when it was made, which is what a stage serves."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.apigateway.models import RestAPI


@dataclass(frozen=True)
class Route:
    """A resource's path in parts, and one of its methods: moto's, with its integration."""

    resource_id: str
    path: str
    verb: str
    method: Any

    @property
    def parts(self) -> list[str]:
        return parts_of(self.path)


@dataclass(frozen=True)
class Found:
    """A route that a request goes to, and what stands for the braces in its path."""

    route: Route
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Snapshot:
    """A REST API. `schemas` are of its models by name, `validators` by id, `responses` by type."""

    routes: tuple[Route, ...]
    schemas: Mapping[str, Any]
    validators: Mapping[str, Any]
    responses: Mapping[str, Any]

    @classmethod
    def of(cls, api: Any) -> Snapshot:
        routes = (
            Route(resource.id, resource.get_path(), verb, method)
            for resource in api.resources.values()
            for verb, method in copy.deepcopy(resource.resource_methods).items()
        )
        schemas = {
            name: json.loads(model.schema) if isinstance(model.schema, str) else model.schema
            for name, model in api.models.items()
        }
        return cls(
            tuple(routes),
            copy.deepcopy(schemas),
            copy.deepcopy(api.request_validators),
            copy.deepcopy(api.gateway_responses),
        )

    def find(self, verb: str, path: str) -> Found | None:
        """The route of a request: a written path comes before one with braces, a verb before ANY."""
        asked = parts_of(path)
        found = sorted(self._matching(verb, asked), key=lambda each: (_rank(each), each.route.verb == "ANY"))
        return found[0] if found else None

    def _matching(self, verb: str, asked: list[str]) -> Iterator[Found]:
        for route in self.routes:
            parameters = _match(route.parts, asked)
            if parameters is not None and route.verb in (verb, "ANY"):
                yield Found(route, parameters)


def parts_of(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _rank(found: Found) -> tuple[int, int]:
    parts = found.route.parts
    return (any(part.endswith("+}") for part in parts), sum(part.startswith("{") for part in parts))


def _match(written: list[str], asked: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for number, part in enumerate(written):
        if part.startswith("{") and part.endswith("+}"):
            if len(asked) <= number:
                return None
            return parameters | {part[1:-2]: "/".join(asked[number:])}
        if number >= len(asked):
            return None
        if part.startswith("{"):
            parameters[part[1:-1]] = asked[number]
        elif part != asked[number]:
            return None
    return parameters if len(written) == len(asked) else None


def install() -> None:
    """Have each deployment of moto's keep its snapshot."""
    create = RestAPI.create_deployment

    def create_deployment(self: Any, *arguments: Any, **named: Any) -> Any:
        deployment = create(self, *arguments, **named)
        deployment.snapshot = Snapshot.of(self)
        return deployment

    RestAPI.create_deployment = create_deployment
