"""Brings a stack's resources from what they are to what a template says, and back if that fails."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.cloudformation import registry
from local.cloudformation.errors import ResourceFailed, TemplateError, Unresolved
from local.cloudformation.intrinsics import Resource, Scope
from local.cloudformation.resource_type import Operation, ResourceType
from local.cloudformation.stacks import Change, Deployed, Output, Stack, Stacks, now
from local.cloudformation.template import Parameters, Template, dependencies, in_order

_log = logging.getLogger(__name__)
_GONE = ("NotFound", "NoSuch", "DoesNotExist", "NonExistent")


class Deployment:
    """One deployment of one template (with its parameters) to one stack.

    `client` gives a boto3 client for a service in the stack's region; `stacks` are all there are.
    """

    def __init__(
        self,
        stack: Stack,
        template: Template,
        parameters: Parameters,
        *,
        account_id: str,
        client: Callable[[str], Any],
        stacks: Stacks,
    ) -> None:
        self._stack = stack
        self._template = template
        self._parameters = parameters
        self._account_id = account_id
        self._client = client
        self._stacks = stacks
        self._exports = stacks.exports(stack.region)
        self._undo: list[Callable[[], None]] = []
        self._superseded: list[Deployed] = []
        self._removed: list[Deployed] = []

    def check(self) -> None:
        """Raises TemplateError if anything in the template cannot be deployed here."""
        self._template.check(self._scope({}))
        for logical_id, definition in self._active().items():
            existing = self._stack.deployed.get(logical_id)
            if existing is not None and existing.type_name != definition["Type"]:
                raise TemplateError(
                    f"Update of resource type is not permitted: {logical_id} is {existing.type_name}, the "
                    f"new template says {definition['Type']}. The new resource needs a new logical id."
                )

    def changes(self) -> list[Change]:
        """What `apply` would do, as far as it is known before it is done."""
        known = {name: deployed.resource for name, deployed in self._stack.deployed.items()}
        planned = []
        active = self._active()
        for logical_id, definition in active.items():
            existing = self._stack.deployed.get(logical_id)
            if existing is None:
                planned.append(Change("Add", logical_id, definition["Type"]))
                continue
            found = registry.resource_type(logical_id, existing.type_name)
            try:
                wanted = self._scope(known).resolve(definition.get("Properties", {}))
            except Unresolved:
                replaced = found.update is None
            else:
                if wanted == existing.properties:
                    continue
                replaced = found.needs_replacement(existing.properties, wanted)
            if replaced:
                del known[logical_id]
            physical_id = existing.resource.physical_id
            planned.append(Change("Modify", logical_id, existing.type_name, physical_id, replaced))
        for logical_id, gone in self._stack.deployed.items():
            if logical_id not in active:
                physical_id = gone.resource.physical_id
                planned.append(Change("Remove", logical_id, gone.type_name, physical_id))
        return planned

    def apply(self) -> None:
        """Creates, updates and replaces in dependency order, then sets the outputs.

        Raises ResourceFailed at the first failure; `roll_back` then undoes what was done. Resources that the
        template no longer has, or that were replaced, stay until `clean_up`.
        """
        self._undo.append(functools.partial(self._set, "imports", self._stack.imports))
        # Both what it used and what it will use, until it has changed from the one to the other.
        self._set("imports", self._stack.imports | self._template.imports(self._scope({})))
        active = self._active()
        for logical_id, definition in active.items():
            self._apply_one(logical_id, definition)
        self._removed = [gone for name, gone in self._stack.deployed.items() if name not in active]
        outputs = self._resolve_outputs()
        in_use = self._stacks.unchangeable(self._stack, outputs)
        if in_use is not None:
            raise ResourceFailed(in_use)
        self._undo.append(functools.partial(self._set, "outputs", self._stack.outputs))
        self._set("outputs", outputs)
        self._set("imports", self._template.imports(self._scope({})))

    def _set(self, field: str, value: Any) -> None:
        setattr(self._stack, field, value)

    def clean_up(self) -> None:
        """Deletes what `apply` replaced or left out. A failure is an event; the deployment stands."""
        for gone in self._superseded:
            if gone.replace_policy == "Delete":
                self._delete_quietly(gone)
        doomed = {gone.logical_id: gone for gone in self._removed}
        for gone in _reverse_order(doomed):
            if gone.retained:
                self._event(gone, "DELETE_SKIPPED")
            else:
                self._delete_quietly(gone)
            self._stack.deployed.pop(gone.logical_id, None)

    def roll_back(self) -> list[str]:
        """Undoes `apply`, last step first; returns the reasons of the steps that failed."""
        failures = []
        for step in reversed(self._undo):
            try:
                step()
            except ResourceFailed as error:
                failures.append(str(error))
        return failures

    def delete(self) -> list[str]:
        """Deletes every resource of the stack in reverse order; returns the logical ids that resisted."""
        resisted: list[str] = []
        for doomed in _reverse_order(self._stack.deployed):
            if doomed.retained:
                self._event(doomed, "DELETE_SKIPPED")
            else:
                try:
                    self._delete(doomed)
                except ResourceFailed:
                    resisted.append(doomed.logical_id)
                    continue
            self._stack.deployed.pop(doomed.logical_id)
        return resisted

    def _active(self) -> dict[str, Mapping[str, Any]]:
        return self._template.active(self._scope({}))

    def _scope(self, resources: Mapping[str, Resource]) -> Scope:
        return Scope(
            parameters=self._parameters.resolved,
            pseudo={
                "AWS::AccountId": self._account_id,
                "AWS::NotificationARNs": self._stack.notification_arns,
                "AWS::Partition": "aws",
                "AWS::Region": self._stack.region,
                "AWS::StackId": self._stack.stack_id,
                "AWS::StackName": self._stack.name,
                "AWS::URLSuffix": "amazonaws.com",
            },
            mappings=self._template.section("Mappings"),
            conditions=self._template.section("Conditions"),
            declared={name: item["Type"] for name, item in self._template.section("Resources").items()},
            resources=resources,
            exports={name: value for name, (value, _) in self._exports.items()},
        )

    def _current_scope(self) -> Scope:
        return self._scope({name: deployed.resource for name, deployed in self._stack.deployed.items()})

    def _apply_one(self, logical_id: str, definition: Mapping[str, Any]) -> None:
        existing = self._stack.deployed.get(logical_id)
        found = registry.resource_type(logical_id, definition["Type"])
        scope = self._current_scope()
        wanted = Deployed(
            logical_id=logical_id,
            type_name=found.name,
            properties={},
            resource=existing.resource if existing else Resource(""),
            depends_on=frozenset(dependencies(definition, scope)),
            deletion_policy=definition.get("DeletionPolicy", "Delete"),
            replace_policy=definition.get("UpdateReplacePolicy", "Delete"),
        )
        verb = "UPDATE" if existing else "CREATE"
        try:
            properties = scope.resolve(definition.get("Properties", {}))
        except TemplateError as error:
            self._event(wanted, f"{verb}_FAILED", str(error))
            raise ResourceFailed(f"{logical_id}: {error}") from error
        wanted = replace(wanted, properties=properties)
        if existing is None:
            self._create(found, wanted)
        elif properties == existing.properties:
            kept = replace(wanted, resource=existing.resource, status=existing.status, reason=existing.reason)
            self._store(kept, existing)
        elif found.needs_replacement(existing.properties, properties):
            self._replace(found, wanted, existing)
        else:
            self._update(found, wanted, existing)

    def _create(self, found: ResourceType, wanted: Deployed) -> None:
        self._event(wanted, "CREATE_IN_PROGRESS")
        created = self._made(found, wanted, "CREATE")
        self._stack.deployed[created.logical_id] = created
        self._undo.append(lambda: self._undo_create(created))
        self._event(created, "CREATE_COMPLETE")

    def _made(self, found: ResourceType, wanted: Deployed, verb: str) -> Deployed:
        """Creates the resource; one that was left half made is deleted before the failure is passed on."""
        operation = self._operation(wanted)
        try:
            return replace(wanted, resource=self._attempt(wanted, verb, lambda: found.create(operation)))
        except ResourceFailed:
            for physical_id in operation.made:
                self._delete_quietly(replace(wanted, resource=Resource(physical_id)))
            raise

    def _undo_create(self, created: Deployed) -> None:
        if created.deletion_policy == "Retain":
            self._event(created, "DELETE_SKIPPED")
        else:
            self._delete(created)
        self._stack.deployed.pop(created.logical_id)

    def _update(self, found: ResourceType, wanted: Deployed, existing: Deployed) -> None:
        update = found.update
        assert update is not None  # needs_replacement() is true for a type without it
        self._event(existing, "UPDATE_IN_PROGRESS")
        # Registered first: an update that failed half way has to be undone as well.
        self._undo.append(lambda: self._undo_update(update, wanted, existing))
        resource = self._attempt(wanted, "UPDATE", lambda: update(self._operation(wanted, existing)))
        updated = replace(wanted, resource=resource)
        self._stack.deployed[updated.logical_id] = updated
        self._event(updated, "UPDATE_COMPLETE")

    def _undo_update(
        self, update: Callable[[Operation], Resource], wanted: Deployed, existing: Deployed
    ) -> None:
        self._event(existing, "UPDATE_IN_PROGRESS")
        resource = self._attempt(existing, "UPDATE", lambda: update(self._operation(existing, wanted)))
        self._stack.deployed[existing.logical_id] = replace(existing, resource=resource)
        self._event(existing, "UPDATE_COMPLETE")

    def _replace(self, found: ResourceType, wanted: Deployed, existing: Deployed) -> None:
        reason = "Requested update requires the creation of a new physical resource; hence creating one."
        self._event(existing, "UPDATE_IN_PROGRESS", reason)

        def rename() -> Resource:
            found.check_rename(self._operation(wanted, existing))
            return existing.resource

        self._attempt(wanted, "UPDATE", rename)
        created = self._made(found, wanted, "UPDATE")
        self._stack.deployed[created.logical_id] = created
        self._superseded.append(existing)

        def undo() -> None:
            self._delete(created)
            self._stack.deployed[existing.logical_id] = existing

        self._undo.append(undo)
        self._event(created, "UPDATE_COMPLETE")

    def _store(self, kept: Deployed, existing: Deployed) -> None:
        """An unchanged resource may have new policies or dependencies; no service is called."""
        self._stack.deployed[kept.logical_id] = kept
        self._undo.append(lambda: self._stack.deployed.update({existing.logical_id: existing}))

    def _delete(self, doomed: Deployed) -> None:
        found = registry.resource_type(doomed.logical_id, doomed.type_name)
        self._event(doomed, "DELETE_IN_PROGRESS")
        # A delete sees the resource as the previous state; there is no new one.
        operation = self._operation(replace(doomed, properties={}), doomed)

        def delete() -> Resource:
            try:
                found.delete(operation)
            except ClientError as error:
                # Whoever deleted it by hand got there first: as in AWS, that is success.
                if not any(marker in error.response["Error"]["Code"] for marker in _GONE):
                    raise
            return doomed.resource

        self._attempt(doomed, "DELETE", delete)
        self._event(doomed, "DELETE_COMPLETE")

    def _delete_quietly(self, doomed: Deployed) -> None:
        try:
            self._delete(doomed)
        except ResourceFailed as error:
            _log.warning("%s of stack %s stays behind: %s", doomed.logical_id, self._stack.name, error)

    def _attempt(self, wanted: Deployed, verb: str, action: Callable[[], Resource]) -> Resource:
        """Runs one service operation; whatever goes wrong becomes the resource's status reason."""
        try:
            return action()
        except (ResourceFailed, ClientError, BotoCoreError) as error:
            reason = str(error)
        except KeyError as error:
            reason = f"the property {error} is missing in the template"
        except Exception as error:
            # Also a defect of a resource type has to end this deployment, not leave it in progress for ever.
            _log.exception("%s of %s failed", verb, wanted.logical_id)
            reason = f"{type(error).__name__}: {error}"
        self._event(wanted, f"{verb}_FAILED", reason)
        raise ResourceFailed(f"{wanted.logical_id} ({wanted.type_name}): {reason}")

    def _operation(self, wanted: Deployed, existing: Deployed | None = None) -> Operation:
        return Operation(
            client=self._client,
            account_id=self._account_id,
            region=self._stack.region,
            stack_name=self._stack.name,
            logical_id=wanted.logical_id,
            properties=wanted.properties,
            previous=existing.properties if existing else {},
            physical_id=existing.resource.physical_id if existing else "",
        )

    def _event(self, deployed: Deployed, status: str, reason: str = "") -> None:
        deployed.status, deployed.reason, deployed.changed_at = status, reason, now()
        physical_id = deployed.resource.physical_id
        self._stack.record(deployed.logical_id, physical_id, deployed.type_name, status, reason)

    def _resolve_outputs(self) -> list[Output]:
        scope = self._current_scope()
        outputs = []
        for key, output in self._template.outputs(scope).items():
            try:
                value = scope.resolve(output["Value"])
                export = scope.resolve(output.get("Export", {}).get("Name", ""))
            except (TemplateError, Unresolved) as error:
                raise ResourceFailed(f"Output {key}: {error}") from error
            _, exporter = self._exports.get(export, ("", self._stack))
            if exporter is not self._stack:
                raise ResourceFailed(f"Export {export} is already exported by stack {exporter.name}")
            outputs.append(Output(key, str(value), output.get("Description", ""), export))
        return outputs


def _reverse_order(deployed: Mapping[str, Deployed]) -> list[Deployed]:
    """Dependants before what they depend on."""
    graph = {name: set(item.depends_on) & set(deployed) for name, item in deployed.items()}
    return [deployed[name] for name in reversed(in_order(graph))]
