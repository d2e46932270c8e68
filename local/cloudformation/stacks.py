"""What CloudFormation remembers: stacks, their resources, events and change sets. All in memory."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from local.cloudformation.intrinsics import Resource
from local.cloudformation.template import Parameters, Template

STACK_TYPE = "AWS::CloudFormation::Stack"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Deployed:
    """A resource of a stack: what it was made from, and what it is."""

    logical_id: str
    type_name: str
    properties: Mapping[str, Any]
    resource: Resource
    depends_on: frozenset[str]
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"
    status: str = "CREATE_COMPLETE"
    reason: str = ""
    changed_at: datetime = field(default_factory=now)

    @property
    def retained(self) -> bool:
        """Whether it stays when the stack, or its place in the template, goes."""
        return self.deletion_policy in ("Retain", "RetainExceptOnCreate")


@dataclass(frozen=True)
class Event:
    """One line of a stack's history."""

    event_id: str
    at: datetime
    logical_id: str
    physical_id: str
    type_name: str
    status: str
    reason: str


@dataclass(frozen=True)
class Output:
    """An output of a stack, with the name it is exported under, if it is."""

    key: str
    value: str
    description: str = ""
    export: str = ""


@dataclass(frozen=True)
class Change:
    """What a change set would do to one resource: Add, Modify or Remove."""

    action: str
    logical_id: str
    type_name: str
    physical_id: str = ""
    replacement: bool | None = None


@dataclass
class ChangeSet:
    """What was submitted, and what executing it would do."""

    change_set_id: str
    name: str
    kind: str
    template: Template
    parameters: Parameters
    tags: Mapping[str, str]
    changes: list[Change]
    description: str = ""
    status: str = "CREATE_COMPLETE"
    status_reason: str = ""
    execution_status: str = "AVAILABLE"
    created_at: datetime = field(default_factory=now)


@dataclass
class Stack:
    """A stack in its current status, with its history and its pending change sets."""

    stack_id: str
    name: str
    region: str
    status: str = "REVIEW_IN_PROGRESS"
    status_reason: str = ""
    template: Template | None = None
    parameters: Parameters = field(default_factory=lambda: Parameters({}, {}))
    tags: Mapping[str, str] = field(default_factory=dict)
    role_arn: str = ""
    capabilities: list[str] = field(default_factory=list)
    notification_arns: list[str] = field(default_factory=list)
    termination_protection: bool = False
    deployed: dict[str, Deployed] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    imports: frozenset[str] = frozenset()
    """The names of the exports of other stacks that it uses."""
    events: list[Event] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    created_at: datetime = field(default_factory=now)
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def become(self, status: str, reason: str = "") -> None:
        """Enters a status, and says so in an event."""
        self.status, self.status_reason = status, reason
        self.record(self.name, self.stack_id, STACK_TYPE, status, reason)

    def record(self, logical_id: str, physical_id: str, type_name: str, status: str, reason: str) -> None:
        event_id = str(uuid.uuid4())
        self.events.append(Event(event_id, now(), logical_id, physical_id, type_name, status, reason))

    def change_set(self, name_or_id: str) -> ChangeSet | None:
        matching = (
            change_set
            for change_set in self.change_sets.values()
            if name_or_id in (change_set.name, change_set.change_set_id)
        )
        return next(matching, None)


class Stacks:
    """Every stack of one account, deleted ones included, by region."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id
        self._stacks: dict[str, Stack] = {}
        self.lock = threading.RLock()

    def add(self, name: str, region: str) -> Stack:
        stack_id = f"arn:aws:cloudformation:{region}:{self._account_id}:stack/{name}/{uuid.uuid4()}"
        stack = self._stacks[stack_id] = Stack(stack_id, name, region)
        return stack

    def change_set_id(self, name: str, region: str) -> str:
        return f"arn:aws:cloudformation:{region}:{self._account_id}:changeSet/{name}/{uuid.uuid4()}"

    def find(self, name_or_id: str, region: str) -> Stack | None:
        """By name among those that exist; by id also among the deleted."""
        if name_or_id in self._stacks:
            return self._stacks[name_or_id]
        return next((stack for stack in self.existing(region) if stack.name == name_or_id), None)

    def existing(self, region: str) -> Iterable[Stack]:
        return [stack for stack in self.all(region) if stack.status != "DELETE_COMPLETE"]

    def all(self, region: str) -> list[Stack]:
        with self.lock:
            return [stack for stack in self._stacks.values() if stack.region == region]

    def importers(self, export: str, region: str) -> list[str]:
        """The names of the stacks that use an export."""
        return [stack.name for stack in self.existing(region) if export in stack.imports]

    def unchangeable(self, stack: Stack, outputs: Iterable[Output]) -> str | None:
        """Why the stack's outputs cannot become `outputs`: another stack uses an export; None where none does."""
        new = {output.export: output.value for output in outputs}
        for old in stack.outputs:
            users = self.importers(old.export, stack.region) if old.export else []
            if users and new.get(old.export) != old.value:
                change = "updated" if old.export in new else "deleted"
                return f"Export {old.export} cannot be {change} as it is in use by {' and '.join(users)}"
        return None

    def exports(self, region: str) -> dict[str, tuple[str, Stack]]:
        """{export name: (value, exporting stack)}"""
        stacks = self.existing(region)
        pairs = itertools.chain.from_iterable(((stack, out) for out in stack.outputs) for stack in stacks)
        return {output.export: (output.value, stack) for stack, output in pairs if output.export}
