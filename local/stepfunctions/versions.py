"""Versions and aliases of state machines, and what an execution that is started by one of them runs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions import models, responses
from moto.stepfunctions.exceptions import StateMachineDoesNotExist, ValidationException

_PAGE = 100
# What a version keeps of its machine.
_KEPT = ("definition", "roleArn", "loggingConfiguration", "tracingConfiguration", "encryptionConfiguration")


class ConflictException(AWSError):
    """A version that an alias routes to cannot be deleted; an alias of that name is another one."""

    TYPE = "ConflictException"
    STATUS = 409


@dataclass(frozen=True)
class Target:
    """What an execution is started by: a machine, perhaps as a version, perhaps through an alias."""

    machine: Any
    version: Any = None
    alias_arn: str | None = None

    @property
    def source(self) -> Any:
        """What holds the definition, the role and the logging of the execution."""
        return self.machine if self.version is None else self.version


def install() -> None:
    models.StateMachine.publish = _publish
    models.StepFunctionBackend.create_state_machine_alias = _create_alias(
        models.StepFunctionBackend.create_state_machine_alias
    )
    api = responses.StepFunctionResponse
    api.publish_state_machine_version = _publish_version
    api.list_state_machine_versions = _list_versions
    api.delete_state_machine_version = _delete_version


def machine_of(backend: Any, arn: str) -> Any:
    """The machine that an ARN names, or whose version or alias it names.

    Raises:
        StateMachineDoesNotExist
    """
    return target_of(backend, arn).machine


def target_of(backend: Any, arn: str) -> Target:
    """What StartExecution of an ARN starts; an alias chooses between its versions by their weights.

    Raises:
        StateMachineDoesNotExist
    """
    backend._validate_machine_arn(arn)
    machine_arn, _, qualifier = arn.partition(":stateMachine:")[2].partition(":")
    base = f"{arn.partition(':stateMachine:')[0]}:stateMachine:{machine_arn}"
    machine = next((item for item in backend.state_machines if item.arn == base), None)
    if machine is not None and not qualifier:
        return Target(machine)
    if machine is not None and qualifier.isdigit() and int(qualifier) in machine.versions:
        return Target(machine, machine.versions[int(qualifier)])
    if machine is not None and qualifier in machine.aliases:
        routes = machine.aliases[qualifier].routing_configuration
        weights = [route["weight"] for route in routes]
        route = random.choices(routes, weights)[0]  # noqa: S311 - a share of the traffic
        number = int(route["stateMachineVersionArn"].rsplit(":", 1)[-1])
        return Target(machine, machine.versions[number], arn)
    raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")


def _publish(self: Any, description: str | None) -> None:
    """Publish the current revision; one that is published already stays the version that it is."""
    latest = self.latest_version
    if latest is not None and all(getattr(latest, name) == getattr(self, name) for name in _KEPT):
        return
    self.latest_version_number += 1
    version = models.StateMachineVersion(
        source=self, version=self.latest_version_number, description=description
    )
    self.versions[version.version] = version
    self.latest_version = version


def _create_alias(create: Any) -> Any:
    def create_state_machine_alias(
        self: Any, name: str, routing_configuration: list[dict[str, Any]], description: str | None
    ) -> Any:
        """Create an alias, or give the one that is as asked for.

        Raises:
            ValidationException: a name that a version's number could be taken for.
            ConflictException: there is another alias of that name.
        """
        self._validate_name(name)
        if name.isdigit():
            raise ValidationException(f"Invalid alias name: '{name}': it must not be a number")
        for route in routing_configuration:
            machine = target_of(self, route["stateMachineVersionArn"]).machine
            existing = machine.aliases.get(name)
            if existing is None:
                continue
            if (existing.routing_configuration, existing.description) == (routing_configuration, description):
                return existing
            raise ConflictException(f"There is an alias '{name}' with another routing: '{existing.arn}'")
        return create(self, name, routing_configuration, description)

    return create_state_machine_alias


def _publish_version(self: Any) -> ActionResult:
    machine = machine_of(self.stepfunction_backend, self._get_param("stateMachineArn"))
    if self._get_param("revisionId") is not None:
        raise ValidationException("revisionId is not imitated by the local AWS: publish the current revision")
    machine.publish(self._get_param("description"))
    version = machine.latest_version
    return ActionResult({"creationDate": version.creation_date, "stateMachineVersionArn": version.arn})


def _list_versions(self: Any) -> ActionResult:
    """The versions of a machine, the newest first."""
    machine = machine_of(self.stepfunction_backend, self._get_param("stateMachineArn"))
    versions = [machine.versions[number] for number in sorted(machine.versions, reverse=True)]
    start = int(self._get_param("nextToken") or 0)
    end = start + (self._get_int_param("maxResults") or _PAGE)
    listed = [
        {"stateMachineVersionArn": version.arn, "creationDate": version.creation_date}
        for version in versions[start:end]
    ]
    answer: dict[str, Any] = {"stateMachineVersions": listed}
    if end < len(versions):
        answer["nextToken"] = str(end)
    return ActionResult(answer)


def _delete_version(self: Any) -> EmptyResult:
    arn = self._get_param("stateMachineVersionArn")
    target = target_of(self.stepfunction_backend, arn)
    if target.version is None or target.alias_arn is not None:
        raise ValidationException(f"Invalid State Machine Version Arn: '{arn}'")
    machine = target.machine
    users = [
        alias.arn
        for alias in machine.aliases.values()
        if any(route["stateMachineVersionArn"] == arn for route in alias.routing_configuration)
    ]
    if users:
        raise ConflictException(
            f"Version to be deleted must not be referenced by an alias. Current list of aliases referencing "
            f"this version: [{', '.join(users)}]"
        )
    del machine.versions[target.version.version]
    if machine.latest_version is target.version:
        newest = max(machine.versions, default=None)
        machine.latest_version = None if newest is None else machine.versions[newest]
    return EmptyResult()
