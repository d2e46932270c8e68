"""What a resource type declares: its operations, the properties they apply, those that do nothing here."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.cloudformation.boto_request import as_text, request, tag_map
from local.cloudformation.errors import ResourceFailed
from local.cloudformation.intrinsics import NO_VALUE, Resource, Scope, intrinsic

_SUFFIX = string.digits + string.ascii_uppercase


@dataclass(frozen=True)
class Operation:
    """One create, update or delete of one resource, with everything it may use.

    `properties` are resolved; `previous` and `physical_id` are the deployed resource's (empty on create).
    """

    client: Callable[[str], Any]
    account_id: str
    region: str
    stack_name: str
    logical_id: str
    properties: Mapping[str, Any]
    previous: Mapping[str, Any] = field(default_factory=dict)
    physical_id: str = ""
    made: list[str] = field(default_factory=list)

    def exists(self, physical_id: str) -> None:
        """Says, in a create of several steps, that the resource is there: if a later one fails, it goes."""
        self.made.append(physical_id)

    def name(self, name_property: str, *, longest: int = 255, lower: bool = False) -> str:
        """The name the template gives, or one generated from stack and logical id as CloudFormation does."""
        if name_property in self.properties:
            return as_text(self.properties[name_property])
        suffix = "".join(secrets.choice(_SUFFIX) for _ in range(12))
        room = longest - len(suffix) - 2
        stack = self.stack_name[: max(room // 2, room - len(self.logical_id))]
        name = f"{stack}-{self.logical_id[: room - len(stack)]}-{suffix}"
        return name.lower() if lower else name

    def changed(self, *properties: str) -> bool:
        """Whether any of these differs from the deployed resource (always, on create)."""
        return any(self.properties.get(name) != self.previous.get(name) for name in properties)

    def call(self, service: str, method: str, properties: Mapping[str, Any]) -> Any:
        """The service's operation with `properties` brought into its shape."""
        client = self.client(service)
        return getattr(client, method)(**request(client, method, properties))

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    def pick(self, *names: str) -> dict[str, Any]:
        """Those of the named properties that are set."""
        return {name: self.properties[name] for name in names if name in self.properties}

    def retag(self, service: str, identity: Mapping[str, str], tag: str, untag: str) -> None:
        """Brings an existing resource's tags to those of the template."""
        old, new = _tags(self.previous), _tags(self.properties)
        changed = {key: value for key, value in new.items() if old.get(key) != value}
        # A changed tag is removed, too: some of moto's services would keep both values.
        stale = sorted(key for key, value in old.items() if new.get(key) != value)
        if stale:
            self.call(service, untag, {**identity, "TagKeys": stale})
        if changed:
            self.call(
                service, tag, {**identity, "Tags": [{"Key": k, "Value": v} for k, v in changed.items()]}
            )


def _tags(properties: Mapping[str, Any]) -> dict[str, str]:
    tags = properties.get("Tags") or []
    return dict(tags) if isinstance(tags, Mapping) else tag_map(tags)


def names(text: str) -> frozenset[str]:
    """Property names separated by blanks, as a set."""
    return frozenset(text.split())


Create = Callable[[Operation], Resource]
Delete = Callable[[Operation], None]


@dataclass(frozen=True)
class ResourceType:
    """A resource type of the local AWS.

    `applied` and the keys of `no_effect` name properties, nested ones with dots (`Code.S3Key`; lists are
    looked through). A name stands for everything below it. `replacement` lists the properties whose change
    needs a new resource; a type without `update` is always replaced.
    """

    name: str
    create: Create
    delete: Delete
    applied: frozenset[str]
    update: Create | None = None
    no_effect: Mapping[str, str] = field(default_factory=dict)
    replacement: frozenset[str] = frozenset()
    name_property: str | None = None

    def unknown_properties(self, properties: Any, scope: Scope) -> Iterator[str]:
        """The paths in (unresolved) `properties` that this type would not apply."""
        yield from self._unknown(properties, (), scope)

    def _unknown(self, value: Any, path: tuple[str, ...], scope: Scope) -> Iterator[str]:
        value = scope.choose(value)
        known = self.applied | set(self.no_effect)
        if ".".join(path) in known or value is NO_VALUE:
            return
        if isinstance(value, list):
            for item in value:
                yield from self._unknown(item, path, scope)
        elif isinstance(value, dict) and intrinsic(value) is None:
            for name, item in value.items():
                inner = (*path, name)
                dotted = ".".join(inner)
                if dotted in known or any(entry.startswith(dotted + ".") for entry in known):
                    yield from self._unknown(item, inner, scope)
                elif scope.choose(item) is not NO_VALUE:
                    yield dotted

    def needs_replacement(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        if self.update is None:
            return True
        return any(old.get(name) != new.get(name) for name in self.replacement)

    def check_rename(self, operation: Operation) -> None:
        """Raises ResourceFailed where a replacement would need two resources of the same name at once."""
        name = self.name_property
        if name is None or name not in operation.properties:
            return
        if operation.properties[name] == operation.previous.get(name):
            raise ResourceFailed(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                f"Rename {operation.properties[name]} and update the stack again."
            )
