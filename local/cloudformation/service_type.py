"""Resource types whose properties are the arguments of one operation, named by the caller or generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from local.cloudformation.intrinsics import Resource
from local.cloudformation.resource_type import Operation, ResourceType, names


@dataclass(frozen=True)
class Calls:
    """The service's operations.

    `delete_by` names the delete operation's one argument. `ready` is the boto3 waiter, by the name property,
    that says when the resource can be used. Without `update`, only tags change in place.
    """

    service: str
    create: str
    delete: str
    delete_by: str
    update: str | None = None
    ready: str | None = None


@dataclass(frozen=True)
class Tagging:
    """How tags change: the argument that takes the ARN, and the operations."""

    argument: str
    tag: str
    untag: str


@dataclass(frozen=True)
class Identity:
    """What the resource is called.

    `arn`, `ref` (what Ref gives) and `attributes` (what Fn::GetAtt gives) are format strings over {id} (the
    name), {account} and {region}.
    """

    name_property: str
    arn: str
    ref: str = "{id}"
    attributes: Mapping[str, str] = field(default_factory=dict)
    longest: int = 63

    def filled(self, pattern: str, operation: Operation, name: str) -> str:
        return pattern.format(id=name, account=operation.account_id, region=operation.region)

    def name_of(self, operation: Operation) -> str:
        """The name of the deployed resource."""
        prefix, _, _ = self.ref.partition("{id}")
        return operation.physical_id.removeprefix(self.filled(prefix, operation, ""))

    def resource(self, operation: Operation, name: str) -> Resource:
        attributes = {key: self.filled(pattern, operation, name) for key, pattern in self.attributes.items()}
        return Resource(self.filled(self.ref, operation, name), attributes)


@dataclass(frozen=True)
class _Service:
    """The operations of one such type; `settings` are the properties but for tags."""

    calls: Calls
    identity: Identity
    tagging: Tagging | None
    settings: frozenset[str]

    def create(self, operation: Operation) -> Resource:
        name_property = self.identity.name_property
        name = operation.name(name_property, longest=self.identity.longest)
        arguments = operation.pick(*self.settings, *(["Tags"] if self.tagging else []))
        operation.call(self.calls.service, self.calls.create, {**arguments, name_property: name})
        created = self.identity.resource(operation, name)
        operation.exists(created.physical_id)
        self._wait_until_ready(operation, name)
        return created

    def update(self, operation: Operation) -> Resource:
        name = self.identity.name_of(operation)
        if self.calls.update is not None and operation.changed(*self.settings):
            arguments = {**operation.pick(*self.settings), self.identity.name_property: name}
            operation.call(self.calls.service, self.calls.update, arguments)
            self._wait_until_ready(operation, name)
        if self.tagging is not None:
            arn = {self.tagging.argument: self.identity.filled(self.identity.arn, operation, name)}
            operation.retag(self.calls.service, arn, self.tagging.tag, self.tagging.untag)
        return self.identity.resource(operation, name)

    def delete(self, operation: Operation) -> None:
        client = operation.client(self.calls.service)
        model = client.meta.service_model.operation_model(
            client.meta.method_to_api_mapping[self.calls.delete]
        )
        name = self.identity.name_of(operation)
        plural = model.input_shape.members[self.calls.delete_by].type_name == "list"
        argument = {self.calls.delete_by: [name] if plural else name}
        operation.call(self.calls.service, self.calls.delete, argument)

    def _wait_until_ready(self, operation: Operation, name: str) -> None:
        if self.calls.ready is not None:
            waiter = operation.client(self.calls.service).get_waiter(self.calls.ready)
            often = {"Delay": 1, "MaxAttempts": 600}
            waiter.wait(**{self.identity.name_property: name}, WaiterConfig=often)


def service_type(
    name: str,
    *,
    properties: str,
    calls: Calls,
    identity: Identity,
    tagging: Tagging | None = None,
    no_effect: Mapping[str, str] | None = None,
) -> ResourceType:
    """A resource type of one service's operations; `properties` are names separated by blanks, without Tags."""
    settings = names(properties)
    service = _Service(calls, identity, tagging, settings)
    return ResourceType(
        name=name,
        create=service.create,
        update=service.update,
        delete=service.delete,
        applied=settings | ({"Tags"} if tagging else set()),
        no_effect=no_effect or {},
        replacement=frozenset({identity.name_property}) if calls.update else settings,
        name_property=identity.name_property,
    )
